"""A look into a snapshot, from the API through the server to the real agent and its restic, beside restic alone."""

import os
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from bench.figures import Figure
from bench.measures import Scale
from bench.process import highest_resident_kib
from harness.agents import AgentProcess
from harness.processes import Server, away

Report = Callable[[Figure], None]
_FOLDER = 1_000
_TIMES = 9
_PAGE = 500


async def measure(server: Server, scale: Scale, report: Report) -> None:
    """A folder of 1,000 entries, and a large one in pages."""
    agent = AgentProcess(server, server.folder.parent / "looked-into", "looked-into", allow=("backup", "browse"))
    await away(partial(_prepare, agent))
    host_id = await away(agent.enroll)
    try:
        await away(lambda: agent.start(host_id))
        await away(partial(_look, agent, host_id, scale, report))
    finally:
        agent.end()


def _prepare(agent: AgentProcess) -> None:
    """A repository with the key that everybody's has: most of what a short call takes is its password."""
    shutil.rmtree(agent.repository)
    agent.restic("init", "-q")
    _fill(agent.source / "folder", _FOLDER)


def _fill(folder: Path, entries: int) -> None:
    folder.mkdir()
    for number in range(entries):
        os.close(os.open(folder / f"IMG_{number:08}.jpg", os.O_CREAT | os.O_WRONLY))


def _look(agent: AgentProcess, host_id: str, scale: Scale, report: Report) -> None:
    snapshots = [_backup(agent) for _ in range(_TIMES)]
    with httpx.Client(base_url=agent.server.url, headers={"Authorization": f"Bearer {agent.server.token}"}) as client:
        ask = partial(_browse, client, host_id)
        _short(agent, snapshots, ask, report)
        _fill(agent.source / "large", scale.large_folder)  # restic reads it on the way to others, and would take longer
        _large(agent, _backup(agent), scale.large_folder, ask, report)


def _short(agent: AgentProcess, snapshots: list[str], ask: Callable[..., Any], report: Report) -> None:
    """By turns, each time in another snapshot: a folder that was shown is kept."""
    folder = str(agent.source / "folder")
    alone, shown = [], []
    for snapshot in snapshots:
        alone.append(_seconds(partial(agent.restic, "ls", "--json", "--no-lock", snapshot, folder))[0])
        seconds, page = _seconds(partial(ask, snapshot, folder, limit=_FOLDER))
        assert len(page["items"]) == _FOLDER
        shown.append(seconds)
    note = f"p50 of {_TIMES} by turns, through API, server and agent: {median(shown):.2f} s and {median(alone):.2f} s"
    ratio = median(shown) / median(alone)
    report(Figure("a folder of 1,000 entries, beside restic ls", ratio, "times", 1.3, 1.1, note=note))
    kept = [_seconds(partial(ask, snapshot, folder, limit=_FOLDER))[0] for snapshot in snapshots[-3:]]
    report(Figure("… shown a second time", median(kept) * 1000, "ms"))


def _large(agent: AgentProcess, snapshot: str, entries: int, ask: Callable[..., Any], report: Report) -> None:
    folder = str(agent.source / "large")
    alone, _ = _seconds(partial(agent.restic, "ls", "--json", "--no-lock", snapshot, folder))
    first, page = _seconds(partial(ask, snapshot, folder))
    pages, cursors, found = [], [], len(page["items"])
    while page["next_cursor"] is not None:
        cursors.append(page["next_cursor"])
        seconds, page = _seconds(partial(ask, snapshot, folder, cursor=cursors[-1]))
        pages.append(seconds)
        found += len(page["items"])
    assert found == entries, found
    note = f"of {entries:,}; restic alone takes {alone:.1f} s for all"
    report(Figure("first page of a large folder", first, "s", note=note))
    again = []
    for cursor in cursors[:: max(1, len(cursors) // 20)]:
        seconds, _ = _seconds(partial(ask, snapshot, folder, cursor=cursor))
        again.append(seconds)
    note = f"the slowest of {len(again)} all over it, {_PAGE} entries each"
    report(Figure("a page of it, once it is there", max(again) * 1000, "ms", 1000, 50, note=note))
    note = f"the slowest of {len(pages)} in order, from when the first was there"
    report(Figure("a page of it while it is read", max(pages) * 1000, "ms", note=note))
    highest = highest_resident_kib(agent.pid) / 1024
    report(Figure("memory of the agent at most", highest, "MiB", 100, 60, note="resident, all of this included"))


def _browse(client: httpx.Client, host_id: str, snapshot: str, path: str, **params: Any) -> Any:
    body = {"plan": "home", "snapshot": snapshot, "path": path, "limit": _PAGE} | params
    answer = client.post(f"/api/hosts/{host_id}/browse", json=body, timeout=120)
    assert answer.status_code == 200, answer.text
    return answer.json()


def _backup(agent: AgentProcess) -> str:
    """One more snapshot of the plan: its full id."""
    before = set(os.listdir(agent.repository / "snapshots"))
    agent.restic("backup", "-q", "--tag", "rmactors-plan:home", str(agent.source))
    (new,) = set(os.listdir(agent.repository / "snapshots")) - before
    return new


def _seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result
