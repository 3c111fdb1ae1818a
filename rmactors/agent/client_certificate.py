"""The certificate by which this host shows itself to a server, or a proxy in front of it, that asks for one.

The files are read for each connection: certificates are renewed while agents run. What is wrong with them is said in
plain words.
"""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from rmactors.agent.link_down import LinkDown

ASKS_FOR_ONE: Final = (
    "the server asks for a client certificate: give one with `tls_cert_file` and `tls_key_file` in agent.toml, or "
    "`--tls-cert-file` and `--tls-key-file` of `agent enroll`"
)
_PERHAPS: Final = "does it ask for a client certificate (`tls_cert_file`, `tls_key_file`)?"
_ALERT_REQUIRED: Final = "TLSV13_ALERT_CERTIFICATE_REQUIRED"
_ALERT_FAILURE: Final = "SSLV3_ALERT_HANDSHAKE_FAILURE"
"""What OpenSSL says in place of that before TLS 1.3, and of much else."""
_ALERTS: Final = {
    "SSLV3_ALERT_BAD_CERTIFICATE", "SSLV3_ALERT_CERTIFICATE_EXPIRED", "SSLV3_ALERT_CERTIFICATE_REVOKED",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN", "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE", "TLSV1_ALERT_UNKNOWN_CA",
    "TLSV1_ALERT_ACCESS_DENIED", "TLSV1_ALERT_DECRYPT_ERROR",
}  # fmt: skip
"""What a peer says of a certificate that it was shown, or, before TLS 1.3, of none."""

_VERSION: Final = 0xA0
_UTC_TIME: Final = 0x17


class _Encrypted(Exception):
    """A passphrase was asked for."""


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """Files in PEM form. `key_file` None: the key stands in `cert_file` too."""

    cert_file: str
    key_file: str | None = None

    def present(self, context: ssl.SSLContext) -> None:
        """From now on `context` shows it to who asks. Raises LinkDown."""
        key_file = self.key_file or self.cert_file
        if "-----BEGIN CERTIFICATE-----" not in _text("client certificate", self.cert_file):
            raise LinkDown(f"the client certificate {self.cert_file} is none: there is no BEGIN CERTIFICATE in it")
        if "PRIVATE KEY-----" not in _text("client certificate's key", key_file):
            raise LinkDown(f"there is no private key for the client certificate in {key_file}")
        try:
            context.load_cert_chain(self.cert_file, key_file, password=_no_passphrase)
        except _Encrypted:
            words = "is encrypted: an agent cannot ask for its passphrase"
            raise LinkDown(f"the client certificate's key {key_file} {words}") from None
        except ssl.SSLError as error:
            if error.reason in {"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH"}:
                words = f"the client certificate {self.cert_file} and the key {key_file} do not belong together"
                raise LinkDown(words) from None
            words = f"cannot use the client certificate {self.cert_file} with the key {key_file}"
            raise LinkDown(f"{words}: {error.reason or error}") from None
        except OSError as error:
            raise LinkDown(f"cannot read the client certificate {self.cert_file}: {error.strerror}") from None

    def expired(self, now: datetime) -> str | None:
        """Words on a certificate that is over by this host's clock, which need not be right: the server decides."""
        try:
            over = not_after(ssl.PEM_cert_to_DER_cert(_first(_text("client certificate", self.cert_file))))
        except (LinkDown, ValueError):
            return None
        if over is None or over > now:
            return None
        return f"the client certificate {self.cert_file} expired at {over:%Y-%m-%d %H:%M} UTC"

    def explained(self, down: LinkDown) -> LinkDown:
        """The same failure, with what may be its reason."""
        expired = self.expired(datetime.now(UTC)) if down.status is None else None
        return LinkDown(f"{down.reason}; {expired}", code=down.code) if expired else down


def of_files(cert_file: str | None, key_file: str | None) -> ClientCertificate | None:
    return ClientCertificate(cert_file, key_file) if cert_file else None


def alert(error: ssl.SSLError) -> str | None:
    """Words for a TLS alert that is about the client certificate; None for any other."""
    if error.reason == _ALERT_REQUIRED:
        return ASKS_FOR_ONE
    if error.reason == _ALERT_FAILURE:
        return f"the server ends the TLS handshake ({error.reason}): {_PERHAPS}"
    if error.reason in _ALERTS:
        said = error.reason.partition("ALERT_")[2].replace("_", " ").lower()
        return f"the server does not accept this host's client certificate, or misses one (TLS alert: {said})"
    return None


def not_after(der: bytes) -> datetime | None:
    """When a certificate ends; None for what is none. The standard library tells it of a peer's certificate alone."""
    try:
        _, at, _ = _element(der, 0)  # Certificate
        _, at, _ = _element(der, at)  # TBSCertificate
        if der[at] == _VERSION:
            _, _, at = _element(der, at)
        for _ in ("serial number", "signature", "issuer"):
            _, _, at = _element(der, at)
        _, at, _ = _element(der, at)  # validity
        _, _, at = _element(der, at)  # notBefore
        tag, start, end = _element(der, at)
        text = der[start:end].decode("ascii")
        if tag == _UTC_TIME:  # of two digits for a year, those below 50 are of this century (RFC 5280)
            text = f"{'20' if text < '5' else '19'}{text}"
        return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
    except (IndexError, ValueError):
        return None


def _element(der: bytes, at: int) -> tuple[int, int, int]:
    """Tag, and where the content begins and ends, of what stands at `at`. Raises IndexError."""
    tag, length, start = der[at], der[at + 1], at + 2
    if length & 0x80:
        size = length & 0x7F
        length, start = int.from_bytes(der[start : start + size], "big"), start + size
    return tag, start, start + length


def _no_passphrase() -> str:
    raise _Encrypted


def _first(pem: str) -> str:
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    inside = pem.partition(begin)[2].partition(end)[0]
    return f"{begin}{inside}{end}\n"


def _text(what: str, file: str) -> str:
    try:
        with open(file, "rb") as opened:
            return opened.read(1 << 20).decode("latin-1")
    except OSError as error:
        raise LinkDown(f"cannot read the {what} {file}: {error.strerror}") from None
