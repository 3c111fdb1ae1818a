"""From a backup to the file in somebody's hands: a real server, agent and restic, and a browser that clicks."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from harness import running_server
from harness.agents import AgentProcess
from harness.processes import Server
from tests.conftest import PATIENCE_MS
from tests.restics import version_of

ODD = ["a\nb.txt", "[b]*?.txt", "-rf", " edge ", "x" * 255]


@pytest.fixture
def agent(server: Server, tmp_path: Path, each_restic: str) -> Iterator[AgentProcess]:
    """Of a host that lets itself be looked into, with a backup of letters and of odd names."""
    process = AgentProcess(server, tmp_path / "nas", "nas")
    target = tmp_path / "restored"
    target.mkdir(mode=0o700)
    rest = process.config.read_text().split("\n", 1)[1]
    process.config.write_text(
        f"restic = {json.dumps(each_restic)}\n"
        'allow = ["backup", "browse", "restore"]\n'
        f"restore_targets = [{json.dumps(str(target))}]\n{rest}"
    )
    (process.source / "odd").mkdir()
    for name in ODD:
        (process.source / "odd" / name).write_text(f"content of {name}")
    (process.source / "large").write_bytes(os.urandom(300_000))
    yield process
    process.end()


@pytest.fixture
def page(server: Server, browser: Browser) -> Iterator[Page]:
    """Of an operator, without JavaScript: what works so works with it."""
    server.admin("create-user", "--username", "olga", "--role", "operator", RM_PASSWORD=running_server.PASSWORD)
    context = browser.new_context(base_url=server.url, java_script_enabled=False)
    cookie = running_server.sign_in(server.url, "olga", running_server.PASSWORD)
    context.add_cookies([{"name": "rm", "value": cookie, "url": server.url}])
    opened = context.new_page()
    opened.set_default_timeout(PATIENCE_MS)
    yield opened
    context.close()


def open_folder(page: Page, path: Path) -> None:
    """From the root of a snapshot, folder by folder."""
    for part in path.parts[1:]:
        page.get_by_role("row").get_by_role("link", name=part, exact=True).click()


def test_files_are_found_restored_and_the_same_as_before(
    server: Server, agent: AgentProcess, page: Page, tmp_path: Path, each_restic: str
) -> None:
    host_id = agent.enroll()
    agent.start(host_id)
    first = agent.run_backup(host_id)
    assert first["status"] == "succeeded"
    (agent.source / "letter.txt").write_text("overwritten by mistake\n")
    (agent.source / "late.txt").write_text("new")
    assert agent.run_backup(host_id)["status"] == "succeeded"

    page.goto(f"/hosts/{host_id}")
    page.get_by_role("link", name="Browse and restore").click()
    expect(page.locator("table.pick tbody tr")).to_have_count(2)
    page.get_by_role("link", name=re.compile("^What changed")).click()
    expect(page.get_by_text("1 added")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="late.txt")).to_contain_text("Added")
    expect(page.get_by_role("row").filter(has_text="letter.txt")).to_contain_text("Changed")

    page.get_by_role("link", name="Snapshots").click()
    page.get_by_role("searchbox").fill("letter*")
    page.get_by_role("button", name="Find").click()
    versions = page.locator("tr[data-item]")
    expect(versions).to_have_count(2)
    versions.nth(1).get_by_role("button", name="Restore").click()
    page.get_by_label("New folder below it").fill("letter")
    restore(page, each_restic, 1)
    assert (tmp_path / f"restored/letter{agent.source}/letter.txt").read_text() == "worth keeping\n"

    page.goto(f"/jobs/{first['id']}")
    page.get_by_role("link", name="Browse this snapshot").click()
    open_folder(page, agent.source)
    page.get_by_label("Select odd", exact=True).check()
    page.get_by_label("Select large", exact=True).check()
    page.get_by_role("button", name="Restore selected").click()
    page.get_by_label("New folder below it").fill("more")
    restore(page, each_restic, len(ODD) + 1)
    restored = tmp_path / f"restored/more{agent.source}"
    assert (restored / "large").read_bytes() == (agent.source / "large").read_bytes()
    assert {each.name: each.read_text() for each in (restored / "odd").iterdir()} == {
        name: f"content of {name}" for name in ODD
    }
    assert not (restored / "letter.txt").exists(), "it was not selected"


def restore(page: Page, restic: str, files: int) -> None:
    """From the form to the end of the job."""
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", name="This will be restored")).to_be_visible()
    known = page.get_by_role("button", name=re.compile(f"^Restore {files} file"))
    if version_of(restic) >= (0, 17):
        expect(known).to_be_visible()
    page.get_by_role("button", name=re.compile("^Restore ")).click()
    page.wait_for_url(re.compile("/jobs/"))
    ended = page.locator(".lede .state").filter(has_text=re.compile("Succeeded|Failed|Partial"))
    while not ended.count():  # without scripts one reloads
        page.reload()
    expect(ended).to_have_text("Succeeded")
    expect(page.locator("dl.facts").filter(has_text="Files restored")).to_contain_text(f"Files restored{files}")
