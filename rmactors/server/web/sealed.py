"""Names of files in the URLs of pages: encrypted, because servers and proxies write URLs into their logs.

A request is judged as for any other page; sealing only keeps the name from being read along the way. The same
name of the same host gives the same text, so that a browser knows again where it was.
"""

import base64
import binascii
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from rmactors.server.config.secrets import SecretBox

_PURPOSE: Final = "names in URLs"


class Sealed:
    """Seals and opens texts about one host. Raises SecretError where the server's key file cannot be read."""

    def __init__(self, box: SecretBox, host_id: str) -> None:
        self._ciphers = tuple(AESSIV(key) for key in box.derived(_PURPOSE))
        self._about = [host_id.encode()]

    def seal(self, text: str) -> str:
        """For a URL or a form."""
        if not text:
            return ""
        sealed = self._ciphers[0].encrypt(text.encode("utf-8", "surrogatepass"), self._about)
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def open(self, sealed: str) -> str | None:
        """None for what was not sealed here about this host, or under a key that is gone."""
        if not sealed:
            return ""
        try:
            found = base64.urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4))
        except (binascii.Error, ValueError):
            return None
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(found, self._about).decode("utf-8", "surrogatepass")
            except (InvalidTag, ValueError):
                continue
        return None
