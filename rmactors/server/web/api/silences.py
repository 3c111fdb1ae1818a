"""`/api/silences`: holding back notifications for a while, or again and again."""

from quart import Blueprint, Response

from rmactors.server.store.queries import silences as queries
from rmactors.server.web.access import route, services
from rmactors.server.web.api.bodies import (
    PAGING,
    Listing,
    arguments,
    cursor_of,
    json_body,
    json_response,
    limit_of,
    listing,
    no_body,
    no_content,
)
from rmactors.server.web.api.shapes import silences as shapes
from rmactors.server.web.operations import silences
from rmactors.server.web.operations.silences import SilenceBody
from rmactors.server.web.validation import convert

blueprint = Blueprint("api_silences", __name__)


@route(blueprint, "/api/silences", role="viewer", answer=Listing[shapes.Silence], query=PAGING)
async def list_silences() -> Response:
    """Newest first, also those that have ended; not what was deleted."""
    given = arguments(*PAGING)
    page = await services().reader.run(queries.silences, limit_of(given), cursor_of(given, (int, str)))
    return json_response(listing(page, shapes.silence))


@route(
    blueprint, "/api/silences", role="operator", methods=["POST"], body=SilenceBody, answer=shapes.Silence, status=201
)
async def create_silence() -> Response:
    """Holds notifications back, not alerts: until `ends_at`, or whenever `recurrence` opens."""
    body = convert(await json_body(), SilenceBody, read_only=("id", "created_by"))
    silence_id = await silences.create(body)
    return json_response(shapes.silence(await silences.require(silence_id)), 201)


@route(blueprint, "/api/silences/<silence_id>", role="viewer", answer=shapes.Silence)
async def show_silence(silence_id: str) -> Response:
    """One silence."""
    return json_response(shapes.silence(await silences.require(silence_id)))


@route(blueprint, "/api/silences/<silence_id>", role="operator", methods=["DELETE"], fresh=True, status=204)
async def delete_silence(silence_id: str) -> Response:
    """Ends it: alerts that are still open and were never sent are sent now."""
    await no_body()
    await silences.require(silence_id)
    await silences.remove(silence_id)
    return no_content()
