"""When which schedule is to be checked, and which hosts are here to be checked.

A tick takes from a heap what is due, and nothing else: it costs the same with ten hosts and with thirty thousand.
"""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from rmactors.common.clock import MINUTE, seconds
from rmactors.server.messages.requests import HostClock, HostGone, HostReturned
from rmactors.server.messages.schedules import MarkGood, SaveSchedule
from rmactors.server.messages.writes import Write
from rmactors.server.state import ages
from rmactors.server.state.alert_state import AlertKey
from rmactors.server.state.clocks import believed
from rmactors.server.state.host_state import HostState, Schedule

Check = Literal["missed_run", "overdue"]
Where = Literal["away", "online", "reports_only"]


@dataclass(frozen=True, slots=True)
class Timing:
    """Durations in microseconds, from the settings. `started_at` is when the server did. A channel may fail for
    `channel_patience` before people are notified of that."""

    started_at: int
    restart_grace: int
    stale_grace_seconds: float
    channel_patience: int = 10 * MINUTE


@dataclass(frozen=True, slots=True)
class Presence:
    """Whether a host is here, and since when. `reports_only`: nothing but reports of it is ever heard."""

    where: Where
    since: int = 0


AWAY = Presence("away")


@dataclass(frozen=True, slots=True)
class Due:
    """One check of one schedule. `here_since` is when its host came back; 0 if it cannot say so."""

    host_id: str
    schedule_id: str
    check: Check
    here_since: int


@dataclass(slots=True)
class Agenda:
    """`presence` is the caller's, by host: an agent says hello to the server, not to each run of this actor."""

    timing: Timing
    presence: dict[str, Presence]
    _due: list[tuple[int, str, Check, str]] = field(default_factory=list)
    """Heap of (when, schedule, check, host)."""
    _due_at: dict[tuple[str, Check], int] = field(default_factory=dict)
    """→ its one valid entry in the heap."""
    _returns: list[HostReturned] = field(default_factory=list)

    # ---- what is due

    def due(self, now: int) -> Iterator[Due]:
        """What is to be checked by `now`, also what is added meanwhile. A host that is away misses no slot."""
        while self._due and self._due[0][0] <= now:
            when, schedule_id, check, host_id = heapq.heappop(self._due)
            if self._due_at.get((schedule_id, check)) != when:
                continue
            del self._due_at[schedule_id, check]
            presence = self.presence.get(host_id, AWAY)
            if check == "overdue" or presence.where != "away":
                here_since = presence.since if presence.where == "online" else 0
                yield Due(host_id, schedule_id, check, here_since)

    def again(self, due: Due, when: int | None) -> None:
        """Check the same at `when`; None: not by itself."""
        if when is not None:
            self._push(when, due.schedule_id, due.check, due.host_id)

    def watch(self, host: HostState) -> None:
        """Check every schedule of a host when it can have been missed, or is overdue, for the first time."""
        self.watch_slots(host)
        for schedule in host.schedules.values():
            self._watch_age(schedule)

    def watch_slots(self, host: HostState) -> None:
        """The same for missed slots alone: the host's presence, clock or zone data changed."""
        for schedule in host.schedules.values():
            self._watch_slot(schedule)

    def follow(self, host: HostState, writes: Iterable[Write]) -> None:
        """What was decided about a schedule may make it due at another time."""
        for write in writes:
            match write:
                case MarkGood():  # what was raised may be over, and the next check be planned for the hourly message
                    self._watch_age(host.schedules[write.schedule_id])
                case SaveSchedule():
                    self._watch_slot(host.schedules[write.schedule_id])
                    self._watch_age(host.schedules[write.schedule_id])
                case _:
                    pass

    # ---- presence

    def met(self, host: HostState) -> None:
        """A host that was read. One that has never said hello, but has sent reports, is expected to do no more."""
        if host.has_reported and not host.has_said_hello:
            self.presence.setdefault(host.host_id, Presence("reports_only"))
        self.watch(host)

    def resume(self, host: HostState) -> None:
        """A host that was here before the actor restarted: its return may have been in flight and not be on disk."""
        self.met(host)
        if self.is_online(host.host_id) and AlertKey(host.host_id, "agent_offline", "") in host.alert_states:
            self.try_again(HostReturned(host.host_id, self.presence[host.host_id].since))

    def came(self, host: HostState, message: HostReturned) -> bool:
        """A host is here. Whether that may end an alert: who only delivers reports does not say that its agent runs."""
        if message.report_only:
            if not host.has_said_hello and not self.is_here(host.host_id):
                self._be(host, Presence("reports_only", message.at))
            return False
        host.has_said_hello = True
        self._be(host, Presence("online", message.at))
        return True

    def went(self, message: HostGone) -> None:
        """Its schedules are not checked for missed slots until the next hello."""
        if self.is_online(message.host_id):
            self.presence[message.host_id] = Presence("away", message.at)

    def clock(self, host: HostState, message: HostClock) -> None:
        """What a host says of its clock moves its slots, as far as that is believed."""
        offset = believed(message.offset_seconds)
        if host.clock_offset != offset:
            host.clock_offset = offset
            self.watch_slots(host)

    def forget(self, host_id: str) -> None:
        self.presence.pop(host_id, None)

    def is_here(self, host_id: str) -> bool:
        return self.presence.get(host_id, AWAY).where != "away"

    def is_online(self, host_id: str) -> bool:
        return self.presence.get(host_id, AWAY).where == "online"

    def try_again(self, returned: HostReturned) -> None:
        """A return that is not on disk: no one waits for an answer to it, so it is decided again at a tick."""
        self._returns.append(returned)

    def returns(self) -> list[HostReturned]:
        """Those to decide again, of hosts that are still here."""
        returns, self._returns = self._returns, []
        return [returned for returned in returns if self.is_online(returned.host_id)]

    # ---- inside

    def _be(self, host: HostState, presence: Presence) -> None:
        self.presence[host.host_id] = presence
        self.watch_slots(host)

    def _watch_slot(self, schedule: Schedule) -> None:
        """Check a schedule for the first time once it can have been missed: cheap now, exact then."""
        presence = self.presence.get(schedule.host_id, AWAY)
        if schedule.enabled and not schedule.deleted and presence.where != "away":
            patience = seconds(max(schedule.slots.grace_seconds, self.timing.stale_grace_seconds))
            since = max(presence.since, schedule.slots.anchor_at)
            self._push(self._after_start(since + patience), schedule.id, "missed_run", schedule.host_id)

    def _watch_age(self, schedule: Schedule) -> None:
        """Check a schedule when its newest good backup is too old, wherever its host is then."""
        due = ages.due_at(schedule)
        if due is not None:
            due = self._after_start(due)
            planned = self._due_at.get((schedule.id, "overdue"))
            if planned is None or due < planned:  # an earlier check finds out when the next is due
                self._push(due, schedule.id, "overdue", schedule.host_id)

    def _after_start(self, when: int) -> int:
        """After a start of the server, what hosts have to tell comes first."""
        return max(when, self.timing.started_at + self.timing.restart_grace)

    def _push(self, when: int, schedule_id: str, check: Check, host_id: str) -> None:
        self._due_at[schedule_id, check] = when
        heapq.heappush(self._due, (when, schedule_id, check, host_id))
