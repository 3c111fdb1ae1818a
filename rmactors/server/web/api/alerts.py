"""`/api/alerts`: the list with filters and counts, one alert with its timeline, acknowledge, resolve."""

from collections.abc import Mapping
from typing import Annotated, Literal, get_args

from msgspec import Meta, Struct
from quart import Blueprint, Response

from rmactors.common.vocabulary import ALERT_KINDS, SEVERITIES, AlertKind, Severity
from rmactors.server.store.queries import alerts as queries
from rmactors.server.store.queries.alerts import AlertFilter
from rmactors.server.web.access import is_id, route, services
from rmactors.server.web.api.bodies import (
    PAGING,
    arguments,
    cursor_of,
    json_body,
    json_response,
    limit_of,
    listing,
    one_of,
)
from rmactors.server.web.api.shapes import alerts as shapes
from rmactors.server.web.fields import Id
from rmactors.server.web.html import in_thread
from rmactors.server.web.operations import alerts
from rmactors.server.web.problems import invalid_field
from rmactors.server.web.validation import convert

blueprint = Blueprint("api_alerts", __name__)

ListStatus = Literal["open", "acknowledged", "resolved", "all"]
MOST_AT_ONCE = 500
STATUSES: tuple[ListStatus, ...] = get_args(ListStatus)
QUERY: Mapping[str, object] = {
    "status": ListStatus,
    "severity": Severity,
    "kind": AlertKind,
    "host_id": Id,
    "q": Annotated[str, Meta(max_length=500)],
    **PAGING,
}


class NoteBody(Struct, forbid_unknown_fields=True):
    """What an operator has to say about it."""

    note: Annotated[str, Meta(max_length=2000)] | None = None


class ResolveBody(Struct, forbid_unknown_fields=True):
    """`meant` answers a backup that looks wrong (`backup_suspicious`): it is as it should be, and later ones are
    compared with it; false: the alert is over, and nothing else changes. Left out, it is meant."""

    note: Annotated[str, Meta(max_length=2000)] | None = None
    meant: bool | None = None


class AlertsBody(Struct, forbid_unknown_fields=True):
    """The same done to several alerts. `silence` silences the kind of each on its host, for so many `hours`."""

    ids: Annotated[list[str], Meta(min_length=1, max_length=MOST_AT_ONCE)]
    action: Literal["acknowledge", "resolve", "silence"]
    note: Annotated[str, Meta(max_length=2000)] | None = None
    hours: Annotated[float, Meta(gt=0, le=8760)] | None = None


class AlertFailure(Struct):
    """An alert to which it was not done, and why."""

    id: str
    detail: str


class AlertsActedOn(Struct):
    """`done` is how many it was done to."""

    done: int
    failed: list[AlertFailure]


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
    found = await in_thread(lambda: listing(page, lambda row: shapes.alert(row, url)))
    return json_response(shapes.AlertListing(found.items, found.next_cursor, shapes.alert_counts(counts)))


@route(blueprint, "/api/alerts/bulk", role="operator", methods=["POST"], body=AlertsBody, answer=AlertsActedOn)
async def act_on_alerts() -> Response:
    """Acknowledges, resolves or silences several. One where that cannot be is told, and the others are done."""
    body = convert(await json_body(), AlertsBody)
    match body.action:
        case "acknowledge":
            done, failed = await alerts.to_each(body.ids, lambda row: alerts.acknowledge(row.id, body.note))
        case "resolve":
            done, failed = await alerts.to_each(body.ids, lambda row: alerts.resolve(row, body.note, meant=False))
        case "silence":
            if body.hours is None:
                raise invalid_field("/hours", "is required to silence")
            done, failed = await alerts.to_each(body.ids, alerts.silencing(body.note, body.hours))
    return json_response(AlertsActedOn(done, [AlertFailure(each.id, each.detail) for each in failed]))


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
    await alerts.require(alert_id)
    note = convert(raw, NoteBody).note
    await alerts.acknowledge(alert_id, note)
    return await _alert(alert_id)


@route(
    blueprint, "/api/alerts/<alert_id>/resolve", role="operator", methods=["POST"], body=ResolveBody,
    optional_body=True, answer=shapes.AlertWithTimeline,
)  # fmt: skip
async def resolve_alert(alert_id: str) -> Response:
    """Ends it; resolved twice is once. 409 where `meant` is true and it was resolved already without that."""
    raw = await json_body(optional=True)
    row = await alerts.require(alert_id)
    body = convert(raw, ResolveBody)
    await alerts.resolve(row, body.note, body.meant)
    return await _alert(alert_id)


async def _alert(alert_id: str) -> Response:
    row = await alerts.require(alert_id)
    entries = await services().reader.run(queries.timeline, alert_id)
    return json_response(shapes.alert_with_timeline(row, entries, services().settings.public_url))
