"""Which deliveries of a channel go out as one message: each is given its place when it is queued.

By host, raises alone wait: the first goes at once and opens a window, what follows within it goes at its end. By
repository or all together, so do acknowledgements; reminders that are due at once go as one message; and a resolution
waits until every alert of its group that the channel was sent is resolved, but not without end (`_with_the_others`).

A group is the alerts of one window. `group_key` of a raise names it for as long as the alert is unresolved.
"""

from dataclasses import dataclass

import msgspec

from rmactors.common import ids
from rmactors.common.clock import HOUR
from rmactors.common.vocabulary import Event, GroupBy
from rmactors.server.state.host_state import plan_named
from rmactors.server.store.database import Row
from rmactors.server.store.routing import repository_server
from rmactors.server.store.transaction import Transaction

ENDED = "ended "
"""Before the key of a message about resolutions: `ended <id>/<key of the raises>`."""


@dataclass(frozen=True, slots=True)
class Grouping:
    """How a channel groups. `seconds` in microseconds; 0: not at all."""

    by: GroupBy
    seconds: int


@dataclass(frozen=True, slots=True)
class Place:
    """When a delivery goes out, and with what: nothing if not `grouped`. `repository`: which one its group is about."""

    due_at: int
    grouped: bool = False
    group_key: str = ""
    repository: str | None = None


class _Plan(msgspec.Struct):
    name: str
    repository: str = ""


_PLANS = msgspec.json.Decoder(list[_Plan])


def place(
    tx: Transaction,
    channel_id: str,
    grouping: Grouping,
    alert_id: str,
    about: tuple[str, str, str],
    event: Event,
    at: int,
) -> Place:
    """The place of a delivery; opens a window where it is the first. `about` is (host id, kind, subject)."""
    if not grouping.seconds:
        return Place(at)
    if grouping.by == "host":
        return _by_host(tx, channel_id, grouping, about[0], event, at)
    repository = _repository(tx, *about) if grouping.by == "repository" else None
    thing = "all" if grouping.by == "all" else repository or f"kind:{about[1]}"
    match event:
        case "alert.raised":
            _leave(tx, channel_id, alert_id, "AND NOT (state = 'queued' AND grouped = 1)")
            found = _in_window(tx, channel_id, grouping, thing, at)
        case "alert.resolved":
            found = _resolved(tx, channel_id, grouping, alert_id, thing, at)
        case "alert.reminder":  # those that are due now are queued in one transaction
            found = Place(at, True, f"reminded {thing}@{at}")
        case _:
            found = _in_window(tx, channel_id, grouping, f"acknowledged {thing}", at)
    return Place(found.due_at, found.grouped, found.group_key, repository)


def released(tx: Transaction, channel_id: str, at: int) -> None:
    """A channel groups in another way from now on: what waits for the rest of its group waits no more."""
    tx.execute(
        "UPDATE deliveries SET due_at = ? WHERE channel_id = ? AND state = 'queued' AND event = 'alert.resolved'"
        " AND grouped = 1 AND due_at > ?",
        (at, channel_id, at),
    )
    forget_windows(tx, channel_id)


def forget_windows(tx: Transaction, channel_id: str) -> None:
    tx.execute("DELETE FROM group_windows WHERE channel_id = ?", (channel_id,))
    tx.execute("DELETE FROM shared_windows WHERE channel_id = ?", (channel_id,))


def _by_host(tx: Transaction, channel_id: str, grouping: Grouping, host_id: str, event: Event, at: int) -> Place:
    if event != "alert.raised":
        return Place(at)
    window = tx.row("SELECT until_at FROM group_windows WHERE channel_id = ? AND host_id = ?", (channel_id, host_id))
    if window is not None and window["until_at"] > at:
        return Place(window["until_at"], True)
    tx.execute(
        "INSERT INTO group_windows (channel_id, host_id, until_at) VALUES (?, ?, ?)"
        " ON CONFLICT (channel_id, host_id) DO UPDATE SET until_at = excluded.until_at",
        (channel_id, host_id, at + grouping.seconds),
    )
    return Place(at)


def _in_window(tx: Transaction, channel_id: str, grouping: Grouping, about: str, at: int) -> Place:
    """The first goes at once and opens a window, what follows waits for its end."""
    window = _window(tx, channel_id, about, at)
    if window is not None:
        return Place(window["until_at"], True, window["group_key"])
    until_at = at + grouping.seconds
    key = f"{about}@{until_at}"
    _keep(tx, channel_id, about, until_at, key)
    return Place(at, False, key)


