"""What a provider's claims mean here."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmactors.common.vocabulary import Role
from rmactors.server.openid.claims import find, name_of, role_of
from rmactors.server.web.auth.names import username_problem

ROLES: dict[str, Role] = {"admins": "admin", "ops": "operator", "watchers": "viewer"}


@pytest.mark.parametrize(
    ("claims", "role"),
    [
        ({"groups": ["watchers", "admins", "ops"]}, "admin"),
        ({"groups": ["watchers", "nobody"]}, "viewer"),
        ({"groups": "ops"}, "operator"),
        ({"groups": []}, None),
        ({"groups": ["Admins"]}, None),  # groups are compared exactly
        ({"groups": [["admins"], {"admins": 1}, 1, None]}, None),
        ({"groups": {"admins": True}}, None),
        ({"groups": None}, None),
        ({}, None),
    ],
)
def test_the_strongest_role_of_the_groups_counts(claims: dict[str, Any], role: Role | None) -> None:
    assert role_of(claims, "groups", ROLES) == role


def test_a_claim_may_lie_deep_and_its_own_name_comes_first() -> None:
    deep = {"realm_access": {"roles": ["ops"]}, "https://x.example/roles": "admins"}
    assert find(deep, "realm_access.roles") == ["ops"]
    assert find(deep, "https://x.example/roles") == "admins"
    assert find(deep, "realm_access.roles.x") is None
    assert find(deep | {"realm_access.roles": "first"}, "realm_access.roles") == "first"


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"preferred_username": "anna", "email": "a@example.org"}, "anna"),
        ({"preferred_username": "", "email": "a@example.org"}, "a@example.org"),
        ({"name": "Anna  von\tX"}, "Anna vonX"),
        ({"sub": "token:x"}, "token-x"),
        ({"preferred_username": "Rule", "sub": "s-1"}, "s-1"),
        ({"preferred_username": 3}, "user"),
    ],
)
def test_a_user_is_called_what_the_provider_calls_them(claims: dict[str, Any], name: str) -> None:
    assert name_of(claims) == name


@given(st.dictionaries(st.sampled_from(["preferred_username", "email", "name", "sub"]), st.text()))
def test_every_name_is_one_that_a_user_may_have(claims: dict[str, Any]) -> None:
    assert username_problem(name_of(claims)) is None
    assert username_problem(f"{name_of(claims)}-1000") is None
