"""The OpenID provider that the settings name: where browsers are sent, and what comes of the code they return with.

Code flow with PKCE. What the provider says of itself and its keys are kept for an hour; keys are fetched again as soon
as a token names one that is not among them.
"""

import base64
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final
from urllib.parse import quote_plus, urlencode, urlsplit

import msgspec
import trio

from rmactors.common.vocabulary import Role
from rmactors.server.config.role_map import role_map
from rmactors.server.config.settings import Settings
from rmactors.server.openid import claims as claims_of
from rmactors.server.openid.http import fetch
from rmactors.server.openid.id_token import Expected, Key, UnknownKey, keys_in, verified
from rmactors.server.openid.metadata import Metadata, authorization_url, discovery_url, metadata
from rmactors.server.openid.trouble import ProviderTrouble, misconfigured

CALLBACK: Final = "/login/oidc/callback"
"""The page that the provider sends browsers back to."""
_KEPT_SECONDS: Final = 3600.0
_FAILED_SECONDS: Final = 5.0
"""So long a provider that could not be asked is not asked again."""
_FRESH_SECONDS: Final = 5.0
"""Keys younger than this are not fetched again for a token that names another."""


@dataclass(frozen=True, slots=True)
class Way:
    """One sign-in that has begun, kept by the browser that it was started in. `verifier` is of PKCE."""

    state: str
    nonce: str
    verifier: str
    started_at: int


@dataclass(frozen=True, slots=True)
class Person:
    """Who the provider says it is. `role` None: nobody here. `auth_time` (seconds since 1970) where it was said."""

    issuer: str
    subject: str
    name: str
    role: Role | None
    auth_time: int | None


class _Tokens(msgspec.Struct):
    id_token: str
    access_token: str = ""


class _Refusal(msgspec.Struct):
    error: str = ""


