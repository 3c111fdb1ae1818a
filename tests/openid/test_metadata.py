"""A provider's discovery document."""

import json
from typing import Any

import pytest

from rmactors.server.openid.metadata import authorization_url, discovery_url, metadata
from rmactors.server.openid.trouble import ProviderTrouble

ISSUER = "https://id.example/realms/x"
GOOD: dict[str, Any] = {
    "issuer": ISSUER, "authorization_endpoint": f"{ISSUER}/auth", "token_endpoint": f"{ISSUER}/token",
    "jwks_uri": "https://keys.example/jwks",
}  # fmt: skip


def read(change: dict[str, Any], claim: str = "groups", issuer: str = ISSUER) -> Any:
    found = {name: value for name, value in (GOOD | change).items() if value is not None}
    return metadata(json.dumps(found).encode(), issuer, claim)


def test_what_it_leaves_out_has_the_meaning_of_the_standard() -> None:
    found = read({})
    assert found.signatures == ("RS256",)
    assert found.scopes == ("openid", "profile", "email")
    assert not found.secret_in_body
    assert not found.names_issuer
    assert found.userinfo_endpoint is None


def test_only_signatures_of_its_own_are_taken() -> None:
    offered = ["none", "HS256", "RS256", "PS512", "ES256", "EdDSA", "XY"]
    assert read({"id_token_signing_alg_values_supported": offered}).signatures == ("RS256", "PS512", "ES256", "EdDSA")


@pytest.mark.parametrize(
    ("scopes", "claim", "asked"),
    [
        (["openid", "groups"], "groups", ("openid", "profile", "email", "groups")),
        (["openid", "email"], "groups", ("openid", "profile", "email")),
        (["openid", "roles"], "roles.admin", ("openid", "profile", "email", "roles")),
        (["openid", "email"], "email", ("openid", "profile", "email")),
    ],
)
def test_the_scope_of_the_role_claim_is_asked_for_if_there_is_one(
    scopes: list[str], claim: str, asked: tuple[str, ...]
) -> None:
    assert read({"scopes_supported": scopes}, claim).scopes == asked


def test_the_secret_goes_where_the_provider_takes_it() -> None:
    assert read({"token_endpoint_auth_methods_supported": ["client_secret_post"]}).secret_in_body
    both = ["client_secret_post", "client_secret_basic"]
    assert not read({"token_endpoint_auth_methods_supported": both}).secret_in_body


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"issuer": ISSUER + "/"}, "it calls itself"),
        ({"token_endpoint": None}, "no OpenID provider"),
        ({"jwks_uri": 7}, "no OpenID provider"),
        ({"jwks_uri": "https://x" * 300}, "no OpenID provider"),
        ({"jwks_uri": "http://id.example/jwks"}, "without HTTPS"),
        ({"userinfo_endpoint": "http://id.example/me"}, "without HTTPS"),
        ({"token_endpoint": "javascript:alert(1)"}, "an address that is none"),
        ({"token_endpoint": "https://[::1/x"}, "an address that is none"),
        ({"authorization_endpoint": "https://id.example/a b"}, "an address that is none"),
        ({"authorization_endpoint": "https://id.example/\r\nX: y"}, "an address that is none"),
        ({"code_challenge_methods_supported": ["plain"]}, "PKCE"),
        ({"id_token_signing_alg_values_supported": ["none"]}, "safe"),
    ],
)
def test_a_document_that_cannot_be_used_is_refused(change: dict[str, Any], why: str) -> None:
    with pytest.raises(ProviderTrouble, match=why) as caught:
        read(change)
    assert caught.value.status == 502


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b"<html>"])
def test_what_is_no_document_is_refused(body: bytes) -> None:
    with pytest.raises(ProviderTrouble, match="no OpenID provider"):
        metadata(body, ISSUER, "groups")


def test_pkce_is_used_also_where_the_document_does_not_speak_of_it() -> None:
    assert read({"code_challenge_methods_supported": ["plain", "S256"]}).issuer == ISSUER


def test_an_issuer_without_https_may_have_such_endpoints() -> None:
    plain = {name: value.replace("https:", "http:") for name, value in GOOD.items()}
    assert read(plain, issuer=plain["issuer"]).token_endpoint.startswith("http:")


def test_addresses_are_built_onto_what_is_there() -> None:
    assert discovery_url("https://id.example/x/") == "https://id.example/x/.well-known/openid-configuration"
    assert authorization_url(read({}), {"a": "b c"}) == f"{ISSUER}/auth?a=b+c"
    tenant = read({"authorization_endpoint": f"{ISSUER}/auth?tenant=1#x"})
    assert authorization_url(tenant, {"a": "&"}) == f"{ISSUER}/auth?tenant=1&a=%26"
