"""What the rules do with each message: effects, in the order in which they are to be carried out."""

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import assert_never

from msgspec import Struct

from rmactors.server.actors.rules.agenda import Agenda
from rmactors.server.actors.rules.channel_trouble import ChannelWatch
from rmactors.server.actors.rules.decisions import Decidable
from rmactors.server.actors.rules.hosts import Hosts
from rmactors.server.actors.rules.pipeline import (
    Effect,
    Ended,
    HostPipeline,
    Reload,
    Respond,
    Send,
    TryAtTick,
)  # fmt: skip
from rmactors.server.messages.alerts import TouchConditions
from rmactors.server.messages.answers import Answer, Committed, Failed, Refused, Reply, Stale, no_reply
from rmactors.server.messages.outbox import QueueReminders, ReleaseHeld
from rmactors.server.messages.reasons import Reason
from rmactors.server.messages.requests import Asked, HostClock, HostGone, HostReturned, Tick, ZonesChanged
from rmactors.server.messages.writes import Write
from rmactors.server.state.channel_trouble import ChannelTrouble
from rmactors.server.state.host_state import HostState


class Store(Struct, frozen=True):
    """Have the store write what is about no host's state; `reply` gets its answer."""

    writes: tuple[Write, ...]
    reply: Reply


class Find(Struct, frozen=True):
    """Read a host that is not known yet, and call `found` with the message that is about it."""

    host_id: str
    message: Decidable | HostClock


class LookAtChannels(Struct, frozen=True):
    """Read which channels have trouble, and call `channels_seen`."""

    tick: Tick


