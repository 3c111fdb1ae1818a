"""`RM_OIDC_ROLES`: which groups of the identity provider have which role here. Pure."""

from rmactors.common.vocabulary import ROLES, Role


def role_map(text: str) -> dict[str, Role]:
    """`admins=admin,ops=operator` as a table; a group may hold `=`, but no comma. Raises ValueError with what to
    write."""
    found: dict[str, Role] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        group, separator, word = (piece.strip() for piece in part.rpartition("="))
        role = next((role for role in ROLES if role == word), None)
        if not separator or not group or role is None:
            raise ValueError(f"{part!r} is not group=role, with {', '.join(ROLES[:-1])} or {ROLES[-1]} as the role")
        if found.get(group, role) != role:
            raise ValueError(f"the group {group!r} has two roles")
        found[group] = role
    return found
