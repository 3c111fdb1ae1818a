"""A job's numbers as one line of its log. Pure."""

from collections.abc import Mapping
from typing import Any


def in_a_line(numbers: Mapping[str, Any]) -> str:
    """A summary for the log: `3 new, 0 changed, 12 unmodified files; 48.8 KiB in all; snapshot 82f6f905`."""
    parts = []
    files = [
        f"{numbers[f'files_{what}']} {what}" for what in ("new", "changed", "unmodified") if f"files_{what}" in numbers
    ]
    if files:
        parts.append(f"{', '.join(files)} files")
    sizes = [
        f"{_size(numbers[name])} {words}"
        for name, words in (("bytes_total", "in all"), ("bytes_added", "added"), ("bytes_restored", "restored"))
        if name in numbers
    ]
    if sizes:
        parts.append(", ".join(sizes))
    if "errors" in numbers:
        parts.append(f"{numbers['errors']} errors")
    if "snapshot_id" in numbers:
        parts.append(f"snapshot {numbers['snapshot_id']}")
    return "; ".join(parts) or "done"


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if count < 1024 or unit == "TiB":
            break
        count /= 1024
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
