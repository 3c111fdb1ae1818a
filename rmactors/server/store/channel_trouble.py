"""Which channels have trouble, for the rules: read at each tick, and looked at again where they decide on it."""

import logging
from collections.abc import Callable

from rmactors.server.calendars.quiet_hours import QuietHours
from rmactors.server.messages.channel_trouble import ExpectChannel
from rmactors.server.state.channel_trouble import ChannelTrouble, GivenUp
from rmactors.server.store.database import Database, DatabaseError, Row, Rows
from rmactors.server.store.transaction import StaleWrite, Transaction, handles

_log = logging.getLogger(__name__)

_QUEUED = "EXISTS (SELECT 1 FROM deliveries WHERE channel_id = channels.id AND state = 'queued')"
_GIVEN_UP = (
    "FROM deliveries WHERE channel_id = ? AND state = 'dead' AND dismissed = 0"
    " AND coalesce(last_error, '') <> 'channel disabled'"
    " AND (host_id <> '' OR event = 'alert.digest')"  # all else that is about no host is about a failing channel
)


def load_channel_trouble(db: Database) -> list[ChannelTrouble]:
    """Enabled channels with trouble, and every channel with an open alert about it. Read-only; what cannot be read is
    read at the next tick."""
    try:
        return _load(db)
    except DatabaseError as error:
        _log.warning("cannot read how the channels do: %s", error)
        return []


def _load(db: Database) -> list[ChannelTrouble]:
    open_alerts = {
        row["subject"].removeprefix("channel:"): row
        for row in db.execute(
            "SELECT id, subject, host_name, message FROM alerts WHERE host_id = '' AND kind = 'channel_failing'"
            " AND resolved_at IS NULL"
        )
    }
    found = []
    for row in db.execute("SELECT * FROM channels ORDER BY created_at, id"):
        alert = open_alerts.pop(row["id"], None)
        failing_since, given_up = _trouble(db.execute, row) if row["enabled"] else (None, None)
        if alert is None and failing_since is None and given_up is None:
            continue
        found.append(
            ChannelTrouble(
                row["id"], row["name"], True, bool(row["enabled"]), failing_since, row["last_error"], given_up,
                alert["id"] if alert is not None else None, alert["message"] if alert is not None else "",
                _resolved_at(db, row["id"]) if alert is None else None,
                _quiet_hours(db, row) if failing_since is not None else None,
            )
        )  # fmt: skip
    for channel_id, alert in open_alerts.items():
        found.append(
            ChannelTrouble(channel_id, alert["host_name"], False, False, alert_id=alert["id"], said=alert["message"])
        )
    return found


def _trouble(execute: Callable[..., Rows], row: Row) -> tuple[int | None, GivenUp | None]:
    """Since when a channel fails with something there to try, and what of it was given up."""
    failing_since: int | None = row["failing_since"]
    if failing_since is not None:
        (queued,) = execute(f"SELECT {_QUEUED} FROM channels WHERE id = ?", (row["id"],)).fetchone()  # noqa: S608
        failing_since = failing_since if queued else None
    (number,) = execute(f"SELECT count(*) {_GIVEN_UP}", (row["id"],)).fetchone()
    if not number:
        return failing_since, None
    newest = execute(
        f"SELECT finished_at, last_error {_GIVEN_UP} ORDER BY finished_at DESC NULLS LAST /*pg , seq DESC */ LIMIT 1",
        (row["id"],),
    ).fetchone()
    return failing_since, GivenUp(number, newest["finished_at"], newest["last_error"] or "")


def _quiet_hours(db: Database, row: Row) -> QuietHours | None:
    """A channel's quiet hours, if nothing is queued that goes out in them too."""
    (loud,) = db.execute(
        "SELECT EXISTS (SELECT 1 FROM deliveries WHERE channel_id = ? AND state = 'queued' AND loud = 1)", (row["id"],)
    ).fetchone()
    return None if loud else QuietHours.from_json(row["quiet_hours"])


def _resolved_at(db: Database, channel_id: str) -> int | None:
    """When an operator last resolved an alert about this channel."""
    found: int | None = db.execute(
        "SELECT max(resolved_at) FROM alerts WHERE host_id = '' AND resolved = 1 AND kind = 'channel_failing'"
        " AND subject = ? AND resolved_by <> 'rule'",
        (f"channel:{channel_id}",),
    ).fetchone()[0]
    return found


@handles
def expect_channel(tx: Transaction, write: ExpectChannel) -> None:
    row = tx.row("SELECT * FROM channels WHERE id = ?", (write.channel_id,))
    there = row is not None
    enabled = row is not None and bool(row["enabled"])
    failing_since, given_up = _trouble(tx.execute, row) if row is not None and enabled else (None, None)
    so = (there, enabled, failing_since, given_up.at if given_up is not None else None)
    if so != (write.there, write.enabled, write.failing_since, write.given_up_at):
        raise StaleWrite("the channel does better or worse by now")
