"""What the database says: whether it is whole, what waits in it, what could not be delivered, which agents report."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from rmactors import __version__
from rmactors.common import clock, zones
from rmactors.common.clock import MINUTE, SECOND, seconds
from rmactors.common.disk import free_space
from rmactors.common.findings import Finding
from rmactors.common.sizes import size
from rmactors.common.vocabulary import DELIVERY_OVERDUE_SECONDS
from rmactors.doctor.machine import clock_finding
from rmactors.server.config.secrets import SecretBox, SecretError
from rmactors.server.config.settings import Settings
from rmactors.server.store import leadership, node_list, secret_rows
from rmactors.server.store.database import Database, DatabaseError, Session
from rmactors.server.store.engines import postgres_facts
from rmactors.server.store.engines.opening import connect_read_only
from rmactors.server.store.integrity import damage
from rmactors.server.store.queries.condition import Condition, condition, schema_trouble
from rmactors.server.web.views.texts import many

LARGE_LOG = 1_000_000_000
"""Bytes of the write-ahead log: some megabytes are usual; with this many, something keeps it from being folded in."""
_NAMED = 5


def look(settings: Settings, now: int, *, full: bool) -> Iterator[Finding]:
    """`full` compares every index with its table as well, which takes minutes with gigabytes; SQLite only."""
    place = settings.place
    if isinstance(place, Path) and not place.exists():
        yield clock_finding(None, now)
        yield Finding(None, f"there is no database at {place} yet: the first start of the server makes it")
        return
    try:
        with closing(connect_read_only(place)) as db:
            if isinstance(db, sqlite3.Connection):
                yield from _look_at_file(db, settings, now, full=full)
            else:
                yield from _look_at_server(db, settings, now)
    except DatabaseError as error:
        yield Finding(False, f"the database {place} cannot be read: {error}")


def _look_at_file(db: sqlite3.Connection, settings: Settings, now: int, *, full: bool) -> Iterator[Finding]:
    if (found := damage(db, full=full)) is not None:
        yield Finding(False, f"the database is damaged: {found}. Stop the server and restore a backup")
        return
    yield from _look(db, settings, now)
    log = free_space(settings.database).log
    if log > LARGE_LOG:
        yield Finding(False, f"the database's log has {size(log)}: some program keeps an old state open")


def _look_at_server(db: Session, settings: Settings, now: int) -> Iterator[Finding]:
    facts = postgres_facts.read(db, clock.now)
    wrong = list(postgres_facts.unfit(facts))
    yield from (Finding(False, text) for text in wrong)
    for ok, text in postgres_facts.findings(facts, require_sync=settings.require_sync):
        yield Finding(ok, text)
    if settings.database.exists():
        yield Finding(None, f"{settings.database} is not in use: RM_DATABASE_URL names another database")
    if (leader := facts.leader) is not None:
        yield Finding(None, f"the node {leader.node} leads ({leader.url})" if leader.leads else "no node leads")
        yield from _look_at_nodes(db)
        yield from _look(db, settings, now)
    elif not wrong:
        yield Finding(None, f"there are no tables in {settings.place} yet: the first start of the server makes them")


def _look_at_nodes(db: Session) -> Iterator[Finding]:
    found = node_list.nodes(db).items
    for node in found:
        row, off = node.row, node.clock_off
        side = "ahead of" if off > 0 else "behind"
        if node.away:
            ago = (leadership.now(db) - row.seen_at) // MINUTE
            yield Finding(None, f"the node {row.name} was not seen for {many('%(n)s minute', '%(n)s minutes', ago)}")
        elif not node.leads:
            yield Finding(True, f"the node {row.name} waits ({row.url})")
        if off:
            wrong = abs(off) > postgres_facts.CLOCK_WRONG
            text = f"the clock of the node {row.name} is {abs(off) / SECOND:,.1f} s {side} PostgreSQL's: use NTP there"
            yield Finding(False if wrong else None, text)
        if node.other_keys:
            yield Finding(
                False,
                f"the key file of the node {row.name} is not the leader's: copy the leader's there, and finish a"
                " rotation of the key with `rmactors keys rotate`",
            )
        if node.other_version:
            yield Finding(None, f"the node {row.name} has version {row.version}, which is not the leader's")


def _look(db: Database, settings: Settings, now: int) -> Iterator[Finding]:
    if (trouble := schema_trouble(db)) is not None:
        text, mends_itself = trouble
        yield Finding(None if mends_itself else False, text)
        return
    state = condition(db, now)
    yield clock_finding(state.newest_at, now)
    free = f", {size(state.free)} of it free for reuse" if state.free else ""
    what = "the database is whole" if isinstance(db, sqlite3.Connection) else "the database can be read"
    yield Finding(True, f"{what}: {size(state.size)}{free}")
    yield _secrets(db, settings)
    yield from _queue(state, now)
    yield from _agents(state)
    yield from _zone_data(state, zones.version())
    yield from _clocks(state)
    yield from _unwatched(state)
    if not state.users:
        yield Finding(None, "there is no user yet: `rmactors admin create-user`, or /setup in a browser")


def _secrets(db: Database, settings: Settings) -> Finding:
    """Whether the key opens what is sealed. The key itself was looked at already."""
    if not secret_rows.holds_secrets(db):
        return Finding(True, "no stored secret needs a key")
    try:
        count = secret_rows.check_rows(db, SecretBox(settings.key_file))
    except SecretError as error:
        return Finding(False, str(error))
    return Finding(True, f"the key opens {many('the stored secret', 'all %(n)s stored secrets', count)}")


def _queue(state: Condition, now: int) -> Iterator[Finding]:
    if not state.enabled_channels:
        yield Finding(None, "no channel is enabled: nobody is told of anything")
    waiting, dead = sum(queue.waiting for queue in state.queues), sum(queue.dead for queue in state.queues)
    age = 0 if state.oldest_due_at is None else now - state.oldest_due_at
    if age > seconds(DELIVERY_OVERDUE_SECONDS):
        yield Finding(False, f"{_notifications(waiting)} waiting, the oldest for {age // MINUTE} minutes")
    else:
        yield Finding(True, f"{_notifications(waiting)} waiting" if waiting else "no notification waits")
    for queue in state.queues:
        if queue.failing:
            yield Finding(
                False, f"the channel {queue.channel} ({queue.kind}) is failing: {_notifications(queue.waiting)} waiting"
            )
    if state.dead_open:
        yield Finding(
            False,
            f"{_notifications(state.dead_open)} of unresolved alerts given up: send again on the alert's page",
        )
    if dead > state.dead_open:
        yield Finding(None, f"{_notifications(dead - state.dead_open)} of alerts that are over given up")


def _notifications(number: int) -> str:
    return many("%(n)s notification", "%(n)s notifications", number)


def _agents(state: Condition) -> Iterator[Finding]:
    own = len(state.agents.get(__version__, ()))
    others = {version: names for version, names in state.agents.items() if version != __version__}
    if own or not others:
        yield Finding(True, f"{many('%(n)s agent has', '%(n)s agents have', own)} this version, {__version__}")
    for version, names in sorted(others.items()):
        yield Finding(None, f"version {version or 'unknown'} on {_some(names)}")


def _zone_data(state: Condition, ours: str) -> Iterator[Finding]:
    """Where a host's is another than ours (at the host's last hello): one of us is wrong about some zones."""
    for theirs, names in sorted(state.zone_data.items()):
        if ours and zones.age(theirs) < zones.age(ours):
            yield Finding(
                None, f"time zone data {theirs} on {_some(names)} is older than here ({ours}): update tzdata there"
            )
        elif ours and zones.age(theirs) > zones.age(ours):
            yield Finding(
                None, f"time zone data {theirs} on {_some(names)} is newer than here ({ours}): update tzdata here"
            )


def _clocks(state: Condition) -> Iterator[Finding]:
    for name, offset in state.wrong_clocks[:_NAMED]:
        side = "ahead of" if offset > 0 else "behind"
        yield Finding(None, f"the clock of {name} is {abs(offset):,.0f} s {side} this server's: let NTP keep it right")
    if len(state.wrong_clocks) > _NAMED:
        yield Finding(None, f"{len(state.wrong_clocks) - _NAMED} more hosts have clocks that are wrong")


def _unwatched(state: Condition) -> Iterator[Finding]:
    for host, schedule, why in state.unwatched[:_NAMED]:
        yield Finding(
            False,
            f"the schedule {schedule} of {host} is not watched: {why}. Update tzdata here, or change the schedule",
        )
    if len(state.unwatched) > _NAMED:
        yield Finding(False, f"{len(state.unwatched) - _NAMED} more schedules are not watched")


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
