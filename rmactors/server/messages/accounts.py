"""Writes about users, their sessions, and tokens. Hashes only: no password and no token passes through here.

Refusals: `not_found`, `username_taken`, `last_admin` (nobody could administer any more), `spent` (a one-time
secret was used, has expired or was never there), `wrong` (it changed since it was looked at), `too_early` (wait first;
the detail is microseconds).
"""

from dataclasses import dataclass
from typing import Literal

from rmactors.common.vocabulary import Role
from rmactors.server.messages.writes import Audit, Maker


@dataclass(frozen=True, slots=True)
class CreateSetupToken:
    """Replaces an earlier one. Refused `conflict` where a user exists already."""

    token_hash: str
    at: int
    expires_at: int


@dataclass(frozen=True, slots=True)
class CreateFirstUser:
    """An admin, by the setup token. Refused `spent`; also once any user exists."""

    setup_token_hash: str
    user_id: str
    username: str
    password_hash: str
    at: int
    audit: Audit


@dataclass(frozen=True, slots=True)
class CreateUser:
    """Refused `username_taken`; names are compared without regard to case."""

    user_id: str
    username: str
    password_hash: str
    role: Role
    at: int
    audit: Audit


@dataclass(frozen=True, slots=True)
class UpdateUser:
    """None leaves as it is. Whatever is changed ends the user's sessions, except `keep_session`.

    A weaker role weakens the API tokens that the user made, and ends their unused enrolment tokens where they are no
    admin any more. `end_tokens` ends all that they made. A new password forgets wrong codes. Value: how many tokens
    were ended or weakened. Refused `not_found`, `username_taken`, `last_admin`.
    """

    user_id: str
    username: str | None
    role: Role | None
    disabled: bool | None
    password_hash: str | None
    audit: Audit
    keep_session: str | None = None
    end_tokens: bool = False


@dataclass(frozen=True, slots=True)
class DeleteUser:
    """`end_tokens` ends the API and enrolment tokens that they made. Refused `not_found`, `last_admin`."""

    user_id: str
    audit: Audit
    end_tokens: bool = False


@dataclass(frozen=True, slots=True)
class RehashPassword:
    """The same password under newer parameters; nothing where it changed meanwhile."""

    user_id: str
    old_hash: str
    new_hash: str


@dataclass(frozen=True, slots=True)
class SetTimezone:
    """The zone in which a user reads times; None is UTC."""

    user_id: str
    timezone: str | None


@dataclass(frozen=True, slots=True)
class SetSecondFactor:
    """Turns the second factor on or off: `secret` is encrypted, None is off. Old recovery codes die with it.

    `step` is the time step of the code that proved the secret. Ends the user's sessions, except `keep_session`.
    """

    user_id: str
    secret: bytes | None
    step: int
    recovery_hashes: tuple[str, ...]
    audit: Audit
    keep_session: str | None = None


@dataclass(frozen=True, slots=True)
class TryCode:
    """A code is about to be looked at, in a session that owes it. Counts as wrong until it is spent.

    Refused `too_early` while the pause lasts, `ended` where the session has had all its tries or is gone.
    Value: `Tries`.
    """

    user_id: str
    session_id: str
    kind: Literal["totp", "recovery"]
    at: int


@dataclass(frozen=True, slots=True)
class Tries:
    """How many codes of this kind the user had in a row, and the session of any kind, this one included."""

    in_a_row: int
    in_session: int


@dataclass(frozen=True, slots=True)
class CodeWasWrong:
    """The code that was tried is none. `ends_session`: its session ends. `alarm` tells administrators of so many in a
    row, by a row of the trail of its own."""

    user_id: str
    kind: Literal["totp", "recovery"]
    ends_session: str | None
    at: int
    audit: Audit
    alarm: Audit | None
    in_a_row: int


@dataclass(frozen=True, slots=True)
class SpendCode:
    """A code of the second factor is good once, and ends the row of wrong ones. Refused `spent` where this step or a
    later one was used."""

    user_id: str
    step: int


@dataclass(frozen=True, slots=True)
class SpendRecoveryCode:
    """Ends the row of wrong ones. Refused `spent` where there is no such unused code."""

    user_id: str
    code_hash: str
    at: int


@dataclass(frozen=True, slots=True)
class OpenSession:
    """Expects the user to be there, enabled, and of this password still: else Refused `wrong`.

    `second_factor` says that nothing more is asked for. `replaces` is the id of the session that ends with it.
    """

    session_id: str
    token_hash: str
    user_id: str
    password_hash: str
    at: int
    expires_at: int
    second_factor: bool
    address: str
    user_agent: str
    replaces: str | None
    audit: Audit | None


@dataclass(frozen=True, slots=True)
class TouchSession:
    """It was used. Written at most once a minute."""

    session_id: str
    at: int


@dataclass(frozen=True, slots=True)
class RenewSession:
    """The session goes on under another id and another secret: who knew the old ones has nothing any more.

    `proved_at` moves where the password was shown. Refused `not_found`.
    """

    session_id: str
    new_id: str
    token_hash: str
    proved_at: int | None
    audit: Audit | None


@dataclass(frozen=True, slots=True)
class CloseSession:
    """Refused `not_found` where the user has no such session."""

    session_id: str
    user_id: str
    audit: Audit


@dataclass(frozen=True, slots=True)
class SweepSessions:
    """Deletes what has ended: past its absolute end, or idle since before `idle_before`."""

    at: int
    idle_before: int


@dataclass(frozen=True, slots=True)
class CreateApiToken:
    """Refused `not_found` where the token that makes it has gone or ended, or has less to give by now."""

    token_id: str
    name: str
    role: Role
    prefix: str
    token_hash: str
    at: int
    expires_at: int | None
    audit: Audit
    maker: Maker | None = None


@dataclass(frozen=True, slots=True)
class TouchApiToken:
    token_id: str
    at: int


@dataclass(frozen=True, slots=True)
class DeleteApiToken:
    """With all that was made with it. Value: how many API tokens ended. Refused `not_found`."""

    token_id: str
    audit: Audit


AccountWrite = (
    CreateSetupToken
    | CreateFirstUser
    | CreateUser
    | UpdateUser
    | DeleteUser
    | RehashPassword
    | SetTimezone
    | SetSecondFactor
    | TryCode
    | CodeWasWrong
    | SpendCode
    | SpendRecoveryCode
    | OpenSession
    | TouchSession
    | RenewSession
    | CloseSession
    | SweepSessions
    | CreateApiToken
    | TouchApiToken
    | DeleteApiToken
)
