"""Every host's pipeline, and which host a request is about."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import assert_never

from rmactors.common import ids
from rmactors.server.actors.rules.decisions import Decidable
from rmactors.server.actors.rules.operators import plain
from rmactors.server.actors.rules.pipeline import HostPipeline
from rmactors.server.messages.alerts import RaiseAlert
from rmactors.server.messages.answers import Refused
from rmactors.server.messages.hosts import DeleteHost
from rmactors.server.messages.requests import (
    Acknowledge,
    Change,
    HostClock,
    HostReturned,
    HostWentSilent,
    JudgeEnd,
    JudgeLoss,
    JudgeStart,
    Resolve,
)
from rmactors.server.messages.schedules import DeleteSchedule, SaveSchedule
from rmactors.server.messages.writes import Write
from rmactors.server.state.host_state import HostState


@dataclass(slots=True)
class Hosts:
    """`most_open` is the bound of open alerts of a host; 0: none. The rest is what every pipeline gets."""

    least_grace: float
    most_open: int = 0
    new_id: Callable[[], str] = ids.new
    pipelines: dict[str, HostPipeline] = field(default_factory=dict)
    _alerts: dict[str, str] = field(default_factory=dict)
    """Alert that is open, or whose resolution is in flight → host."""
    _schedules: dict[str, str] = field(default_factory=dict)
    """Schedule → host."""

    def about(self, request: Decidable | HostClock) -> str | Write | Refused:
        """The id of the host that a request is about. A write: no host's state, so the store alone decides."""
        match request:
            case JudgeStart() | JudgeEnd():
                return request.report.host_id
            case JudgeLoss():
                return request.loss.host_id
            case HostWentSilent() | HostReturned() | HostClock():
                return request.host_id
            case Acknowledge() | Resolve():  # not open as far as is known: the store knows what became of it
                return self._alerts.get(request.alert_id) or plain(request)
            case Change(write=SaveSchedule() | DeleteHost() as write):
                return write.host_id
            case Change(write=DeleteSchedule() as write):
                known = self._schedules.get(write.schedule_id)
                return known if known is not None else Refused("not_found", "there is no such schedule")
            case Change():  # of a silence: no alert begins or ends by it
                return request.write
            case _:
                assert_never(request)

    def add(self, host: HostState) -> HostPipeline:
        """A host that was read for the first time."""
        pipeline = HostPipeline(host, self.least_grace, self.new_id)
        self.pipelines[host.host_id] = pipeline
        self._know(host)
        return pipeline

    def reread(self, before: HostState, after: HostState | None) -> None:
        """A host was read again; None: it was deleted."""
        for state in before.alert_states.values():
            if state.alert is not None:
                self._alerts.pop(state.alert.id, None)
        for schedule_id in before.schedules:
            self._schedules.pop(schedule_id, None)
        if after is not None:
            self._know(after)
        else:
            del self.pipelines[before.host_id]

    def follow(self, host_id: str, writes: Iterable[Write]) -> None:
        """What was decided about a host and leads to it from now on."""
        for write in writes:
            match write:
                case RaiseAlert():
                    self._alerts[write.alert_id] = host_id
                case SaveSchedule():
                    self._schedules[write.schedule_id] = host_id
                case _:
                    pass

    def ended(self, alert_ids: Iterable[str]) -> None:
        for alert_id in alert_ids:
            self._alerts.pop(alert_id, None)

    def _know(self, host: HostState) -> None:
        host.most_open = self.most_open
        for key, state in host.alert_states.items():
            if state.alert is not None:
                self._alerts[state.alert.id] = key.host_id
        for schedule_id in host.schedules:
            self._schedules[schedule_id] = host.host_id