@dataclass
class Provider:
    """`roles` says which groups, in the claim `role_claim`, have which role here; `redirect_uri` is ours."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    role_claim: str
    roles: Mapping[str, Role]
    redirect_uri: str
    context: ssl.SSLContext = field(repr=False)
    _lock: trio.Lock = field(default_factory=trio.Lock, repr=False)
    _known: tuple[float, Metadata] | None = field(default=None, repr=False)
    _keys: tuple[float, tuple[Key, ...]] | None = field(default=None, repr=False)
    _failed: tuple[float, ProviderTrouble] | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """What people know it by: its host name."""
        return urlsplit(self.issuer).hostname or self.issuer

    async def leave_for(self, way: Way, *, prove: bool = False) -> str:
        """Where the browser goes. `prove`: the user must show there who they are, also if they are signed in. Raises
        ProviderTrouble."""
        found = await self.metadata()
        digest = sha256(way.verifier.encode()).digest()
        parameters = {
            "response_type": "code", "client_id": self.client_id, "redirect_uri": self.redirect_uri,
            "scope": " ".join(found.scopes), "state": way.state, "nonce": way.nonce,
            "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="), "code_challenge_method": "S256",
        }  # fmt: skip
        return authorization_url(found, parameters | ({"prompt": "login", "max_age": "0"} if prove else {}))

    async def arrive(self, way: Way, said: Mapping[str, str], now: int, *, prove: bool = False) -> Person:
        """Who came back, by the callback's parameters `said`, whose `state` is the caller's to compare. `now` and
        `way.started_at` in seconds. Raises ProviderTrouble."""
        found = await self.metadata()
        _check_issuer(found, said)
        if error := said.get("error"):
            raise _refused(error)
        if not (code := said.get("code")):
            raise ProviderTrouble("The identity provider's answer holds no code. Start again.", "no code")
        tokens = await self._exchange(found, code, way)
        since = way.started_at if prove else None
        expected = Expected(self.issuer, self.client_id, way.nonce, now, since)
        claims = await self._verified(found, tokens.id_token, expected)
        if claims_of.find(claims, self.role_claim) is None and found.userinfo_endpoint and tokens.access_token:
            claims = await self._more(found.userinfo_endpoint, tokens.access_token, claims) | claims
        auth_time = claims.get("auth_time")
        return Person(
            self.issuer, claims["sub"], claims_of.name_of(claims),
            claims_of.role_of(claims, self.role_claim, self.roles),
            auth_time if isinstance(auth_time, int) and not isinstance(auth_time, bool) else None,
        )  # fmt: skip

    async def metadata(self) -> Metadata:
        """What the provider says of itself. Raises ProviderTrouble."""
        async with self._lock:
            now = trio.current_time()
            if self._known is not None and now - self._known[0] < _KEPT_SECONDS:
                return self._known[1]
            if self._failed is not None and now - self._failed[0] < _FAILED_SECONDS:
                raise self._failed[1]
            try:
                found = await self._discover()
            except ProviderTrouble as error:
                self._failed = (trio.current_time(), error)
                raise
            self._known, self._failed = (now, found), None
            return found

    async def _discover(self) -> Metadata:
        status, body = await fetch(discovery_url(self.issuer), self.context, "its discovery document")
        if status != 200:
            raise misconfigured(f"its discovery document cannot be fetched (HTTP {status})")
        return metadata(body, self.issuer, self.role_claim)

    async def _verified(self, found: Metadata, token: str, expected: Expected) -> dict[str, Any]:
        for newer in (False, True):
            keys = await self._keys_of(found, newer=newer)
            try:
                return verified(token, keys, found.signatures, expected)
            except UnknownKey:
                continue
        raise ProviderTrouble(
            "The identity provider's answer is signed with a key that is not its own. Start again.",
            "token: signed with an unknown key",
        )

    async def _keys_of(self, found: Metadata, *, newer: bool) -> tuple[Key, ...]:
        async with self._lock:
            age = trio.current_time() - self._keys[0] if self._keys is not None else _KEPT_SECONDS
            if self._keys is None or age >= (_FRESH_SECONDS if newer else _KEPT_SECONDS):
                status, body = await fetch(found.jwks_uri, self.context, "its list of keys")
                if status != 200:
                    raise misconfigured(f"its list of keys cannot be fetched (HTTP {status})")
                self._keys = (trio.current_time(), keys_in(body))
            return self._keys[1]

    async def _exchange(self, found: Metadata, code: str, way: Way) -> _Tokens:
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": self.redirect_uri,
            "code_verifier": way.verifier,
        }  # fmt: skip
        authorization = None
        if self.client_secret and not found.secret_in_body:
            pair = f"{quote_plus(self.client_id)}:{quote_plus(self.client_secret)}"
            authorization = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            form["client_id"] = self.client_id
            if self.client_secret:
                form["client_secret"] = self.client_secret
        status, body = await fetch(
            found.token_endpoint, self.context, "its token", form=urlencode(form).encode(), authorization=authorization
        )
        try:
            if status == 200:
                return msgspec.json.decode(body, type=_Tokens)
            error = msgspec.json.decode(body, type=_Refusal).error
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise misconfigured(f"it gives no token (HTTP {status})") from None
        if error == "invalid_grant":
            raise ProviderTrouble(
                "The identity provider did not take the code: it was used already or is too old. Start again.",
                "the code was not taken",
            )
        if error == "invalid_client":
            raise misconfigured("it does not take RM_OIDC_CLIENT_ID and RM_OIDC_CLIENT_SECRET")
        raise misconfigured(f"it gives no token ({_word(error)})")

    async def _more(self, url: str, access_token: str, claims: Mapping[str, Any]) -> dict[str, Any]:
        """What userinfo says beside the token; nothing where it is about somebody else or cannot be read."""
        status, body = await fetch(url, self.context, "its userinfo", authorization=f"Bearer {access_token}")
        try:
            said = msgspec.json.decode(body, type=dict[str, Any]) if status == 200 else {}
        except (msgspec.MsgspecError, UnicodeDecodeError):
            said = {}
        return said if said.get("sub") == claims["sub"] else {}


def _check_issuer(found: Metadata, said: Mapping[str, str]) -> None:
    """RFC 9207: a provider that says who it is in its callbacks always does."""
    issuer = said.get("iss")
    if issuer != found.issuer and (issuer is not None or found.names_issuer):
        raise ProviderTrouble("This answer came from another identity provider. Start again.", "wrong iss")


def _refused(error: str) -> ProviderTrouble:
    word = _word(error)
    if word == "access_denied":
        return ProviderTrouble("The identity provider did not let you in, or you said no there.", word, 403)
    return ProviderTrouble(f"The identity provider ended the sign-in ({word}). Try again.", word)


def _word(error: str) -> str:
    """An error code, as far as it is one: it comes from outside."""
    return error if error.isascii() and error.replace("_", "").isalnum() and len(error) <= 60 else "an unknown error"


def provider_of(settings: Settings, context: ssl.SSLContext) -> Provider | None:
    """The one that the settings name, if they do. Nothing is fetched yet."""
    if not settings.oidc_issuer:
        return None
    return Provider(
        settings.oidc_issuer, settings.oidc_client_id, settings.oidc_client_secret, settings.oidc_role_claim,
        role_map(settings.oidc_roles), settings.public_url + CALLBACK, context,
    )  # fmt: skip
