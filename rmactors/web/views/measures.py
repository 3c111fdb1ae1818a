"""Sizes and counts for reading. Pure."""

from rmactors.web.views.texts import _


def size(count: float) -> str:
    """Bytes as `18.2 GB`, in powers of ten as disks are sold."""
    if count < 1000:
        return f"{int(count)} B"
    for unit in ("kB", "MB", "GB", "TB", "PB"):
        count /= 1000
        if count < 999.5:
            return f"{count:.1f} {unit}" if count < 10 or (unit != "kB" and count < 100) else f"{count:.0f} {unit}"
    return f"{count:.0f} EB" if count < 1000 else _("more than 1000 EB")


def number(count: float) -> str:
    """`1,234`."""
    return f"{int(count):,}"


def milliseconds(ms: float) -> str:
    """`38 ms`, `5.0 s`."""
    return f"{ms:.0f} ms" if ms < 1000 else f"{ms / 1000:.1f} s"
