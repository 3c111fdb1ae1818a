"""Passwords: what is accepted, and argon2id in threads.

A hash takes 64 MiB and about a tenth of a second, so at most two run at once and few wait: a flood of logins
is refused, not queued. Passwords are never logged or kept.
"""

import re
import unicodedata
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
        """Whether it is the password of `stored`. None (no such user) takes as long as any other. Raises Busy."""
        self._refuse_when_busy()
        return await trio.to_thread.run_sync(self._matches, stored, password, limiter=self._limiter)

    def is_outdated(self, stored: str) -> bool:
        """Whether the hash was made with weaker parameters than today's."""
        return self._hasher.check_needs_rehash(stored)

    def _matches(self, stored: str | None, password: str) -> bool:
        try:
            self._hasher.verify(stored or self._nobody, _normal(password))
        except (VerificationError, InvalidHashError):
            return False
        return stored is not None

    def _refuse_when_busy(self) -> None:
        if self._limiter.statistics().tasks_waiting >= _MAY_WAIT:
            raise Busy


def weakness(password: str, username: str = "") -> str | None:
    """What is wrong with a new password, as a sentence; None where it will do. Only length and being guessed count."""
    if len(password) < SHORTEST:
        return f"Use at least {SHORTEST} characters; a few words are easy to remember."
    if len(password) > LONGEST:
        return f"Use at most {LONGEST} characters."
    plain = password.casefold()
    name = username.casefold()
    if len(name) >= 3 and len(plain.replace(name, "")) < 6 and name in plain:
        return "This is the user name with little more; choose something else."
    if plain in _COMMON or _is_monotonous(plain) or _is_common_with_trimmings(plain):
        return "This password is on the lists that attackers try first; choose something else."
    return None


def _normal(password: str) -> bytes:
    """The same bytes however a keyboard composes its accents."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")


def _is_monotonous(text: str) -> bool:
    """`aaaaaaaaaaaa`, `abcabcabcabc`, `123456789012`, `qwertyuiop[]`: few characters, or a run of neighbours."""
    if len(set(text)) <= 4:
        return True
    for size in range(1, len(text) // 2 + 1):
        if (text[:size] * (len(text) // size + 1))[: len(text)] == text and size <= 6:
            return True
    return any(text in row * 4 or text in row[::-1] * 4 for row in _ROWS)


def _is_common_with_trimmings(plain: str) -> bool:
    """A common word, said once or more, with only digits and signs around it: `Password2024!!`, `Passw0rd1234`."""
    for text in (plain, re.sub(r"(?<=[a-z])[013457@$](?=[a-z])", _as_letter, plain)):
        core = re.sub(r"^[^a-z]+|[^a-z]+$", "", text)
        if any(core == word * (len(core) // len(word)) for word in _COMMON_WORDS if core):
            return True
    return False


def _as_letter(sign: re.Match[str]) -> str:
    """The usual swaps of letters for digits, undone."""
    return sign[0].translate(_LOOKALIKES)


_LOOKALIKES: Final = str.maketrans("013457@$", "oleastas")
_ROWS: Final = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "1234567890",
    "qwertyuiop[]",
    "qwertyuiopasdfghjklzxcvbnm",
    "qwertzuiopü",
    "asdfghjkl;'",
    "zxcvbnm,./",
    "1q2w3e4r5t6y7u8i9o0p",
    "1qaz2wsx3edc4rfv5tgb6yhn",
    "qazwsxedcrfvtgbyhnujm",
)

_COMMON_WORDS: Final = frozenset({
    "abc", "admin", "administrator", "azerty", "baseball", "batman", "changeit", "changeme", "chelsea", "dragon",
    "football", "freedom", "hello", "iloveyou", "letmein", "liverpool", "login", "master", "michael", "monkey",
    "passphrase", "password", "passwort", "pokemon", "princess", "qwert", "qwerty", "qwertyuiop", "qwertz", "restic",
    "resticmanager", "root", "samsung", "secret", "shadow", "starwars", "sunshine", "superman", "test", "trustno",
    "welcome",
})  # fmt: skip
"""Alone they are too short; said over and over or with a year behind they are still what is tried first."""

_COMMON: Final = frozenset({
    "asdfghjklasdf", "changemeplease", "helloworld1234", "iloveyousomuch", "letmeinplease", "mypassword1234",
    "passwordpassword", "pleasechangeme", "qweasdzxcqwe", "qwertyasdfgh", "qwertyqwerty", "thisismypassword",
    "thisisapassword", "maytheforcebewithyou",
})  # fmt: skip