def _resolved(tx: Transaction, channel_id: str, grouping: Grouping, alert_id: str, thing: str, at: int) -> Place:
    raised = tx.row(
        "SELECT group_key, due_at, state = 'queued' AND grouped = 1 AS waits FROM deliveries"
        " WHERE alert_id = ? AND channel_id = ? AND event = 'alert.raised' AND group_key <> ''"
        " AND state IN ('queued', 'delivered') ORDER BY pos DESC LIMIT 1",
        (alert_id, channel_id),
    )
    _leave(tx, channel_id, alert_id)
    if raised is None:  # the channel was not sent its raise, or did not group then
        return _in_window(tx, channel_id, grouping, f"resolved {thing}", at)
    return _with_the_others(tx, channel_id, grouping, raised, at)


def _with_the_others(tx: Transaction, channel_id: str, grouping: Grouping, raised: Row, at: int) -> Place:
    """Resolutions of a group go when its last alert is resolved; else an hour after the first of them, or a window if
    that is longer. Where nobody was told of the last one, because its raise waits for its window, so does its end."""
    about = f"{ENDED}{raised['group_key']}"
    window = _window(tx, channel_id, about, at)
    complete = not _is_open(tx, channel_id, raised["group_key"])
    if complete and window is None and not raised["waits"]:
        return Place(at)
    due_at = window["until_at"] if window is not None else at + max(HOUR, grouping.seconds)
    if complete:
        due_at = min(due_at, raised["due_at"]) if raised["waits"] else at
    key = window["group_key"] if window is not None else f"{ENDED}{ids.new()}/{raised['group_key']}"
    _keep(tx, channel_id, about, due_at, key)
    if window is not None and due_at < window["until_at"]:
        _waits_no_longer(tx, channel_id, key, due_at)
    return Place(due_at, True, key)


def _waits_no_longer(tx: Transaction, channel_id: str, key: str, at: int) -> None:
    """The last of a group is resolved. The others go with it; one that cannot, because another message about its alert
    is in flight, must be due on disk, too: a process that starts after the last one is sent knows nothing of that."""
    tx.execute(
        "UPDATE deliveries SET due_at = ? WHERE channel_id = ? AND group_key = ? AND state = 'queued' AND due_at > ?",
        (at, channel_id, key, at),
    )


def _is_open(tx: Transaction, channel_id: str, key: str) -> bool:
    """Whether any alert of a group is unresolved, of those that the channel was sent or is to be sent."""
    found = tx.row(
        "SELECT 1 FROM deliveries JOIN alerts ON alerts.id = deliveries.alert_id"
        " WHERE deliveries.channel_id = ? AND deliveries.group_key = ? AND deliveries.group_key <> ''"
        " AND deliveries.event = 'alert.raised' AND deliveries.state IN ('queued', 'delivered')"
        " AND alerts.resolved_at IS NULL LIMIT 1",
        (channel_id, key),
    )
    return found is not None


def _leave(tx: Transaction, channel_id: str, alert_id: str, unless: str = "") -> None:
    """An alert is resolved; or it is raised again, and belongs to the group of that raise once the old one is sent."""
    tx.execute(
        "UPDATE deliveries SET group_key = '' WHERE alert_id = ? AND channel_id = ? AND event = 'alert.raised'"  # noqa: S608
        f" AND group_key <> '' {unless}",
        (alert_id, channel_id),
    )


def _window(tx: Transaction, channel_id: str, about: str, at: int) -> Row | None:
    return tx.row(
        "SELECT until_at, group_key FROM shared_windows WHERE channel_id = ? AND about = ? AND until_at > ?",
        (channel_id, about, at),
    )


def _keep(tx: Transaction, channel_id: str, about: str, until_at: int, key: str) -> None:
    tx.execute(
        "INSERT INTO shared_windows (channel_id, about, until_at, group_key) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (channel_id, about) DO UPDATE SET until_at = excluded.until_at, group_key = excluded.group_key",
        (channel_id, about, until_at, key),
    )


def _repository(tx: Transaction, host_id: str, kind: str, subject: str) -> str | None:
    """The server of the repository that an alert is about: that of its plan, or of its host's only one."""
    row = tx.row("SELECT plans FROM hosts WHERE id = ?", (host_id,)) if subject else None
    if row is None:
        return None
    plans = {plan.name: plan.repository for plan in _PLANS.decode(row["plans"])}
    if subject.startswith("plan:"):
        name = subject.removeprefix("plan:")
    else:
        schedule = tx.row("SELECT params FROM schedules WHERE id = ? AND host_id = ?", (subject, host_id))
        if schedule is None:  # it is about something else than a backup
            return None
        name = plan_named(schedule["params"]) or (next(iter(plans)) if len(plans) == 1 else "")
    return repository_server(plans.get(name, ""))
