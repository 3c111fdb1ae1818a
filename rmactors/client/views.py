"""What of each object people see: columns of lists, lines of one thing. Objects are decoded JSON of the API."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from rmactors.client.tables import sheet, table

Item = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Columns:
    """A list's head and what a row has under it."""

    head: tuple[str, ...]
    cells: Callable[[Item], tuple[str, ...]]

    def table(self, items: Sequence[Item], columns: int | None) -> str:
        return table(self.head, [self.cells(item) for item in items], columns)


def at(text: str | None) -> str:
    """A time of the API in the zone of this machine, to the minute; `-` for none."""
    if not text:
        return "-"
    return datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M")


def _when(schedule: Item) -> str:
    """How a schedule says when it runs."""
    if schedule.get("every_hours") is not None:
        return f"every {schedule['every_hours']:g} h"
    return schedule["cron"] or f"OnCalendar={schedule.get('on_calendar')}"


def age(text: str | None, now: datetime) -> str:
    """How long ago that was, in one unit."""
    if not text:
        return "-"
    return _length(max(0.0, (now - datetime.fromisoformat(text)).total_seconds()))


def _length(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:.0f}s"


def _time(value: Any) -> str:
    """As `at`, of what an agent said: it may be no time."""
    try:
        return at(value)
    except (ValueError, TypeError, OverflowError):
        return "-"


def _size(value: Any) -> str:
    """Bytes as `18.2 GB`; `-` where they are not known."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e21:
        return "-"
    count = float(value)
    for unit in ("B", "kB", "MB", "GB", "TB", "PB"):
        if count < 999.5:
            return f"{count:.1f} {unit}" if unit != "B" and count < 100 else f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.0f} EB"


def newest_first(snapshots: Any) -> list[Item]:
    """The list of snapshots in a job's numbers, which has the newest last; empty where there is none."""
    found = snapshots if isinstance(snapshots, list) else []
    return [each for each in reversed(found) if isinstance(each, dict)]


def _word(value: Any) -> str:
    return "-" if value in (None, "") else str(value)


HOSTS: Final = Columns(
    ("NAME", "STATUS", "LAST SEEN", "AGENT", "RESTIC", "LAST BACKUP", "TAGS"),
    lambda h: (
        h["name"], h["status"], at(h["last_seen_at"]), _word(h["agent_version"]), _word(h["restic_version"]),
        _last(h["last_jobs"].get("backup")), " ".join(h["tags"]),
    ),
)  # fmt: skip
CHANNELS: Final = Columns(
    ("ID", "NAME", "KIND", "ENABLED", "HEALTH", "QUEUED", "DEAD", "LAST ERROR"),
    lambda c: (
        c["id"], c["name"], c["kind"], "yes" if c["enabled"] else "no", _how(c["health"]),
        str(c["health"]["queued"]), str(c["health"]["dead"]), c["health"]["last_error"] or "",
    ),
)  # fmt: skip
ATTEMPTS: Final = Columns(
    ("AT", "EVENT", "TRY", "OK", "HTTP", "MS", "DELIVERY", "ERROR"),
    lambda e: (
        at(e["fired_at"]), e["event"], str(e["attempt"]), "yes" if e["ok"] else "no", _word(e["status_code"]),
        f"{e['latency_ms']:.0f}", e["delivery_id"], e["error"] or "",
    ),
)  # fmt: skip
POLICIES: Final = Columns(
    ("ID", "NAME", "TAGS", "KIND", "WHEN", "ZONE", "SPREAD", "ENABLED"),
    lambda p: (
        p["id"], p["name"], " ".join(p["host_tags"]), p["kind"], _when(p), p["timezone"],
        f"{p['spread_minutes']} min" if p["spread_minutes"] else "-", "yes" if p["enabled"] else "no",
    ),
)  # fmt: skip
SCHEDULES: Final = Columns(
    ("ID", "NAME", "KIND", "WHEN", "ZONE", "ENABLED", "NEXT", "LAST OUTCOME"),
    lambda s: (
        s["id"], s["name"], s["kind"], _when(s), s["timezone"], "yes" if s["enabled"] else "no", at(s["next_fire_at"]),
        _word(s["last_outcome"]),
    ),
)  # fmt: skip
SNAPSHOTS: Final = Columns(
    ("TIME", "ID", "PLAN", "HOST", "SIZE", "PATHS"),
    lambda s: (
        _time(s.get("time")), _word(s.get("id")), _word(s.get("plan")), _word(s.get("host")), _size(s.get("size")),
        ", ".join(str(path) for path in s.get("paths") or []),
    ),
)  # fmt: skip
PLANS_SNAPSHOTS: Final = Columns(
    ("ID", "TIME", "PLAN", "HOST", "FILES", "SIZE", "ADDED", "TAGS", "PATHS"),
    lambda s: (
        s["short_id"], at(s["time"]), _word(s["plan"]), _word(s["hostname"]), _word(s["files"]), _size(s["bytes"]),
        _size(s["added_bytes"]), " ".join(s["tags"]), ", ".join(s["paths"]),
    ),
)  # fmt: skip
ENTRIES: Final = Columns(
    ("TYPE", "SIZE", "MODIFIED", "NAME"), lambda e: (e["type"], _size(e["size"]), at(e["mtime"]), e["name"])
)
FOUND: Final = Columns(
    ("SNAPSHOT", "TIME", "TYPE", "SIZE", "MODIFIED", "PATH"),
    lambda f: (f["snapshot"][:8], at(f["time"]), f["type"], _size(f["size"]), at(f["mtime"]), f["path"]),
)
CHANGES: Final = Columns(("CHANGE", "PATH"), lambda c: (c["change"], c["path"]))
TIMELINE: Final = Columns(
    ("AT", "EVENT", "BY", "WHAT"),
    lambda e: (
        at(e["at"]), e["event"], e.get("by") or e.get("channel_name") or "",
        e.get("note") or e.get("error") or e.get("message") or "",
    ),
)  # fmt: skip


