"""What actors rebuild their state from: the rules, the hosts, the channels. Read-only."""

import json
import sqlite3
from dataclasses import dataclass, replace

from rmactors.common import wire
from rmactors.common.vocabulary import ChannelKind, Priority
from rmactors.server.state.alert_state import AlertKey, AlertState, OpenAlert, outcome_from_json, usual_from_json
from rmactors.server.state.clocks import believed
from rmactors.server.state.delivery import Item
from rmactors.server.state.host import Errand, RunningJob
from rmactors.server.state.host_state import HostState, Schedule, limit_hours, plan_named
from rmactors.server.state.slots import Slots

# ---- rules


def load_rules(connection: sqlite3.Connection, host_id: str | None = None) -> dict[str, HostState]:
    """What the rules remember of every host, or of one (empty where it was deleted)."""
    only, parameters = ("AND hosts.id = ?", (host_id,)) if host_id is not None else ("", ())
    hosts = {
        row["id"]: HostState(
            row["id"],
            row["first_hello_at"] is not None,
            row["first_report_at"] is not None,
            plans=tuple(plan["name"] for plan in json.loads(row["plans"])),
            clock_offset=believed(row["clock_offset_seconds"]),
        )
        for row in connection.execute(f"SELECT * FROM hosts WHERE deleted_at IS NULL {only}", parameters)  # noqa: S608
    }
    for row in connection.execute(
        f"SELECT tracks.* FROM tracks JOIN hosts ON hosts.id = tracks.host_id WHERE hosts.deleted_at IS NULL {only}",  # noqa: S608
        parameters,
    ):
        key, last = AlertKey(row["host_id"], row["kind"], row["subject"]), outcome_from_json(row["head"])
        good = outcome_from_json(row["good"]) or (last if last is not None and last.verdict == "good" else None)
        hosts[key.host_id].alert_states[key] = AlertState(
            None, last, good, row["last_good_at"], bool(row["quiet"]), row["version"], usual_from_json(row["usual"])
        )
    for row in connection.execute(
        "SELECT alerts.id, alerts.host_id, alerts.kind, alerts.subject, alerts.severity, alerts.created_at,"  # noqa: S608
        " alerts.acknowledged_at, alerts.known_partial FROM alerts JOIN hosts ON hosts.id = alerts.host_id"
        f" WHERE alerts.resolved_at IS NULL AND hosts.deleted_at IS NULL {only}",
        parameters,
    ):
        key = AlertKey(row["host_id"], row["kind"], row["subject"])
        state = hosts[key.host_id].alert_states.get(key, AlertState())
        alert = OpenAlert(
            row["id"], row["severity"], row["created_at"], row["acknowledged_at"] is not None,
            bool(row["known_partial"]),
        )  # fmt: skip
        hosts[key.host_id].alert_states[key] = replace(state, alert=alert)
    for row in connection.execute(
        "SELECT schedules.* FROM schedules JOIN hosts ON hosts.id = schedules.host_id"  # noqa: S608
        f" WHERE hosts.deleted_at IS NULL {only}",
        parameters,
    ):
        hosts[row["host_id"]].schedules[row["id"]] = Schedule(
            row["id"],
            row["host_id"],
            row["name"],
            bool(row["enabled"]),
            row["on_partial"],
            row["max_runtime_seconds"],
            Slots(
                row["cron"],
                row["timezone"],
                row["anchor_at"],
                row["grace_seconds"],
                row["last_slot_at"],
                row["last_run_at"],
                row["on_calendar"],
                row["every_hours"],
                external=row["mode"] == "external",
            ),
            row["kind"],
            row["mode"] == "agent",
            plan_named(row["params"]),
            row["last_good_at"],
            deleted=row["deleted_at"] is not None,
            created_at=row["created_at"],
            limit_hours=limit_hours(row["kind"], row["max_age_hours"], row["every_hours"]),
        )
    return hosts


# ---- hosts


@dataclass(frozen=True, slots=True)
class HostFacts:
    """A host as its actor starts with."""

    id: str
    name: str
    token_hash: str | None
    first_hello_at: int | None
    last_seen_at: int | None


@dataclass(frozen=True, slots=True)
class HostDesk:
    """What a host's actor looks at when it is woken. `token_hash` None: deleted or revoked."""

    token_hash: str | None
    schedules_rev: int
    schedules: list[wire.ScheduleInfo]
    errands: list[Errand]


def load_hosts(connection: sqlite3.Connection, only: set[str] | None = None) -> list[HostFacts]:
    """Every enrolled host, or those of `only` that are."""
    columns = "SELECT id, name, token_hash, first_hello_at, last_seen_at FROM hosts WHERE deleted_at IS NULL"
    if only is None:
        rows = connection.execute(columns).fetchall()
    else:
        rows = [row for id in only for row in connection.execute(f"{columns} AND id = ?", (id,))]
    return [HostFacts(*row) for row in rows]


def load_running(connection: sqlite3.Connection, host_id: str) -> list[RunningJob]:
    return [
        RunningJob(row["id"], row["kind"], row["plan"], row["schedule_id"], row["started_at"], row["deadline_at"])
        for row in connection.execute("SELECT * FROM jobs WHERE host_id = ? AND status = 'running'", (host_id,))
    ]


def load_hosts_running(connection: sqlite3.Connection) -> set[str]:
    """Hosts with a job that began and has not ended."""
    return {row["host_id"] for row in connection.execute("SELECT DISTINCT host_id FROM jobs WHERE status = 'running'")}


