"""Looking into backups and restoring from them by hand in a browser; a host's agent answers while one waits."""

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from functools import partial
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from harness.asked_agent import Answer, AskedAgent
from rmactors.common import clock
from tests.browser.conftest import SCRIPT, Site, Visit
from tests.browser.test_pages_accessible import Examiner

NEW, MIDDLE, OLD = "c" * 64, "b" * 64, "a" * 64
HOURS = {NEW: 8, MIDDLE: 32, OLD: 56}
TWINS = ["caf\ufffd", "caf\ufffd"]
ODD = [
    "a\nb.txt",
    r"a\nb.txt",
    "exe\u202egpj.scr",
    "tab\there",
    "x" * 255,
    "-rf",
    "[b]*?",
    " edge ",
    "<b>bold<b>",
    *TWINS,
]
TREE = {"/": ["home", "many"], "/many": [], "/home": ["sam", *ODD], "/home/sam": ["report.pdf"]}
MANY = 1200
SECRET = "report"
"""Part of a name that must be found nowhere on the server."""

Connect = Callable[..., AbstractContextManager[AskedAgent]]


def ago(hours: float) -> str:
    return clock.to_rfc3339(clock.now() - round(hours * clock.HOUR))


def snapshot(id_: str) -> dict[str, Any]:
    sizes = {} if id_ == OLD else {"files": 1204, "bytes": 18_200_000_000, "added_bytes": 5_000_000}
    return {
        "id": id_, "short_id": id_[:8], "time": ago(HOURS[id_]), "plan": "home", "paths": ["/home", "/etc"],
        "tags": ["nightly"], "hostname": "nas1.lan", "program_version": "restic 0.18.0", **sizes,
    }  # fmt: skip


def entry(folder: str, name: str) -> dict[str, Any]:
    path = f"{folder.rstrip('/')}/{name}"
    is_folder = path in TREE
    return {
        "name": name, "path": path, "type": "dir" if is_folder else "file", "size": None if is_folder else 1234,
        "mtime": ago(100),
    }  # fmt: skip


def hit(id_: str, size: int, changed: str) -> dict[str, Any]:
    return {
        "snapshot": id_, "time": ago(HOURS[id_]), "path": "/home/sam/report.pdf", "type": "file", "size": size,
        "mtime": changed,
    }  # fmt: skip


def answer(kind: str, params: dict[str, Any]) -> Answer:
    match kind, params.get("path"):
        case "snapshots", _:
            return [snapshot(each) for each in (NEW, MIDDLE, OLD)]
        case "browse", "/many":
            begin = int(params.get("cursor", 0))
            end = min(begin + params["limit"], MANY)
            found = [entry("/many", f"file {n}") for n in range(begin, end)]
            return {"ok": True, "items": found, "next_cursor": str(end) if end < MANY else None}
        case "browse", path if path in TREE:
            return [entry(str(path), name) for name in TREE[str(path)]]
        case "browse", _:
            return {"ok": False, "code": "not_found", "error": "the snapshot has no such folder"}
        case "find", _:
            before = ago(60)  # the same file in both, to the millisecond
            return [hit(NEW, 30_000, ago(10)), hit(MIDDLE, 20_000, before), hit(OLD, 20_000, before)]
        case "diff", _:
            return [
                {"path": "/home/new", "change": "added"}, {"path": "/home/sam/report.pdf", "change": "modified"},
                {"path": "/etc/gone", "change": "removed"},
            ]  # fmt: skip
        case "preview", _:
            return [{
                "snapshot": NEW, "files": 3, "bytes": 4000, "into": params["target"], "free_bytes": 80_000_000_000
            }]  # fmt: skip
    raise AssertionError(kind)


def slow(kind: str, params: dict[str, Any]) -> Answer:
    return None if kind == "browse" else answer(kind, params)


def always(said: dict[str, Any]) -> Callable[[str, dict[str, Any]], Answer]:
    return lambda _kind, _params: said


@pytest.fixture
def connect(site: Site) -> Connect:
    """`with connect(answer) as agent`: nas1 is there."""
    return partial(AskedAgent, site.server, site.past.hosts["nas1"], site.past.schedules["nas1"])


@pytest.fixture
def agent(connect: Connect) -> Iterator[AskedAgent]:
    with connect(answer) as connected:
        yield connected


