"""What an operator sees on a host's page of what its actor met. Pure; the times are microseconds, `now` is in seconds.

A host that goes on doing wrong makes no flood of notes: past its budget they are left out.
"""

from collections.abc import Callable
from typing import Final

from rmactors.common import ids
from rmactors.common.clock import DAY
from rmactors.server.actors.host.effects import CountLeftOut, LeftOut, SaveNote
from rmactors.server.messages.hosts import NoteOnHost
from rmactors.server.runtime.rate_limits import NOTES, Bucket

NAMES_REMEMBERED: Final = 200

_CLONED: Final = (
    "An agent that another one had replaced came back. Two machines seem to use the same credential: "
    "was the host cloned? Rotate its token and enroll the copy under a name of its own."
)
_TOO_MUCH: Final = (
    "This host sends more than its budget: log lines, progress or refused reports were left out, outcomes of jobs were "
    "not. Its server's /metrics count them as rmactors_left_out."
)


NoteEffects = list[SaveNote | CountLeftOut]


class Notes:
    """Of one host. `new_id` makes the id of a note."""

    def __init__(self, host_id: str, new_id: Callable[[], str]) -> None:
        self._host_id = host_id
        self._new_id = new_id
        self._budget = Bucket(*NOTES)
        self._noted: set[str] = set()

    def cloned(self, at: int, now: float) -> NoteEffects:
        return self._fresh("cloned_agent", _CLONED, at) if self._budget.take(1, now) else []

    def refused(self, code: str, detail: str, at: int, now: float) -> NoteEffects:
        if not self._budget.take(1, now):
            return self.left_out("notes", 1, at)
        return self._fresh(code, f"A report was refused: {detail}", at)

    def unknown_schedule(self, name: str, at: int, now: float) -> NoteEffects:
        """Once for each name, not for each run: its id is made of it."""
        detail = f"`exec --schedule {name}`: runs under this name count for no schedule. Is it mistyped, or deleted?"
        note = self._once("unknown_schedule", name, detail, at)
        return note if note and self._budget.take(1, now) else []

    def left_out(self, what: LeftOut, number: int, at: int) -> NoteEffects:
        """Beyond the host's budget: counted, and noted once a day, however much it is."""
        return [CountLeftOut(what, number), *self._once("over_budget", str(at // DAY), _TOO_MUCH, at)]

    def _fresh(self, code: str, detail: str, at: int) -> NoteEffects:
        return [SaveNote(NoteOnHost(self._new_id(), self._host_id, at, code, detail))]

    def _once(self, code: str, what: str, detail: str, at: int) -> NoteEffects:
        note_id = ids.derived(self._host_id, code, what)
        if note_id in self._noted:
            return []
        if len(self._noted) >= NAMES_REMEMBERED:
            self._noted.clear()  # it is on disk under the same id: noted again, it is not written twice
        self._noted.add(note_id)
        return [SaveNote(NoteOnHost(note_id, self._host_id, at, code, detail))]
