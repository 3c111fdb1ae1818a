"""Time-based one-time codes (RFC 6238: SHA-1, 30 s, six digits) and recovery codes. Pure: the time is handed in."""

import base64
import hashlib
import hmac
import secrets
from typing import Final
from urllib.parse import quote

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.twofactor.hotp import HOTP

from rmactors import PRODUCT
from rmactors.common import clock

_STEP: Final = 30 * clock.SECOND
_TOLERANCE: Final = 1
"""Steps before and after the present one that are good as well: clocks differ, people type slowly."""
_RECOVERY_CODES: Final = 10


def new_secret() -> bytes:
    """160 random bits, as RFC 4226 asks."""
    return secrets.token_bytes(20)


def step_at(at: int) -> int:
    """The number of the time step at `at` microseconds."""
    return at // _STEP


def code(secret: bytes, step: int) -> str:
    """The six digits of a time step."""
    return HOTP(secret, 6, hashes.SHA1()).generate(step).decode()  # noqa: S303 - what authenticators take


def matching_step(secret: bytes, text: str, at: int) -> int | None:
    """The step whose code `text` is, the present one or a neighbour; None where it is none."""
    typed = text.replace(" ", "")
    if len(typed) != 6 or not typed.isascii() or not typed.isdigit():
        return None
    now = step_at(at)
    found = None
    for step in range(now - _TOLERANCE, now + _TOLERANCE + 1):
        if hmac.compare_digest(code(secret, step), typed):
            found = step
    return found


def secret_text(secret: bytes) -> str:
    """The secret as people type it into an authenticator: base32."""
    return base64.b32encode(secret).decode().rstrip("=")


def provisioning_uri(secret: bytes, username: str) -> str:
    """`otpauth://…`, which authenticators read."""
    issuer = quote(PRODUCT)
    return f"otpauth://totp/{issuer}:{quote(username)}?secret={secret_text(secret)}&issuer={issuer}"


def new_recovery_codes() -> tuple[str, ...]:
    """Ten codes of 80 bits each, `xxxx-xxxx-xxxx-xxxx`."""
    made = []
    for _ in range(_RECOVERY_CODES):
        text = base64.b32encode(secrets.token_bytes(10)).decode().lower()
        made.append("-".join(text[i : i + 4] for i in range(0, 16, 4)))
    return tuple(made)


def recovery_digest(text: str) -> str:
    """What is stored of a recovery code, however it is spaced."""
    plain = "".join(character for character in text.casefold() if character.isalnum())
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()
