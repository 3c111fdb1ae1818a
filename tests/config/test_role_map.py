"""`RM_OIDC_ROLES`."""

import pytest

from rmactors.server.config.role_map import role_map


def test_groups_and_their_roles() -> None:
    assert role_map("admins=admin, ops = operator,,cn=watchers=viewer,") == {
        "admins": "admin", "ops": "operator", "cn=watchers": "viewer",
    }  # fmt: skip
    assert role_map("a=admin,a=admin") == {"a": "admin"}
    assert role_map("") == {}


@pytest.mark.parametrize("text", ["admins", "=admin", "admins=", "admins=root", "admins=Admin", "a=admin,b"])
def test_what_is_none_says_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match="is not group=role, with viewer, operator or admin as the role"):
        role_map(text)


def test_a_group_has_one_role() -> None:
    with pytest.raises(ValueError, match="'ops' has two roles"):
        role_map("ops=viewer,ops=operator")
