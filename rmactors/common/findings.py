"""What a command that looks for faults says: one sentence a finding, and an exit code."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rmactors.common.text import one_line
from rmactors.common.zones import Data


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the answer. `ok` is None for what is worth knowing and no fault.

    `text` may hold words of others: of a host, or of whatever answers on a port.
    """

    ok: bool | None
    text: str

    @property
    def line(self) -> str:
        return f"{_MARKS[self.ok]}  {one_line(self.text)}"


_MARKS: Final = {True: "ok   ", False: "FAULT", None: "note "}


def verdict(findings: Sequence[Finding]) -> str | None:
    """How many faults there are, None if there is none."""
    faults = sum(finding.ok is False for finding in findings)
    return f"{faults} fault{'s' if faults > 1 else ''} found" if faults else None


def zone_data(found: Sequence[Data]) -> Finding:
    """Which time zone data this machine has. `found` as `zones.Zones.data`: the first is used."""
    if not found:
        return Finding(False, "there is no time zone data, so only UTC can be used: install the package tzdata")
    used = found[0].version or "of unknown version"
    system = next((data for data in found if not data.is_package), None)
    if not found[0].is_package:
        return Finding(True, f"time zone data: {used}, the system's")
    if system is None:
        return Finding(True, f"time zone data: {used}, of the Python package tzdata; the system has none")
    return Finding(
        None,
        f"time zone data: {used}, of the Python package tzdata. The system's, by which cron and systemd go, is older:"
        f" {system.version or 'of unknown version'}. Update the system's package tzdata",
    )
