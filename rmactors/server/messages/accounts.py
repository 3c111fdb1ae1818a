"""Writes about users, their sessions, and tokens. Hashes only: no password and no token passes through here.

Refusals: `not_found`, `username_taken`, `last_admin` (no user could administer any more), `spent` (a one-time
secret was used, has expired or was never there), `wrong` (it changed since it was looked at), `too_early` (wait first;
the detail is microseconds).
"""

from dataclasses import dataclass
from typing import Literal

from rmactors.common.vocabulary import Role
from rmactors.server.messages.audit import Audit


@dataclass(frozen=True, slots=True)
class CreateSetupToken:
    """Replaces an earlier one. Refused `conflict` if a user exists already."""

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

    A weaker role weakens the API tokens that the user made, and ends their unused enrollment tokens if they are no
    admin any more. `end_tokens` ends all that they made. A new password forgets wrong codes. Refused
    `not_found`, `username_taken`, `last_admin`.
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
class ResetUser:
    """For who lost the password or the phone: None leaves the password, `second_factor` turns that off and removes
    passkeys. Ends the user's sessions. Refused `not_found`, `by_provider`. Result: `UserReset`."""

    username: str
    password_hash: str | None
    second_factor: bool
    audit: Audit


@dataclass(frozen=True, slots=True)
class UserReset:
    """`had_second_factor`: there was one, and it is off now where that was asked for. How many `passkeys` were removed
    and `sessions` ended, and how many API `tokens` that they made go on."""

    username: str
    role: Role
    disabled: bool
    had_second_factor: bool
    passkeys: int
    sessions: int
    tokens: int


@dataclass(frozen=True, slots=True)
class DeleteUser:
    """`end_tokens` ends the API and enrollment tokens that they made. Refused `not_found`, `last_admin`."""

    user_id: str
    audit: Audit
    end_tokens: bool = False


@dataclass(frozen=True, slots=True)
class RehashPassword:
    """The same password under newer parameters; nothing if it changed meanwhile."""

    user_id: str
    old_hash: str
    new_hash: str


@dataclass(frozen=True, slots=True)
class SetTimezone:
    """The zone in which a user reads times; None is UTC."""

    user_id: str
    timezone: str | None


@dataclass(frozen=True, slots=True)
class SetTheme:
    """How pages look to a user."""

    user_id: str
    theme: Literal["system", "light", "dark"]


@dataclass(frozen=True, slots=True)
class OpenSession:
    """Expects the user to be there, enabled, and of this password still: else Refused `wrong`.

    `second_factor` says that nothing more is asked for. `replaces` is the id of the session that ends with it.
    `proved_at` is when the user last proved who they are.
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
    proved_at: int


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
    """Refused `not_found` if the user has no such session."""

    session_id: str
    user_id: str
    audit: Audit


@dataclass(frozen=True, slots=True)
class SweepSessions:
    """Deletes what has ended: past its absolute end, or idle since before `idle_before`."""

    at: int
    idle_before: int
