"""Writes about second factors and tried codes. The refusals are those of `messages.accounts`."""

from dataclasses import dataclass
from typing import Literal

from rmactors.server.messages.audit import Audit


@dataclass(frozen=True, slots=True)
class SetSecondFactor:
    """Turns the second factor on or off: `secret` is encrypted, None is off. Old recovery codes die with
    it, unless it is turned off and the user has passkeys, which they stand in for too.

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

    Refused `too_early` while the pause lasts, `ended` if the session has had all its tries or is gone.
    Result: `Tries`.
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
    """A code of the second factor is good once, and ends the row of wrong ones. Refused `spent` if this step or a
    later one was used."""

    user_id: str
    step: int


@dataclass(frozen=True, slots=True)
class SpendRecoveryCode:
    """Ends the row of wrong ones. Refused `spent` if there is no such unused code."""

    user_id: str
    code_hash: str
    at: int
