"""`find`: where files of some name are, over all snapshots of a plan."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from rmactors.agent.live_requests import output, pages
from rmactors.agent.live_requests.context import AskedPlan, Context
from rmactors.agent.live_requests.handler import Answer, Handler, Name, Paged
from rmactors.agent.live_requests.listings import Listing
from rmactors.agent.live_requests.named_so import NamedSo
from rmactors.agent.live_requests.refusal import Refused
from rmactors.agent.live_requests.whose import PlansSnapshots, failed, snapshots_of
from rmactors.agent.restic_steps import Run

_BAD_PATTERN: Final = "syntax error in pattern"
_MOST_NAMED: Final = 10_000
"""Snapshots that are named one by one: what a command line holds."""


class Params(Paged, frozen=True):
    """`pattern` is restic's: of a name, or with slashes of a path; `*`, `?` and `[a-z]` stand for others."""

    plan: Name
    pattern: Annotated[str, Meta(pattern=r"\A[^\x00]+\Z", max_length=1000)]
    ignore_case: bool = False


async def answer(context: Context, params: Params) -> Answer:
    plan = context.plan(params.plan)

    async def make(listing: Listing) -> None:
        await _find(context, plan, params, listing)

    key = ("find", plan.name, params.pattern, params.ignore_case)
    return await pages.page(context, key, pages.place(params), params.limit, make)


async def _find(context: Context, plan: AskedPlan, params: Params, listing: Listing) -> None:
    reader = await context.reader(plan.plan.repository)
    those = await snapshots_of(context, plan, reader)
    if not those.all:
        return
    times = {one.id: output.utc(one.time.isoformat()) for one in those.all}
    finds, hits = output.Finds(), list[bytes]()
    named = NamedSo(params.pattern, ignore_case=params.ignore_case)

    def take(data: bytes) -> None:
        for part in finds.feed(data):
            if isinstance(part, output.Node):
                if named.takes(part.path, is_folder=part.type == "dir"):
                    hits.append(output.hit(part))
                continue
            named.next_snapshot()
            listing.add(hits, whole=False)
            hits.clear()
            head = msgspec.json.encode({"snapshot": part, "time": times.get(part)})
            listing.begin_with(head[:-1] + b",")
        listing.add(hits, whole=False)
        hits.clear()

    case = ("--ignore-case",) if params.ignore_case else ()
    selection = _selection(plan, those)
    try:
        run = await reader.read(take, "find", "--json", "--no-lock", *case, *selection, "--", params.pattern)
    except output.Unreadable:
        raise Refused("failed", "restic's answer cannot be read") from None
    if run.verdict.status != "succeeded":
        raise _refusal(run)


def _selection(plan: AskedPlan, those: PlansSnapshots) -> list[str]:
    """The plan's own are known by its tag; those that it would adopt have to be named."""
    if not those.sorted.adoptable:
        return list(plan.identity.selection)
    return [f"--snapshot={one.id}" for one in those.all[-_MOST_NAMED:]]


def _refusal(run: Run) -> Refused:
    last = run.summary.exit_error.message if run.summary.exit_error is not None else ""
    if any(_BAD_PATTERN in words for words in (last, *run.summary.last_stderr, run.verdict.error or "")):
        return Refused("invalid", "the pattern cannot be read: a `[` needs its `]`, and a `\\` something behind it")
    return failed(run)


HANDLER = Handler(Params, answer)
