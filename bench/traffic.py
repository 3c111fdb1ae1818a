"""What an open tab costs: bytes and requests, by Chromium's own network log, while a fleet reports.

Hosts with thirty days of runs, whole simulated agents, some of whose backups fail; a browser with a tab for each of the
pages that change most. Counted is what comes after each page is there and at rest: answers with their headers as they
came over the line, compressed, and the stream of events that the tabs share.
"""

import gc
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import trio
from playwright.sync_api import BrowserContext, Page, sync_playwright

from bench.figures import Figure
from bench.load import enrolled
from bench.process import cpu_seconds
from harness.chromium import CHROMIUM, DESKTOP, FLAGS
from harness.past_fleet import Scribe
from harness.processes import Server, away
from rmactors.common import clock
from rmactors.server.config.settings import Settings
from rmactors.simulate.agent import SimCredential
from rmactors.simulate.fleet import Fleet, Workload

PAGES = ("/hosts", "/", "/jobs")
REPORTS_A_SECOND = 5.0
MOST_MB_AN_HOUR = 20.0
_DAYS = 30
_PATIENCE_MS = 120_000


@dataclass
class Tab:
    """One page, and what the network log says of it. `bytes` are as they came over the line."""

    path: str
    page: Page
    bytes: int = 0
    requests: int = 0
    counting: bool = False
    _streams: set[str] = field(default_factory=set)

    def log(self, context: BrowserContext) -> None:
        session = context.new_cdp_session(self.page)
        session.on("Network.requestWillBeSent", self._sent)
        session.on("Network.dataReceived", self._received)
        session.on("Network.loadingFinished", self._finished)
        session.send("Network.enable")

    def _sent(self, event: dict[str, Any]) -> None:
        if "/events" in event["request"]["url"]:
            self._streams.add(event["requestId"])
        elif self.counting:
            self.requests += 1

    def _received(self, event: dict[str, Any]) -> None:
        """Of a stream, which does not end; of what ends, the end says how much it was."""
        if self.counting and event["requestId"] in self._streams:
            self.bytes += int(event["encodedDataLength"] or event["dataLength"])

    def _finished(self, event: dict[str, Any]) -> None:
        if self.counting and event["requestId"] not in self._streams:
            self.bytes += int(event["encodedDataLength"])


async def measure(folder: Path, hosts: int, seconds: float, report: Callable[[Figure], None]) -> None:
    server = Server(folder)
    try:
        await away(server.start)
        credentials = await enrolled(server, hosts, "host")
        await away(server.stop)
        await away(partial(_write_past, server, credentials))
        await away(server.start)
        fleet = Fleet(server.agent_url, credentials, Workload(REPORTS_A_SECOND, 0.05, 100))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fleet.run)
            while fleet.connected < hosts:  # noqa: ASYNC110 - counted, not told
                await trio.sleep(0.1)
            await away(partial(_browse, server, seconds, fleet, report))
            fleet.stop_reporting()
            nursery.cancel_scope.cancel()
        server.must_live()
    finally:
        if server.running:
            server.kill()


def _write_past(server: Server, credentials: list[SimCredential]) -> None:
    scribe = Scribe(Settings(data_dir=str(server.data_dir)))
    for n, credential in enumerate(credentials):
        nightly = scribe.schedule(credential.host_id, "Nightly home", f"{n % 60} 2 * * *")
        for ago in range(_DAYS - 1, 0, -1):
            how = "failed" if (n + ago) % 50 == 0 else "succeeded"
            scribe.job(credential.host_id, nightly, how, ago * clock.DAY - clock.HOUR)
    scribe.close()
    gc.collect()


def _browse(server: Server, seconds: float, fleet: Fleet, report: Callable[[Figure], None]) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        context = browser.new_context(
            viewport={"width": DESKTOP, "height": 900},
            extra_http_headers={"Authorization": f"Bearer {server.token}"},
        )
        tabs = [_open(context, server.url, path) for path in PAGES]
        fleet.take_window()
        cpu = cpu_seconds(server.pid)
        for tab in tabs:
            tab.counting = True
        tabs[0].page.wait_for_timeout(seconds * 1000)
        for tab in tabs:
            tab.counting = False
        cpu, window = cpu_seconds(server.pid) - cpu, fleet.take_window()
        for tab in tabs:
            rows = tab.page.locator("[data-item]").count()
            hourly = tab.bytes / seconds * 3600 / 1e6
            note = f"{tab.requests} requests and {tab.bytes:,} bytes in {seconds:.0f} s, {rows} rows on the page"
            report(Figure(f"an open tab of {tab.path}", hourly, "MB an hour", MOST_MB_AN_HOUR, note=note))
            pace = tab.requests / seconds
            report(
                Figure(f"requests of a tab of {tab.path}", pace, "/s", 0.5 + 2 / seconds, note="the stream is apart")
            )
        browser.close()
    note = f"of {window.acked:,} reports, {window.acked / seconds:.1f}/s"
    report(Figure("report → ack beside the tabs, p50", window.percentile(0.5), "ms", note=note))
    report(Figure("report → ack beside the tabs, p99", window.percentile(0.99), "ms"))
    report(Figure("CPU of the server", cpu / seconds * 100, "% of a core"))


def _open(context: BrowserContext, url: str, path: str) -> Tab:
    page = context.new_page()
    page.set_default_timeout(_PATIENCE_MS)
    tab = Tab(path, page)
    tab.log(context)
    with page.expect_response(lambda answer: answer.request.resource_type in ("fetch", "xhr")):
        page.goto(url + path)  # what it fetches first is all of it
    return tab
