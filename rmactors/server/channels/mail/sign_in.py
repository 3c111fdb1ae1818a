"""Signing in at a mail server (RFC 4954): with one mechanism an attempt.

A server that does not like the password says so once, and slows down who asks it again: the same password by another
mechanism is one more wrong one, and soon right ones from here wait as well.
"""

import base64
import hmac
import smtplib
from collections.abc import Sequence
from typing import Final, Literal, assert_never

from rmactors.server.channels.config import MASK

Mechanism = Literal["PLAIN", "LOGIN", "CRAM-MD5"]

_ENCRYPTED: Final[tuple[Mechanism, ...]] = ("PLAIN", "LOGIN", "CRAM-MD5")
_IN_CLEAR: Final[tuple[Mechanism, ...]] = ("CRAM-MD5", "PLAIN", "LOGIN")
"""Where everybody on the way can read it, the one that does not show the password comes first."""
_TOKENS: Final = ("XOAUTH2", "OAUTHBEARER")
_LONGEST_LINE: Final = 510
_WANTS_ENCRYPTION: Final = (503, 523, 530, 534, 538)
"""What servers answer to AUTH where they take it only after STARTTLS. Postfix says 503, which elsewhere is no refusal
at all: "already signed in"."""


class SignInRefused(Exception):
    """The server answered with a refusal. The message has its code and words, and what may help."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class NoWayToSignIn(Exception):
    """The server offers nothing that this one can do. The message says what it offers, and what to change."""


def mechanism(offered: Sequence[str], *, encrypted: bool) -> Mechanism | None:
    """The one to use; None if none of them is offered. `offered` in capitals."""
    return next((one for one in (_ENCRYPTED if encrypted else _IN_CLEAR) if one in offered), None)


def sign_in(smtp: smtplib.SMTP, host: str, username: str, password: str, *, encrypted: bool) -> None:
    """Sign in, in UTF-8. Raises SignInRefused, NoWayToSignIn, and what smtplib raises for a broken conversation."""
    offered = smtp.esmtp_features.get("auth", "").upper().split()
    chosen = mechanism(offered, encrypted=encrypted)
    if chosen is None:
        raise NoWayToSignIn(_why_not(host, offered, encrypted, smtp.has_extn("starttls")))
    said: list[str] = []
    try:
        code, reply = _converse(smtp, chosen, username, password, said)
    except ValueError as error:
        raise NoWayToSignIn(f"signing in at {host} by {chosen} does not work: {error}") from None
    if code != 235:
        words = reply.decode(errors="replace")
        for secret in filter(None, said):
            words = words.replace(secret, MASK)
        raise SignInRefused(code, f"{code} {words}{_advice(code, encrypted)}")


def proof(challenge: bytes, username: str, password: str) -> str:
    """What CRAM-MD5 answers to a challenge, which comes in base64 (RFC 2195). Raises ValueError if it does not."""
    digest = hmac.new(password.encode(), base64.b64decode(challenge, validate=True), "md5").hexdigest()
    return _base64(f"{username} {digest}")


def _converse(
    smtp: smtplib.SMTP, chosen: Mechanism, username: str, password: str, said: list[str]
) -> tuple[int, bytes]:
    """The server's last word. It asks for each next one with 334. `said`: what must not be shown."""
    plain = _base64(f"\0{username}\0{password}")
    if chosen == "PLAIN" and len(f"AUTH PLAIN {plain}") <= _LONGEST_LINE:
        said.append(plain)
        return smtp.docmd("AUTH", f"PLAIN {plain}")
    code, reply = smtp.docmd("AUTH", chosen)
    if code != 334:
        return code, reply
    match chosen:
        case "PLAIN":
            said += [plain]
        case "LOGIN":
            said += [_base64(username), _base64(password)]
        case "CRAM-MD5":
            said += [proof(reply, username, password)]
        case _:
            assert_never(chosen)
    for answer in list(said):
        if code == 334:
            code, reply = smtp.docmd(answer)
    if chosen == "CRAM-MD5":  # with the digest alone a password can be guessed elsewhere
        said += [base64.b64decode(said[-1]).decode().rpartition(" ")[2]]
    return code, reply


def _why_not(host: str, offered: Sequence[str], encrypted: bool, starttls: bool) -> str:
    if not encrypted and starttls:
        return f"{host} lets nobody sign in without encryption, but a user name is set: set the encryption to starttls"
    if any(one in _TOKENS for one in offered):
        return (
            f"{host} takes tokens alone ({' '.join(offered)}) and no password, which restic-manager cannot do: allow"
            " passwords (SMTP AUTH, an app password) for this account there, or use another mail server"
        )
    if offered:
        return f"{host} offers no way to sign in that fits ({' '.join(offered)}), but a user name is set"
    return (
        f"{host} offers no way to sign in, but a user name is set: clear it, or use the port for mail programs, which"
        " is 587 or 465 as a rule"
    )


def _advice(code: int, encrypted: bool) -> str:
    if not encrypted and code in _WANTS_ENCRYPTION:
        return ": it may want encryption before the password; set the encryption to starttls"
    if code == 503:
        return ": it does not let anybody sign in here; clear the user name, or use the port for mail programs"
    return ": check the user name and the password" if code == 535 else ""


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
