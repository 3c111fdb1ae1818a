"""Silences: checked, made, deleted."""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from rmactors.common import clock, ids
from rmactors.common.vocabulary import AlertKind
from rmactors.server.messages.requests import Change
from rmactors.server.messages.silences import CreateSilence, DeleteSilence
from rmactors.server.store.queries import hosts as host_queries
from rmactors.server.store.queries import silences as queries
from rmactors.server.store.queries.silences import SilenceRow
from rmactors.server.web.access import actor, audit, is_id, services
from rmactors.server.web.operations.schedules import check_cron
from rmactors.server.web.problems import invalid_field, not_found, raise_for_answer
from rmactors.server.web.validation import one_line_each

_LATEST = clock.from_rfc3339("9999-01-01T00:00:00Z")


class Recurrence(Struct, forbid_unknown_fields=True):
    """A window that opens each time `cron` fires, for `duration_minutes`."""

    cron: str
    duration_minutes: Annotated[float, Meta(gt=0, le=525_600)]
    timezone: str = "UTC"


class SilenceBody(Struct, forbid_unknown_fields=True):
    """What is silenced (no selector: everything) and when; `ends_at` or `recurrence` is needed."""

    reason: Annotated[str, Meta(min_length=1, max_length=500)]
    host_id: str | None = None
    kind: AlertKind | None = None
    tag: Annotated[str, Meta(min_length=1, max_length=100)] | None = None
    starts_at: str | None = None
    ends_at: str | None = None
    recurrence: Recurrence | None = None


async def create(body: SilenceBody) -> str:
    """The new silence's id. Raises Problem 422."""
    starts_at, ends_at, at = await checked(body)
    silence_id, who = ids.new(), actor().name
    recurrence = msgspec.json.encode(body.recurrence).decode() if body.recurrence is not None else None
    record = audit("silence.create", "silence", silence_id, body.reason)
    write = CreateSilence(
        silence_id, body.host_id, body.kind, body.tag, starts_at, ends_at, recurrence, body.reason, who, at, record
    )
    raise_for_answer(await services().ask_rules(lambda reply: Change(write, reply)), "silence")
    return silence_id


async def checked(body: SilenceBody) -> tuple[int, int | None, int]:
    """When it starts, when it ends, and now. Raises Problem 422."""
    at = services().now()
    if not body.reason.strip():
        raise invalid_field("/reason", "must not be empty")
    starts_at, ends_at = _moment(body.starts_at, "/starts_at"), _moment(body.ends_at, "/ends_at")
    if ends_at is None and body.recurrence is None:
        raise invalid_field("/ends_at", "is required, or a recurrence")
    starts_at = starts_at if starts_at is not None else at
    if ends_at is not None and ends_at <= max(starts_at, at):
        raise invalid_field("/ends_at", "must be in the future and after the start")
    one_line_each("/tag", body.tag)
    if body.recurrence is not None:
        one_line_each("/recurrence/cron", body.recurrence.cron.replace("\t", " "))
        check_cron(body.recurrence.cron, body.recurrence.timezone, "/recurrence/cron", "/recurrence/timezone")
    if body.host_id is not None:
        known = await services().reader.run(host_queries.host, body.host_id) if is_id(body.host_id) else None
        if known is None:
            raise invalid_field("/host_id", "is not a host")
    return starts_at, ends_at, at


async def remove(silence_id: str) -> None:
    """Raises Problem 404."""
    write = DeleteSilence(silence_id, services().now(), audit("silence.delete", "silence", silence_id))
    raise_for_answer(await services().ask_rules(lambda reply: Change(write, reply)), "silence")


async def require(silence_id: str) -> SilenceRow:
    """The silence, or the 404."""
    row = await services().reader.run(queries.silence, silence_id) if is_id(silence_id) else None
    if row is None:
        raise not_found("silence")
    return row


def _moment(text: str | None, pointer: str) -> int | None:
    if text is None:
        return None
    try:
        at = clock.from_rfc3339(text)
    except (ValueError, OverflowError):
        raise invalid_field(pointer, "must be a time such as 2026-11-23T03:00:00Z") from None
    if not 0 <= at <= _LATEST:
        raise invalid_field(pointer, "is out of range")
    return at
