"""The same done to many hosts: a job, a silence, a pause, a tag, deletion. What cannot be done to one is told beside
what was done to the others."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from rmactors.common import ids
from rmactors.common.vocabulary import JobKind
from rmactors.server.messages.answers import Committed, Duplicate, Failed, Refused
from rmactors.server.messages.hosts import PauseHost, TagHost
from rmactors.server.messages.jobs import QueueJob
from rmactors.server.messages.writes import Write
from rmactors.server.store.queries import chosen as queries
from rmactors.server.store.queries.chosen import ChosenHost
from rmactors.server.web.access import audit, is_id, services
from rmactors.server.web.operations import hosts, silences
from rmactors.server.web.operations import params as job_params
from rmactors.server.web.operations.schedules import check_params
from rmactors.server.web.operations.silences import SilenceBody
from rmactors.server.web.outcomes import HostFailure, Outcome
from rmactors.server.web.problems import Problem, invalid, invalid_field
from rmactors.server.web.validation import one_line_each

MOST_HOSTS: Final = 1000
"""At once: each may be a message to its agent, and an audit row."""
_TOGETHER: Final = 50
"""Writes in one commit: others' have their turn between two of these."""
Tag = Annotated[str, Meta(min_length=1, max_length=100)]


class JobsBody(Struct, forbid_unknown_fields=True):
    """A job on many hosts: those in `host_ids`, or all that have any of `host_tags`."""

    kind: JobKind
    host_ids: list[str] | None = None
    host_tags: list[Tag] | None = None
    params: dict[str, Any] = {}


async def chosen(host_ids: Sequence[str] | None, host_tags: Sequence[str] | None) -> tuple[list[ChosenHost], Outcome]:
    """The hosts, and an outcome with the ids that are no hosts. Raises the 422: none were chosen, too many, or both."""
    if (host_ids is None) == (host_tags is None):
        raise invalid_field("/host_ids", "is required, or host_tags instead: one of them")
    outcome = Outcome()
    if host_ids is not None:
        wanted = list(dict.fromkeys(host_ids))
        _check_number("/host_ids", len(wanted))
        found = await services().reader.run(queries.by_id, [one.upper() for one in wanted if is_id(one)])
        known = {host.id for host in found}
        unknown = [one for one in wanted if one.upper() not in known]
        outcome.failed += [HostFailure(one, "", "There is no such host.") for one in unknown]
        return found, outcome
    tags = host_tags or ()
    one_line_each("/host_tags", *tags)
    found = await services().reader.run(queries.by_tag, tags)
    if not found:
        raise invalid_field("/host_tags", "no host has any of these tags")
    _check_number("/host_tags", len(found))
    return found, outcome


def _check_number(pointer: str, number: int) -> None:
    if not number:
        raise invalid_field(pointer, "must name at least one host")
    if number > MOST_HOSTS:
        raise invalid_field(pointer, f"these are {number} hosts; at most {MOST_HOSTS} can be asked at once")


async def run(found: Sequence[ChosenHost], kind: JobKind, params: dict[str, Any], outcome: Outcome) -> None:
    """Queue the job on each of them. Raises the 422 for what is wrong with it on every host."""
    check_params(params)
    if errors := job_params.problems(kind, params):
        raise invalid(errors)
    asked, at = msgspec.json.encode(params).decode(), services().now()
    job_of: dict[str, str] = {}
    writes: list[tuple[ChosenHost, Write]] = []
    for host in found:
        plans = job_params.plan_names(host.plans)
        missing = job_params.plan_missing(params, plans) or job_params.plan_unknown(params, plans)
        if missing is not None:
            outcome.failed.append(HostFailure(host.id, host.name, missing.detail + "."))
            continue
        job_of[host.id] = job_id = ids.new()
        record = audit("job.queue", "job", job_id, f"{kind} on {host.id}")
        writes.append((host, QueueJob(job_id, host.id, kind, None, asked, at, record)))
    await _commit_each(writes, outcome)
    outcome.jobs += [job_of[host_id] for host_id in outcome.done]


async def tag(found: Sequence[ChosenHost], name: str, outcome: Outcome, *, on: bool) -> None:
    """Put a tag on each, or take it off; policies follow. Raises the 422 for what is no tag."""
    if not 1 <= len(name) <= 100:
        raise invalid_field("/tag", "must have 1 to 100 characters")
    one_line_each("/tag", name)
    if "," in name:
        raise invalid_field("/tag", "must not contain a comma")
    detail = f"{'added' if on else 'removed'} the tag {name}"
    await _commit_each(
        [(host, TagHost(host.id, name, on, audit("host.update", "host", host.id, detail))) for host in found], outcome
    )
    await hosts.policies_follow()


async def pause(found: Sequence[ChosenHost], outcome: Outcome, *, paused: bool) -> None:
    """Turn off all schedules of each of them, or turn on again those that were turned off so."""
    at, action = services().now(), "host.pause" if paused else "host.unpause"
    await _commit_each(
        [(host, PauseHost(host.id, paused, at, audit(action, "host", host.id))) for host in found], outcome
    )
    await hosts.policies_follow()


async def silence(found: Sequence[ChosenHost], reason: str, ends_at: str, outcome: Outcome) -> None:
    """A silence for each of them. Raises the 422."""
    await _each(found, outcome, lambda host: silences.create(SilenceBody(reason, host_id=host.id, ends_at=ends_at)))


async def delete(found: Sequence[ChosenHost], outcome: Outcome) -> None:
    await _each(found, outcome, lambda host: hosts.remove(host.id))


async def _each(found: Sequence[ChosenHost], outcome: Outcome, act: Callable[[ChosenHost], Any]) -> None:
    """One after the other: these go through the rules. What is wrong before anything was done is raised."""
    for host in found:
        try:
            await act(host)
        except Problem as problem:
            if problem.status == 422 and not outcome.done:
                raise
            outcome.failed.append(HostFailure(host.id, host.name, problem.detail))
        else:
            outcome.done.append(host.id)


async def _commit_each(writes: Sequence[tuple[ChosenHost, Write]], outcome: Outcome) -> None:
    """Several in a commit; where one of these is refused, each in its own."""
    for start in range(0, len(writes), _TOGETHER):
        part = writes[start : start + _TOGETHER]
        together = await services().ask_store(*(write for _, write in part))
        for host, write in part:
            answer = await services().ask_store(write) if isinstance(together, Refused) else together
            match answer:
                case Committed() | Duplicate():
                    outcome.done.append(host.id)
                case Failed():
                    detail = "The server cannot store changes at the moment."
                    outcome.failed.append(HostFailure(host.id, host.name, detail))
                case Refused("not_found", _):
                    outcome.failed.append(HostFailure(host.id, host.name, "There is no such host."))
                case _:
                    outcome.failed.append(HostFailure(host.id, host.name, answer.detail))
