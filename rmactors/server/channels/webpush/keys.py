"""The keys of Web Push: the server's own (VAPID, RFC 8292), and those that a browser gives with its subscription. Pure.

A subscription is bound to the server's key of the day on which it was made. So that key is kept with it, and a new key
of the server ends none.
"""

import base64
import binascii
import hashlib
import re
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

PURPOSE: Final = "web push"
"""What the server's key is derived for."""
_CURVE: Final = ec.SECP256R1()
_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""How many private keys the curve has, and one."""
_AUTH_BYTES: Final = 16


def own_key(seed: bytes) -> str:
    """The server's private key that follows from these random bytes, as URL-safe base64 without padding."""
    wide = hashlib.shake_256(b"restic-manager web push\0" + seed).digest(48)  # so much wider that no key is likelier
    number = int.from_bytes(wide) % (_ORDER - 1) + 1
    return to_text(number.to_bytes(32))


def private_key(text: str) -> ec.EllipticCurvePrivateKey:
    """Raises ValueError with a sentence."""
    raw = _from_text(text)
    if len(raw) != 32 or not 1 <= int.from_bytes(raw) < _ORDER:
        raise ValueError("This is not a private key of Web Push.")
    return ec.derive_private_key(int.from_bytes(raw), _CURVE)


def public_text(text: str) -> str:
    """The public key of a private one, as browsers take it for `applicationServerKey`."""
    public = private_key(text).public_key()
    return to_text(public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))


def browser_key(text: str) -> ec.EllipticCurvePublicKey:
    """The `p256dh` of a subscription. Raises ValueError with a sentence."""
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, _from_text(text))
    except ValueError:
        raise ValueError("This is not the public key of a browser's subscription.") from None


def auth_secret(text: str) -> bytes:
    """The `auth` of a subscription. Raises ValueError with a sentence."""
    raw = _from_text(text)
    if len(raw) != _AUTH_BYTES:
        raise ValueError("The secret of a browser's subscription has 16 bytes, in URL-safe base64.")
    return raw


def to_text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _from_text(text: str) -> bytes:
    """The bytes; none for what is no URL-safe base64."""
    if re.fullmatch(r"[0-9A-Za-z_-]+={0,2}", text) is None:
        return b""
    try:
        bare = text.rstrip("=")
        return base64.urlsafe_b64decode(bare + "=" * (-len(bare) % 4))
    except binascii.Error:
        return b""
