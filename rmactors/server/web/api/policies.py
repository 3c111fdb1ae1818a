"""`/api/policies`: schedules by tag."""

from quart import Blueprint, Response

from rmactors.server.store.queries import policies as queries
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
from rmactors.server.web.api.shapes import policies as shapes
from rmactors.server.web.operations import policies
from rmactors.server.web.operations.policies import PolicyBody, PolicyChange
from rmactors.server.web.validation import convert

blueprint = Blueprint("api_policies", __name__)
_READ_ONLY = ("id",)


@route(blueprint, "/api/policies", role="viewer", answer=Listing[shapes.Policy], query=PAGING)
async def list_policies() -> Response:
    """By name."""
    given = arguments(*PAGING)
    page = await services().reader.run(queries.policies, limit_of(given), cursor_of(given, (str, str)))
    return json_response(listing(page, shapes.policy))


@route(
    blueprint, "/api/policies", role="operator", methods=["POST"], body=PolicyBody, answer=shapes.Policy, status=201
)  # fmt: skip
async def create_policy() -> Response:
    """A new policy. The answer comes when its schedules are there, or after 30 s, if that takes longer."""
    body = convert(await json_body(), PolicyBody, read_only=_READ_ONLY)
    return json_response(shapes.policy(await policies.require(await policies.create(body))), 201)


@route(blueprint, "/api/policies/<policy_id>", role="viewer", answer=shapes.Policy)
async def show_policy(policy_id: str) -> Response:
    """One policy."""
    return json_response(shapes.policy(await policies.require(policy_id)))


@route(
    blueprint, "/api/policies/<policy_id>", role="operator", methods=["PATCH"], body=PolicyChange, answer=shapes.Policy
)  # fmt: skip
async def change_policy(policy_id: str) -> Response:
    """What is left out stays. Its schedules are changed in place, and keep their history."""
    raw = await json_body()
    row = await policies.require(policy_id)
    await policies.change(row, convert(raw, PolicyChange, read_only=_READ_ONLY))
    return json_response(shapes.policy(await policies.require(policy_id)))


@route(blueprint, "/api/policies/<policy_id>", role="operator", methods=["DELETE"], fresh=True, status=204)
async def delete_policy(policy_id: str) -> Response:
    """Deletes its schedules too, and resolves their alerts."""
    await no_body()
    await policies.require(policy_id)
    await policies.remove(policy_id)
    return no_content()
