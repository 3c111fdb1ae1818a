"""What a host may be called, whether it says so itself or an administrator does. Pure."""

import unicodedata

_LONGEST = 100
_REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def host_name_problem(name: str) -> str | None:
    """What is wrong with a name, as the end of a sentence; None where it can stand in headers, lists and logs."""
    if not 1 <= len(name) <= _LONGEST:
        return f"must have 1 to {_LONGEST} characters"
    if name != name.strip():
        return "must not begin or end with spaces"
    if any(sign in _REORDERING or unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") for sign in name):
        return "must not contain control characters"
    return None
