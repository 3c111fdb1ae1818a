"""A job that runs while somebody watches: asked for on a page, taken on by an agent, its progress and its output as
they come, called off; and what becomes of it."""

import re
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from harness.live_agent import LiveAgent
from harness.webhook_sink import webhook_sink
from rmactors.common import clock, ids
from tests.browser.conftest import SCRIPT, Site, Visit


@pytest.fixture
def agent(site: Site) -> Iterator[LiveAgent]:
    """nas1 is there."""
    with LiveAgent(site.server, site.past.hosts["nas1"], site.past.schedules["nas1"]) as connected:
        yield connected


def now() -> str:
    return clock.to_rfc3339(clock.now())


def start_a_backup(page: Page, site: Site, agent: LiveAgent) -> str:
    """By hand on the host's page; the id of the job that the agent was given."""
    page.goto(f"/hosts/{site.past.hosts['nas1']}")
    page.get_by_role("button", name="Run Nightly home now").click()
    page.wait_for_url(re.compile("/jobs/"))
    asked = agent.receive("run_job")
    job_id: str = asked["job_id"]
    assert page.url.endswith(job_id)
    assert asked["schedule_id"] == site.past.schedules["nas1"]
    return job_id


def begin(agent: LiveAgent, job_id: str) -> str:
    began = now()
    agent.report(
        type="job_started", job_id=job_id, kind="backup", plan="home", schedule_id=agent.schedule, started_at=began
    )
    return began


def end(agent: LiveAgent, job_id: str, began: str, status: str, reason: str, **more: object) -> None:
    agent.report(
        type="job_finished", job_id=job_id, kind="backup", plan="home", schedule_id=agent.schedule, status=status,
        reason=reason, exit_code=0 if status == "succeeded" else 1, started_at=began, finished_at=now(), **more,
    )  # fmt: skip


def test_progress_and_output_of_a_running_job_are_seen_as_they_come(site: Site, visit: Visit, agent: LiveAgent) -> None:
    visitor = visit("operator")
    page = visitor.page()
    job_id = start_a_backup(page, site, agent)
    expect(page.get_by_text("Waiting for the host.")).to_be_visible()
    began = begin(agent, job_id)
    expect(page.locator(".lede .state")).to_have_text("Running")
    agent.send(
        type="job_progress", job_id=job_id, percent=62.4, files_done=1200, files_total=4000,
        bytes_done=11_000_000_000, bytes_total=18_000_000_000, eta_seconds=250,
    )  # fmt: skip
    bar = page.get_by_role("progressbar")
    expect(bar).to_have_attribute("value", "62")
    expect(page.get_by_text("62 % · 11.0 GB of 18.0 GB · 1,200 files · 4 min left")).to_be_visible()
    first = [{"stream": "stdout", "text": f"line {n}"} for n in range(100)]
    agent.send(type="job_log", job_id=job_id, first_line=0, lines=first)
    log = page.get_by_role("log")
    expect(log).to_contain_text("line 99")
    assert Axe().run(page).violations_count == 0
    assert at_the_end(page)
    agent.send(type="job_log", job_id=job_id, first_line=100, lines=[{"stream": "stderr", "text": "no such file"}])
    expect(log.locator(".err")).to_have_text("no such file")
    assert at_the_end(page), "the log follows what comes"

    watching = visit("viewer").open("/")
    expect(watching.locator("#host-list").get_by_role("row", name="nas1")).to_contain_text("Backing up · 62 %")
    end(agent, job_id, began, "succeeded", "ok", stats={"bytes_total": 450_000_000_000, "files_new": 7})
    expect(page.locator(".lede .state")).to_have_text("Succeeded")
    expect(page.get_by_text("450 GB · 7 new files").first).to_be_visible()
    expect(bar).to_have_count(0)
    expect(page.get_by_role("img", name=re.compile(r"Size of \d+ backups: .*, the newest 450 GB"))).to_be_visible()
    expect(watching.locator("#host-list").get_by_role("row", name="nas1")).to_contain_text("Online")


def at_the_end(page: Page) -> bool:
    found: bool = page.evaluate(
        "(() => { const log = document.querySelector('[data-follow]');"
        " return log.scrollHeight - log.scrollTop - log.clientHeight < 40; })()"
    )
    return found


