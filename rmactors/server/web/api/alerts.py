"""`/api/alerts`: the list with filters and counts, one alert with its timeline, acknowledge, resolve."""

from collections.abc import Mapping
from typing import Annotated, Literal, get_args

from msgspec import Meta, Struct
from quart import Blueprint, Response

from rmactors.common.vocabulary import ALERT_KINDS, SEVERITIES, AlertKind, Severity
from rmactors.server.messages.requests import Acknowledge, Resolve
from rmactors.server.store.queries import alerts as queries
from rmactors.server.store.queries.alerts import AlertFilter
from rmactors.server.web.access import actor, audit, is_id, route, services
from rmactors.server.web.api import shapes
from rmactors.server.web.api.bodies import (
    PAGING,
    arguments,
    convert,
    cursor_of,
    json_body,
    json_response,
    limit_of,
    listing,
    one_of,
)
from rmactors.server.web.problems import invalid_field, not_found, settled

blueprint = Blueprint("api_alerts", __name__)

ListStatus = Literal["open", "acknowledged", "resolved", "all"]
STATUSES: tuple[ListStatus, ...] = get_args(ListStatus)
QUERY: Mapping[str, object] = {
    "status": ListStatus,
    "severity": Severity,
    "kind": AlertKind,
    "host_id": shapes.Id,
    "q": Annotated[str, Meta(max_length=500)],
    **PAGING,
}


class NoteBody(Struct, forbid_unknown_fields=True):
    """What an operator has to say about it."""

    note: Annotated[str, Meta(max_length=2000)] | None = None


def alert_filter(given: dict[str, str]) -> AlertFilter:
    """The filter in query parameters. 422 for words that none of them knows."""
    status = one_of(given, "status", STATUSES) or "open"
    host_id = given.get("host_id")
    if host_id is not None and not is_id(host_id):
        raise invalid_field("/host_id", "is not an id")
    if len(given.get("q", "")) > 500:
        raise invalid_field("/q", "is too long")
    return AlertFilter(
        status,  # type: ignore[arg-type]  # one of STATUSES
        one_of(given, "severity", SEVERITIES),
        one_of(given, "kind", ALERT_KINDS),
        host_id.upper() if host_id is not None else None,
        given.get("q"),
    )


@route(blueprint, "/api/alerts", role="viewer", answer=shapes.AlertListing, query=QUERY)
async def list_alerts() -> Response:
    """Unresolved first, then newest first; `counts` are of all alerts."""
    given = arguments(*QUERY)
    wanted, limit, after = alert_filter(given), limit_of(given), cursor_of(given, (int, int, str))
    page, counts = await services().reader.run(queries.listed, wanted, services().now(), limit, after)
    url = services().settings.public_url
    found = listing(page, lambda row: shapes.alert(row, url))
    return json_response(shapes.AlertListing(found.items, found.next_cursor, shapes.alert_counts(counts)))


@route(blueprint, "/api/alerts/<alert_id>", role="viewer", answer=shapes.AlertWithTimeline)
async def show_alert(alert_id: str) -> Response:
    """One alert with its timeline."""
    return await _alert(alert_id)


@route(
    blueprint, "/api/alerts/<alert_id>/acknowledge", role="operator", methods=["POST"], body=NoteBody,
    optional_body=True, answer=shapes.AlertWithTimeline,
)  # fmt: skip
async def acknowledge_alert(alert_id: str) -> Response:
    """Keeps it open and stops reminders. 409 where it is resolved; acknowledged twice is once."""
    raw = await json_body(optional=True)
    await _require(alert_id)
    note = convert(raw, NoteBody).note
    await acknowledge(alert_id, note)
    return await _alert(alert_id)


@route(
    blueprint, "/api/alerts/<alert_id>/resolve", role="operator", methods=["POST"], body=NoteBody,
    optional_body=True, answer=shapes.AlertWithTimeline,
)  # fmt: skip
async def resolve_alert(alert_id: str) -> Response:
    """Ends it; resolved twice is once."""
    raw = await json_body(optional=True)
    await _require(alert_id)
    note = convert(raw, NoteBody).note
    await resolve(alert_id, note)
    return await _alert(alert_id)


async def acknowledge(alert_id: str, note: str | None) -> None:
    """By whoever is signed in; for pages as well. Raises Problem 404 or 409."""
    who, at, record = actor().name, services().now(), audit("alert.acknowledge", "alert", alert_id, note or "")
    answer = await services().ask_rules(lambda reply: Acknowledge(alert_id, who, note or None, at, record, reply))
    settled(answer, "alert")


async def resolve(alert_id: str, note: str | None) -> None:
    """By whoever is signed in; for pages as well. Raises Problem 404."""
    who, at, record = actor().name, services().now(), audit("alert.resolve", "alert", alert_id, note or "")
    answer = await services().ask_rules(lambda reply: Resolve(alert_id, who, note or None, at, record, reply))
    settled(answer, "alert")


async def _require(alert_id: str) -> None:
    if not is_id(alert_id) or await services().reader.run(queries.alert, alert_id) is None:
        raise not_found("alert")


async def _alert(alert_id: str) -> Response:
    row = await services().reader.run(queries.alert, alert_id) if is_id(alert_id) else None
    if row is None:
        raise not_found("alert")
    entries = await services().reader.run(queries.timeline, alert_id)
    return json_response(shapes.alert_with_timeline(row, entries, services().settings.public_url))
