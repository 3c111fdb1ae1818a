"""Whose snapshots are looked at: the plan's own by default, this host's where they are named."""

from dataclasses import dataclass

from rmactors.agent.listing import listed
from rmactors.agent.live_requests.context import AskedPlan, Context
from rmactors.agent.live_requests.reader import Reader
from rmactors.agent.live_requests.refusal import Code, Refused
from rmactors.agent.own_snapshots import NotOurs, Snapshot, Sorted, by_id, newest, read_listing, whose
from rmactors.agent.restic_steps import Run


@dataclass(frozen=True, slots=True)
class PlansSnapshots:
    """Those of a plan, oldest first, the ones that it would adopt included."""

    sorted: Sorted

    @property
    def all(self) -> list[Snapshot]:
        return sorted((*self.sorted.own, *self.sorted.adoptable), key=lambda one: one.time)


async def snapshots_of(context: Context, plan: AskedPlan, reader: Reader) -> PlansSnapshots:
    """As they are now. They need no further check from now on. Raises Refused."""
    found = await listed(reader, plan.identity, context.counters)
    if isinstance(found, Run):
        raise failed(found)
    those = PlansSnapshots(found)
    context.checked |= {(plan.identity.place, one.id) for one in those.all}
    return those


async def latest(context: Context, plan: AskedPlan, reader: Reader) -> str:
    """The full id of the plan's newest snapshot. Raises Refused."""
    found = newest((await snapshots_of(context, plan, reader)).sorted)
    if found is None:
        words = f"plan {plan.name} has no snapshot of host {plan.identity.host} in this repository"
        raise Refused("not_found", words)
    return found.id


async def present_id(context: Context, plan: AskedPlan, reader: Reader, wanted: str, run: Run) -> str:
    """The id that a snapshot has now, after a call of restic that showed nothing of it: it may have been adopted.

    Raises Refused, which says why. What restic says of an id that is not there depends on its version and the backend,
    and may be the same as for a file that is damaged: so the names of the files decide.
    """
    if run.verdict.reason not in {"ok", "error", "corrupt"}:
        raise failed(run)
    names = await reader.ask("list", "snapshots", "--no-lock")
    if names.verdict.status != "succeeded":
        raise failed(names)
    alike = {name for name in names.answer.decode("ascii", "replace").split() if name.startswith(wanted)}
    if len(alike) > 1:
        raise Refused("invalid", f"several snapshots begin with {wanted}: give more of the id")
    if alike:
        raise Refused("failed", f"restic cannot read snapshot {wanted}: {run.verdict.error or 'it does not say why'}")
    now = by_id((await snapshots_of(context, plan, reader)).sorted, wanted)
    if now is None or now == wanted:
        raise Refused("not_found", f"there is no snapshot {wanted} in this repository")
    return now


async def named(context: Context, plan: AskedPlan, reader: Reader, *wanted: str) -> list[str]:
    """The full ids of snapshots of this host, or of others where its file allows it. Asks restic only for those that
    were not seen before. Raises Refused.
    """
    place = plan.identity.place
    unknown = [one for one in wanted if (place, one) not in context.checked]
    if not unknown:
        return list(wanted)
    run = await reader.ask("snapshots", "--json", "--no-lock", "--", *unknown)
    answer = _listing(run) if run.verdict.status == "succeeded" else []
    found = {}
    for one in unknown:
        if any(other.id.startswith(one) for other in answer):
            found[one] = belongs(context, plan, answer, one)
        else:
            found[one] = await present_id(context, plan, reader, one, run)
    return [found.get(one, one) for one in wanted]


def belongs(context: Context, plan: AskedPlan, answer: list[Snapshot], wanted: str) -> str:
    """The full id of the snapshot that restic found for it, if it may be looked at. Raises Refused."""
    try:
        found = whose(answer, wanted, plan.identity.host, anybodys=plan.repository.snapshots_of_other_hosts)
    except NotOurs as error:
        alike = {one.id for one in answer if one.id.startswith(wanted)}
        code: Code = "not_found" if not alike else "not_allowed" if len(alike) == 1 else "invalid"
        raise Refused(code, str(error)) from None
    context.checked.add((plan.identity.place, found))
    return found


def failed(run: Run) -> Refused:
    """Why restic did not do it."""
    return Refused("failed", run.verdict.error or f"restic ended with exit code {run.code}")


def _listing(run: Run) -> list[Snapshot]:
    try:
        return read_listing(run.answer)
    except ValueError as error:
        raise Refused("failed", f"restic's list of snapshots cannot be read: {error}") from None
