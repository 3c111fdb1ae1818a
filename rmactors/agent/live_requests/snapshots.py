"""`snapshots`: those of a plan, newest first."""

from datetime import UTC
from typing import Final

import msgspec
from msgspec import Struct

from rmactors.agent.agent_file import PLAN_TAG
from rmactors.agent.live_requests import pages
from rmactors.agent.live_requests.context import Context
from rmactors.agent.live_requests.handler import Answer, Handler, Name, Paged
from rmactors.agent.live_requests.listings import Listing
from rmactors.agent.live_requests.whose import snapshots_of
from rmactors.agent.own_snapshots import Snapshot

MOST_PATHS: Final = 100
MOST_TAGS: Final = 100


class Params(Paged, frozen=True):
    plan: Name


class Shown(Struct, frozen=True):
    """One snapshot. What restic does not tell (before 0.17, sizes) is None."""

    id: str
    short_id: str
    time: str
    plan: str
    paths: list[str]
    tags: list[str]
    hostname: str
    files: int | None
    bytes: int | None
    added_bytes: int | None
    program_version: str | None


async def answer(context: Context, params: Params) -> Answer:
    plan = context.plan(params.plan)
    begin = pages.place(params)

    async def make(listing: Listing) -> None:
        reader = await context.reader(plan.plan.repository)
        found = await snapshots_of(context, plan, reader)
        listing.add([msgspec.json.encode(_shown(one, plan.name)) for one in reversed(found.all)])

    return await pages.page(context, ("snapshots", plan.name), begin, params.limit, make)


def _shown(one: Snapshot, plan: str) -> Shown:
    return Shown(
        one.id, one.id[:8], one.time.astimezone(UTC).isoformat().replace("+00:00", "Z"), plan,
        list(one.paths[:MOST_PATHS]), [tag for tag in sorted(one.tags) if not tag.startswith(PLAN_TAG)][:MOST_TAGS],
        one.host, one.files, one.size, one.added, one.program,
    )  # fmt: skip


HANDLER = Handler(Params, answer)