def load_desk(connection: sqlite3.Connection, host_id: str) -> HostDesk:
    """What the host's actor has to tell its agent, as of now."""
    host = connection.execute(
        "SELECT token_hash, schedules_rev FROM hosts WHERE id = ? AND deleted_at IS NULL", (host_id,)
    ).fetchone()
    if host is None:
        return HostDesk(None, 0, [], [])
    schedules = [
        wire.ScheduleInfo(
            row["id"], row["name"], row["kind"], row["cron"] or "", row["timezone"], bool(row["enabled"]), row["mode"],
            row["grace_seconds"], row["max_runtime_seconds"], row["on_partial"], json.loads(row["params"]),
            row["on_calendar"], row["every_hours"],
        )
        for row in connection.execute(
            "SELECT * FROM schedules WHERE host_id = ? AND deleted_at IS NULL ORDER BY id", (host_id,)
        )
    ]  # fmt: skip
    errands = [
        Errand(
            row["id"], row["kind"], row["schedule_id"], json.loads(row["params"]), row["status"] == "queued",
            row["cancel_requested_at"] is not None,
        )
        for row in connection.execute(
            "SELECT * FROM jobs WHERE host_id = ? AND status IN ('queued', 'running')"
            " AND (status = 'queued' OR cancel_requested_at IS NOT NULL) ORDER BY sort_at, id",
            (host_id,),
        )
    ]  # fmt: skip
    return HostDesk(host["token_hash"], host["schedules_rev"], schedules, errands)


# ---- credentials, for the gateway


@dataclass(frozen=True, slots=True)
class Credential:
    """What a bearer token is worth on the agents' port: a host's, or an enrolment not yet used."""

    host_id: str | None
    enrollment_id: str | None


def find_credential(connection: sqlite3.Connection, token_hash: str, at: int) -> Credential | None:
    """None for a token that is wrong, used, expired or revoked."""
    host = connection.execute(
        "SELECT id FROM hosts WHERE token_hash = ? AND deleted_at IS NULL", (token_hash,)
    ).fetchone()
    if host is not None:
        return Credential(host["id"], None)
    token = connection.execute(
        "SELECT id FROM enrollment_tokens WHERE token_hash = ? AND used_at IS NULL AND expires_at > ?", (token_hash, at)
    ).fetchone()
    return Credential(None, token["id"]) if token is not None else None


# ---- channels


@dataclass(frozen=True, slots=True)
class ChannelFacts:
    """An enabled channel as its delivery actor starts with. `config` is encrypted.

    `not_before`: when the attempt that ended last is to be repeated; None where it need not be.
    """

    id: str
    kind: ChannelKind
    name: str
    config: bytes
    default_priority: Priority | None
    events: frozenset[str]
    updated_at: int
    failing_since: int | None
    not_before: int | None


def load_channels(connection: sqlite3.Connection) -> list[ChannelFacts]:
    """Every enabled channel."""
    return [
        ChannelFacts(
            row["id"], row["kind"], row["name"], row["config"], row["default_priority"],
            frozenset(json.loads(row["events"])), row["updated_at"], row["failing_since"],
            _last_tried_due_at(connection, row["id"]),
        )
        for row in connection.execute("SELECT * FROM channels WHERE enabled = 1 AND deleted_at IS NULL")
    ]  # fmt: skip


def _last_tried_due_at(connection: sqlite3.Connection, channel_id: str) -> int | None:
    found = connection.execute(
        "SELECT deliveries.state, deliveries.due_at FROM notification_log"
        " JOIN deliveries ON deliveries.id = notification_log.delivery_id"
        " WHERE notification_log.channel_id = ? ORDER BY notification_log.n DESC LIMIT 1",
        (channel_id,),
    ).fetchone()
    return found["due_at"] if found is not None and found["state"] == "queued" else None


def load_due(connection: sqlite3.Connection, channel_id: str, after_seq: int, most: int) -> list[Item]:
    """Queued deliveries of a channel past `after_seq`, in order, at most `most`."""
    rows = connection.execute(
        "SELECT * FROM deliveries WHERE channel_id = ? AND state = 'queued' AND seq > ? ORDER BY seq LIMIT ?",
        (channel_id, after_seq, most),
    )
    return [_item(row) for row in rows]


def load_places(connection: sqlite3.Connection, channel_id: str, places: list[int]) -> list[Item]:
    """Of a channel's deliveries with these `seq` those that are queued, in the order of `places`."""
    query = "SELECT * FROM deliveries WHERE channel_id = ? AND seq = ? AND state = 'queued'"
    return [_item(row) for place in places for row in connection.execute(query, (channel_id, place))]


def _item(row: sqlite3.Row) -> Item:
    return Item(
        row["id"], row["alert_id"], row["host_id"], row["event"], row["seq"], row["body"], row["attempts"],
        row["created_at"], row["due_at"], bool(row["grouped"]),
        tuple(json.loads(row["recipients_left"])) if row["recipients_left"] else (),
    )  # fmt: skip


def oldest_unsent(connection: sqlite3.Connection, at: int) -> int | None:
    """Since when the oldest delivery that could have been sent by `at` waits; None where none does."""
    found: int | None = connection.execute(
        "SELECT min(created_at) FROM deliveries WHERE state = 'queued' AND (attempts > 0 OR due_at <= ?)", (at,)
    ).fetchone()[0]
    return found
