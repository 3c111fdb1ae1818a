"""Channels in a list and as a form: which fields a kind has, what is stored of them, how it does. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from rmactors.common.vocabulary import Severity
from rmactors.server.channels.base import Field, Kind, Preset
from rmactors.server.store.queries.channels import ChannelHealth, ChannelRow, DeliveryRow, LogRow
from rmactors.server.web.views import words
from rmactors.server.web.views.channel_times import (
    NO_TIMES,
    TimesForm,
    as_typed,
    stored_times,
    times_body,
    times_words,
    typed_times,
)
from rmactors.server.web.views.measures import milliseconds, number
from rmactors.server.web.views.texts import _, many
from rmactors.server.web.views.times import Moment, Time
from rmactors.server.web.views.words import State

Input = Literal["text", "password", "select", "textarea"]


@dataclass(frozen=True, slots=True)
class FormField:
    """A field of the form. `name` is the form's, `stored` says that a secret is there already."""

    name: str
    word: str
    help: str
    input: Input
    required: bool
    value: str
    stored: bool
    choices: tuple[tuple[str, str], ...] = ()
    placeholder: str = ""


@dataclass(frozen=True, slots=True)
class ChannelForm:
    """What the form shows, from a stored channel or from what was typed."""

    kind: Kind
    name: str
    fields: tuple[FormField, ...]
    enabled: bool
    min_severity: str
    events: tuple[str, ...]
    host_tags: str
    group_seconds: str
    remind_hours: str
    default_priority: str
    times: TimesForm = NO_TIMES


@dataclass(frozen=True, slots=True)
class ChannelLine:
    """One channel in the list."""

    id: str
    name: str
    kind_word: str
    where: str
    enabled: bool
    state: State
    detail: str
    last_fired: Time | None
    filter: str
    dead: int = 0


@dataclass(frozen=True, slots=True)
class LogLine:
    """One attempt. `about`: which alert, in words; empty where it is gone or there is none."""

    at: Time
    state: State
    event: str
    alert_id: str
    about: str
    answer: str


@dataclass(frozen=True, slots=True)
class DeadLine:
    """A message that was not delivered and is not retried."""

    id: str
    event: str
    alert_id: str
    about: str
    since: Time
    why: str


EVENTS: Final = (
    ("alert.raised", _("new alerts")),
    ("alert.acknowledged", _("acknowledgements")),
    ("alert.resolved", _("resolutions")),
    ("alert.reminder", _("reminders")),
)
_SEVERITIES: Final[Mapping[Severity, str]] = {
    "info": _("every severity"),
    "warning": _("warning and critical"),
    "critical": _("critical only"),
}
PRIORITIES: Final = (
    ("", _("by severity")),
    ("min", _("lowest")),
    ("low", _("low")),
    ("default", _("normal")),
    ("high", _("high")),
    ("urgent", _("urgent")),
)


def stored_form(kind: Kind, row: ChannelRow, config: Mapping[str, Any]) -> ChannelForm:
    """The form of a channel that is there. `config` holds no secret: each that is set is not text."""
    return ChannelForm(
        kind,
        row.name,
        _fields(kind, config, frozenset(name for name, value in config.items() if isinstance(value, dict))),
        bool(row.enabled),
        row.min_severity,
        tuple(json.loads(row.events)),
        ", ".join(json.loads(row.host_tags)),
        as_typed(row.group_seconds),
        as_typed(row.remind_hours),
        row.default_priority or "",
        stored_times(row),
    )


def new_form(kind: Kind) -> ChannelForm:
    config = {each.name: each.proposed() if callable(each.proposed) else each.proposed for each in kind.fields}
    return ChannelForm(
        kind,
        "",
        _fields(kind, config, frozenset()),
        True,
        "info",
        tuple(event for event, _w in EVENTS),
        "",
        "0",
        as_typed(kind.proposed_remind_hours),
        "",
    )


