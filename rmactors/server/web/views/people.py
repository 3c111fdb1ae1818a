"""Users, tokens and sessions as lines. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from rmactors.server.store.queries.accounts import (
    CodeAlarm,
    EnrollmentTokenRow,
    SessionRow,
    TokenRow,
    UserRow,
)
from rmactors.server.store.queries.passkeys import PasskeyRow
from rmactors.server.web import rows as guard
from rmactors.server.web.views.texts import _, many
from rmactors.server.web.views.times import Moment, Time
from rmactors.server.web.views.words import State
from rmactors.server.web.what_was_sent import json_list


@dataclass(frozen=True, slots=True)
class UserLine:
    """`yours` is set for the viewer's own. `factors` beside the password, in words; `provided`: they sign in through an
    identity provider, which decides on their role."""

    id: str
    name: str
    role: str
    state: State
    disabled: bool
    last_login: Time | None
    created: Time
    yours: bool
    factors: str
    provided: bool


@dataclass(frozen=True, slots=True)
class TokenLine:
    id: str
    name: str
    role: str
    prefix: str
    created: Time
    expires: Time | None
    last_used: Time | None
    expired: bool
    created_by: str


@dataclass(frozen=True, slots=True)
class EnrollmentLine:
    """An enrollment token. `ended` if it has no use left or has expired. `gives`: the host that it is for, or the tags;
    `left`: how many uses are left, where there are several."""

    id: str
    prefix: str
    created_by: str
    created: Time
    expires: Time
    state: State
    ended: bool
    gives: str
    left: str


@dataclass(frozen=True, slots=True)
class Alarm:
    """What stands on every page of those who may do something about it."""

    username: str
    tried: int
    at: Time


@dataclass(frozen=True, slots=True)
class SessionLine:
    id: str
    device: str
    address: str
    since: Time
    last_seen: Time
    yours: bool


@dataclass(frozen=True, slots=True)
class PasskeyLine:
    id: str
    name: str
    created: Time
    last_used: Time | None


def user_lines(rows: Sequence[UserRow], me: str, moment: Moment) -> list[UserLine]:
    return guard.each(rows, lambda row: _user_line(row, me, moment), guard.line(UserLine))


def _user_line(row: UserRow, me: str, moment: Moment) -> UserLine:
    return UserLine(
        row.id, row.username, row.role, State("off", _("Disabled")) if row.disabled else State("ok", _("Active")),
        bool(row.disabled), moment.ago(row.last_login_at) if row.last_login_at is not None else None,
        moment.ago(row.created_at), row.id == me, factors(row), row.issuer is not None,
    )  # fmt: skip


def token_lines(rows: Sequence[TokenRow], moment: Moment) -> list[TokenLine]:
    return guard.each(rows, lambda row: _token_line(row, moment), guard.line(TokenLine))


def _token_line(row: TokenRow, moment: Moment) -> TokenLine:
    expired = row.expires_at is not None and row.expires_at <= moment.now
    expires = None
    if row.expires_at is not None:
        expires = moment.ago(row.expires_at) if expired else moment.until(row.expires_at)
    used = moment.ago(row.last_used_at) if row.last_used_at is not None else None
    return TokenLine(
        row.id, row.name, row.role, row.prefix, moment.ago(row.created_at), expires, used, expired,
        row.created_by or "",
    )  # fmt: skip


def enrollment_lines(rows: Sequence[EnrollmentTokenRow], moment: Moment) -> list[EnrollmentLine]:
    return guard.each(rows, lambda row: _enrollment_line(row, moment), guard.line(EnrollmentLine))


def _enrollment_line(row: EnrollmentTokenRow, moment: Moment) -> EnrollmentLine:
    expired, left = row.expires_at <= moment.now, row.uses - row.used
    if not left:
        state = State("ok", _("Used"))
    elif expired:
        state = State("off", _("Expired"))
    else:
        state = State("warn", _("In use") if row.used else _("Not used yet"))
    expires = moment.ago(row.expires_at) if expired else moment.until(row.expires_at)
    tags = ", ".join(text for text in json_list(row.tags) if isinstance(text, str))
    gives = _("for %(host)s alone") % {"host": row.for_host} if row.for_host is not None else tags
    return EnrollmentLine(
        row.id, row.prefix, row.created_by or "", moment.ago(row.created_at), expires, state, expired or not left,
        gives, _("%(left)s of %(uses)s uses left") % {"left": left, "uses": row.uses} if row.uses > 1 else "",
    )  # fmt: skip


def alarms(rows: Sequence[CodeAlarm], may_see_all: bool, me: str, moment: Moment) -> list[Alarm]:
    """Whose second factor was tried often: administrators see everybody's, others their own."""
    return [Alarm(row.username, row.tried, moment.ago(row.at)) for row in rows if may_see_all or row.user_id == me]


def session_lines(rows: Sequence[SessionRow], mine: str, moment: Moment) -> list[SessionLine]:
    return [
        SessionLine(
            row.id, device(row.user_agent), row.address, moment.ago(row.created_at), moment.ago(row.last_seen_at),
            row.id == mine,
        )
        for row in rows
    ]  # fmt: skip


def passkey_lines(rows: Sequence[PasskeyRow], moment: Moment) -> list[PasskeyLine]:
    return [
        PasskeyLine(
            row.id, row.name, moment.ago(row.created_at),
            moment.ago(row.last_used_at) if row.last_used_at is not None else None,
        )
        for row in rows
    ]  # fmt: skip


def factors(row: UserRow) -> str:
    """What a user shows at a sign-in beside, or instead of, a password."""
    if row.issuer is not None:
        return _("by %(provider)s") % {"provider": urlsplit(row.issuer).hostname or row.issuer}
    said = [_("code")] if row.has_code else []
    if row.passkeys:
        said.append(many("%(n)s passkey", "%(n)s passkeys", row.passkeys))
    return ", ".join(said)


def device(user_agent: str) -> str:
    """`Firefox on Linux`, as far as a browser says it."""
    browsers = (
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    )
    systems = (
        ("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"), ("Mac OS", "macOS"),
        ("Linux", "Linux"),
    )  # fmt: skip
    browser = next((word for sign, word in browsers if sign in user_agent), "")
    system = next((word for sign, word in systems if sign in user_agent), "")
    if browser and system:
        return _("%(browser)s on %(system)s") % {"browser": browser, "system": system}
    return browser or system or user_agent[:60] or _("unknown")