def home(site: Site) -> str:
    return f"/hosts/{site.past.hosts['nas1']}"


def names(page: Page) -> list[str]:
    return page.locator("table.pick .name").all_inner_texts()


@SCRIPT
def test_files_are_found_by_folder_chosen_previewed_and_restored(
    site: Site, visit: Visit, agent: AskedAgent, script: bool
) -> None:
    visitor = visit("operator", script=script)
    page = visitor.open(home(site))
    page.get_by_role("link", name="Browse and restore").click()
    newest = page.get_by_role("row").filter(has_text="cccccccc")
    expect(newest).to_contain_text("8 h ago")
    expect(newest).to_contain_text("18.2 GB")
    expect(newest).to_contain_text("5.0 MB")
    page.get_by_role("link", name="Browse cccccccc").click()
    expect(page.locator(".lede")).to_contain_text("Snapshot created 8 h ago")
    page.get_by_role("link", name="home", exact=True).click()
    page.get_by_role("link", name="sam").click()
    expect(page.get_by_role("navigation", name="Folder")).to_have_text("/home / sam")
    page.get_by_role("link", name="home", exact=True).click()
    page.get_by_label("Select sam", exact=True).check()
    page.get_by_label(r"Select a\nb.txt", exact=True).first.check()
    page.get_by_role("button", name="Restore selected").click()
    expect(page.get_by_role("group", name="What").locator("li")).to_have_count(2)
    expect(page.get_by_label("Into")).to_have_value("/srv/restore")
    page.get_by_label("New folder below it").fill("../etc")
    page.get_by_role("button", name="Continue").click()
    expect(page.locator("#e-folder")).to_be_visible()
    visitor.console.clear()
    page.get_by_label("New folder below it").fill("back")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", name="This will be restored")).to_be_visible()
    expect(page.locator("main dl.facts")).to_contain_text("4.0 kB")
    expect(page.locator("main dl.facts")).to_contain_text("/srv/restore/back")
    expect(page.locator("main dl.facts")).to_contain_text("80.0 GB")
    page.get_by_role("button", name="Restore 3 files").click()
    page.wait_for_url(re.compile("/jobs/"))
    job = agent.receive("run_job")
    assert page.url.endswith(job["job_id"])
    assert (job["kind"], job["params"]) == ("restore", {
        "plan": "home", "snapshot": NEW, "include": ["/home/sam", "/home/a\nb.txt"], "target": "/srv/restore/back",
    })  # fmt: skip
    restored(agent, job["job_id"])
    page.reload()
    expect(page.get_by_text("Succeeded")).to_be_visible()
    statistics = page.get_by_role("region", name="Statistics")
    expect(statistics).to_contain_text("Files restored3")
    expect(statistics).to_contain_text("/srv/restore/back")


def restored(agent: AskedAgent, job_id: str) -> None:
    began = clock.to_rfc3339(clock.now())
    agent.report(
        type="job_finished", job_id=job_id, kind="restore", plan="home", schedule_id=None, status="succeeded",
        reason="ok", exit_code=0, started_at=began, finished_at=clock.to_rfc3339(clock.now()),
        stats={"files_restored": 3, "bytes_restored": 4000, "restored_into": "/srv/restore/back"},
    )  # fmt: skip


@SCRIPT
def test_a_selection_can_be_changed_after_the_preview(
    site: Site, visit: Visit, agent: AskedAgent, script: bool
) -> None:
    visitor = visit("operator", script=script)
    page = visitor.open(f"{home(site)}/snapshots/{NEW}?plan=home")
    page.get_by_role("link", name="Restore this snapshot").click()
    expect(page.get_by_text("Everything in the snapshot")).to_be_visible()
    page.goto(f"{home(site)}/snapshots/{NEW}?plan=home")
    page.get_by_label("Select home").check()
    page.get_by_role("button", name="Restore selected").click()
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Change").click()
    expect(page.get_by_role("checkbox", name="/home")).to_be_checked()
    page.get_by_role("checkbox", name="/home").uncheck()
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was selected")
    visitor.console.clear()


@SCRIPT
def test_nothing_selected_is_not_the_whole_snapshot(site: Site, visit: Visit, agent: AskedAgent, script: bool) -> None:
    visitor = visit("operator", script=script)
    page = visitor.open(f"{home(site)}/snapshots/{NEW}?plan=home")
    page.get_by_role("button", name="Restore selected").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was selected")
    expect(page.get_by_role("button", name="Continue")).to_have_count(0)
    visitor.console.clear()