@dataclass(slots=True)
class Core:
    """Methods add to `effects`. The caller takes them from there and carries them out, before the next call."""

    hosts: Hosts
    agenda: Agenda
    decided: Counter[Reason]
    """Decisions that are on disk, or needed no write, by why."""
    effects: deque[Store | Find | LookAtChannels | Send | Respond | Reload] = field(default_factory=deque)
    channels: ChannelWatch = field(init=False)

    def __post_init__(self) -> None:
        self.channels = ChannelWatch(self.agenda.timing.channel_patience, self.agenda.timing.started_at)

    def loaded(self, host: HostState) -> None:
        """A host was read when the actor started."""
        self.hosts.add(host)
        self.agenda.resume(host)

    def take(self, message: Asked | HostReturned | HostGone | HostClock | ZonesChanged) -> None:
        match message:
            case HostGone():
                self.agenda.went(message)
            case ZonesChanged():
                for pipeline in self.hosts.pipelines.values():
                    self.agenda.watch_slots(pipeline.host)
            case HostReturned() | HostClock():
                self._take_of(message.host_id, message)
            case _:
                about = self.hosts.about(message)
                if isinstance(about, str):
                    self._take_of(about, message)
                elif isinstance(about, Refused):
                    self.effects.append(Respond(message, about))
                else:
                    self.effects.append(Store((about,), message.reply))

    def found(self, message: Decidable | HostClock, host: HostState | None) -> None:
        """A host that was not known was read: it was enrolled after this actor started, or is not there."""
        if host is not None:
            pipeline = self.hosts.add(host)
            self.agenda.met(host)
            self._give(pipeline, message)
        elif not isinstance(message, HostReturned | HostClock):
            self.effects.append(Respond(message, Refused("not_found", "there is no such host")))

    def unread(self, message: Decidable | HostClock, why: str) -> None:
        """A host that was not known could not be read."""
        if not isinstance(message, HostReturned | HostClock):
            self.effects.append(Respond(message, Failed(why)))

    def tick(self, tick: Tick) -> Iterator[None]:
        """What is due. Effects are to be carried out after each step, before the next."""
        writes = (TouchConditions(tick.at), ReleaseHeld(tick.at), QueueReminders(tick.at))
        self.effects += (Store(writes, no_reply), LookAtChannels(tick))
        yield
        for returned in self.agenda.returns():
            pipeline = self.hosts.pipelines.get(returned.host_id)
            if pipeline is not None:
                self._add(pipeline, pipeline.admit(returned))
                yield
        for due in self.agenda.due(tick.at) if tick.judges else ():
            pipeline = self.hosts.pipelines.get(due.host_id)
            if pipeline is not None:
                effects, again = pipeline.check(due, tick)
                self.agenda.again(due, again)
                self._add(pipeline, effects)
                yield

    def channels_seen(self, found: Iterable[ChannelTrouble], tick: Tick) -> None:
        """What the store says of the channels, asked for at a tick. What does not get to disk is found again at the
        next one."""
        for verdict in self.channels.look(found, tick, self.hosts.new_id):
            if verdict.writes:
                self.effects.append(Store(verdict.writes, partial(self._written, verdict.reason)))
            else:
                self._count((verdict.reason,))

    def answered(self, sent: Send, answer: Answer, *, late: bool = False) -> None:
        """What the store says of a decision; `late`: of one that an earlier run of the actor made."""
        pipeline = self.hosts.pipelines.get(sent.host_id)
        if late or pipeline is None:
            answer = Failed("decided on old state") if isinstance(answer, Stale) else answer
            if isinstance(sent.request, Asked):
                self.effects.append(Respond(sent.request, answer))
        else:
            if isinstance(answer, Committed):
                self._count(sent.reasons)
            self._add(pipeline, pipeline.answered(sent, answer))

    def reread(self, host_id: str, host: HostState | None) -> None:
        """A host was read again; None: it was deleted."""
        pipeline = self.hosts.pipelines[host_id]
        self.hosts.reread(pipeline.host, host)
        if host is None:
            self.agenda.forget(host_id)
            self._add(pipeline, pipeline.deleted())
        else:
            self.agenda.met(host)
            self._add(pipeline, pipeline.reloaded(host))

    def unreadable(self, host_id: str, problem: str) -> None:
        """A host could not be read again."""
        pipeline = self.hosts.pipelines[host_id]
        self._add(pipeline, pipeline.unreadable(problem))

    def unanswered(self) -> list[Asked]:
        """The requests that wait for a decision, or whose effects are not carried out: each once."""
        waiting = [request for pipeline in self.hosts.pipelines.values() for request, _ in pipeline.waiting]
        undone = [effect.request for effect in self.effects if isinstance(effect, Send | Respond)]
        return [request for request in (*waiting, *undone) if isinstance(request, Asked)]

    # ---- inside

    def _take_of(self, host_id: str, message: Decidable | HostClock) -> None:
        pipeline = self.hosts.pipelines.get(host_id)
        if pipeline is None:
            self.effects.append(Find(host_id, message))
        else:
            self._give(pipeline, message)

    def _give(self, pipeline: HostPipeline, message: Decidable | HostClock) -> None:
        if isinstance(message, HostClock):
            self.agenda.clock(pipeline.host, message)
        elif not isinstance(message, HostReturned) or self.agenda.came(pipeline.host, message):
            self._add(pipeline, pipeline.admit(message))

    def _written(self, reason: Reason, answer: Answer) -> None:
        if isinstance(answer, Committed):
            self._count((reason,))

    def _count(self, reasons: tuple[Reason, ...]) -> None:
        for reason in reasons:
            self.decided[reason] += 1

    def _add(self, pipeline: HostPipeline, effects: Iterable[Effect]) -> None:
        """What a pipeline wants done; and what it decides next, now that it has been."""
        while effects:
            for effect in effects:
                match effect:
                    case Send():
                        self.hosts.follow(effect.host_id, effect.writes)
                        self.agenda.follow(pipeline.host, effect.writes)
                        self.effects.append(effect)
                    case Respond():
                        self._count(effect.reasons)
                        self.effects.append(effect)
                    case Reload():
                        self.effects.append(effect)
                    case TryAtTick(request):
                        self.agenda.try_again(request)
                    case Ended(alert_ids):
                        self.hosts.ended(alert_ids)
                    case _:
                        assert_never(effect)
            effects = pipeline.next()
