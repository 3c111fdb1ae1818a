"""From nothing to 40 hosts with four policies, as a new user does it. What is clicked is counted by the browser.

Ten of the hosts are real agents, the others protocol-true ones in one process.
"""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Response, expect

from harness.agents import AgentProcess
from harness.processes import COMMAND, Server, environment, eventually
from harness.running_server import PASSWORD
from tests.conftest import PATIENCE_MS

REAL, HOSTS = 10, 40
MOST_CLICKS = 14
COUNT_CLICKS = """addEventListener("click", (event) => {
  if (event.isTrusted) sessionStorage.setItem("clicks", Number(sessionStorage.getItem("clicks") ?? 0) + 1);
}, true);"""
"""Also what Enter does in a form: the browser makes a click of it."""
SOON_MS = PATIENCE_MS * 2
POLICIES = (
    ("Nightly backup", "backup", "0 1 * * *", "240"),
    ("Forget old snapshots", "forget", "0 6 * * *", "60"),
    ("Weekly check", "check", "0 8 * * 6", "600"),
    ("Monthly prune", "prune", "0 8 1 * *", "600"),
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "server")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def page(server: Server, browser: Browser) -> Iterator[Page]:
    context = browser.new_context(base_url=server.url, viewport={"width": 1280, "height": 900})
    context.add_init_script(COUNT_CLICKS)
    context.set_default_timeout(PATIENCE_MS)
    yield context.new_page()
    context.close()


def real_agents(server: Server, folder: Path, token: str) -> list[AgentProcess]:
    token_file = folder / "token"
    token_file.write_text(f"{token}\n")
    agents = []
    for number in range(REAL):
        agent = AgentProcess(server, folder / f"agent-{number}", f"real-{number}")
        asked = ("enroll", "--server", server.agent_url, "--token-file", str(token_file), "--name", agent.name)
        done = agent.command(*asked)
        assert done.returncode == 0, done.stderr
        agent.spawn()
        agents.append(agent)
    return agents


def simulated_agents(server: Server, folder: Path, token: str) -> subprocess.Popen[bytes]:
    tokens = folder / "tokens"
    tokens.write_text(f"{token}\n" * (HOSTS - REAL))
    return subprocess.Popen(
        [
            *COMMAND, "simulate", "--agents", str(HOSTS - REAL), "--server", server.agent_url,
            "--enrollment-tokens-file", str(tokens), "--hosts-file", str(folder / "hosts.jsonl"), "--report-rate", "0",
        ],
        env=environment({}), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
    )  # fmt: skip


def sent(answer: Response) -> str:
    """The form with which it was asked for."""
    return answer.request.post_data or ""


def test_a_new_user_has_forty_hosts_under_four_policies_in_few_clicks(
    server: Server, page: Page, tmp_path: Path
) -> None:
    page.goto("/")
    page.get_by_label("Setup token").fill((server.data_dir / "setup-token").read_text().strip())
    page.get_by_label("User name").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create administrator").click()

    page.get_by_role("link", name="Add a host").click()
    page.get_by_label("Number of hosts").fill(str(HOSTS))
    page.get_by_label("Tags").fill("prod")
    page.get_by_role("button", name="Create enrollment token").click()
    token = (page.locator("#token").text_content() or "").strip()

    agents = real_agents(server, tmp_path, token)
    simulation = simulated_agents(server, tmp_path, token)
    try:
        expect(page.locator("#arrived").get_by_role("link").first).to_be_visible(timeout=SOON_MS)  # the newest 20
        eventually(lambda: len(server.all_items("/api/hosts")) == HOSTS, SOON_MS / 1000, lambda: "not all enrolled")
        page.get_by_role("link", name="Policies").first.click()
        for name, kind, cron, spread in POLICIES:
            page.get_by_role("link", name="New policy").click()
            page.get_by_label("Name").fill(name)
            page.get_by_label("Hosts tagged").fill("prod")
            page.get_by_label("What").select_option(kind)
            page.get_by_label("When (cron)").fill(cron)
            with page.expect_response(lambda answer, last=spread: f"spread_minutes={last}" in sent(answer)):
                page.get_by_label("Spread over (minutes)").fill(spread)
            expect(page.locator("#policy-change.htmx-request")).to_have_count(0)  # what is shown is of all fields
            expect(page.get_by_text(f"{HOSTS} hosts")).to_be_visible(timeout=SOON_MS)
            page.get_by_role("button", name="Save policy").click()
            expect(page).to_have_url(re.compile(r"/policies/[0-9A-Z]{26}\b"))
            expect(page.get_by_text("Saved.", exact=True)).to_be_visible()
        clicks = int(page.evaluate("sessionStorage.getItem('clicks')"))
        assert clicks <= MOST_CLICKS
        hosts = server.all_items("/api/hosts")
        assert len(hosts) == HOSTS
        assert {host["name"] for host in hosts if host["name"].startswith("real-")} == {a.name for a in agents}
        for host in hosts:
            assert sorted(schedule["name"] for schedule in host["schedules"]) == sorted(name for name, *_ in POLICIES)
        for agent in agents:
            [host] = [host for host in hosts if host["name"] == agent.name]
            assert server.ask("GET", f"/api/hosts/{host['id']}")["status"] == "online"
        ended = agents[0].run_backup(next(host["id"] for host in hosts if host["name"] == agents[0].name))
        assert ended["status"] == "succeeded"
    finally:
        simulation.terminate()
        simulation.wait()
        for agent in agents:
            agent.end()