def test_odd_names_are_shown_harmless_and_each_differently(site: Site, visit: Visit, agent: AskedAgent) -> None:
    page = visit("operator").open(f"{home(site)}/snapshots/{NEW}?plan=home")
    page.get_by_role("link", name="home", exact=True).click()
    rows = page.locator("table.pick .name")
    expect(rows).to_have_count(len(ODD) + 1)
    looks = {each.inner_html() for each in rows.all()}
    assert len(looks) == len(ODD) + 1 - 1, "all but the twins"
    expect(page.get_by_text("2 entries share a name")).to_be_visible()
    expect(page.locator(".odd[title='line feed (U+000A)'], .odd[title='U+000A']")).to_have_count(1)
    expect(page.locator(".odd", has_text="U+202E")).to_have_count(1)
    assert "\u202e" not in page.content()
    expect(page.locator("b")).to_have_count(0)


@SCRIPT
def test_a_large_folder_comes_in_pages(site: Site, visit: Visit, agent: AskedAgent, script: bool) -> None:
    page = visit("operator", script=script).open(f"{home(site)}/snapshots/{NEW}?plan=home")
    page.get_by_role("link", name="many").click()
    seen = []
    for begin in range(0, MANY, 500):
        rows = page.locator("table.pick .name")
        expect(rows.first).to_have_text(f"file {begin}")
        expect(rows).to_have_count(min(500, MANY - begin))  # a browser shows the first ones while others still come
        seen += names(page)
        if begin + 500 < MANY:
            page.get_by_role("link", name="Next").click()
    expect(page.get_by_role("link", name="Next")).to_have_count(0)
    assert seen == [f"file {n}" for n in range(MANY)]


@SCRIPT
def test_a_file_is_found_in_its_versions_and_one_of_them_restored(
    site: Site, visit: Visit, agent: AskedAgent, script: bool
) -> None:
    page = visit("operator", script=script).open(f"{home(site)}/snapshots")
    page.get_by_role("searchbox").fill("report*")
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_text("1 match in 3 snapshots")).to_be_visible()
    assert agent.asked[-1] == ("find", {"plan": "home", "pattern": "report*", "limit": 2000})
    expect(page.locator("tr[data-item]")).to_have_count(2)
    expect(page.locator("tr[data-item]").nth(1)).to_contain_text("in 2 snapshots")
    page.get_by_role("link", name="Folder of /home/sam/report.pdf in bbbbbbbb").click()
    expect(page.get_by_role("navigation", name="Folder")).to_have_text("/home / sam")
    page.go_back()
    page.get_by_role("button", name="Restore /home/sam/report.pdf from bbbbbbbb").click()
    expect(page.get_by_role("checkbox", name="/home/sam/report.pdf")).to_be_checked()
    expect(page.locator(".lede")).to_contain_text("From snapshot bbbbbbbb of plan home, on nas1. Created 1 d ago")


@SCRIPT
def test_what_changed_between_two_snapshots_is_a_list_with_counts(
    site: Site, visit: Visit, agent: AskedAgent, script: bool
) -> None:
    page = visit("operator", script=script).open(f"{home(site)}/snapshots")
    page.get_by_role("link", name="What changed in cccccccc").click()
    for words in ("1 added", "1 changed", "1 removed"):
        expect(page.get_by_text(words)).to_be_visible()
    assert agent.asked[-1][1] == {"plan": "home", "from": MIDDLE, "to": NEW, "limit": 500}
    page.get_by_role("navigation").get_by_role("link", name="Hosts")
    page.goto(f"{home(site)}/snapshots")
    page.get_by_label("Compare cccccccc").check()
    page.get_by_label("Compare aaaaaaaa").check()
    page.get_by_role("button", name="Compare the two selected").click()
    expect(page.get_by_role("row").filter(has_text="Removed")).to_contain_text("/etc/gone")
    assert agent.asked[-1][1] == {"plan": "home", "from": OLD, "to": NEW, "limit": 500}
    page.goto(f"{home(site)}/changes?plan=home")
    expect(page.get_by_role("alert")).to_contain_text("Choose two snapshots")


