"""Channels: checked, saved, tried, previewed, deleted."""

import json
from dataclasses import replace
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta, Struct

from rmactors.common import clock, ids
from rmactors.common.text import steers
from rmactors.common.vocabulary import Event, GroupBy, Priority, Severity
from rmactors.server.channels.base import ChannelSpec, FieldError, Kind
from rmactors.server.channels.config import (
    audited_changes,
    audited_destination,
    merge_secrets,
    normalized,
    secrets_led_elsewhere,
)
from rmactors.server.channels.registry import KINDS, KindName
from rmactors.server.messages.answers import Refused
from rmactors.server.messages.channels import DeleteChannel, DismissAll, LogTest, SaveChannel, WhatIsQueued
from rmactors.server.messages.notifications import Notification
from rmactors.server.store.queries import channels as queries
from rmactors.server.store.queries.channels import ChannelHealth, ChannelRow
from rmactors.server.web.access import audit, is_id, services
from rmactors.server.web.channel_config import config_errors, kind_of, open_config, seal_config
from rmactors.server.web.fields import Time
from rmactors.server.web.operations.channel_times import Digest, QuietHours, digest_text, quiet_text, time_errors
from rmactors.server.web.problems import Problem, invalid, not_found, raise_for_answer
from rmactors.server.web.validation import fields_of

LifecycleEvent = Literal["alert.raised", "alert.acknowledged", "alert.resolved", "alert.reminder"]
_ALL_EVENTS: tuple[LifecycleEvent, ...] = get_args(LifecycleEvent)
_SAMPLE_TOKEN = "x" * 72
"""As long as a real one, and good for nothing."""
_READ_ONLY = ("id", "created_at", "updated_at", "last_fired_at", "health")


class ChannelBody(Struct, forbid_unknown_fields=True):
    """A channel. A secret in `config` that is left out or sent back as `{"set": true}` stays, null clears it."""

    kind: KindName
    name: Annotated[str, Meta(min_length=1, max_length=100)]
    config: dict[str, Any]
    enabled: bool = True
    default_priority: Priority | None = None
    min_severity: Severity = "info"
    events: list[LifecycleEvent] = msgspec.field(default_factory=lambda: list(_ALL_EVENTS))
    host_tags: Annotated[list[Annotated[str, Meta(min_length=1, max_length=100)]], Meta(max_length=100)] = []
    group_seconds: Annotated[float, Meta(ge=0, le=86_400)] = 0.0
    remind_hours: Annotated[float, Meta(ge=0, le=8_760)] = 0.0
    group_by: GroupBy = "host"
    after_minutes: Annotated[float, Meta(ge=0, le=10_080)] = 0.0
    quiet_hours: QuietHours | None = None
    digest: Digest | None = None

    def __repr__(self) -> str:
        return f"ChannelBody({self.kind}, {self.name!r})"


class TestResult(Struct):
    """How one attempt ended, made now and never again."""

    ok: bool
    status_code: int | None
    latency_ms: float
    error: str | None
    event: Literal["alert.test"]
    fired_at: Time


class PreviewRequest(Struct):
    method: str
    url: str
    headers: dict[str, str]
    body: str


class PreviewAnswer(Struct, omit_defaults=True):
    """One of the two: an HTTP request, or a mail. Secrets are masked."""

    request: PreviewRequest | None = None
    mail: str | None = None


def checked(raw: Any, row: ChannelRow | None = None, *, to_save: bool = False) -> ChannelBody:
    """The body of a channel, secrets of `row` merged in. 422 with every field at fault.

    `to_save`: one whose config would not be taken any more (`RM_OUTBOUND_ALLOW` is another one) may still be saved
    with it as it is, to switch it off.
    """
    values, errors = fields_of(raw, ChannelBody, read_only=_READ_ONLY)
    errors += time_errors(values)
    if values.get("group_by", "host") != "host" and values.get("group_seconds", 0) == 0:
        errors.append(FieldError("/group_seconds", "say for how long: 0 sends each alert alone"))
    kind, config = values.get("kind"), values.get("config")
    if row is not None and kind is not None and kind != row.kind:
        errors.append(FieldError("/kind", "cannot be changed; create a new channel"))
    elif kind is not None and config is not None:
        if row is not None:
            before = open_config(row)
            errors += secrets_led_elsewhere(kind_of(row), before, config)
            config = merge_secrets(kind_of(row), before, config)
        found = config_errors(kind, values.get("name", ""), config)
        if to_save and values.get("enabled") is False and row is not None and config == before:
            found = [error for error in found if not error.pointer.startswith("/config")]
        errors += found + _group_errors(KINDS[kind], values)
        if any(map(steers, values.get("host_tags", ()))):
            errors.append(FieldError("/host_tags", "must not contain control characters"))
        if not errors:
            values["config"] = normalized(KINDS[kind], config)
    if errors:
        raise invalid(list({error.pointer: error for error in reversed(errors)}.values())[::-1])
    return ChannelBody(**values)


def _group_errors(kind: Kind, values: dict[str, Any]) -> list[FieldError]:
    """What makes one message of several alerts, for a kind that takes each by itself."""
    if kind.groups:
        return []
    why = f"cannot be set: {kind.label} gets each alert by itself, to resolve it by its own key, and groups on its own"
    wanted = {
        "group_seconds": values.get("group_seconds", 0) > 0,
        "group_by": values.get("group_by", "host") != "host",
        "quiet_hours": values.get("quiet_hours") is not None,  # one message when they end
        "digest": values.get("digest") is not None,
    }
    return [FieldError(f"/{name}", why) for name, is_wanted in wanted.items() if is_wanted]


