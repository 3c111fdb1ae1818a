"""Pictures of the main pages, light and dark, wide and on a phone, into `docs/screenshots/`.

    python -m bench.screenshots

A real server with the fleet of the browser tests in it, one host of which is there and at work, and a webhook that gets
what it raises; Debian's Chromium. `--pages` and `--out` for a closer look.
"""

import argparse
import tempfile
from pathlib import Path

from playwright._impl._api_structures import SetCookieParam
from playwright.sync_api import Browser, sync_playwright

from harness import past_fleet, running_server
from harness.chromium import CHROMIUM, DESKTOP, FLAGS, PHONE
from harness.live_agent import LiveAgent
from harness.past_fleet import Past
from harness.running_server import PASSWORD, RunningServer
from harness.webhook_sink import Sink, webhook_sink
from rmactors.common import clock, ids

ROOT = Path(__file__).resolve().parent.parent

MAIN = {
    "dashboard": "/",
    "alerts": "/alerts",
    "alert": "/alerts/{alerts[now]}",
    "host": "/hosts/{hosts[db-primary]}",
    "job": "/jobs/{jobs[now]}",
    "channel": "/settings/notifications/new",
}
MORE = {
    "hosts": "/hosts",
    "hosts-by-tag": "/hosts?group=tag",
    "calendar": "/calendar",
    "calendar-week": "/calendar?range=7d",
    "add-host": "/hosts/new",
    "schedule": "/hosts/{hosts[mail]}/schedules/new",
    "jobs": "/jobs",
    "failed-job": "/jobs/{jobs[check]}",
    "silences": "/silences",
    "notifications": "/settings/notifications",
    "users": "/settings/users",
    "authentication": "/settings/authentication",
    "audit": "/audit",
    "backups": "/backups",
    "repositories": "/repositories",
    "repository": "/repositories/{repositories[shared]}",
}
LOOKS = {
    "light": (DESKTOP, 800, "light"),
    "dark": (DESKTOP, 800, "dark"),
    "phone": (PHONE, 844, "light"),
    "phone-dark": (PHONE, 844, "dark"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "screenshots")
    parser.add_argument("--pages", help=f"comma separated: {', '.join({**MAIN, **MORE})}")
    parser.add_argument("--looks", default="light,dark,phone", help=f"comma separated: {', '.join(LOOKS)}")
    parser.add_argument("--whole", action="store_true", help="the whole page, not only what fits the screen")
    given = parser.parse_args()
    pages = {name: {**MAIN, **MORE}[name] for name in given.pages.split(",")} if given.pages else MAIN
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        settings = running_server.settings_for(Path(folder) / "data")
        past = past_fleet.write(settings)
        running_server.make_user(settings, "dana", "admin")
        running = running_server.run(settings)
        host = LiveAgent(running, past.hosts["web-01"], past.schedules["web-01"])
        try:
            with sync_playwright() as playwright, webhook_sink() as sink, host as agent:
                browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
                cookie: SetCookieParam = {
                    "name": "rm", "value": running_server.sign_in(running.url, "dana", PASSWORD), "url": running.url,
                }  # fmt: skip
                act(browser, running, cookie, sink, agent, past)
                for look in given.looks.split(","):
                    take(browser, running, cookie, past, pages, look, given.out, whole=given.whole)
                browser.close()
        finally:
            running.stop()


def act(
    browser: Browser, running: RunningServer, cookie: SetCookieParam, sink: Sink, agent: LiveAgent, past: Past
) -> None:
    """A channel, a backup that fails and is told there, and another one that goes on while the pictures are taken."""
    context = browser.new_context(base_url=running.url)
    context.add_cookies([cookie])
    channel = {"kind": "webhook", "name": "ops-webhook", "config": {"url": sink.url}}
    ours = {"Sec-Fetch-Site": "same-origin"}
    assert context.request.post("/api/notifications", data=channel, headers=ours).ok
    past.jobs["failed"], past.jobs["now"] = ids.new(), ids.new()
    began = clock.to_rfc3339(clock.now() - 3 * clock.SECOND)
    whose = {"kind": "backup", "schedule_id": agent.schedule, "plan": "home", "started_at": began}
    agent.report(type="job_started", job_id=past.jobs["failed"], **whose)
    agent.report(
        type="job_finished", job_id=past.jobs["failed"], status="failed", reason="no_repository", exit_code=1, stats={},
        error="Fatal: unable to open config file: dial tcp 192.0.2.7:8000: connect: connection refused",
        finished_at=clock.to_rfc3339(clock.now()), **whose,
    )  # fmt: skip
    (raised,) = context.request.get(f"/api/alerts?host_id={past.hosts['web-01']}").json()["items"]
    past.alerts["now"] = raised["id"]
    page = context.new_page()
    page.goto(f"/alerts/{raised['id']}")
    page.locator(".timeline").get_by_text("Delivered").wait_for()
    agent.report(type="job_started", job_id=past.jobs["now"], **whose)
    agent.send(
        type="job_progress", job_id=past.jobs["now"], percent=62, files_done=1240, files_total=2000,
        bytes_done=1_500_000_000, bytes_total=2_400_000_000, eta_seconds=41,
    )  # fmt: skip
    said = [
        "open repository",
        "lock repository",
        "using parent snapshot 5f1c90ab",
        "load index files",
        "start scan",
        "start backup",
    ]
    lines = [{"stream": "stdout", "text": text} for text in said]
    agent.send(type="job_log", job_id=past.jobs["now"], first_line=0, lines=lines)
    page.goto(f"/jobs/{past.jobs['now']}")
    page.get_by_role("log").get_by_text(said[-1]).wait_for()
    page.get_by_role("progressbar").wait_for()
    context.close()


def take(
    browser: Browser, running: RunningServer, cookie: SetCookieParam, past: Past, pages: dict[str, str], look: str,
    out: Path, *, whole: bool,
) -> None:  # fmt: skip
    """One picture of each page in one look."""
    width, height, scheme = LOOKS[look]
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if scheme == "dark" else "light",
        base_url=running.url, reduced_motion="reduce",
    )  # fmt: skip
    context.add_cookies([cookie])
    page = context.new_page()
    for name, path in pages.items():
        page.goto(path.format(**vars(past)))
        page.evaluate("document.querySelector('.notice')?.remove()")  # about this server, not about the page
        if name == "channel":
            page.get_by_label("Name", exact=True).fill("ops-webhook")
            with page.expect_response("**/preview"):
                page.get_by_label("URL").fill("https://hooks.example.org/backups")
            page.wait_for_selector("#preview pre")
        page.screenshot(path=out / (f"{name}.png" if look == "light" else f"{name}-{look}.png"), full_page=whole)
    context.close()


if __name__ == "__main__":
    main()