@SCRIPT
def test_a_slow_host_is_said_to_be_asked_at_once_and_can_be_called_off(
    site: Site, visit: Visit, connect: Connect, script: bool
) -> None:
    with connect(slow) as agent:
        page = visit("operator", script=script).page()
        page.goto(f"{home(site)}/snapshots/{NEW}?plan=home", wait_until="commit")
        expect(page.get_by_text("Asking nas1 …")).to_be_visible()
        asked = agent.receive("request")
        expect(page.locator(".waited")).to_have_css("--waited", re.compile("[1-9]"))
        page.get_by_role("link", name="Cancel").click()
        assert agent.receive("cancel_request")["request_id"] == asked["request_id"]
        expect(page.get_by_role("heading", level=1)).to_have_text("Snapshots")
        expect(page.get_by_role("row").filter(has_text="cccccccc")).to_be_visible()


def test_a_tab_that_is_closed_calls_its_question_off(site: Site, visit: Visit, connect: Connect) -> None:
    with connect(slow) as agent:
        page = visit("operator").page()
        page.goto(f"{home(site)}/snapshots/{NEW}?plan=home", wait_until="commit")
        asked = agent.receive("request")
        page.close()
        assert agent.receive("cancel_request")["request_id"] == asked["request_id"]


REFUSALS = {
    "not allowed": (
        {},
        ["nas1 does not let anybody look", 'allow = ["backup", "restore", "browse"]'],
    ),
    "busy": ({"ok": False, "code": "busy", "error": "another question is answered"}, ["nas1 is busy", "Try again"]),
    "broken": (
        {"ok": False, "code": "failed", "error": "wrong password or no key found"},
        ["nas1 could not read the repository", "wrong password or no key found", "Try again"],
    ),
}  # fmt: skip


@SCRIPT
@pytest.mark.parametrize("name", REFUSALS)
def test_a_host_that_does_not_answer_says_why_and_what_to_do(
    site: Site, visit: Visit, connect: Connect, script: bool, name: str
) -> None:
    refusal, words = REFUSALS[name]
    allow = ["backup", "restore"] if name == "not allowed" else ["browse"]
    with connect(always(refusal), allow=allow):
        page = visit("operator", script=script).open(f"{home(site)}/snapshots")
        for each in words:
            expect(page.get_by_role("alert")).to_contain_text(each)
        expect(page.get_by_text("Asking")).to_be_hidden()


@SCRIPT
def test_an_agent_that_is_too_old_or_away_says_so(site: Site, visit: Visit, connect: Connect, script: bool) -> None:
    page = visit("operator", script=script).open(f"{home(site)}/snapshots")
    expect(page.get_by_role("alert")).to_contain_text("nas1 is not connected")
    with connect(always({"type": "error", "code": "unknown_type"}), allow=None, restore_targets=None):
        page.goto(f"{home(site)}/snapshots")
        expect(page.get_by_role("alert")).to_contain_text("The agent of nas1 is too old")


@SCRIPT
def test_a_host_that_names_no_folder_says_which_lines_are_missing(
    site: Site, visit: Visit, connect: Connect, script: bool
) -> None:
    with connect(answer, allow=["backup", "browse"], restore_targets=[]):
        page = visit("operator", script=script).open(f"{home(site)}/restore?plan=home&snapshot={NEW}")
        expect(page.get_by_text('allow = ["backup", "browse", "restore"]')).to_be_visible()
        expect(page.get_by_text('restore_targets = ["/srv/restore"]')).to_be_visible()
        expect(page.get_by_role("button", name="Continue")).to_have_count(0)


@SCRIPT
def test_a_restore_whose_size_cannot_be_known_says_so_first(
    site: Site, visit: Visit, connect: Connect, script: bool
) -> None:
    def unknown(kind: str, params: dict[str, Any]) -> Answer:
        return [{"snapshot": NEW}] if kind == "preview" else answer(kind, params)

    with connect(unknown) as agent:
        page = visit("operator", script=script).open(f"{home(site)}/restore?plan=home&snapshot={NEW}")
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_text("cannot tell how much")).to_be_visible()
        page.get_by_role("button", name="Restore without knowing how much").click()
        page.wait_for_url(re.compile("/jobs/"))
        assert agent.receive("run_job")["params"]["include"] == []