async def save(row: ChannelRow | None, body: ChannelBody, queued: WhatIsQueued = "ask") -> str:
    """Make a channel, or replace what `row` says; gives its id. Raises Problem 404 or 409, with the number `queued`
    where it has to be said what becomes of that."""
    channel_id, at = row.id if row is not None else ids.new(), services().now()
    action = "channel.create" if row is None else "channel.update"
    detail = _new(body) if row is None else _changes(row, body)
    write = SaveChannel(
        channel_id, body.kind, body.name, body.enabled, seal_config(channel_id, body.config), body.default_priority,
        body.min_severity, tuple(dict.fromkeys(body.events)), tuple(dict.fromkeys(body.host_tags)), body.group_seconds,
        body.remind_hours, at, row is None, audit(action, "channel", channel_id, detail), body.group_by,
        body.after_minutes, quiet_text(body.quiet_hours), digest_text(body.digest), queued,
    )  # fmt: skip
    answer = await services().ask_store(write)
    if isinstance(answer, Refused) and answer.code == "queued":
        _row, health = await require(channel_id)
        raise Problem(409, answer.detail, "queued", members={"queued": health.queued})
    raise_for_answer(answer, "channel")
    return channel_id


def _new(body: ChannelBody) -> str:
    """What the audit trail says of a new channel."""
    return f"{body.name}: {body.kind} to {audited_destination(KINDS[body.kind], body.config)}"


def _changes(row: ChannelRow, body: ChannelBody) -> str:
    """What the audit trail says of a change: the names of what is different, of hosts also old and new."""
    before = {
        "name": row.name, "enabled": bool(row.enabled), "default_priority": row.default_priority,
        "min_severity": row.min_severity, "events": sorted(json.loads(row.events)),
        "host_tags": sorted(json.loads(row.host_tags)), "group_seconds": row.group_seconds,
        "remind_hours": row.remind_hours, "group_by": row.group_by, "after_minutes": row.after_minutes,
        "quiet_hours": row.quiet_hours, "digest": row.digest,
    }  # fmt: skip
    after = {name: getattr(body, name) for name in before} | {
        "events": sorted(set(body.events)), "host_tags": sorted(set(body.host_tags)),
        "quiet_hours": quiet_text(body.quiet_hours), "digest": digest_text(body.digest),
    }  # fmt: skip
    changed = [name for name in before if name not in ("name", "enabled") and before[name] != after[name]]
    if before["enabled"] != after["enabled"]:
        changed.insert(0, "enabled" if body.enabled else "disabled")
    if row.name != body.name:
        changed.insert(0, f"name {row.name} → {body.name}")
    changes = audited_changes(kind_of(row), open_config(row), body.config) + changed
    return f"{row.name}: {', '.join(changes) or 'nothing changed'}"


async def remove(channel_id: str) -> None:
    """Raises Problem 404."""
    write = DeleteChannel(channel_id, services().now(), audit("channel.delete", "channel", channel_id))
    raise_for_answer(await services().ask_store(write), "channel")


async def dismiss_dead(channel_id: str) -> None:
    """What is dead of it counts no longer. Raises Problem 404."""
    write = DismissAll(channel_id, services().now(), audit("channel.dismiss", "channel", channel_id))
    raise_for_answer(await services().ask_store(write), "channel")


async def try_now(row: ChannelRow) -> TestResult:
    """One attempt at a channel, which its log shows as well. Raises Problem if it cannot be logged."""
    at = services().now()
    link = f"{services().settings.public_url}/settings/notifications/{row.id}/edit"  # there is no alert to show
    notification = _sample("alert.test", "test", "This is a test: the channel works.", at, link)
    attempt = await services().try_channel(_spec(row), notification)
    detail = "delivered" if attempt.verdict == "delivered" else "failed"
    record = audit("channel.test", "channel", row.id, detail)
    write = LogTest(ids.new(), row.id, notification.alert_id, notification.delivery_id, attempt, at, record)
    raise_for_answer(await services().ask_store(write), "channel")
    return TestResult(
        attempt.verdict == "delivered", attempt.status_code, attempt.latency_ms, attempt.error, "alert.test",
        clock.to_rfc3339(at),
    )  # fmt: skip


def preview_of(body: ChannelBody) -> PreviewAnswer:
    """What a sample alert would send on such a channel."""
    spec = ChannelSpec(ids.new(), body.kind, body.name, body.config, body.default_priority)
    message = "Backup of home failed: another restic holds the repository's lock."
    link = f"{services().settings.public_url}/alerts/{ids.new()}"
    notification = _sample("alert.raised", "backup_failed", message, services().now(), link)
    if services().settings.action_links:
        notification = replace(notification, act_link=f"{services().settings.public_url}/act/{_SAMPLE_TOKEN}")
    found = services().preview(spec, notification)
    if found.mail is not None:
        return PreviewAnswer(mail=found.mail)
    assert found.request is not None
    return PreviewAnswer(request=PreviewRequest(**found.request))


def _sample(event: Event, kind: str, message: str, at: int, link: str) -> Notification:
    """A notification about nothing that happened."""
    alert_id, is_test = ids.new(), event == "alert.test"
    return Notification(
        ids.new(), event, alert_id, "info" if is_test else "warning", kind, "" if is_test else "plan:home",
        "" if is_test else ids.new(), "restic-manager" if is_test else "nas1", message, at, at, link,
    )  # fmt: skip


def _spec(row: ChannelRow) -> ChannelSpec:
    """The channel with its config opened."""
    return ChannelSpec(row.id, row.kind, row.name, open_config(row), row.default_priority)


async def require(channel_id: str) -> tuple[ChannelRow, ChannelHealth]:
    """The channel, or the 404."""
    now = services().now()
    found = await services().reader.run(queries.channel, channel_id, now) if is_id(channel_id) else None
    if found is None:
        raise not_found("channel")
    return found
