"""`browse`: what lies directly in one folder of a snapshot, in restic's order."""

from typing import Annotated, Final

from msgspec import Meta

from rmactors.agent.live_requests import output, pages
from rmactors.agent.live_requests.context import AskedPlan, Context
from rmactors.agent.live_requests.handler import Answer, Handler, Name, Paged, Path
from rmactors.agent.live_requests.listings import Listing
from rmactors.agent.live_requests.odd_names import MARK, real_path
from rmactors.agent.live_requests.reader import Reader
from rmactors.agent.live_requests.refusal import Refused
from rmactors.agent.live_requests.whose import belongs, failed, latest, named, present_id
from rmactors.agent.own_snapshots import read_listing
from rmactors.agent.restic_steps import Run
from rmactors.agent.restore_patterns import plain

_LATEST: Final = "latest"


class Params(Paged, frozen=True):
    plan: Name
    path: Path
    snapshot: Annotated[str, Meta(pattern=r"\A(latest|[0-9a-f]{4,64})\Z")] = _LATEST


async def answer(context: Context, params: Params) -> Answer:
    plan, path = context.plan(params.plan), plain(params.path)
    begin = pages.place(params, first=params.snapshot)
    if begin.of == _LATEST:  # pages are of one snapshot, also when a newer one comes meanwhile
        begin = pages.Place(await latest(context, plan, await context.reader(plan.plan.repository)))

    async def make(listing: Listing) -> None:
        await _Folder(context, plan, await context.reader(plan.plan.repository), path, listing).read(begin.of)

    key = ("browse", plan.name, path)
    return await pages.page(context, key, begin, params.limit, make, asked=params.snapshot)


class _Folder:
    """One folder of one snapshot, read into a listing."""

    def __init__(self, context: Context, plan: AskedPlan, reader: Reader, path: str, listing: Listing) -> None:
        self._context = context
        self._plan = plan
        self._reader = reader
        self._path = path
        self._listing = listing
        self._lines = output.Lines()
        self._snapshot: str | None = None
        self._is_there = path == "/"

    async def read(self, wanted: str) -> None:
        """Raises Refused."""
        real = self._path
        if MARK in real:
            (wanted,) = await named(self._context, self._plan, self._reader, wanted)
            real = await real_path(self._reader, wanted, real)
        run = await self._list(wanted, real)
        if self._snapshot is None:
            run = await self._list(await present_id(self._context, self._plan, self._reader, wanted, run), real)
        if run.verdict.status != "succeeded":
            raise failed(run)
        if not self._is_there:
            raise Refused("not_found", "there is no such folder in this snapshot")

    async def _list(self, wanted: str, path: str) -> Run:
        def take(data: bytes) -> None:
            self._take(data, wanted)

        try:
            return await self._reader.read(take, "ls", "--json", "--no-lock", "--", wanted, path)
        except output.Unreadable:
            raise Refused("failed", "restic's list of this folder cannot be read") from None

    def _take(self, data: bytes, wanted: str) -> None:
        entries = []
        for line in self._lines.feed(data):
            if not line.startswith(b"{"):
                continue
            found = output.node(line)
            if self._snapshot is None:
                self._snapshot = self._of(line, wanted)
            elif not self._is_there:
                self._is_there = True
                if found.type != "dir":
                    raise Refused("not_found", "this is no folder in this snapshot")
            else:
                entries.append(output.entry(found))
        self._listing.add(entries)

    def _of(self, line: bytes, wanted: str) -> str:
        """restic says first whose snapshot it is: before anything of it is shown."""
        try:
            return belongs(self._context, self._plan, read_listing(b"[" + line + b"]"), wanted)
        except ValueError:
            raise output.Unreadable from None


HANDLER = Handler(Params, answer)