def test_a_viewer_has_no_links_and_no_way_to_look(site: Site, visit: Visit, agent: AskedAgent) -> None:
    visitor = visit("viewer")
    page = visitor.open(home(site))
    expect(page.get_by_role("heading", level=1)).to_have_text("nas1")
    expect(page.locator("a[href*=snapshots], a[href*=restore]")).to_have_count(0)
    refused = page.goto(f"{home(site)}/snapshots")
    assert refused is not None
    assert refused.status == 403
    assert agent.asked == []
    visitor.console.clear()


def test_names_of_files_are_in_no_address_no_log_and_no_database(site: Site, visit: Visit, agent: AskedAgent) -> None:
    page = visit("operator").open(f"{home(site)}/snapshots")
    urls: list[str] = []
    page.on("request", lambda request: urls.append(f"{request.url} {request.headers.get('referer', '')}"))
    page.get_by_role("searchbox").fill(f"{SECRET}*")
    page.get_by_role("button", name="Find").click()
    page.get_by_role("link", name="Folder of").first.click()
    page.get_by_label("Select report.pdf").check()
    page.get_by_role("button", name="Restore selected").click()
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("button", name="Restore 3 files")).to_be_visible()
    assert len(urls) > 4
    assert [url for url in urls if SECRET in url] == []
    assert SECRET not in site.server.log.read_text()
    with closing(sqlite3.connect(site.server.settings.database)) as db:
        dump = "\n".join(db.iterdump())
    assert "snapshot.browse" in dump
    assert f"{SECRET}.pdf" not in dump
    assert f"{SECRET}*" not in dump


def test_the_page_of_a_backup_leads_to_its_snapshot(site: Site, visit: Visit, agent: AskedAgent) -> None:
    job_id = "0" * 26
    began = clock.to_rfc3339(clock.now())
    agent.report(
        type="job_finished", job_id=job_id, kind="backup", plan="home", schedule_id=None, status="succeeded",
        reason="ok", exit_code=0, started_at=began, finished_at=began, stats={"snapshot_id": NEW[:8]},
    )  # fmt: skip
    page = visit("operator").open(f"/jobs/{job_id}")
    page.get_by_role("link", name="Browse this snapshot").click()
    expect(page.get_by_role("link", name="home", exact=True)).to_be_visible()
    page = visit("viewer").open(f"/jobs/{job_id}")
    expect(page.get_by_role("link", name="Browse this snapshot")).to_have_count(0)


def test_pages_about_backups_are_accessible_and_fit(site: Site, visit: Visit, agent: AskedAgent) -> None:
    visitor = visit("operator")
    examiner = Examiner(visitor.page())
    here = home(site)
    for name, path in {
        "snapshots": f"{here}/snapshots",
        "root": f"{here}/snapshots/{NEW}?plan=home",
        "changes": f"{here}/changes?plan=home&from={OLD}&to={NEW}",
        "find": f"{here}/find?plan=home",
        "restore": f"{here}/restore?plan=home&snapshot={NEW}",
    }.items():
        examiner.examine(name, path)
    page = examiner.page
    page.get_by_role("button", name="Continue").click()
    examiner.look("preview")
    page.goto(f"{here}/snapshots/{NEW}?plan=home")
    page.get_by_role("link", name="home", exact=True).click()
    examiner.look("odd names")
    page.get_by_role("button", name="Restore this folder").click()
    examiner.look("restore a folder")
    page.goto(f"{here}/snapshots")
    page.get_by_role("searchbox").fill("report*")
    page.get_by_role("button", name="Find").click()
    page.get_by_text("1 match in 3 snapshots").wait_for()
    examiner.look("found")
    assert examiner.found == [], "\n".join(examiner.found)


def test_a_page_that_waits_and_one_without_an_answer_are_accessible(site: Site, visit: Visit, connect: Connect) -> None:
    examiner = Examiner(visit("operator").page())
    with connect(always({}), allow=["backup"]):
        examiner.examine("not allowed", f"{home(site)}/snapshots")
    with connect(slow):
        examiner.page.goto(f"{home(site)}/snapshots/{NEW}?plan=home", wait_until="commit")
        examiner.page.get_by_text("Asking nas1 …").wait_for()
        examiner.look("asking")
    assert examiner.found == [], "\n".join(examiner.found)
