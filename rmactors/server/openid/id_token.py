"""An ID token: its signature, and what it must say (OpenID Connect Core, 3.1.3.7). Pure: the time is handed in."""

import binascii
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from joserfc import jws, jwt
from joserfc.errors import BadSignatureError, JoseError, SecurityWarning
from joserfc.jwk import ECKey, OKPKey, RSAKey, import_key

from rmactors.server.openid.trouble import ProviderTrouble, misconfigured

Key = RSAKey | ECKey | OKPKey
LEEWAY_SECONDS: Final = 60
"""How far the provider's clock may be from ours."""
_MOST_KEYS: Final = 100


class UnknownKey(Exception):
    """No key at hand has signed this: the provider may have changed its keys since they were fetched."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What the token must say. `now` in seconds since 1970; `signed_in_since`: the user must have proved who they are
    no earlier than this, in seconds."""

    issuer: str
    client_id: str
    nonce: str
    now: int
    signed_in_since: int | None = None


def keys_in(body: bytes) -> tuple[Key, ...]:
    """The keys of a JWKS that can check signatures; one that cannot be read is left out. Raises ProviderTrouble."""
    try:
        found = msgspec.json.decode(body, type=dict[str, Any]).get("keys")
    except (msgspec.MsgspecError, UnicodeDecodeError):
        found = None
    if not isinstance(found, list):
        raise misconfigured("its keys cannot be read")
    return tuple(_usable(found[:_MOST_KEYS]))


def _usable(found: Sequence[object]) -> Iterator[Key]:
    for entry in found:
        if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
            continue
        try:
            key = import_key(entry)
        except (JoseError, ValueError, TypeError, KeyError, binascii.Error):
            continue
        if isinstance(key, ECKey | OKPKey | RSAKey):  # one that is secret by its kind cannot be, in a public list
            yield key


def verified(token: str, keys: Sequence[Key], signatures: Sequence[str], expected: Expected) -> dict[str, Any]:
    """The claims of a token that is good. Raises UnknownKey, ProviderTrouble."""
    claims = _signed(token, keys, signatures)
    exact = jwt.JWTClaimsRegistry(
        now=expected.now, leeway=LEEWAY_SECONDS,
        iss={"essential": True, "value": expected.issuer}, aud={"essential": True, "value": expected.client_id},
        exp={"essential": True}, iat={"essential": True}, sub={"essential": True},
    )  # fmt: skip
    try:
        exact.validate(claims)
    except JoseError as error:
        raise _not_good(_of_claim(error)) from None
    if not 0 < len(claims["sub"]) <= 255 or "\0" in claims["sub"]:
        raise _not_good("its sub cannot be used")
    if claims.get("nonce") != expected.nonce:
        raise _not_good("wrong nonce")
    several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
    if claims.get("azp", None if several else expected.client_id) != expected.client_id:
        raise _not_good("made for another client (azp)")
    if expected.signed_in_since is not None:
        _check_signed_in(claims.get("auth_time"), expected.signed_in_since)
    return claims


def _signed(token: str, keys: Sequence[Key], signatures: Sequence[str]) -> dict[str, Any]:
    """The claims, if one of the keys signed them: the one that the token names, if it names one."""
    try:
        header = jws.extract_compact(token.encode("ascii")).headers()
    except (JoseError, ValueError, TypeError, RecursionError):
        raise _not_good("cannot be read") from None
    kid, algorithm = header.get("kid"), header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in signatures:
        raise _not_good(f"signed with {str(algorithm)[:20]!r}")
    for key in keys:
        if kid is not None and key.kid is not None and key.kid != kid:
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SecurityWarning)  # that EdDSA has another name now
                return jwt.decode(token, key, algorithms=[algorithm]).claims
        except BadSignatureError:
            continue
        except (
            JoseError,
            ValueError,
            TypeError,
            RecursionError,
        ):  # a key of another kind
            continue
    raise UnknownKey


def _check_signed_in(auth_time: object, since: int) -> None:
    if not isinstance(auth_time, int) or isinstance(auth_time, bool):
        raise misconfigured("it does not say when you signed in there (auth_time), so it cannot confirm who you are")
    if auth_time < since - LEEWAY_SECONDS:
        raise ProviderTrouble(
            "The identity provider did not ask who you are. Sign out there, then try again.", "auth_time is too old"
        )


def _of_claim(error: JoseError) -> str:
    """Which claim is not as it must be: the library's words name it and nothing else."""
    return str(error.description)[:100] or error.error


def _not_good(why: str) -> ProviderTrouble:
    return ProviderTrouble(
        "The identity provider's answer is not one for this sign-in. Start again; if that does not help, tell an"
        " administrator.",
        f"token: {why}",
    )
