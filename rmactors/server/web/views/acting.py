"""The page behind the link in a message: one alert and what may be done about it. Pure."""

from dataclasses import dataclass
from typing import Final

from rmactors.server.store.queries.alerts import AlertRow
from rmactors.server.web.views import words
from rmactors.server.web.views.texts import _, many
from rmactors.server.web.views.times import Moment, Time
from rmactors.server.web.views.words import State

ACKNOWLEDGE: Final = "acknowledge"
MEANT: Final = "meant"
"""What looks wrong is as it should be."""
SILENCE_HOURS: Final = {"silence-1": 1, "silence-4": 4, "silence-24": 24}
"""Choice of the form → hours."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One entry of the form; `chosen` is what the button does unless another one is picked."""

    value: str
    word: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class ActPage:
    """The alert, and the choices that are left; none: there is nothing to do."""

    title: str
    kind: str
    host_name: str
    message: str
    state: State
    status: str
    raised: Time
    choices: tuple[Choice, ...]


def act_page(row: AlertRow, moment: Moment) -> ActPage:
    """Of an alert that is not resolved."""
    acknowledged = row.acknowledged_at is not None
    choices = [] if acknowledged else [Choice(ACKNOWLEDGE, _("Acknowledge"), True)]
    if row.kind == "backup_suspicious":
        choices.append(Choice(MEANT, _("This is meant: compare later backups with this one"), False))
    if row.host_id:  # else a silence would hold back all alerts of this kind
        choices += [
            Choice(value, _silence(hours), acknowledged and hours == 1) for value, hours in SILENCE_HOURS.items()
        ]
    return ActPage(
        words.alert_name(row.kind), row.kind, row.host_name or "", row.message, words.severity(row.severity),
        _("Acknowledged") if acknowledged else _("Open"), moment.ago(row.created_at), tuple(choices),
    )  # fmt: skip


def done(choice: str) -> str:
    """What has happened, as a sentence."""
    if choice == ACKNOWLEDGE:
        return _("The alert is acknowledged.")
    if choice == MEANT:
        return _("The alert is resolved, and later backups are compared with this one.")
    return many("Silenced for %(n)s hour.", "Silenced for %(n)s hours.", SILENCE_HOURS[choice])


def _silence(hours: int) -> str:
    return many("Silence for %(n)s hour", "Silence for %(n)s hours", hours)
