"""What a provider says of itself (OpenID Connect Discovery), judged. Pure."""

from dataclasses import dataclass
from typing import Annotated, Final
from urllib.parse import urlencode, urlsplit, urlunsplit

import msgspec

from rmactors.server.openid.trouble import misconfigured

SIGNATURES: Final = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA",
)  # fmt: skip
"""Of tokens: those that a provider alone can make. Not `none`, and none whose key is the client's secret."""
_SCOPES: Final = ("openid", "profile", "email")

_Text = Annotated[str, msgspec.Meta(max_length=2000)]
_Words = Annotated[list[_Text], msgspec.Meta(max_length=1000)]


class _Said(msgspec.Struct):
    issuer: _Text
    authorization_endpoint: _Text
    token_endpoint: _Text
    jwks_uri: _Text
    userinfo_endpoint: _Text | None = None
    id_token_signing_alg_values_supported: _Words | None = None
    token_endpoint_auth_methods_supported: _Words | None = None
    scopes_supported: _Words | None = None
    code_challenge_methods_supported: _Words | None = None
    authorization_response_iss_parameter_supported: bool = False


@dataclass(frozen=True, slots=True)
class Metadata:
    """`signatures` are those that its tokens may have here. `secret_in_body`: the client's secret goes into the form of
    a token request, not into its header. `names_issuer`: its callbacks always say `iss` (RFC 9207)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    signatures: tuple[str, ...]
    scopes: tuple[str, ...]
    secret_in_body: bool
    names_issuer: bool


def discovery_url(issuer: str) -> str:
    return f"{issuer.rstrip('/')}/.well-known/openid-configuration"


def metadata(body: bytes, issuer: str, role_claim: str) -> Metadata:
    """From the discovery document of the provider that the settings name. Raises ProviderTrouble."""
    try:
        said = msgspec.json.decode(body, type=_Said)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise misconfigured("what is at RM_OIDC_ISSUER is no OpenID provider") from None
    if said.issuer != issuer:
        raise misconfigured(f"it calls itself {said.issuer[:200]!r}, and RM_OIDC_ISSUER says {issuer!r}")
    for url in (said.authorization_endpoint, said.token_endpoint, said.jwks_uri, said.userinfo_endpoint):
        if url is not None:
            _check(url, issuer)
    offered = said.id_token_signing_alg_values_supported or ["RS256"]
    signatures = tuple(name for name in SIGNATURES if name in offered)
    if not signatures:
        raise misconfigured("it signs its tokens in no way that is safe here")
    if said.code_challenge_methods_supported is not None and "S256" not in said.code_challenge_methods_supported:
        raise misconfigured("it does not support PKCE with S256")
    methods = said.token_endpoint_auth_methods_supported or ["client_secret_basic"]
    wanted = role_claim.partition(".")[0]
    scopes = (*_SCOPES, wanted) if wanted in (said.scopes_supported or ()) and wanted not in _SCOPES else _SCOPES
    return Metadata(
        said.issuer, said.authorization_endpoint, said.token_endpoint, said.jwks_uri, said.userinfo_endpoint,
        signatures, scopes, "client_secret_basic" not in methods, said.authorization_response_iss_parameter_supported,
    )  # fmt: skip


def authorization_url(found: Metadata, parameters: dict[str, str]) -> str:
    """Where the browser goes; the endpoint may have a query of its own."""
    parts = urlsplit(found.authorization_endpoint)
    query = "&".join(filter(None, (parts.query, urlencode(parameters))))
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))


def _check(url: str, issuer: str) -> None:
    """An endpoint is no less protected than the issuer, which the operator chose."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or any(ord(character) <= 32 or ord(character) > 126 for character in url):
        raise misconfigured("its discovery document names an address that is none")
    if issuer.startswith("https:") and parts.scheme != "https":
        raise misconfigured("its discovery document names an address without HTTPS")
