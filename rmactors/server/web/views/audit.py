"""The audit trail as lines: what was done, to what, by name. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rmactors.server.store.queries.accounts import AuditRow
from rmactors.server.store.queries.audit_targets import Target
from rmactors.server.web import rows as guard
from rmactors.server.web.views.texts import _, later
from rmactors.server.web.views.times import Moment, Time
from rmactors.server.web.views.words import State


@dataclass(frozen=True, slots=True)
class AuditLine:
    """`action` is the code that the trail is filtered by, `said` its words. `target` is a name, else a kind and an id;
    `href` its page, empty if it has none."""

    at: Time
    actor: str
    action: str
    said: str
    target: str
    href: str
    state: State
    address: str
    detail: str


_NOUNS: Final = {
    "access": later("Access"),
    "enrollment_token": later("Enrollment token"),
    "setup_token": later("Setup token"),
    "token": later("API token"),
    "delivery": later("Message"),
    "key": later("Secret key"),
    "status_page": later("Status page"),
}
_VERBS: Final = {
    "acknowledge": later("acknowledged"),
    "resolve": later("resolved"),
    "create": later("created"),
    "update": later("changed"),
    "delete": later("deleted"),
    "dismiss": later("dismissed"),
    "retry": later("sent again"),
    "test": later("tested"),
    "queue": later("requested"),
    "cancel": later("cancelled"),
    "refresh": later("measured again"),
    "enroll": later("enrolled"),
    "rotate": later("replaced"),
    "rotate_token": later("got a new credential"),
    "login": later("signed in"),
    "logout": later("signed out"),
    "password": later("changed the password"),
    "reauthenticate": later("confirmed the password"),
    "second_factor_on": later("turned on the second factor"),
    "second_factor_off": later("turned off the second factor"),
    "use": later("used"),
    "refuse": later("refused"),
    "backup": later("backed up"),
    "restore": later("restored"),
}
_PAGES: Final = {
    "host": "/hosts/%s",
    "schedule": "/schedules/%s",
    "policy": "/policies/%s",
    "alert": "/alerts/%s",
    "job": "/jobs/%s",
    "channel": "/settings/notifications/%s/log",
    "repository": "/repositories/%s",
}
Names = Mapping[tuple[str, str], Target]
"""Targets by (kind, id)."""


def audit_lines(rows: Sequence[AuditRow], names: Names, moment: Moment) -> list[AuditLine]:
    return guard.each(rows, lambda row: _line(row, names, moment), guard.line(AuditLine))


def said(action: str) -> str:
    """`Channel created`, for `channel.create`; words of its own for what only a newer version knows."""
    noun, _dot, verb = action.partition(".")
    words = _(_NOUNS.get(noun, noun.replace("_", " ").capitalize()))
    return f"{words} {_(_VERBS.get(verb, verb.replace('_', ' ')))}".strip()


def _line(row: AuditRow, names: Names, moment: Moment) -> AuditLine:
    target = names.get((row.target_kind, row.target_id))
    there = row.target_kind == "repository" or (target is not None and target.there)
    page = _PAGES.get(row.target_kind) if there else None
    return AuditLine(
        at=moment.day_and_time(row.at),
        actor=str(row.actor),
        action=str(row.action),
        said=said(row.action),
        target=target.name if target is not None else " ".join(filter(None, (row.target_kind, row.target_id))),
        href=page % row.target_id if page else "",
        state=State("ok", _("Done")) if row.result == "ok" else State("bad", row.result.capitalize()),
        address=row.address,
        detail=row.detail,
    )
