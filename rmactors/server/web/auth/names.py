"""What a user or a token may be called."""

import unicodedata

_LONGEST = 64


def username_problem(name: str) -> str | None:
    """What is wrong with a user name, as a sentence; None where it will do."""
    if not name or name != name.strip():
        return "Give a name without spaces around it."
    if len(name) > _LONGEST:
        return f"Use at most {_LONGEST} characters."
    if any(unicodedata.category(character)[0] in "CZ" and character != " " for character in name):
        return "Use letters, digits and signs only."
    if ":" in name:
        return "A colon is reserved for tokens; use something else."
    if name.casefold() in {"rule", "system", "unknown"}:
        return "This name is reserved; choose another."
    return None
