"""One host as the rules remember it: its tracks and its schedules."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from rmactors.common.vocabulary import JobKind, OnPartial
from rmactors.server.messages.writes import Write
from rmactors.server.state.alert_state import EMPTY, Decision, Key, Track
from rmactors.server.state.slots import Slots


@dataclass(slots=True)
class Schedule:
    """A schedule as the rules use it. A deleted one is kept by name: late reports of it raise nothing.

    `by_agent`: the agent keeps it, not a cron job or timer of the host's own. `plan` is the one that it names, None
    where it leaves that to the host. `last_good_at` is when the newest good end was, of its own runs or its plan's;
    `limit_hours` is how old that may get, None where it may get as old as it likes.
    """

    id: str
    host_id: str
    name: str
    enabled: bool
    on_partial: OnPartial
    max_runtime_seconds: float
    slots: Slots
    kind: JobKind
    by_agent: bool = True
    plan: str | None = None
    last_good_at: int | None = None
    deleted: bool = False
    created_at: int = 0
    limit_hours: float | None = None


@dataclass(slots=True)
class Book:
    """All that the rules remember of one host. `plans` are the names of those that its agent has.

    `tracks` are in the order in which they changed, the newest last.
    `clock_offset` is the host's clock minus the server's in microseconds, as far as the rules follow it.
    `most_open`: with so many open alerts, what the host makes up raises no other; 0: no bound.
    """

    host_id: str
    has_said_hello: bool
    has_reported: bool
    tracks: dict[Key, Track] = field(default_factory=dict)
    schedules: dict[str, Schedule] = field(default_factory=dict)
    plans: tuple[str, ...] = ()
    clock_offset: int = 0
    most_open: int = 0
    _losses: dict[Key, None] | None = field(default=None, compare=False, repr=False)
    _open: int | None = field(default=None, compare=False, repr=False)
    _held_back: dict[Key, None] | None = field(default=None, compare=False, repr=False)

    def losses(self) -> Iterable[Key]:
        """The keys whose newest outcome is a loss: few, where a host may have hundreds of keys."""
        if self._losses is None:
            self._losses = {key: None for key, track in self.tracks.items() if _is_loss(track)}
        return self._losses

    def open_alerts(self) -> int:
        """How many are open, but for the one that says that there are too many."""
        if self._open is None:
            self._open = sum(_is_open(key, track) for key, track in self.tracks.items())
        return self._open

    def held_back(self) -> dict[Key, None]:
        """The keys that are bad and have no alert, because too many are open; the newest last."""
        if self._held_back is None:
            told = [(track.head, key) for key, track in self.tracks.items() if self._is_held_back(track)]
            in_order = sorted(told, key=lambda each: each[0].at if each[0] is not None else 0)
            self._held_back = {key: None for _, key in in_order}
        return self._held_back

    def _is_held_back(self, track: Track) -> bool:
        """Whether the open `too_many_alerts` tells of it."""
        if track.alert is not None or track.head is None or track.head.told_by is None:
            return False
        crowd = self.tracks.get(Key(self.host_id, "too_many_alerts", ""), EMPTY).alert
        return crowd is not None and crowd.id == track.head.told_by

    def put(self, key: Key, track: Track) -> None:
        """Remember the track from now on."""
        before = self.tracks.get(key, EMPTY)
        if track is before:
            return
        self.tracks.pop(key, None)
        if track != EMPTY:
            self.tracks[key] = track
        if self._losses is not None and _is_loss(track):
            self._losses[key] = None
        elif self._losses is not None:
            self._losses.pop(key, None)
        if self._open is not None:
            self._open += _is_open(key, track) - _is_open(key, before)
        if key.kind == "too_many_alerts":
            self._held_back = None
        elif self._held_back is not None:
            self._held_back.pop(key, None)
            if self._is_held_back(track):
                self._held_back[key] = None

    def track(self, key: Key) -> Track:
        return self.tracks.get(key, EMPTY)

    def key_of(self, alert_id: str) -> Key | None:
        """The key of an open alert of this host; None where it has no such alert."""
        about = (key for key, track in self.tracks.items() if track.alert is not None and track.alert.id == alert_id)
        return next(about, None)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a request leads to: the writes, whether the book changed, and why (for the log)."""

    writes: tuple[Write, ...]
    changed: bool
    why: str


def keep(book: Book, key: Key, decision: Decision) -> Verdict:
    """Remember what was decided about one key."""
    before = book.track(key)
    book.put(key, decision.track)
    return Verdict(decision.writes, decision.track is not before, f"{key.kind} {key.subject}: {decision.why}")


def _is_open(key: Key, track: Track) -> bool:
    return track.alert is not None and key.kind != "too_many_alerts"


def _is_loss(track: Track) -> bool:
    return track.head is not None and track.head.lost


def plan_named(params: str) -> str | None:
    """The plan that a schedule's `params` (a JSON object) name; None where they leave it out."""
    named = json.loads(params).get("plan")
    return named if isinstance(named, str) and named else None


INTERVALS = 2
"""Where a schedule that runs every so many hours has no limit of its own, so many of them are it."""


def limit_hours(kind: JobKind, max_age_hours: float | None, every_hours: float | None) -> float | None:
    """How old the newest good end may be; None where that is not judged."""
    if kind != "backup":
        return None
    if max_age_hours is None and every_hours is not None:
        return INTERVALS * every_hours
    return max_age_hours
