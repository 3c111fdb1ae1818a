"""What a provider says of a user: which role that is here, and what to call them. Pure."""

import unicodedata
from collections.abc import Mapping
from typing import Any, Final

from rmactors.common.vocabulary import ROLES, Role

_LONGEST_NAME: Final = 56
"""Shorter than a user name may be: a number is put behind one that is taken."""


def find(claims: Mapping[str, Any], name: str) -> Any:
    """The claim of that name, else what a path such as `realm_access.roles` leads to; None where there is none."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def role_of(claims: Mapping[str, Any], claim: str, roles: Mapping[str, Role]) -> Role | None:
    """The strongest role that one of the user's groups has here; None where none has. A claim is a list of groups, or
    one group."""
    said = find(claims, claim)
    groups = said if isinstance(said, list) else [said]
    given = [roles[group] for group in groups if isinstance(group, str) and group in roles]
    return max(given, key=ROLES.index, default=None)


def name_of(claims: Mapping[str, Any]) -> str:
    """What to call a user who is new here."""
    for claim in ("preferred_username", "email", "name", "sub"):
        said = claims.get(claim)
        name = _cleaned(said) if isinstance(said, str) else ""
        if name and name.casefold() not in {"rule", "system", "unknown"}:
            return name
    return "user"


def _cleaned(text: str) -> str:
    """As a user name may be: no signs that cannot be seen, and no colon, which marks tokens."""
    visible = "".join(
        "-" if character == ":" else character for character in text[:1000]
        if character == " " or unicodedata.category(character)[0] not in "CZ"
    )  # fmt: skip
    return " ".join(visible.split())[:_LONGEST_NAME].strip()
