"""One host as the rules remember it: the state of each of its alerts, and its schedules."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from msgspec import Struct

from rmactors.common.vocabulary import JobKind, OnPartial
from rmactors.server.messages.reasons import Reason
from rmactors.server.messages.writes import Write
from rmactors.server.state.alert_state import EMPTY, AlertDecision, AlertKey, AlertState
from rmactors.server.state.slots import Slots


@dataclass(slots=True)
class Schedule:
    """A schedule as the rules use it. A deleted one is kept by name: late reports of it raise nothing.

    `by_agent`: the agent keeps it, not a cron job or timer of the host's own. `plan` is the one that it names, None
    if it leaves that to the host. `last_good_at` is when the newest good end was, of its own runs or its plan's;
    `limit_hours` is how old that may get, None for no limit.
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
class HostState:
    """All that the rules remember of one host. `plans` are the names of those that its agent has.

    `alert_states` are in the order in which they changed, the newest last.
    `clock_offset` is the host's clock minus the server's in microseconds, as far as the rules follow it.
    `most_open`: with so many open alerts, what the host makes up raises no other; 0: no bound.
    """

    host_id: str
    has_said_hello: bool
    has_reported: bool
    alert_states: dict[AlertKey, AlertState] = field(default_factory=dict)
    schedules: dict[str, Schedule] = field(default_factory=dict)
    plans: tuple[str, ...] = ()
    clock_offset: int = 0
    most_open: int = 0
    _losses: dict[AlertKey, None] | None = field(default=None, compare=False, repr=False)
    _open: int | None = field(default=None, compare=False, repr=False)
    _held_back: dict[AlertKey, None] | None = field(default=None, compare=False, repr=False)

    def losses(self) -> Iterable[AlertKey]:
        """The keys whose newest outcome is a loss: few, and a host may have hundreds of keys."""
        if self._losses is None:
            self._losses = {key: None for key, state in self.alert_states.items() if _is_loss(state)}
        return self._losses

    def open_alerts(self) -> int:
        """How many are open, but for the one that says that there are too many."""
        if self._open is None:
            self._open = sum(_is_open(key, state) for key, state in self.alert_states.items())
        return self._open

    def held_back(self) -> dict[AlertKey, None]:
        """The keys that are bad and have no alert, because too many are open; the newest last."""
        if self._held_back is None:
            held = [(state.last, key) for key, state in self.alert_states.items() if self._is_held_back(state)]
            in_order = sorted(held, key=lambda each: each[0].at if each[0] is not None else 0)
            self._held_back = {key: None for _, key in in_order}
        return self._held_back

    def _is_held_back(self, state: AlertState) -> bool:
        """Whether the open `too_many_alerts` tells of it."""
        if state.alert is not None or state.last is None or state.last.told_by is None:
            return False
        covering = self.alert_states.get(AlertKey(self.host_id, "too_many_alerts", ""), EMPTY).alert
        return covering is not None and covering.id == state.last.told_by

    def put(self, key: AlertKey, state: AlertState) -> None:
        """Remember this state from now on."""
        before = self.alert_states.get(key, EMPTY)
        if state is before:
            return
        self.alert_states.pop(key, None)
        if state != EMPTY:
            self.alert_states[key] = state
        if self._losses is not None and _is_loss(state):
            self._losses[key] = None
        elif self._losses is not None:
            self._losses.pop(key, None)
        if self._open is not None:
            self._open += _is_open(key, state) - _is_open(key, before)
        if key.kind == "too_many_alerts":
            self._held_back = None
        elif self._held_back is not None:
            self._held_back.pop(key, None)
            if self._is_held_back(state):
                self._held_back[key] = None

    def state_of(self, key: AlertKey) -> AlertState:
        return self.alert_states.get(key, EMPTY)

    def key_of(self, alert_id: str) -> AlertKey | None:
        """The key of an open alert of this host; None if it has no such alert."""
        about = (
            key for key, state in self.alert_states.items() if state.alert is not None and state.alert.id == alert_id
        )
        return next(about, None)


class Decision(Struct, frozen=True):
    """What a request leads to: the writes, whether what is remembered changed, and why."""

    writes: tuple[Write, ...]
    changed: bool
    reasons: tuple[Reason, ...]


def apply(host: HostState, key: AlertKey, decision: AlertDecision) -> Decision:
    """Remember what was decided about one key."""
    before = host.state_of(key)
    host.put(key, decision.state)
    return Decision(decision.writes, decision.state is not before, (decision.reason,))


def _is_open(key: AlertKey, state: AlertState) -> bool:
    return state.alert is not None and key.kind != "too_many_alerts"


def _is_loss(state: AlertState) -> bool:
    return state.last is not None and state.last.lost


def plan_named(params: str) -> str | None:
    """The plan that a schedule's `params` (a JSON object) name; None if they leave it out."""
    named = json.loads(params).get("plan")
    return named if isinstance(named, str) and named else None


INTERVALS = 2
"""If a schedule that runs every so many hours has no limit of its own, so many of them are it."""


def limit_hours(kind: JobKind, max_age_hours: float | None, every_hours: float | None) -> float | None:
    """How old the newest good end may be; None if that is not judged."""
    if kind != "backup":
        return None
    if max_age_hours is None and every_hours is not None:
        return INTERVALS * every_hours
    return max_age_hours
