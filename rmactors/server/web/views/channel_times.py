"""The part of a channel's form that says when it is notified: grouping, escalation, quiet hours, digest. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from rmactors.common.vocabulary import WEEKDAYS
from rmactors.server.store.queries.channels import ChannelRow
from rmactors.server.web.views.schedules import in_words
from rmactors.server.web.views.texts import _
from rmactors.server.web.views.times import duration

GROUPS: Final = (
    ("host", _("the same host")),
    ("repository", _("the same repository")),
    ("all", _("everything")),
)
_DAY_WORDS: Final = (_("Mon"), _("Tue"), _("Wed"), _("Thu"), _("Fri"), _("Sat"), _("Sun"))
DAYS: Final = tuple(zip(WEEKDAYS, _DAY_WORDS, strict=True))
DIGESTS: Final = (
    ("0 8 * * 1", _("Mondays at 08:00")),
    ("0 8 * * *", _("every day at 08:00")),
    ("0 8 * * 1-5", _("Monday to Friday at 08:00")),
    ("0 8 1 * *", _("the first of each month at 08:00")),
)
"""Ready choices; any other expression may be typed."""


@dataclass(frozen=True, slots=True)
class TimesForm:
    """As the form shows it. A zone is empty where none was chosen."""

    group_by: str = "host"
    after_minutes: str = "0"
    quiet_from: str = ""
    quiet_to: str = ""
    quiet_zone: str = ""
    quiet_days: frozenset[str] = frozenset()
    digest_cron: str = ""
    digest_zone: str = ""

    @property
    def in_use(self) -> bool:
        """Whether there is anything to see below the fold."""
        return self.after_minutes.strip() not in ("", "0") or any((self.quiet_from, self.quiet_to, self.digest_cron))


NO_TIMES: Final = TimesForm()


def as_typed(number: float) -> str:
    """A number as one would type it, and no other: saving the form leaves what the API has set."""
    return repr(float(number)).removesuffix(".0")


def stored_times(row: ChannelRow) -> TimesForm:
    quiet, digest = (json.loads(text) if text else {} for text in (row.quiet_hours, row.digest))
    return TimesForm(
        row.group_by, as_typed(row.after_minutes),
        quiet.get("from", ""), quiet.get("to", ""), quiet.get("timezone", ""),
        frozenset(quiet.get("days", ())), digest.get("cron", ""), digest.get("timezone", ""),
    )  # fmt: skip


def times_words(row: ChannelRow) -> list[str]:
    """What a list of channels says of it; nothing where it is notified at once and always."""
    times = stored_times(row)
    found = []
    if row.after_minutes:
        found.append(_("what is open after %s") % duration(row.after_minutes * 60))
    if times.quiet_from:
        days = ", ".join(word for day, word in DAYS if day in times.quiet_days)
        hours = {"from": times.quiet_from, "to": times.quiet_to, "zone": times.quiet_zone}
        found.append(_("quiet %(from)s to %(to)s, %(zone)s") % hours + (f" ({days})" if days else ""))
    if times.digest_cron:
        when = in_words(times.digest_cron)
        found.append(_("digest %s") % f"{when[:1].lower()}{when[1:]}, {times.digest_zone}")
    return found


def typed_times(form: Mapping[str, str]) -> TimesForm:
    """As it was sent, to show it again."""
    return TimesForm(
        form.get("group_by", "host"), form.get("after_minutes", "0"), form.get("quiet_hours.from", ""),
        form.get("quiet_hours.to", ""), form.get("quiet_hours.timezone", ""),
        frozenset(day for day in WEEKDAYS if form.get(f"quiet_hours.days.{day}") == "1"),
        form.get("digest.cron", ""), form.get("digest.timezone", ""),
    )  # fmt: skip


def times_body(form: Mapping[str, str]) -> dict[str, Any]:
    """What was typed as the API takes it, but for `after_minutes`. Empty times are no quiet hours, an empty
    expression is no digest."""
    typed = typed_times(form)
    begin, end, expression = typed.quiet_from.strip(), typed.quiet_to.strip(), typed.digest_cron.strip()
    days = [day for day in WEEKDAYS if day in typed.quiet_days]
    quiet = {"from": begin, "to": end, "timezone": typed.quiet_zone.strip(), "days": days} if begin or end else None
    digest = {"cron": expression, "timezone": typed.digest_zone.strip()} if expression else None
    return {"group_by": typed.group_by, "quiet_hours": quiet, "digest": digest}
