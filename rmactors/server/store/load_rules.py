"""What the rules rebuild from. Read-only."""

import json

from msgspec.structs import replace

from rmactors.server.state.alert_state import EMPTY, AlertKey, AlertState, OpenAlert, outcome_from_json, usual_from_json
from rmactors.server.state.clocks import believed
from rmactors.server.state.host_state import HostState, Schedule, limit_hours, plan_named
from rmactors.server.state.slots import Slots
from rmactors.server.store.database import Database, Row


def load_rules(connection: Database, host_id: str | None = None) -> dict[str, HostState]:
    """What the rules remember of every host, or of one (empty if it was deleted)."""
    only, parameters = ("AND hosts.id = ?", (host_id,)) if host_id is not None else ("", ())
    hosts = {
        row["id"]: _host_state(row)
        for row in connection.execute(f"SELECT * FROM hosts WHERE deleted_at IS NULL {only}", parameters)  # noqa: S608
    }
    for row in connection.execute(
        f"SELECT tracks.* FROM tracks JOIN hosts ON hosts.id = tracks.host_id WHERE hosts.deleted_at IS NULL {only}",  # noqa: S608
        parameters,
    ):
        hosts[row["host_id"]].alert_states[_key(row)] = _alert_state(row)
    for row in connection.execute(
        "SELECT alerts.id, alerts.host_id, alerts.kind, alerts.subject, alerts.severity, alerts.created_at,"  # noqa: S608
        " alerts.acknowledged_at, alerts.known_partial FROM alerts JOIN hosts ON hosts.id = alerts.host_id"
        f" WHERE alerts.resolved_at IS NULL AND hosts.deleted_at IS NULL {only}",
        parameters,
    ):
        key, states = _key(row), hosts[row["host_id"]].alert_states
        states[key] = replace(states.get(key, EMPTY), alert=_open_alert(row))
    for row in connection.execute(
        "SELECT schedules.* FROM schedules JOIN hosts ON hosts.id = schedules.host_id"  # noqa: S608
        f" WHERE hosts.deleted_at IS NULL {only}",
        parameters,
    ):
        hosts[row["host_id"]].schedules[row["id"]] = _schedule(row)
    return hosts


def _key(row: Row) -> AlertKey:
    return AlertKey(row["host_id"], row["kind"], row["subject"])


def _host_state(row: Row) -> HostState:
    return HostState(
        row["id"],
        row["first_hello_at"] is not None,
        row["first_report_at"] is not None,
        plans=tuple(plan["name"] for plan in json.loads(row["plans"])),
        clock_offset=believed(row["clock_offset_seconds"]),
    )


def _alert_state(row: Row) -> AlertState:
    last = outcome_from_json(row["head"])
    good = outcome_from_json(row["good"]) or (last if last is not None and last.verdict == "good" else None)
    return AlertState(
        None, last, good, row["last_good_at"], bool(row["quiet"]), row["version"], usual_from_json(row["usual"])
    )


def _open_alert(row: Row) -> OpenAlert:
    return OpenAlert(
        row["id"], row["severity"], row["created_at"], row["acknowledged_at"] is not None, bool(row["known_partial"])
    )


def _schedule(row: Row) -> Schedule:
    slots = Slots(
        row["cron"], row["timezone"], row["anchor_at"], row["grace_seconds"], row["last_slot_at"], row["last_run_at"],
        row["on_calendar"], row["every_hours"], external=row["mode"] == "external",
    )  # fmt: skip
    return Schedule(
        row["id"],
        row["host_id"],
        row["name"],
        bool(row["enabled"]),
        row["on_partial"],
        row["max_runtime_seconds"],
        slots,
        row["kind"],
        row["mode"] == "agent",
        plan_named(row["params"]),
        row["last_good_at"],
        deleted=row["deleted_at"] is not None,
        created_at=row["created_at"],
        limit_hours=limit_hours(row["kind"], row["max_age_hours"], row["every_hours"]),
    )
