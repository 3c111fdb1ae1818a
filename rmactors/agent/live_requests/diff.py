"""`diff`: what changed between two snapshots of this host."""

from msgspec import field

from rmactors.agent.live_requests import output, pages
from rmactors.agent.live_requests.context import AskedPlan, Context
from rmactors.agent.live_requests.handler import Answer, Handler, Name, Paged, SnapshotId
from rmactors.agent.live_requests.listings import Listing
from rmactors.agent.live_requests.refusal import Refused
from rmactors.agent.live_requests.whose import failed, named


class Params(Paged, frozen=True, kw_only=True):
    """`metadata` also shows what changed in time, owner or mode alone: mostly each folder above a change."""

    plan: Name
    older: SnapshotId = field(name="from")
    newer: SnapshotId = field(name="to")
    metadata: bool = False


async def answer(context: Context, params: Params) -> Answer:
    plan = context.plan(params.plan)

    async def make(listing: Listing) -> None:
        await _diff(context, plan, params, listing)

    key = ("diff", plan.name, params.older, params.newer, params.metadata)
    return await pages.page(context, key, pages.place(params, first=""), params.limit, make)


async def _diff(context: Context, plan: AskedPlan, params: Params, listing: Listing) -> None:
    reader = await context.reader(plan.plan.repository)
    compared = await named(context, plan, reader, params.older, params.newer)
    lines = output.Lines()

    def take(data: bytes) -> None:
        changes = [output.change(line) for line in lines.feed(data) if line.startswith(b"{")]
        listing.add([one for one in changes if one is not None])

    metadata = ("--metadata",) if params.metadata else ()
    try:
        run = await reader.read(take, "diff", "--json", "--no-lock", *metadata, "--", *compared)
    except output.Unreadable:
        raise Refused("failed", "restic's answer cannot be read") from None
    if run.verdict.status != "succeeded":
        raise failed(run)


HANDLER = Handler(Params, answer)
