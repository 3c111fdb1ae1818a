"""A user's second factor: its secret in and out of the box, turning it on and off.

The secret is stored only encrypted, with associated data `totp:<user id>`. Between showing it and the first code
that proves it was taken over, it travels through the form, encrypted too: nothing is kept in memory.
"""

import base64
import binascii
import logging
from dataclasses import dataclass

from rmactors.server.config.secrets import SecretError
from rmactors.server.messages.second_factors import SetSecondFactor
from rmactors.server.store.queries.accounts import Login
from rmactors.server.web.access import Actor, audit, services
from rmactors.server.web.auth import totp
from rmactors.server.web.auth.sessions import renew_session
from rmactors.server.web.problems import Problem, invalid_field, unavailable

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Offer:
    """A secret that was just made and is not in force yet. `sealed` goes through the form and comes back."""

    secret_text: str
    uri: str
    sealed: str


def secret_of(login: Login) -> bytes:
    """The secret of a user who has one. Raises Problem where it cannot be decrypted."""
    if login.totp_secret is None:
        raise Problem(409, "The second factor was removed. Sign in again.", "conflict")
    try:
        return services().box.open(login.totp_secret, f"totp:{login.id}")
    except SecretError as error:
        _log.error("%s", error)
        raise unavailable("The second factor cannot be checked: the server's key file is wrong.") from None


def offer(who: Actor) -> Offer:
    """A fresh secret for a user to take into their authenticator."""
    secret = totp.new_secret()
    return _offer(who, secret)


def offer_again(who: Actor, sealed: str) -> Offer:
    """The same secret once more, after a code that was wrong. Raises Problem where `sealed` is none of ours."""
    return _offer(who, _unsealed(who, sealed))


async def turn_on(who: Actor, sealed: str, typed: str) -> tuple[str, ...]:
    """Put the offered secret in force when `typed` is its code; gives the recovery codes, which are shown once.

    Other sessions end, this one gets another id. Raises the 422 for a wrong code.
    """
    secret = _unsealed(who, sealed)
    step = totp.matching_step(secret, typed, services().now())
    if step is None:
        raise invalid_field("/code", "This code is wrong. Check the clock of your device and use its newest code.")
    codes = totp.new_recovery_codes()
    await renew_session(
        SetSecondFactor(
            who.id,
            services().box.seal(secret, f"totp:{who.id}"),
            step,
            tuple(totp.recovery_digest(code) for code in codes),
            audit("user.second_factor_on", "user", who.id),
            who.session_id,
        ),
        proved=False,
    )
    return codes


async def turn_off(who: Actor) -> None:
    """No second factor any more; the recovery codes die with it. Other sessions end, this one gets another id."""
    off = SetSecondFactor(who.id, None, 0, (), audit("user.second_factor_off", "user", who.id), who.session_id)
    await renew_session(off, proved=False)


def _offer(who: Actor, secret: bytes) -> Offer:
    sealed = services().box.seal(secret, f"totp-offer:{who.id}")
    return Offer(
        totp.secret_text(secret), totp.provisioning_uri(secret, who.name), base64.urlsafe_b64encode(sealed).decode()
    )


def _unsealed(who: Actor, sealed: str) -> bytes:
    try:
        return services().box.open(base64.urlsafe_b64decode(sealed.encode()), f"totp-offer:{who.id}")
    except (binascii.Error, UnicodeError, ValueError, SecretError):
        raise Problem(422, "This form has expired. Start again.", "invalid") from None
