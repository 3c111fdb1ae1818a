"""Passkeys: what a browser is asked, and whether its answer is good.

The challenge travels in a cookie that scripts cannot read, sealed with its purpose, the session that it was made for
and its end. It is good once: who takes an answer commits `Answered.writes` with what follows from it.
"""

import base64
import binascii
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import webauthn
from quart import Response, request
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from rmactors import PRODUCT
from rmactors.common import clock
from rmactors.server.config import tokens
from rmactors.server.config.secrets import SecretError
from rmactors.server.messages.passkeys import SpendOnce, UsePasskey
from rmactors.server.store.passkeys import went_back
from rmactors.server.store.queries import accounts as account_queries
from rmactors.server.store.queries import passkeys as queries
from rmactors.server.store.queries.accounts import Login
from rmactors.server.web.access import Actor, host_header, services
from rmactors.server.web.auth.relying_party import RelyingParty, relying_party

CHALLENGE_LASTS: Final = 5 * clock.MINUTE
AT_MOST: Final = 20
"""Passkeys of a user."""
_LONGEST_ID: Final = 1364  # 1,023 bytes, which is what browsers may send, in base64url
Purpose = Literal["register", "sign-in", "second-factor", "prove"]
VERIFIED: Final = frozenset({"register", "sign-in", "prove"})
"""Where the passkey stands for a password, or will: its PIN or fingerprint is asked for."""


class NotGood(Exception):
    """A browser's answer is not taken. The message is for the user, `why` for the audit trail, `login` whose passkey it
    is, where that is known. You get it for answers that are wrong, late, repeated, or somebody else's."""

    def __init__(self, sentence: str, why: str, login: Login | None = None) -> None:
        super().__init__(sentence)
        self.why, self.login = why, login


@dataclass(frozen=True, slots=True)
class Answered:
    """Who signed. Nothing counts until `writes` are committed: the challenge is spent, the counter goes on."""

    login: Login
    writes: tuple[SpendOnce, UsePasskey]


@dataclass(frozen=True, slots=True)
class Registered:
    """A new passkey, in the form in which it is stored; `spend` is committed with it."""

    credential_id: str
    public_key: bytes
    sign_count: int
    spend: SpendOnce


def here() -> RelyingParty:
    return relying_party(services().settings.public_url)


def trouble() -> str:
    """Why passkeys do not work on the page that is asked for, as a sentence; else empty."""
    return here().trouble_at(host_header())


# ---- what a browser is asked


async def options_to_register(who: Actor) -> Response:
    """For `navigator.credentials.create`."""
    known = await services().reader.run(queries.credential_ids, who.id)
    options = webauthn.generate_registration_options(
        rp_id=here().id, rp_name=PRODUCT, user_name=who.name, user_id=who.id.encode(), challenge=_new_challenge(),
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=_descriptors(known), timeout=CHALLENGE_LASTS // 1000,
    )  # fmt: skip
    return _asked("register", who.session_id, options.challenge, webauthn.options_to_json(options))


async def options_to_sign(purpose: Purpose, session_id: str = "", user_id: str | None = None) -> Response:
    """For `navigator.credentials.get`: with a passkey of this user, or of any user here."""
    known = await services().reader.run(queries.credential_ids, user_id) if user_id is not None else []
    required = purpose in VERIFIED
    options = webauthn.generate_authentication_options(
        rp_id=here().id, challenge=_new_challenge(), allow_credentials=_descriptors(known),
        timeout=CHALLENGE_LASTS // 1000,
        user_verification=UserVerificationRequirement.REQUIRED if required else UserVerificationRequirement.PREFERRED,
    )  # fmt: skip
    return _asked(purpose, session_id, options.challenge, webauthn.options_to_json(options))


def _new_challenge() -> bytes:
    return secrets.token_bytes(32)


def _descriptors(credential_ids: Sequence[str]) -> list[PublicKeyCredentialDescriptor]:
    return [PublicKeyCredentialDescriptor(id=base64url_to_bytes(each)) for each in credential_ids]


def _asked(purpose: Purpose, session_id: str, challenge: bytes, options: str) -> Response:
    response = Response(options, content_type="application/json")
    plain = json.dumps([bytes_to_base64url(challenge), services().now() + CHALLENGE_LASTS])
    sealed = services().box.seal(plain.encode(), _place(purpose, session_id))
    response.set_cookie(
        _cookie(), base64.urlsafe_b64encode(sealed).decode(), max_age=CHALLENGE_LASTS // clock.SECOND, path="/",
        secure=services().settings.cookie_secure, httponly=True, samesite="Strict",
    )  # fmt: skip
    return response


