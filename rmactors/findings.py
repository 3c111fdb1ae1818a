"""What a command that looks for faults says: one sentence a finding, and an exit code."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the answer. `ok` is None for what is worth knowing and no fault."""

    ok: bool | None
    text: str

    @property
    def line(self) -> str:
        return f"{_MARKS[self.ok]}  {self.text}"


_MARKS: Final = {True: "ok   ", False: "FAULT", None: "note "}


def verdict(findings: Sequence[Finding]) -> str | None:
    """How many faults there are, None where there is none."""
    faults = sum(finding.ok is False for finding in findings)
    return f"{faults} fault{'s' if faults > 1 else ''} found" if faults else None
