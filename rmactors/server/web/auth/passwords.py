"""Passwords: what is accepted, and argon2id in threads.

A hash takes 64 MiB and about a tenth of a second, so at most two run at once and few wait: a flood of logins
is refused, not queued. Passwords are never logged or kept.
"""

import threading
import unicodedata
from math import inf
from typing import Final

import trio
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

SHORTEST: Final = 12
LONGEST: Final = 256
_AT_ONCE: Final = 2
_MAY_WAIT: Final = 30


class Busy(Exception):
    """More passwords wait to be checked than can be soon. You get it under a flood of logins; try again later."""


class Passwords:
    """Makes and checks hashes."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._limiter = trio.CapacityLimiter(_AT_ONCE)
        self._nobody = self._hasher.hash("nobody has this password")

    async def hash(self, password: str) -> str:
        """The argon2id hash to store. Raises Busy."""
        self._refuse_when_busy()
        return await trio.to_thread.run_sync(self.hash_here, password, limiter=self._limiter)

    def hash_here(self, password: str) -> str:
        """The same in the calling thread, for command lines."""
        return self._hasher.hash(_normal(password))

    async def matches(self, stored: str | None, password: str) -> bool:
        """Whether it is the password of `stored`. None (no such user) and an empty one (a user without a password) take
        as long as any other, and are never right. Raises Busy."""
        self._refuse_when_busy()
        return await trio.to_thread.run_sync(self._matches, stored, password, limiter=self._limiter)

    async def weakness(self, password: str, username: str) -> str | None:
        """The function of that name, in a thread. Raises Busy."""
        self._refuse_when_busy()
        return await trio.to_thread.run_sync(weakness, password, username, limiter=self._limiter)

    def is_outdated(self, stored: str) -> bool:
        """Whether the hash was made with weaker parameters than today's."""
        return self._hasher.check_needs_rehash(stored)

    def _matches(self, stored: str | None, password: str) -> bool:
        try:
            self._hasher.verify(stored or self._nobody, _normal(password))
        except (VerificationError, InvalidHashError):
            return False
        return bool(stored)

    def _refuse_when_busy(self) -> None:
        if self._limiter.statistics().tasks_waiting >= _MAY_WAIT:
            raise Busy


def weakness(password: str, username: str = "") -> str | None:
    """What is wrong with a new password, as a sentence; None where it will do. Only length and being guessed count.

    Takes some milliseconds, and some hundred for a text that is made for that.
    """
    if len(password) < SHORTEST:
        return f"Use at least {SHORTEST} characters; several words are easy to remember."
    if len(password) > LONGEST:
        return f"Use at most {LONGEST} characters."
    plain, name = password.casefold(), username.casefold()
    if len(name) >= 3 and len(plain.replace(name, "")) < 6 and name in plain:
        return "This is too close to the user name; choose something else."
    if _guesses(password, username) < _TOO_FEW_GUESSES:
        return "This password is easy to guess; choose something else."
    return None


def _normal(password: str) -> bytes:
    """The same bytes however a keyboard composes its accents."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")


def _guesses(password: str, username: str) -> float:
    """After how many tries an attacker who knows the lists of common passwords and their variants succeeds.

    Looks at the beginning alone: that tells, and the time grows with the square of the length.
    """
    beginning = password[:_LOOKED_AT]
    if len(set(beginning) & _LOOK_LIKE_LETTERS) > 3:
        return inf  # in no list; and each of them doubles the spellings to go through
    with _one_estimate:
        from zxcvbn import zxcvbn  # its lists take a sixth of a second and 14 MiB: when first needed

        return float(zxcvbn(beginning, [username, *_OUR_WORDS])["guesses"])


_TOO_FEW_GUESSES: Final = 1e8
_LOOKED_AT: Final = 24
_LOOK_LIKE_LETTERS: Final = frozenset("@({[<!|$+%")
_OUR_WORDS: Final = ("restic", "backup", "restic-manager", "rmactors")
_one_estimate = threading.Lock()  # zxcvbn keeps the words it is given in a global
