"""Sizes and counts for reading. Pure.

Whatever comes, these give a text: a page holds rows of many hosts, and what one of them said must not be the end of it.
"""

from rmactors.common import sizes
from rmactors.server.web.views.texts import _

FAR = 10**21
"""The largest magnitude that is shown."""


def within(value: object, far: int = FAR) -> float | None:
    """The number, or the end that it lies beyond; None for what is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        return None
    return min(max(value, -far), far)


def size(count: object) -> str:
    """Bytes as `18.2 GB`, in powers of ten as disks are sold."""
    left = within(count)
    if left is None:
        return ""
    return sizes.size(left) if left < FAR else _("more than 1000 EB")


def number(count: object) -> str:
    """`1,234`."""
    found = within(count)
    if found is None:
        return ""
    if abs(found) == FAR:
        return _("more than 10^21") if found > 0 else _("less than -10^21")
    return f"{int(found):,}"


def milliseconds(ms: object) -> str:
    """`38 ms`, `5.0 s`."""
    found = within(ms)
    if found is None:
        return ""
    return f"{found:.0f} ms" if found < 1000 else f"{found / 1000:.1f} s"
