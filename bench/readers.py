"""Who looks on while a fleet reports: open tabs, which fetch as `web/static/live.js` does, and a Prometheus."""

import random
import time
from dataclasses import dataclass, field

import httpx
import trio

from harness.processes import Server
from rmactors.server.web.live_parts import LINES

TABS = (("/", "overview"), ("/hosts", "host-list"), ("/jobs", "job-list"), ("/alerts", "alert-list"), ("/", "overview"))
"""Page and part of each."""
SCRAPE_SECONDS = 15.0
_PAUSE_SECONDS = 2.0
_SPREAD = 0.25
_SHARE = 10
_LONGEST_PAUSE_SECONDS = 30.0


@dataclass
class Seen:
    """How long answers took, in milliseconds, and how many bytes they had."""

    scrapes: list[float] = field(default_factory=list)
    fetches: list[float] = field(default_factory=list)
    bytes: int = 0


async def look_on(server: Server, seen: Seen) -> None:
    """Until cancelled."""
    async with server.client() as client, trio.open_nursery() as nursery:
        nursery.start_soon(_scrape, client, seen)
        for path, part in TABS:
            nursery.start_soon(_tab, client, path, part, seen)


async def _scrape(client: httpx.AsyncClient, seen: Seen) -> None:
    while True:
        await trio.sleep(SCRAPE_SECONDS)
        began = time.perf_counter()
        (await client.get("/metrics", headers={"Accept-Encoding": "gzip"})).raise_for_status()
        seen.scrapes.append((time.perf_counter() - began) * 1000)


async def _tab(client: httpx.AsyncClient, path: str, part: str, seen: Seen) -> None:
    changed = trio.Event()

    async def listen() -> None:
        nonlocal changed
        async with client.stream("GET", "/events", params={"badge": "1"}, timeout=None) as stream:
            async for _ in stream.aiter_bytes():
                changed.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(listen)
        tag = ""
        while True:
            await changed.wait()
            changed = trio.Event()
            headers = {"HX-Request": "true", "HX-Target": part, "Accept": f"{LINES}, text/html", "If-None-Match": tag}
            began = time.perf_counter()
            answer = await client.get(path, headers=headers)
            took = time.perf_counter() - began
            seen.fetches.append(took * 1000)
            seen.bytes += int(answer.headers.get("Content-Length", 0))
            tag = answer.headers.get("ETag", tag)
            pause = min(max(_PAUSE_SECONDS, _SHARE * took), _LONGEST_PAUSE_SECONDS) * random.uniform(1, 1 + _SPREAD)
            await trio.sleep(pause - took)