def _how(health: Item) -> str:
    """How a channel does. An older server does not say that it is held."""
    return "held" if health.get("held_until") else str(health["state"])


def alerts(now: datetime, *, with_status: bool) -> Columns:
    """A list of alerts. Where all have one status, the room is the message's."""
    status = ("STATUS",) if with_status else ()
    return Columns(
        ("ID", "SEVERITY", *status, "AGE", "HOST", "MESSAGE"),
        lambda a: (
            a["id"], a["severity"], *((a["status"],) if with_status else ()), age(a["created_at"], now),
            _word(a["host_name"]), a["message"],
        ),
    )  # fmt: skip


def backups(now: datetime) -> Columns:
    """The ages of backups: each plan's newest good one, and its limit."""
    return Columns(
        ("HOST", "PLAN", "STATE", "AGE", "NEWEST GOOD", "FILES", "SIZE", "LIMIT", "LEFT", "TESTED", "NEWEST TRY"),
        lambda b: (
            b["host_name"], _word(b["plan"] or b["schedule_name"]), b["state"], *_good(b["newest_good"], now),
            _hours(b["limit_hours"]), _left(b["left_seconds"]),
            age(b["last_restore_test"]["at"], now) if b["last_restore_test"] else "-",
            f"{b['newest_attempt']['status']} {at(b['newest_attempt']['at'])}" if b["newest_attempt"] else "-",
        ),
    )  # fmt: skip


def _good(good: Item | None, now: datetime) -> tuple[str, str, str, str]:
    """Age, time, files and size of the newest good backup."""
    if good is None:
        return "never", "-", "-", "-"
    return age(good["at"], now), at(good["at"]), _word(good["files"]), _size(good["bytes"])


def _hours(hours: float | None) -> str:
    return "-" if hours is None else f"{hours:g}h"


def _left(seconds: int | None) -> str:
    """`3h`, or `3h over`."""
    if seconds is None:
        return "-"
    text = _length(abs(seconds))
    return text if seconds > 0 else f"{text} over"


def jobs(names: Mapping[str, str], now: datetime) -> Columns:
    """A list of jobs. `names` maps ids of hosts to their names."""
    return Columns(
        ("ID", "HOST", "KIND", "STATUS", "AGE", "PLAN", "REASON", "ERROR"),
        lambda j: (
            j["id"], names.get(j["host_id"], j["host_id"]), j["kind"], j["status"],
            age(j["started_at"] or j["queued_at"], now), _word(j["plan"]), _word(j["reason"]),
            j["error"] or j["warning"] or "",
        ),
    )  # fmt: skip


def _last(job: Item | None) -> str:
    return f"{job['status']} {at(job['finished_at'])}" if job else "-"


def alert(a: Item, columns: int | None) -> str:
    """One alert and everything that happened to it."""
    facts = [
        ("message", a["message"]), ("id", a["id"]), ("host", a["host_name"] or ""), ("kind", a["kind"]),
        ("subject", a["subject"]), ("severity", a["severity"]), ("status", a["status"]),
        ("occurrences", str(a["occurrences"])), ("raised", at(a["created_at"])), ("last seen", at(a["last_seen_at"])),
        *_by("acknowledged", a), *_by("resolved", a), ("link", a["link"]),
    ]  # fmt: skip
    return f"{sheet(facts)}\n\n{TIMELINE.table(a['timeline'], columns)}"


def _by(what: str, a: Item) -> list[tuple[str, str]]:
    if a[f"{what}_at"] is None:
        return []
    note = f": {a[f'{what}_note']}" if a[f"{what}_note"] else ""
    return [(what, f"{at(a[f'{what}_at'])} by {a[f'{what}_by']}{note}")]


