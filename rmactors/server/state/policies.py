"""Policies, the hosts that they are for, and the schedules that they made: what follows from one for the other.

Read from the store as one snapshot, and compared here. Pages show with the same comparison what would change.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from typing import Final, assert_never

from rmactors.common.vocabulary import JobKind, OnPartial, ScheduleMode
from rmactors.server.calendars import spread
from rmactors.server.calendars.when import When
from rmactors.server.messages.audit import Audit
from rmactors.server.messages.schedules import DeleteSchedule, SaveSchedule
from rmactors.server.state.slots import TIMING


@dataclass(frozen=True, slots=True)
class Terms:
    """What a schedule says: as a policy wants it, or as it stands. `params` is a JSON object as text."""

    name: str
    kind: JobKind
    cron: str | None
    on_calendar: str | None
    every_hours: float | None
    timezone: str
    enabled: bool
    mode: ScheduleMode
    grace_seconds: float
    max_runtime_seconds: float
    max_age_hours: float | None
    on_partial: OnPartial
    params: str

    @property
    def when(self) -> When:
        return When(self.cron, self.on_calendar, self.every_hours, self.timezone)


@dataclass(frozen=True, slots=True)
class Policy:
    """`terms` are those of a host at the beginning of the window of `spread_minutes`."""

    id: str
    host_tags: frozenset[str]
    spread_minutes: int
    terms: Terms

    def is_for(self, host: "PolicyHost") -> bool:
        return not self.host_tags.isdisjoint(host.tags)


@dataclass(frozen=True, slots=True)
class PolicyHost:
    """A host that is not deleted. `plans` are the names of those that its agent has."""

    id: str
    name: str
    tags: frozenset[str]
    plans: tuple[str, ...] = ()
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """A schedule as it stands. `policy_id` is None where a person made it; `paused`: off because its host is."""

    id: str
    host_id: str
    policy_id: str | None
    terms: Terms
    anchor_at: int
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Some hosts, the policies that are looked at, and all schedules there that these made, or that a pause is about.

    A policy that was deleted is not among `policies`.
    """

    policies: tuple[Policy, ...]
    hosts: tuple[PolicyHost, ...]
    standing: tuple[Standing, ...]


TERMS: Final = tuple(field.name for field in fields(Terms))


def terms_for(policy: Policy, host: PolicyHost) -> Terms:
    """What the policy's schedule on this host says: at the host's own minute, and off while the host is paused."""
    terms = policy.terms
    if terms.cron is not None and policy.spread_minutes:
        minute = spread.minute_of(policy.id, host.id, policy.spread_minutes)
        with suppress(ValueError):  # saved by an older version, which could say it: all at once then
            terms = replace(terms, cron=spread.shifted(terms.cron, minute))
    return replace(terms, enabled=False) if host.paused and terms.enabled else terms


@dataclass(frozen=True, slots=True)
class Made:
    """A host gets a schedule."""

    host: PolicyHost
    policy: Policy
    terms: Terms


@dataclass(frozen=True, slots=True)
class Changed:
    """A schedule says something else from now on; `by_pause`: it is a person's, and its host is paused or no longer."""

    standing: Standing
    terms: Terms
    by_pause: bool = False


@dataclass(frozen=True, slots=True)
class Gone:
    """A schedule is deleted: its policy is, or the host has none of its tags any more."""

    standing: Standing


Difference = Made | Changed | Gone


def differences(snapshot: Snapshot) -> Iterator[Difference]:
    """What is to be done so that every host has just the schedules that the policies say, host by host."""
    standing_of: dict[str, list[Standing]] = {host.id: [] for host in snapshot.hosts}
    for standing in snapshot.standing:
        standing_of.get(standing.host_id, []).append(standing)
    for host in snapshot.hosts:
        made: dict[str, Standing] = {}
        for standing in standing_of[host.id]:
            if standing.policy_id is not None:
                made[standing.policy_id] = standing
            elif host.paused and standing.terms.enabled:
                yield Changed(standing, replace(standing.terms, enabled=False), by_pause=True)
            elif not host.paused and standing.paused:
                yield Changed(standing, replace(standing.terms, enabled=True), by_pause=True)
        for policy in snapshot.policies:
            if not policy.is_for(host):
                continue
            known, terms = made.pop(policy.id, None), terms_for(policy, host)
            if known is None:
                yield Made(host, policy, terms)
            elif known.terms != terms:
                yield Changed(known, terms)
        yield from map(Gone, made.values())


def write_for(difference: Difference, at: int, new_id: Callable[[], str]) -> SaveSchedule | DeleteSchedule:
    """What brings it about. A schedule that goes on keeps its id, and its slots where they do not change."""
    match difference:
        case Made(host, policy, terms):
            schedule_id = new_id()
            return _save(schedule_id, host.id, policy.id, terms, at, at, _audit(at, terms.name, "create", schedule_id))
        case Changed(standing, terms, by_pause):
            before = standing.terms
            timing = any(getattr(before, name) != getattr(terms, name) for name in TIMING)
            changed = ", ".join(name for name in TERMS if getattr(before, name) != getattr(terms, name))
            who = "pause of the host" if by_pause else terms.name
            record = _audit(at, who, "update", standing.id, changed, policy=not by_pause)
            return _save(
                standing.id, standing.host_id, standing.policy_id, terms, at, at if timing else standing.anchor_at,
                record, paused=by_pause and not terms.enabled,
            )  # fmt: skip
        case Gone(standing):
            return DeleteSchedule(standing.id, at, _audit(at, standing.terms.name, "delete", standing.id))
        case _:
            assert_never(difference)


def _audit(at: int, who: str, verb: str, schedule_id: str, detail: str = "", *, policy: bool = True) -> Audit:
    return Audit(
        at, f"policy:{who}" if policy else who, "system", f"schedule.{verb}", "schedule", schedule_id, detail=detail
    )


def _save(
    schedule_id: str, host_id: str, policy_id: str | None, terms: Terms, at: int, anchor_at: int, record: Audit, *,
    paused: bool = False,
) -> SaveSchedule:  # fmt: skip
    return SaveSchedule(
        schedule_id, host_id, terms.name, terms.kind, terms.cron, terms.timezone, terms.enabled, terms.mode,
        terms.grace_seconds, terms.max_runtime_seconds, terms.on_partial, terms.params, at, anchor_at, record,
        terms.on_calendar, terms.every_hours, terms.max_age_hours, policy_id, paused,
    )  # fmt: skip
