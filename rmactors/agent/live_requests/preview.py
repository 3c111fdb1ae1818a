"""`preview`: what a restore would bring, and where to, before it begins. Writes nothing.

Files are counted from the snapshot's list: restic's dry run counts folders among them. Bytes are those of the dry
run, where restic has one (0.17 and later), for it knows that a file with two names is written once.
"""

import os
import posixpath
import shutil
from typing import Annotated, Final

import msgspec
import trio
from msgspec import Meta, Struct, field

from rmactors.agent import this_host
from rmactors.agent.live_requests import output
from rmactors.agent.live_requests.context import AskedPlan, Context
from rmactors.agent.live_requests.handler import Answer, Handler, Name, Params, Path
from rmactors.agent.live_requests.reader import Reader
from rmactors.agent.live_requests.refusal import Refused
from rmactors.agent.live_requests.whose import failed, latest, named
from rmactors.agent.restic_output import OutputParser, Summary
from rmactors.agent.restore_folder import folder_for
from rmactors.agent.restore_patterns import UNREADABLE, included, plain
from rmactors.agent.restore_targets import Target, TargetRefused, is_below, target_of
from rmactors.common import ids

_HAS_DRY_RUN: Final = (0, 17)
_LATEST: Final = "latest"
_NAMED: Final = 5


class Asked(Params, frozen=True, kw_only=True):
    plan: Name
    snapshot: Annotated[str, Meta(pattern=r"\A(latest|[0-9a-f]{4,64})\Z")] = _LATEST
    include: Annotated[list[Path], Meta(max_length=100)] = field(default_factory=list)
    target: str | None = None


class Outlook(Struct, frozen=True):
    """`into` may end in a folder that will have the job's id for its name. With older restics, `bytes` counts a file
    once for each of its names. `free_bytes` is None where the disk does not tell."""

    snapshot: str
    files: int
    bytes: int
    into: str
    free_bytes: int | None


async def answer(context: Context, asked: Asked) -> Answer:
    plan = context.plan(asked.plan)
    if "restore" not in context.agent_file.allow:
        words = 'agent.toml on this host allows no restore: add "restore" to its `allow`, and restart the agent'
        raise Refused("invalid", words)  # `not_allowed` is for looking
    target, into = await _where(context, plan, asked.target)
    reader = await context.reader(plan.plan.repository)
    if asked.snapshot == _LATEST:
        snapshot = await latest(context, plan, reader)
    else:
        (snapshot,) = await named(context, plan, reader, asked.snapshot)
    include = [plain(path) for path in asked.include]
    counted, dry_run = _Counted(include), _DryRun(include, target.own_path)
    version = await trio.to_thread.run_sync(this_host.restic_number, context.agent_file.restic)
    async with trio.open_nursery() as nursery:  # what goes wrong is kept until both have ended
        nursery.start_soon(counted.read, reader, snapshot)
        if version is not None and version >= _HAS_DRY_RUN:
            nursery.start_soon(dry_run.do, reader, snapshot)
    if trouble := counted.trouble or dry_run.trouble:
        raise trouble
    if missing := counted.missing:
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        raise Refused("not_found", f"nothing in the snapshot matches {', '.join(missing[:_NAMED])}{more}")
    free = await trio.to_thread.run_sync(_free, target.path)
    size = counted.bytes if dry_run.bytes is None else dry_run.bytes
    return Answer([msgspec.json.encode(Outlook(snapshot, counted.files, size, into, free))])


async def _where(context: Context, plan: AskedPlan, asked: str | None) -> tuple[Target, str]:
    """As the job will decide it. Raises Refused."""
    new_folder = ids.new()
    try:
        target = target_of(context.agent_file, plan.plan.repository, asked, new_folder)
        into = await trio.to_thread.run_sync(folder_for, target)
    except TargetRefused as refused:
        raise Refused("invalid", str(refused)) from None
    except OSError as error:
        raise Refused("failed", f"cannot look at {asked or 'the folder for restores'}: {error.strerror}") from None
    return target, posixpath.join(target.path, "<job id>") if into == target.own_path else into


class _DryRun:
    """How much restic would write, by itself: `bytes`, None if it does not tell. `into` must not be there, or what is
    in it would be compared."""

    def __init__(self, include: list[str], into: str) -> None:
        self.bytes: int | None = None
        self.trouble: Refused | None = None
        self._words = (*included(include), "--target", into)

    async def do(self, reader: Reader, snapshot: str) -> None:
        run = await reader.ask("restore", "--json", "--no-lock", "--dry-run", *self._words, snapshot)
        if run.verdict.status != "succeeded":
            self.trouble = failed(run)
        parser = OutputParser("stdout")
        for item in (*parser.feed(run.answer), *parser.finish()):
            if isinstance(item, Summary):
                self.bytes = item.numbers.get("bytes_total", 0)


class _Counted:
    """What of a snapshot would be restored, counted from restic's list of it."""

    def __init__(self, include: list[str]) -> None:
        self.files = 0
        self.bytes = 0
        self.trouble: Refused | None = None
        self._include = [] if "/" in include else include
        self._seen: set[str] = set()
        self._lines = output.Lines()

    @property
    def missing(self) -> list[str]:
        return [path for path in self._include if path not in self._seen]

    async def read(self, reader: Reader, snapshot: str) -> None:
        places = [_readable(path) for path in self._include]
        limits = [] if "/" in places else dict.fromkeys(places)
        try:
            run = await reader.read(self._take, "ls", "--json", "--no-lock", "--recursive", "--", snapshot, *limits)
        except output.Unreadable:
            self.trouble = Refused("failed", "restic's list of this snapshot cannot be read")
        else:
            self.trouble = failed(run) if run.verdict.status != "succeeded" else None

    def _take(self, data: bytes) -> None:
        for line in self._lines.feed(data):
            if not line.startswith(b"{"):
                continue
            found = output.node(line)
            if not found.path or not self._is_meant(found.path) or found.type == "dir":
                continue
            self.files += 1
            if found.type == "file":
                self.bytes += found.size or 0

    def _is_meant(self, path: str) -> bool:
        if not self._include:
            return True
        of = [one for one in self._include if is_below(path, one)]
        self._seen.update(of)
        return bool(of)


def _readable(path: str) -> str:
    """The part of a path up to the first name that restic does not take as it shows it."""
    names = path.split("/")
    first = next((number for number, name in enumerate(names) if UNREADABLE in name), len(names))
    return "/".join(names[:first]) or "/"


def _free(path: str) -> int | None:
    """Bytes on the disk where that folder is or would be."""
    while not os.path.lexists(path):
        path = os.path.dirname(path)
    try:
        return shutil.disk_usage(path).free
    except OSError:
        return None


HANDLER = Handler(Asked, answer)