def _offset(seconds: float | None) -> str:
    """A host's clock beside the server's; what is too little to matter is left out."""
    if seconds is None or abs(seconds) < 2:
        return ""
    return f"{abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} the server's"


def _spool(h: Item) -> str:
    """Why the host cannot keep its reports on disk; empty where it can."""
    problem, since = h.get("spool_problem"), h.get("spool_problem_since")
    if not problem:
        return ""
    return f"cannot be written{f' since {at(since)}' if since else ''}: {problem}"


def host(h: Item, columns: int | None) -> str:
    """One host, its plans, schedules, and the last job of each kind."""
    facts = [
        ("name", h["name"]), ("id", h["id"]), ("status", h["status"]), ("last seen", at(h["last_seen_at"])),
        ("enrolled", at(h["enrolled_at"])), ("hostname", h["hostname"]), ("system", f"{h['os']} {h['arch']}"),
        ("agent", _word(h["agent_version"])), ("restic", h.get("restic_problem") or _word(h["restic_version"])),
        ("spool", _spool(h)), ("clock", _offset(h.get("clock_offset_seconds"))),
        ("time zone data", h.get("tzdata_version") or ""),
        ("tags", " ".join(h["tags"])),
        ("plans", ", ".join(plan["name"] for plan in h["plans"])),
    ]  # fmt: skip
    parts = [sheet(facts)]
    if h["schedules"]:
        parts.append(SCHEDULES.table(h["schedules"], columns))
    if h["last_jobs"]:
        names = {h["id"]: h["name"]}
        parts.append(jobs(names, datetime.now(UTC)).table(list(h["last_jobs"].values()), columns))
    return "\n\n".join(parts)


def policy(p: Item, columns: int | None) -> str:
    """One policy."""
    facts = [
        ("name", p["name"]), ("id", p["id"]), ("enabled", "yes" if p["enabled"] else "no"),
        ("tags", " ".join(p["host_tags"])), ("kind", p["kind"]), ("when", _when(p)), ("zone", p["timezone"]),
        ("spread", f"{p['spread_minutes']} min" if p["spread_minutes"] else ""), ("mode", p["mode"]),
        ("grace", _length(p["grace_seconds"]) if p["grace_seconds"] else ""),
        ("longest run", _length(p["max_runtime_seconds"])),
        ("oldest backup", f"{p['max_age_hours']:g} h" if p["max_age_hours"] is not None else ""),
        ("partial", p["on_partial"]), ("params", json.dumps(p["params"]) if p["params"] else ""),
    ]  # fmt: skip
    return sheet(facts)


def job(j: Item, columns: int | None) -> str:
    """One job."""
    facts = [
        ("id", j["id"]), ("host", j["host_id"]), ("kind", j["kind"]), ("plan", j["plan"] or ""),
        ("schedule", j["schedule_id"] or ""), ("status", j["status"]), ("reason", j["reason"] or ""),
        ("error", j["error"] or ""), ("warning", j["warning"] or ""),
        ("exit code", "" if j["exit_code"] is None else str(j["exit_code"])), ("queued", at(j["queued_at"])),
        ("started", at(j["started_at"])), ("finished", at(j["finished_at"])),
        ("params", json.dumps(j["params"]) if j["params"] else ""),
        *((name.replace("_", " "), _stat(value)) for name, value in j["stats"].items() if name != "snapshots"),
    ]  # fmt: skip
    found = newest_first(j["stats"].get("snapshots"))
    return f"{sheet(facts)}\n\n{SNAPSHOTS.table(found, columns)}" if found else sheet(facts)


def restore_preview(found: Item, columns: int | None) -> str:
    """What a restore would write, and where to."""
    facts = [
        ("snapshot", found["snapshot"]), ("files", _word(found["files"])), ("size", _size(found["bytes"])),
        ("into", _word(found["into"])), ("free there", _size(found["free_bytes"])),
    ]  # fmt: skip
    return sheet(facts)


def _stat(value: Any) -> str:
    return json.dumps(value) if isinstance(value, list | dict) else str(value)


def channel(c: Item, columns: int | None) -> str:
    """One channel; the API does not give its secrets."""
    health = c["health"]
    facts = [
        ("name", c["name"]), ("id", c["id"]), ("kind", c["kind"]), ("enabled", "yes" if c["enabled"] else "no"),
        ("health", _how(health)), ("since", at(health["since"]) if health["since"] else ""),
        ("held until", at(health["held_until"]) if health.get("held_until") else ""),
        ("held because", health.get("held_because") or ""),
        ("last error", health["last_error"] or ""), ("queued", str(health["queued"])), ("dead", str(health["dead"])),
        ("last fired", at(c["last_fired_at"])), ("severity from", c["min_severity"]), ("events", " ".join(c["events"])),
        ("tags", " ".join(c["host_tags"])),
        *((name, "(set)" if value == {"set": True} else _word(value)) for name, value in c["config"].items()),
    ]  # fmt: skip
    return sheet(facts)
