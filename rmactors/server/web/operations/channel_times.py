"""When a channel is quiet, and when it sends its digest: checked as they come, for form and API alike."""

import json
import re
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from rmactors.common.vocabulary import WEEKDAYS, Weekday
from rmactors.server.channels.base import FieldError
from rmactors.server.web.operations.schedules import check_cron, check_zone
from rmactors.server.web.problems import Problem

_CLOCK: Final = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")


class QuietHours(Struct, forbid_unknown_fields=True):
    """From when to when, as `HH:MM` of `timezone`, nothing but what is critical goes out. Where `to` is not after
    `from`, it is that of the next day. `days` are those on which they begin; empty: every day."""

    to: str
    from_: str = msgspec.field(name="from")
    timezone: str = "UTC"
    days: Annotated[list[Weekday], Meta(max_length=7)] = []


class Digest(Struct, forbid_unknown_fields=True):
    """A summary each time `cron` fires."""

    cron: str
    timezone: str = "UTC"


def time_errors(values: dict[str, Any]) -> list[FieldError]:
    """What is wrong with the quiet hours and the digest among a channel's checked fields."""
    errors: list[FieldError] = []
    quiet, digest = values.get("quiet_hours"), values.get("digest")
    if quiet is not None:
        for name, at in (("from", quiet.from_), ("to", quiet.to)):
            if not _CLOCK.fullmatch(at):
                errors.append(FieldError(f"/quiet_hours/{name}", "must be a time such as 22:00"))
        if not errors and quiet.from_ == quiet.to:
            errors.append(FieldError("/quiet_hours/to", "must be another time than the beginning"))
        try:
            check_zone(quiet.timezone, "/quiet_hours/timezone")
        except Problem as problem:
            errors += problem.errors
    if digest is not None:
        try:
            check_cron(digest.cron, digest.timezone, "/digest/cron", "/digest/timezone")
        except Problem as problem:
            errors += problem.errors
    return errors


def quiet_text(quiet: QuietHours | None) -> str | None:
    """As it is stored, days in the order of the week."""
    if quiet is None:
        return None
    days = [day for day in WEEKDAYS if day in quiet.days]
    return json.dumps({"timezone": quiet.timezone, "from": quiet.from_, "to": quiet.to, "days": days})


def digest_text(digest: Digest | None) -> str | None:
    """As it is stored."""
    return msgspec.json.encode(digest).decode() if digest is not None else None