@SCRIPT
def test_a_running_job_is_called_off_and_run_again(site: Site, visit: Visit, agent: LiveAgent, script: bool) -> None:
    page = visit("operator", script=script).page()
    job_id = start_a_backup(page, site, agent)
    began = begin(agent, job_id)
    page.reload()
    page.get_by_role("button", name="Cancel job").click()
    expect(page.locator(".lede .state")).to_have_text("Cancelling")
    assert agent.receive("cancel_job")["job_id"] == job_id
    end(agent, job_id, began, "cancelled", "cancelled")
    if not script:
        page.reload()
    expect(page.locator(".lede .state")).to_have_text("Cancelled")
    page.get_by_role("button", name="Run again").click()
    page.wait_for_url(lambda url: not url.endswith(job_id))
    again = agent.receive("run_job")
    assert (again["kind"], again["schedule_id"]) == ("backup", site.past.schedules["nas1"])
    end(
        agent, again["job_id"], begin(agent, again["job_id"]), "failed", "wrong_password", error="Fatal: wrong password"
    )
    if not script:
        page.reload()
    expect(page.locator("main")).to_contain_text("Wrong password.")
    expect(page.locator("main")).to_contain_text("Fatal: wrong password")


def test_an_alert_that_a_job_raises_reaches_title_badge_and_icon_of_an_open_page(
    site: Site, visit: Visit, agent: LiveAgent
) -> None:
    page = visit("operator").page()
    end_of_last = start_a_backup(page, site, agent)
    end(agent, end_of_last, begin(agent, end_of_last), "succeeded", "ok")
    page.goto("/jobs")
    expect(page.locator("html[data-listens=true]")).to_have_count(1)
    count = int(page.locator("#badge").get_attribute("data-open") or "")
    job_id = agent_runs_on_its_own(agent)
    expect(page.locator(f"#job-{job_id}")).to_contain_text("Failed")
    expect(page.locator("#badge")).to_have_attribute("data-open", str(count + 1))
    expect(page).to_have_title(re.compile(rf"^\({count + 1}\) Jobs"))


@SCRIPT
def test_the_timeline_tells_who_was_told_and_what_was_given_up_is_sent_again(
    site: Site, visit: Visit, agent: LiveAgent, script: bool
) -> None:
    visitor = visit("admin", script=script)
    with webhook_sink() as sink:
        sink.status = 410
        channel = {"kind": "webhook", "name": "ops", "config": {"url": sink.url}, "events": ["alert.raised"]}
        ours = {"Sec-Fetch-Site": "same-origin"}
        made = visitor.context.request.post("/api/notifications", data=channel, headers=ours).json()
        plan = "with script" if script else "without script"
        agent_runs_on_its_own(agent, plan)
        page = visitor.open("/alerts?status=open&kind=backup_failed")
        page.get_by_role("link", name=f"Backup failed: {plan} on ").click()
        timeline = page.locator(".timeline")
        if script:
            expect(timeline).to_contain_text("Not delivered to ops")
        else:
            reload_until(page, "Not delivered to ops")
        expect(timeline).to_contain_text(re.compile(r"410 in \d+ ms"))
        sink.status = 204
        timeline.get_by_role("button", name="Send again").click()
        if script:
            expect(timeline).to_contain_text("Delivered to ops")
        else:
            reload_until(page, "Delivered to ops")
        expect(timeline).to_contain_text(re.compile(r"204 in \d+ ms"))
        gone = visitor.context.request.delete(f"/api/notifications/{made['id']}", headers=ours)
        assert gone.ok


def reload_until(page: Page, text: str) -> None:
    """For a browser that hears of nothing by itself."""
    for _ in range(40):
        if text in page.locator("main").inner_text():
            return
        page.wait_for_timeout(100)
        page.reload()
    raise AssertionError(f"{text} is not there:\n{page.locator('main').inner_text()}")


def agent_runs_on_its_own(agent: LiveAgent, plan: str = "attic") -> str:
    """A backup of another plan, which fails."""
    job_id, at = ids.new(), now()
    agent.report(type="job_started", job_id=job_id, kind="backup", plan=plan, started_at=at)
    agent.report(
        type="job_finished", job_id=job_id, kind="backup", plan=plan, status="failed", reason="no_repository",
        exit_code=10, started_at=at, finished_at=now(), stats={},
    )  # fmt: skip
    return job_id
