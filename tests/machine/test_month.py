"""A month of a fleet in a second or two: the real rules and the real database, and time that is only said.

The fleet lives in Berlin, where clocks change within both months. Times are UTC; a tick comes every ten minutes, and
finds what did not happen. What is raised is compared whole: one alert too many is a failure too.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from rmactors.common import clock, cron
from rmactors.common.clock import MINUTE, SECOND
from rmactors.server.actors.host.silence import SilenceMonitor
from rmactors.server.messages.answers import Answer, Committed
from rmactors.server.messages.reports import EndReport, StartReport
from rmactors.server.messages.requests import HostGone, HostReturned, HostWentSilent, JudgeEnd, JudgeStart, Tick
from rmactors.server.store.place import Place
from tests.machine.engine import Engine

TICK = 10 * MINUTE
SILENT_AFTER = 15 * MINUTE
RESTART_GRACE = 2 * MINUTE
ZONE = "Europe/Berlin"


def at(text: str) -> int:
    return clock.from_rfc3339(f"2026-{text}:00Z")


Span = tuple[str, str]
"""From, to."""


@dataclass
class Host:
    """One schedule, and what befalls the host. A run takes five minutes.

    `skips`: slots that it does not run. `fails`: slots whose run ends with a wrong password. `catches_up`: back, it
    runs what it missed.
    """

    name: str
    cron: str
    away: list[Span] = field(default_factory=list)
    skips: list[str] = field(default_factory=list)
    fails: list[str] = field(default_factory=list)
    catches_up: bool = True
    id: str = ""
    schedule: str = ""

    def is_here(self, now: int) -> bool:
        return not any(at(begin) <= now < at(end) for begin, end in self.away)

    def runs(self, begin: int, end: int) -> Iterator[tuple[int, int]]:
        """(start, slot) of every run."""
        skips = {at(slot) for slot in self.skips}
        for slot in cron.fires_between(self.cron, ZONE, begin, end):
            if slot not in skips and self.is_here(slot):
                yield slot, slot
        for gone, back in self.away if self.catches_up else ():
            missed = cron.previous_fire(self.cron, ZONE, at(back), at(gone))
            if missed is not None:
                yield at(back) + 3 * MINUTE, missed


class Month:
    """Lets time pass. What agents say while the server is away, they say when it is back."""

    def __init__(self, place: Place, begin: str, end: str, fleet: list[Host], server_away: Span) -> None:
        self.engine = Engine(place)
        self.begin, self.end = at(begin), at(end)
        self.fleet = fleet
        self.down, self.up = at(server_away[0]), at(server_away[1])
        self.not_before = 0
        self.answers: list[Answer] = []
        self.told: set[str] = set()  # hosts that the rules know to be silent
        self.channel = self.engine.ledger.channel()
        for host in fleet:
            host.id = self.engine.ledger.host(host.name, at=self.begin)
            host.schedule = self.engine.ledger.schedule(
                host.id, name=host.name, cron=host.cron, timezone=ZONE, at=self.begin, anchor_at=self.begin
            )
        self.engine.kill()  # a server that starts with this fleet enrolled

    def pass_by(self) -> None:
        moments: list[tuple[int, int, str, Host | None, int]] = [(now, 9, "tick", None, 0) for now in self._ticks()]
        moments.append((self.up, 0, "server starts", None, 0))
        for host in self.fleet:
            moments.append((self.begin, 1, "comes", host, 0))
            for gone, back in host.away:
                moments.append((at(gone), 1, "goes", host, 0))
                moments.append((at(back), 1, "comes", host, 0))
            for start, slot in host.runs(self.begin, self.end):
                moments.append((start, 2, "starts", host, slot))
                moments.append((start + 5 * MINUTE, 3, "ends", host, slot))
        spooled: list[tuple[str, Host, int, int]] = []
        for now, _, what, host, slot in sorted(moments, key=lambda moment: moment[:2]):
            if now >= self.end:
                return
            if self.down <= now < self.up:
                if what in ("starts", "ends") and host is not None:
                    spooled.append((what, host, slot, now))
                continue
            match what:
                case "tick":
                    self._tick(now)
                case "server starts":
                    self._server_starts(now)
                    for said in spooled:
                        self._report(*said, now=now + 10 * SECOND)
                case "comes" if host is not None:
                    self.told.discard(host.id)
                    self.engine.say(HostReturned(host.id, now))
                case "goes" if host is not None:
                    self.engine.say(HostGone(host.id, now))
                case _ if host is not None:
                    self._report(what, host, slot, now, now)
            self.engine.settle()

    def _ticks(self) -> Iterator[int]:
        yield from range(self.begin, self.end, TICK)

    def _server_starts(self, now: int) -> None:
        self.engine.kill(now, RESTART_GRACE)
        self.not_before = now + RESTART_GRACE
        self.told.clear()
        for host in self.fleet:
            if host.is_here(now):
                self.engine.say(HostReturned(host.id, now + 5 * SECOND))

    def _tick(self, now: int) -> None:
        for host in self.fleet:
            last_sign = now if host.is_here(now) else max(at(gone) for gone, _ in host.away if at(gone) <= now)
            if self.down <= last_sign < self.up <= now:  # nobody was there to hear it go
                last_sign = self.down
            silence = SilenceMonitor(
                SILENT_AFTER / SECOND, self.not_before / SECOND, last_sign / SECOND, watched=host.id not in self.told
            )
            if silence.is_newly_silent(now / SECOND):
                self.told.add(host.id)
                self.engine.say(HostWentSilent(host.id, last_sign, now, self.answers.append))
        self.engine.say(Tick(now))

    def _report(self, what: str, host: Host, slot: int, moment: int, now: int) -> None:
        job = f"{host.name} {slot}"
        if what == "starts":
            start = StartReport(host.id, job, "backup", None, host.schedule, slot, moment, now)
            self.engine.say(JudgeStart(start, self.answers.append))
            return
        bad = slot in {at(failed) for failed in host.fails}
        end = EndReport(
            host.id, job, "backup", None, host.schedule, slot, "failed" if bad else "succeeded",
            "wrong_password" if bad else "ok", None, 12 if bad else 0, moment - 5 * MINUTE, moment, "{}", "spool",
            moment // MINUTE, now,
        )  # fmt: skip
        self.engine.say(JudgeEnd(end, self.answers.append))

    def alerts(self) -> list[tuple[str, str, str, str | None, int]]:
        """(host, kind, raised, resolved, occurrences), oldest first."""
        return [
            (name, kind, _text(raised), _text(resolved), occurrences)
            for name, kind, raised, resolved, occurrences in self.engine.ledger.rows(
                "SELECT host_name, kind, created_at, resolved_at, occurrences FROM alerts"
                " ORDER BY created_at, host_name"
            )
        ]


def _text(moment: int | None) -> str | None:
    return f"{clock.to_datetime(moment):%m-%dT%H:%M}" if moment is not None else None


AUTUMN = [
    Host("every-hour", "0 * * * *"),
    Host("every-night", "30 2 * * *"),  # in the hour that comes twice on 25 October
    Host("forgetful", "30 2 * * *", skips=["10-14T00:30", "10-25T00:30"]),
    Host("laptop", "0 12 * * *", away=[("10-20T15:00", "10-23T15:00")]),
    Host("lazy-laptop", "0 12 * * *", away=[("10-20T15:00", "10-23T15:00")], catches_up=False),
    Host("locked-out", "0 4 * * *", fails=["10-08T02:00", "10-09T02:00", "10-10T02:00"]),
    Host("naps", "0 * * * *", away=[(f"10-{day}T05:02", f"10-{day}T05:14") for day in range(10, 30)]),
    Host("office", "0 3 * * 1-5"),
    Host("office-that-misses-a-monday", "0 3 * * 1-5", skips=["10-26T02:00"]),
    Host("retired", "0 4 * * *", away=[("10-28T10:20", "12-31T00:00")]),  # while the server is away
]
SPRING = [
    Host("every-hour", "0 * * * *"),
    Host("every-night", "30 2 * * *"),  # in the hour that is missing on 29 March: that night at 03:00
    Host("forgetful", "30 2 * * *", skips=["03-14T01:30", "03-29T01:00"]),
    Host("late-riser", "30 2 * * *", skips=["03-30T00:30"]),
    Host("laptop", "0 12 * * *", away=[("03-27T15:00", "03-30T15:00")]),  # sleeps through the change
    Host("office", "0 3 * * 1-5"),
    Host("office-that-misses-a-monday", "0 3 * * 1-5", skips=["03-30T01:00"]),
]


@pytest.mark.parametrize(
    ("begin", "end", "fleet", "server_away", "expected"),
    [
        (
            "10-05T00:00", "11-04T00:00", AUTUMN, ("10-28T10:00", "10-28T11:00"),
            [
                ("locked-out", "backup_failed", "10-08T02:05", "10-11T02:05", 3),
                # a tenth of 24 h after the slot, found at the next tick; the next night's run ends it
                ("forgetful", "stale_schedule", "10-14T03:00", "10-15T00:30", 1),
                # one message for each that sleeps, and none about the slots it sleeps through
                ("laptop", "agent_offline", "10-20T15:20", "10-23T15:00", 1),
                ("lazy-laptop", "agent_offline", "10-20T15:20", "10-23T15:00", 1),
                # back for a tenth of 24 h, and has not made up for the slot of 10:00
                ("lazy-laptop", "stale_schedule", "10-23T17:30", "10-24T10:00", 1),
                # 02:30 comes twice and is one slot, the first: 00:30
                ("forgetful", "stale_schedule", "10-25T03:00", "10-26T01:30", 1),
                # six hours after Monday's slot, however long the weekend was
                ("office-that-misses-a-monday", "stale_schedule", "10-26T08:10", "10-27T02:00", 1),
                # the server was away for an hour: nothing about those who return, one about who does not
                ("retired", "agent_offline", "10-28T11:10", None, 1),
            ],
        ),
        (
            "03-09T00:00", "04-08T00:00", SPRING, ("03-29T00:30", "03-29T01:30"),
            [
                ("forgetful", "stale_schedule", "03-14T04:00", "03-15T01:30", 1),
                ("laptop", "agent_offline", "03-27T15:20", "03-30T15:00", 1),
                # that night's slot is at 03:00, 23.5 h after the last: 2 h 21 min of grace, from the hello to a server
                # that was away
                ("forgetful", "stale_schedule", "03-29T04:00", "03-30T00:30", 1),
                # the next one is at 02:30 again, and again 23.5 h later
                ("late-riser", "stale_schedule", "03-30T03:00", "03-31T00:30", 1),
                ("office-that-misses-a-monday", "stale_schedule", "03-30T07:10", "03-31T01:00", 1),
            ],
        ),
    ],
    ids=["autumn", "spring"],
)  # fmt: skip
async def test_a_month_raises_what_it_must_and_nothing_else(
    place: Place, begin: str, end: str, fleet: list[Host], server_away: Span, expected: list[tuple[object, ...]]
) -> None:
    month = Month(place, begin, end, fleet, server_away)
    month.pass_by()
    assert month.alerts() == expected
    assert all(isinstance(answer, Committed) for answer in month.answers)
    told = month.engine.ledger.rows("SELECT event FROM deliveries ORDER BY created_at")
    resolved = sum(alert[3] is not None for alert in expected)
    assert [told.count(("alert.raised",)), told.count(("alert.resolved",))] == [len(expected), resolved]
    assert len(told) == len(expected) + resolved
    month.engine.close()
