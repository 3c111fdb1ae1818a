"""What a host may be called, whether it says so itself or an administrator does. Pure."""

from rmactors.common.text import MARK, steers

_LONGEST = 100


def host_name_problem(name: str) -> str | None:
    """What is wrong with a name, as the end of a sentence; None if it can stand in headers, lists and logs."""
    if not 1 <= len(name) <= _LONGEST:
        return f"must have 1 to {_LONGEST} characters"
    if name != name.strip():
        return "must not begin or end with spaces"
    if steers(name) or MARK in name:  # it stands in the place of one
        return "must not contain control characters"
    return None
