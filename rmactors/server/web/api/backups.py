"""`/api/backups`: how old the newest good backup of each plan is against its limit."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from msgspec import Meta
from quart import Blueprint, Response

from rmactors.common import clock
from rmactors.server.state.ages import AGE_STATES, AgeState
from rmactors.server.store.queries import backup_ages as queries
from rmactors.server.store.queries.backup_ages import AGE_SORTS, AgeFilter, AgeOrder, place_shape
from rmactors.server.web.access import is_id, route, services
from rmactors.server.web.api.bodies import PAGING, arguments, cursor_of, json_response, limit_of, listing, one_of
from rmactors.server.web.api.shapes import backups as shapes
from rmactors.server.web.fields import Id
from rmactors.server.web.html import in_thread
from rmactors.server.web.problems import invalid_field

blueprint = Blueprint("api_backups", __name__)

SORTS: Final = tuple(f"{way}{by}" for by in AGE_SORTS for way in ("", "-"))
QUERY: Final[Mapping[str, object]] = {
    "state": AgeState,
    "tag": Annotated[str, Meta(max_length=100)],
    "host_id": Id,
    "sort": Literal[SORTS],
    **PAGING,
}


@route(blueprint, "/api/backups", role="viewer", answer=shapes.BackupAges, query=QUERY)
async def list_backups() -> Response:
    """One object for each plan of each host, the worst first. `sort` is a column, with `-` in front the other way
    round; what is not known counts as the oldest or the least, no limit as the longest."""
    given = arguments(*QUERY)
    host_id = given.get("host_id")
    if host_id is not None and not is_id(host_id):
        raise invalid_field("/host_id", "is not an id")
    if len(given.get("tag", "")) > 100:
        raise invalid_field("/tag", "is too long")
    state, sort = one_of(given, "state", AGE_STATES), one_of(given, "sort", SORTS) or "state"
    wanted = AgeFilter(given.get("tag"), host_id.upper() if host_id is not None else None, state)  # type: ignore[arg-type]
    order = AgeOrder(sort.removeprefix("-"), sort.startswith("-"))  # type: ignore[arg-type]
    limit, after, now = limit_of(given), cursor_of(given, place_shape(order.by)), services().now()
    page = await services().reader.run(queries.backup_ages, wanted, order, now, limit, after)
    found = await in_thread(lambda: listing(page, lambda row: shapes.backup_age(row, now)))
    counts = shapes.age_counts(page.counts)
    return json_response(shapes.BackupAges(found.items, found.next_cursor, counts, clock.to_rfc3339(now)))