def typed_form(
    kind: Kind, form: Mapping[str, str], events: Sequence[str], stored: frozenset[str] = frozenset()
) -> ChannelForm:
    """The form as it was sent, to show it again; `stored` are the names of secrets that are there already."""
    config = {each.name: form.get(f"config.{each.name}", "") for each in kind.fields}
    return ChannelForm(
        kind,
        form.get("name", ""),
        _fields(kind, config, stored),
        form.get("enabled") == "1",
        form.get("min_severity", "info"),
        tuple(events),
        form.get("host_tags", ""),
        form.get("group_seconds", "0"),
        form.get("remind_hours", "0"),
        form.get("default_priority", ""),
        typed_times(form),
    )


def with_preset(kind: Kind, form: Mapping[str, str]) -> dict[str, str]:
    """What was typed; where the button for that was pressed, with the fields that the chosen preset fills in."""
    wanted = form.get("preset") if form.get("fill") else None
    filled = next((preset.values for preset in kind.presets if preset.name == wanted), {})
    return {**form, **{f"config.{name}": value for name, value in filled.items()}}


def body_of(kind: Kind, form: Mapping[str, str], events: Sequence[str]) -> dict[str, Any]:
    """What was typed as the API takes it. A blank field is left out, a secret to be cleared is None."""
    config: dict[str, Any] = {}
    for each in kind.fields:
        text = form.get(f"config.{each.name}", "")
        text = _lines(text) if each.input == "textarea" else text.strip()
        if each.secret and form.get(f"clear.{each.name}") == "1":
            config[each.name] = None
        elif text:
            config[each.name] = _whole_number(text) if each.input == "number" else text
    tags = [tag for part in form.get("host_tags", "").split(",") if (tag := part.strip())]
    return {
        "kind": kind.name,
        "name": form.get("name", "").strip(),
        "config": config,
        "enabled": form.get("enabled") == "1",
        "min_severity": form.get("min_severity", "info"),
        "events": list(events),
        "host_tags": tags,
        "group_seconds": _number(form.get("group_seconds", "")),
        "remind_hours": _number(form.get("remind_hours", "")),
        "default_priority": form.get("default_priority") or None,
        "after_minutes": _number(form.get("after_minutes", "")),
    } | times_body(form)


def line(kind: Kind, row: ChannelRow, health: ChannelHealth, config: Mapping[str, Any], moment: Moment) -> ChannelLine:
    """`config` with its secrets hidden."""
    events = json.loads(row.events)
    parts = [_SEVERITIES[row.min_severity]]
    if len(events) < len(EVENTS):
        parts.append(", ".join(word for event, word in EVENTS if event in events) or _("no event"))
    if tags := json.loads(row.host_tags):
        parts.append(_("hosts tagged %s") % ", ".join(tags))
    parts += times_words(row)
    return ChannelLine(
        row.id, row.name, _(kind.label), kind.destination(config), bool(row.enabled), health_state(row, health, moment),
        health_words(health, moment), moment.ago(row.last_fired_at) if row.last_fired_at is not None else None,
        " · ".join(parts), health.dead,
    )  # fmt: skip


def health_state(row: ChannelRow, health: ChannelHealth, moment: Moment) -> State:
    if not row.enabled:
        return State("off", _("Off, %s kept") % number(health.queued) if health.queued else _("Off"))
    if _held_until(health, moment) is not None:
        return State("warn", _("Held"))
    match health.state:
        case "ok":
            return State("ok", _("Works"))
        case "failing":
            return State("warn", _("Failing, retrying"), pulse=True)
        case "dead":
            return State("bad", _("Failed"))
        case "idle":
            return State("off", _("No alert sent yet"))


def health_words(health: ChannelHealth, moment: Moment) -> str:
    parts = []
    until = _held_until(health, moment)
    if until is not None:
        held = {"time": moment.clock_time(until).words, "why": health.held_because or _("the receiver asks for it")}
        parts.append(_("held until %(time)s because “%(why)s”") % held)
    elif health.state in {"failing", "dead"} and health.since is not None:
        parts.append(_("since %s") % moment.clock_time(health.since).words)
        if health.last_error:
            parts.append(health.last_error)
    if health.queued:
        parts.append(many("%(n)s message queued", "%(n)s messages queued", health.queued))
    if health.dead:
        parts.append(many("%(n)s not delivered", "%(n)s not delivered", health.dead))
    return " · ".join(parts)


