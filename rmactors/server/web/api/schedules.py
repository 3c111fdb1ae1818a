"""`/api/hosts/{id}/schedules` and `/api/schedules/{id}`."""

from quart import Blueprint, Response

from rmactors.server.store.queries import schedules as queries
from rmactors.server.store.queries.schedules import ScheduleRow
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
from rmactors.server.web.api.shapes import schedules as shapes
from rmactors.server.web.operations import hosts, schedules
from rmactors.server.web.operations.schedules import ScheduleBody, ScheduleChange
from rmactors.server.web.validation import convert

blueprint = Blueprint("api_schedules", __name__)


@route(
    blueprint, "/api/hosts/<host_id>/schedules", role="viewer", answer=Listing[shapes.Schedule],
    query=PAGING,
)  # fmt: skip
async def list_schedules(host_id: str) -> Response:
    """Of one host, by name."""
    await hosts.require(host_id)
    given = arguments(*PAGING)
    limit, after, now = limit_of(given), cursor_of(given, (int, str)), services().now()
    page = await services().reader.run(queries.schedules, host_id.upper(), limit, after)
    return json_response(listing(page, lambda row: shapes.schedule(row, now)))


@route(
    blueprint, "/api/hosts/<host_id>/schedules", role="operator", methods=["POST"], body=ScheduleBody,
    answer=shapes.Schedule, status=201,
)  # fmt: skip
async def create_schedule(host_id: str) -> Response:
    """A new schedule; its host gets it at once."""
    raw = await json_body()
    host = (await hosts.require(host_id)).host
    body = convert(raw, ScheduleBody, read_only=shapes.Schedule.__struct_fields__)
    schedule_id = await schedules.create(host.id, body)
    return json_response(_shape(await schedules.require(schedule_id)), 201)


@route(blueprint, "/api/schedules/<schedule_id>", role="viewer", answer=shapes.Schedule)
async def show_schedule(schedule_id: str) -> Response:
    """One schedule."""
    return json_response(_shape(await schedules.require(schedule_id)))


@route(
    blueprint, "/api/schedules/<schedule_id>", role="operator", methods=["PATCH"], body=ScheduleChange,
    answer=shapes.Schedule,
)  # fmt: skip
async def change_schedule(schedule_id: str) -> Response:
    """What is left out stays. After a change of times or grace, slots count from now."""
    raw = await json_body()
    row = await schedules.require(schedule_id)
    await schedules.change(row, convert(raw, ScheduleChange, read_only=shapes.Schedule.__struct_fields__))
    return json_response(_shape(await schedules.require(schedule_id)))


@route(blueprint, "/api/schedules/<schedule_id>", role="operator", methods=["DELETE"], fresh=True, status=204)
async def delete_schedule(schedule_id: str) -> Response:
    """Resolves its alerts. 409 where a policy made it."""
    await no_body()
    await schedules.remove(await schedules.require(schedule_id))
    return no_content()


def _shape(row: ScheduleRow) -> shapes.Schedule:
    return shapes.schedule(row, services().now())