# ---- whether the answer is good


def registered(answer: str, session_id: str) -> Registered:
    """The passkey that a browser made. Raises NotGood."""
    challenge, spend = _challenge("register", session_id)
    party = here()
    try:
        found = webauthn.verify_registration_response(
            credential=answer, expected_challenge=challenge, expected_rp_id=party.id, expected_origin=party.origin,
            require_user_verification=True,
        )  # fmt: skip
    except Exception as error:  # parsers of JSON, CBOR and X.509 meet what anybody may send
        raise NotGood("This passkey could not be registered. Try again.", _why(error)) from None
    credential_id = bytes_to_base64url(found.credential_id)
    if not 0 < len(credential_id) <= _LONGEST_ID:
        raise NotGood("This passkey could not be registered. Try again.", "its id is too long")
    return Registered(credential_id, found.credential_public_key, found.sign_count, spend)


async def answered(purpose: Purpose, answer: str, session_id: str = "", user_id: str | None = None) -> Answered:
    """Who signed; with a `user_id`, it must be them. Raises NotGood."""
    challenge, spend = _challenge(purpose, session_id)
    try:
        credential = webauthn.helpers.parse_authentication_credential_json(answer)
        credential_id = bytes_to_base64url(credential.raw_id)
        handle = credential.response.user_handle
    except Exception as error:  # see `registered`
        raise NotGood(_WRONG, _why(error)) from None
    read = services().reader.run
    passkey = await read(queries.by_credential, credential_id[: _LONGEST_ID + 1])
    login = await read(account_queries.login_by_id, passkey.user_id) if passkey is not None else None
    if passkey is None or login is None or (user_id is not None and login.id != user_id):
        raise NotGood("This passkey is not known here.", "not known here")
    if login.disabled or login.issuer is not None or handle not in (None, login.id.encode()):
        raise NotGood(_WRONG, "disabled" if login.disabled else "of another account", login)
    party = here()
    try:
        found = webauthn.verify_authentication_response(
            credential=credential, expected_challenge=challenge, expected_rp_id=party.id,
            expected_origin=party.origin, credential_public_key=passkey.public_key, credential_current_sign_count=0,
            require_user_verification=purpose in VERIFIED,
        )  # fmt: skip
    except Exception as error:  # see `registered`
        raise NotGood(_WRONG, _why(error), login) from None
    counted = found.new_sign_count
    if went_back(passkey.sign_count, counted):
        raise NotGood(_COPIED, f"its counter went from {passkey.sign_count} to {counted}", login)
    return Answered(login, (spend, UsePasskey(passkey.id, counted, services().now())))


_WRONG: Final = "This passkey was not accepted. Try again."
_LATE: Final = "This took too long, or was started in another window. Try again."
_COPIED: Final = (
    "This passkey's counter went back, so there may be a copy of it. Sign in another way and remove the passkey."
)
REFUSED: Final = {"spent": "This answer was used already. Try again.", "went-back": _COPIED}
"""By the code with which the store refuses `Answered.writes`."""


def _challenge(purpose: Purpose, session_id: str) -> tuple[bytes, SpendOnce]:
    """What was asked, and the write that makes it be good once. Raises NotGood."""
    now = services().now()
    try:
        sealed = base64.urlsafe_b64decode(request.cookies.get(_cookie(), "").encode())
        text, expires_at = json.loads(services().box.open(sealed, _place(purpose, session_id)))
    except (binascii.Error, UnicodeError, ValueError, SecretError):
        raise NotGood(_LATE, "without a challenge of ours") from None
    if now >= expires_at:
        raise NotGood(_LATE, "too late")
    return base64url_to_bytes(text), SpendOnce(tokens.digest(text), now, expires_at)


def _place(purpose: Purpose, session_id: str) -> str:
    return f"passkey:{purpose}:{session_id}"


def _cookie() -> str:
    return "__Host-rm-passkey" if services().settings.cookie_secure else "rm-passkey"


def _why(error: Exception) -> str:
    """For the audit trail: the library's own words hold nothing secret, those of others may hold anything."""
    words = str(error) if type(error).__module__.startswith("webauthn.") else "cannot be read"
    return "".join(character if character.isprintable() else " " for character in words)[:200]