def _held_until(health: ChannelHealth, moment: Moment) -> int | None:
    """Until when the receiver wants quiet; None if it does not, or not any more."""
    return health.held_until if health.held_until is not None and health.held_until > moment.now else None


Alerts = Mapping[str, tuple[str, str]]
"""(kind, host) of alerts, by id."""


def log_lines(rows: Sequence[LogRow], alerts: Alerts, moment: Moment) -> list[LogLine]:
    found = []
    for row in rows:
        answer = [str(row.status_code)] if row.status_code is not None else []
        answer.append(milliseconds(row.latency_ms))
        if row.attempt > 1:
            answer.append(_("attempt %d") % row.attempt)
        if row.error:
            answer.append(row.error)
        state = State("ok", _("Delivered")) if row.ok else State("bad", _("Not delivered"))
        found.append(
            LogLine(
                moment.ago(row.fired_at), state, _event(row.event), row.alert_id, _about(row.alert_id, alerts),
                " · ".join(answer),
            )
        )  # fmt: skip
    return found


def dead_lines(rows: Sequence[DeliveryRow], alerts: Alerts, moment: Moment) -> list[DeadLine]:
    return [
        DeadLine(
            row.id, _event(row.event), row.alert_id, _about(row.alert_id, alerts),
            moment.ago(row.finished_at or row.created_at), row.last_error or "",
        )
        for row in rows
    ]  # fmt: skip


def _about(alert_id: str, alerts: Alerts) -> str:
    """`Backup failed, nas`."""
    found = alerts.get(alert_id)
    return f"{words.alert_name(found[0])}, {found[1]}" if found is not None else ""


def goes_with(health: ChannelHealth) -> str:
    """What is deleted with a channel, as a sentence."""
    parts = [_("its log")]
    if health.queued:
        parts.append(many("%(n)s message that is queued", "%(n)s messages that are queued", health.queued))
    if health.dead:
        parts.append(many("%(n)s that was not delivered", "%(n)s that were not delivered", health.dead))
    return _("Deleted with it: %s.") % ", ".join(parts)


def what_waits(queued: int) -> str:
    return many("%(n)s message is queued on it.", "%(n)s messages are queued on it.", queued)


def readable(body: str) -> str:
    """A body for reading: JSON with a line for each key. What is sent has no spaces."""
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        return body


def _event(event: str) -> str:
    names = {
        "alert.raised": _("raised"),
        "alert.acknowledged": _("acknowledged"),
        "alert.resolved": _("resolved"),
        "alert.reminder": _("reminder"),
        "alert.digest": _("digest"),
        "alert.test": _("test"),
    }
    return names.get(event, event)


def fills(preset: Preset) -> str:
    """What a preset fills in, by the name of the form's field, as JSON for the page's script."""
    return json.dumps({f"config.{name}": value for name, value in preset.values.items()})


def _lines(text: str) -> str:
    """What was typed into several lines, without what browsers make of line ends; empty if it is blank."""
    return text.replace("\r\n", "\n") if text.strip() else ""


def _number(text: str) -> float | str:
    """A number where it is one; else the text, for which the check has a sentence."""
    try:
        found = float(text.strip().replace(",", ".") or "0")
    except ValueError:
        return text
    return found if abs(found) < 1e12 else text


def _whole_number(text: str) -> int | str:
    """A whole number if it is one; else the text, for which the check has a sentence."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else text


def _fields(kind: Kind, config: Mapping[str, Any], stored: frozenset[str]) -> tuple[FormField, ...]:
    return tuple(_field(each, config.get(each.name, ""), each.secret and each.name in stored) for each in kind.fields)


def _field(each: Field, value: object, stored: bool) -> FormField:
    if each.choices:
        value = value or each.default
    shown = "" if each.secret or isinstance(value, dict) else str(value)
    return FormField(
        f"config.{each.name}",
        _(each.label),
        _(each.help) if each.help else "",
        "text" if each.input == "number" else each.input,
        bool(each.missing),
        shown,
        stored,
        tuple((choice.value, _(choice.label)) for choice in each.choices),
        _("•••• stored, leave empty to keep") if stored else each.placeholder,
    )
