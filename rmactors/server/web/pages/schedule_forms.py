"""Forms about what a schedule says, of a host or of a policy: what was typed, and what stands there."""

import json
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from rmactors.common.vocabulary import JobKind, OnPartial, ScheduleMode
from rmactors.server.web.operations import schedules


class Written(Protocol):
    """A schedule or a policy, as it is stored."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> JobKind: ...
    @property
    def cron(self) -> str | None: ...
    @property
    def on_calendar(self) -> str | None: ...
    @property
    def every_hours(self) -> float | None: ...
    @property
    def timezone(self) -> str: ...
    @property
    def wanted(self) -> bool: ...
    @property
    def mode(self) -> ScheduleMode: ...
    @property
    def grace_seconds(self) -> float: ...
    @property
    def max_runtime_seconds(self) -> float: ...
    @property
    def max_age_hours(self) -> float | None: ...
    @property
    def on_partial(self) -> OnPartial: ...
    @property
    def params(self) -> str: ...


NEW = {
    "name": "", "kind": "backup", "way": "cron", "cron": "0 2 * * *", "on_calendar": "", "every_hours": "",
    "timezone": "UTC", "enabled": "1", "mode": "agent", "grace_minutes": "0", "max_runtime_hours": "24",
    "max_age_hours": "", "on_partial": "alert", "plan": "", "params": "{}",
}  # fmt: skip


def body(form: Mapping[str, str]) -> dict[str, Any]:
    """What was typed, as the API takes it."""
    text = (form.get("params") or "{}").strip()
    try:
        params = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        params = text  # is refused beside its field, as it was typed
    if isinstance(params, dict):
        params.pop("plan", None)
        if plan := (form.get("plan") or "").strip():
            params["plan"] = plan
    return {
        "name": (form.get("name") or "").strip(),
        "kind": form.get("kind", ""),
        **_way(form),
        "timezone": (form.get("timezone") or "UTC").strip(),
        "enabled": form.get("enabled") == "1",
        "mode": form.get("mode", "agent"),
        "grace_seconds": _number(form.get("grace_minutes", ""), 60),
        "max_runtime_seconds": _number(form.get("max_runtime_hours", ""), 3600),
        "max_age_hours": _number(form["max_age_hours"], 1) if form.get("max_age_hours", "").strip() else None,
        "on_partial": form.get("on_partial", "alert"),
        "params": params,
    }


def _way(form: Mapping[str, str]) -> dict[str, Any]:
    """The way that was chosen to say when it runs; what stands in the others' fields does not count."""
    way = form.get("way", "cron")
    text = (form.get(way) or "").strip()
    return {
        name: (_number(text, 1) if name == "every_hours" else text) if name == way else None for name in schedules.WAYS
    }


def _number(text: str, unit: int) -> float | str:
    try:
        return float(text.strip().replace(",", ".") or "0") * unit
    except ValueError:
        return text


def typed(form: Mapping[str, str]) -> dict[str, str]:
    return {**{name: form.get(name, "") for name in NEW}, "way": form.get("way", "cron")}


def stored(row: Written) -> dict[str, str]:
    params = json.loads(row.params)
    way = next(name for name in schedules.WAYS if getattr(row, name) is not None)
    return {
        "name": row.name, "kind": row.kind, "way": way, "cron": row.cron or "", "on_calendar": row.on_calendar or "",
        "every_hours": _hours(row.every_hours), "timezone": row.timezone, "enabled": "1" if row.wanted else "",
        "mode": row.mode, "grace_minutes": f"{row.grace_seconds / 60:g}",
        "max_runtime_hours": _hours(row.max_runtime_seconds / 3600), "max_age_hours": _hours(row.max_age_hours),
        "on_partial": row.on_partial,
        "plan": str(params.get("plan", "")), "params": row.params,
    }  # fmt: skip


def _hours(hours: float | None) -> str:
    return "" if hours is None else f"{hours:.10g}"
