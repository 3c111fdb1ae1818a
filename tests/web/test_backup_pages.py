"""Pages about backups: what is asked, what addresses and forms are believed, and what is said where there is no answer.

How they look and work by hand is in tests/browser/test_backup_pages.py.
"""

import logging
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from quart.testing.client import QuartClient

from rmactors.common.vocabulary import LiveRequest
from rmactors.server.messages.hosts import RecordHello
from rmactors.server.messages.live_requests import AgentRefused, AgentSlow, AgentTooOld, LiveAnswer
from rmactors.server.web.sealed import Sealed
from tests.web.conftest import Site

ID = "0123456789abcdef" * 4
AT = "2026-11-28T10:00:00.000Z"
NAME = "canary & <b>\n\u202e.txt"
ENTRY = {"name": NAME, "path": f"/home/{NAME}", "type": "file", "size": 5, "mtime": AT}
PREVIEW = {"snapshot": ID, "files": 2, "bytes": 10, "into": "/srv/restore/x", "free_bytes": None}
SNAPSHOTS = [
    {"id": ID, "time": AT, "paths": ["/home"], "files": 3, "bytes": 12},
    {"id": "a" * 64, "time": AT, "paths": ["/home"]},
]


class Operator:
    """A browser of an operator, at one host."""

    def __init__(self, site: Site, host_id: str, browser: QuartClient) -> None:
        self.site, self.browser, self.here = site, browser, f"/hosts/{host_id}"
        self.sealed = Sealed(site.services.box, host_id)

    async def get(self, path: str, status: int = 200, method: str = "GET") -> str:
        answer = await self.browser.open(self.here + path, method=method)
        text = await answer.get_data(as_text=True)
        assert answer.status_code == status, text
        return str(text)

    async def post(self, path: str, form: Mapping[str, Any], status: int = 200) -> tuple[str, str]:
        """The page, and where it leads to."""
        sent = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = await self.browser.post(self.here + path, data=urlencode(form, doseq=True), headers=sent)
        text = await answer.get_data(as_text=True)
        assert answer.status_code == status, text
        return str(text), answer.headers.get("Location", "")


async def operator(
    site: Site, *, plans: str = '[{"name": "home"}, {"name": "etc"}]', allow: str | None = '["browse", "restore"]',
    targets: str | None = '["/srv/restore", "/mnt/back"]',
) -> Operator:  # fmt: skip
    await site.user("olga", "operator")
    host_id = await site.enroll()
    await site.commit(
        RecordHello(
            host_id, site.clock(), False, "0.9.1", "h", "linux", "x86_64", "UTC", None, plans, allow=allow,
            restore_targets=targets,
        )
    )  # fmt: skip
    return Operator(site, host_id, await site.log_in("olga"))


def jobs(site: Site) -> list[Any]:
    return [row["params"] for row in site.sql("SELECT params FROM jobs")]


# ---- what is asked, and with which addresses


async def test_without_a_plan_in_the_address_the_hosts_first_is_asked_for(site: Site) -> None:
    reader = await operator(site)
    site.agent.answers(SNAPSHOTS)
    page = await reader.get("/snapshots")
    assert site.agent.asked[-1][1:] == ("snapshots", {"plan": "home", "limit": 2000})
    assert "2 snapshots" in page
    assert page.index("Asking nas1") < page.index("2 snapshots")
    assert page.rstrip().endswith("</html>")
    await reader.get("/snapshots?plan=etc")
    assert site.agent.asked[-1][2]["plan"] == "etc"


async def test_links_lead_on_with_sealed_paths_and_sealed_cursors(site: Site) -> None:
    reader = await operator(site)
    site.agent.answers([{**ENTRY, "type": "dir"}], "after canary")
    page = await reader.get(f"/snapshots/{ID}?plan=home&at={reader.sealed.seal('/home')}")
    assert site.agent.asked[-1][2] == {"plan": "home", "snapshot": ID, "path": "/home", "limit": 500}
    links = [link.replace("&amp;", "&") for link in re.findall(rf'href="({reader.here}/snapshots/[^"]+)"', page)]
    assert not [link for link in links if "canary" in link]
    for link in links:
        await reader.get(link.removeprefix(reader.here))
    asked = [params for _host, _kind, params in site.agent.asked]
    assert {"plan": "home", "snapshot": ID, "path": f"/home/{NAME}", "limit": 500} in asked
    assert {"plan": "home", "snapshot": ID, "path": "/home", "limit": 500, "cursor": "after canary"} in asked


async def test_a_pattern_is_sent_in_a_form_and_stands_in_the_address_sealed(site: Site) -> None:
    reader = await operator(site)
    site.agent.answers([])
    _page, location = await reader.post("/find", {"plan": "etc", "pattern": "canary *"}, 303)
    assert "canary" not in location
    page = await reader.get(location.removeprefix(reader.here))
    assert site.agent.asked == [(reader.here[7:], "find", {"plan": "etc", "pattern": "canary *", "limit": 2000})]
    assert "Nothing found" in page


async def test_without_a_pattern_nobody_is_asked(site: Site) -> None:
    reader = await operator(site)
    assert "Find a file in all snapshots" in await reader.get("/find")
    await reader.post("/find", {"plan": "home", "pattern": "ü" * 501}, 422)
    assert site.agent.asked == []


async def test_a_head_request_asks_nobody(site: Site) -> None:
    reader = await operator(site)
    await reader.get("/snapshots", method="HEAD")
    assert site.agent.asked == []


@pytest.mark.parametrize(
    "path",
    [
        "/snapshots?plan=other", f"/snapshots/{ID}?at=L2hvbWU", f"/snapshots/{ID}?next=x", "/snapshots/x",
        f"/snapshots/{ID.upper()}", "/find?what=canary", "/restore?snapshot=../x",
    ],
)  # fmt: skip
async def test_an_address_that_is_not_from_here_is_not_found(site: Site, path: str) -> None:
    reader = await operator(site)
    page = await reader.get(path, 404)
    assert "Asking" not in page
    assert site.agent.asked == []


async def test_the_sealed_path_of_another_host_opens_nothing(site: Site) -> None:
    reader = await operator(site)
    await reader.get(f"/snapshots/{ID}?at={Sealed(site.services.box, 'OTHER').seal('/home')}", 404)


@pytest.mark.parametrize("query", ["begin=x", "begin=-1", "begin=9999999", "times=x", "begin=%C2%B2"])
async def test_what_else_stands_in_an_address_is_passed_over(site: Site, query: str) -> None:
    reader = await operator(site)
    site.agent.answers(SNAPSHOTS)
    assert "2 snapshots" in await reader.get(f"/snapshots?{query}")


async def test_a_sealed_text_in_the_place_of_another_does_no_harm(site: Site) -> None:
    reader = await operator(site)
    site.agent.answers([])
    path = reader.sealed.seal("/home/a=b c")
    await reader.get(f"/snapshots?times={path}")
    await reader.get(f"/changes?plan=home&one={path}&one={path}", 303)


async def test_two_ticked_snapshots_are_compared_the_older_first_whatever_is_ticked_first(site: Site) -> None:
    reader = await operator(site)
    site.agent.answers(SNAPSHOTS)
    page = await reader.get("/snapshots")
    newer, older = re.findall(r'name="one" value="([^"]+)"', page)
    answer = await reader.browser.get(f"{reader.here}/changes?plan=home&one={newer}&one={older}")
    query = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert (query["from"], query["to"]) == (["a" * 64], [ID])
    assert "Choose two snapshots" in await reader.get(f"/changes?plan=home&one={newer}")


async def test_a_host_without_plans_is_not_asked(site: Site) -> None:
    reader = await operator(site, plans="[]")
    assert "nas1 has no plans" in await reader.get("/snapshots")
    assert site.agent.asked == []


# ---- no answer


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (AgentSlow(), "nas1 did not answer in time"),
        (AgentTooOld(), "The agent of nas1 is too old"),
        (AgentRefused("not_allowed", ""), "does not let anybody look"),
        (AgentRefused("not_found", "there is no such snapshot"), "there is no such snapshot"),
        (AgentRefused("failed", "wrong password"), "wrong password"),
    ],
)
async def test_an_answer_that_does_not_come_is_a_page_that_says_why(site: Site, answer: LiveAnswer, words: str) -> None:
    reader = await operator(site, allow='["backup", "restore"]')
    site.agent.answer = answer
    page = await reader.get("/snapshots")
    assert words in page
    assert page.rstrip().endswith("</html>")


async def test_who_may_not_look_can_restore_a_whole_snapshot_where_the_host_allows_that(site: Site) -> None:
    reader = await operator(site, allow='["backup", "restore"]', targets='["/srv/restore"]')
    site.agent.answer = AgentRefused("not_allowed", "")
    latest, one = await reader.get("/snapshots"), await reader.get(f"/snapshots/{ID}")
    assert f"{reader.here}/restore?plan=home&amp;snapshot=latest" in latest
    assert f"{reader.here}/restore?plan=home&amp;snapshot={ID}" in one
    assert "From the newest snapshot of plan home" in await reader.get("/restore?plan=home&snapshot=latest")


async def test_a_snapshot_of_another_host_is_refused_in_the_agents_words(site: Site) -> None:
    reader = await operator(site)
    site.agent.answer = AgentRefused("not_allowed", "that snapshot was made by host db")
    page = await reader.get(f"/snapshots/{ID}")
    assert "that snapshot was made by host db" in page
    assert "/restore?" not in page.partition("does not allow this")[2]
    assert "allow = [" not in page


async def test_nothing_is_offered_to_restore_where_the_host_allows_none(site: Site) -> None:
    reader = await operator(site, allow='["backup"]')
    site.agent.answer = AgentRefused("not_allowed", "")
    assert "/restore?" not in await reader.get("/snapshots")


async def test_an_unexpected_error_is_a_part_of_the_page_and_the_log_does_not_say_what_it_was_about(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    reader = await operator(site)

    async def fails(_host: str, kind: LiveRequest, params: Mapping[str, object]) -> LiveAnswer:
        raise KeyError(params)

    object.__setattr__(site.services, "ask_agent", fails)
    with caplog.at_level(logging.ERROR):
        page = await reader.get(f"/snapshots/{ID}?at={reader.sealed.seal('/canary')}")
    assert "Internal error" in page
    assert page.rstrip().endswith("</html>")
    assert "KeyError" in caplog.text
    assert "canary" not in caplog.text


# ---- restoring


def chosen(reader: Operator, *paths: str, **more: str) -> dict[str, Any]:
    return {"plan": "home", "snapshot": ID, "include": [reader.sealed.seal(path) for path in paths], **more}


async def test_a_restore_is_asked_about_before_it_is_started(site: Site) -> None:
    reader = await operator(site)
    site.agent.answers([PREVIEW])
    form = chosen(reader, "/home/a", target="/mnt/back", folder="x/y")
    page, _location = await reader.post("/restore", form)
    params = {"snapshot": ID, "include": ["/home/a"], "target": "/mnt/back/x/y"}
    assert site.agent.asked == [(reader.here[7:], "preview", {"plan": "home", **params})]
    assert "Restore 2 files" in page
    assert jobs(site) == []
    _page, location = await reader.post("/restore/start", form, 303)
    assert location.startswith("/jobs/")
    assert jobs(site) == [
        f'{{"plan":"home","snapshot":"{ID}","include":["/home/a"],"target":"/mnt/back/x/y"}}'
    ]  # fmt: skip


async def test_latest_is_started_as_the_snapshot_that_was_previewed(site: Site) -> None:
    reader = await operator(site)
    site.agent.answers([PREVIEW])
    form = {"plan": "home", "snapshot": "latest", "everything": "yes", "target": "/srv/restore", "folder": ""}
    page, _location = await reader.post("/restore", form)
    assert f'name="snapshot" value="{ID}"' in page
    assert 'value="latest"' not in page


@pytest.mark.parametrize("path", ["/restore", "/restore/start"])
@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"include": []}, "Nothing was selected"),
        ({"target": "/etc"}, "Choose one of the host&#39;s folders."),
        ({"target": ""}, "Choose one of the host&#39;s folders."),
        ({"folder": "../../etc"}, "must be a name"),
        ({"folder": "a\nb"}, "control characters"),
    ],
)
async def test_what_will_not_do_is_said_and_starts_nothing(
    site: Site, path: str, changed: dict[str, Any], words: str
) -> None:
    reader = await operator(site)
    form = chosen(reader, "/home/a", target="/srv/restore", folder="x") | changed
    page, _location = await reader.post(path, form, 422)
    assert words in page
    assert jobs(site) == []
    assert site.agent.asked == []


async def test_too_many_entries_are_refused_before_anybody_is_asked(site: Site) -> None:
    reader = await operator(site)
    page, _location = await reader.post("/restore", chosen(reader, *(f"/f{n}" for n in range(101))), 422)
    assert "At most 100 entries" in page


async def test_a_path_that_was_not_sealed_here_is_not_restored(site: Site) -> None:
    reader = await operator(site)
    form = {"plan": "home", "snapshot": ID, "include": ["/etc/shadow"], "target": "/srv/restore", "folder": "x"}
    await reader.post("/restore/start", form, 404)
    assert jobs(site) == []


@pytest.mark.parametrize(
    ("answer", "words", "possible"),
    [
        (AgentRefused("not_allowed", ""), "does not let anybody look", True),
        (AgentSlow(), "did not answer in time", True),
        (AgentRefused("failed", "wrong password"), "wrong password", True),
        (AgentRefused("invalid", "the target is no folder for restores"), "no folder for restores", False),
        (AgentRefused("not_found", "no such snapshot"), "no such snapshot", False),
    ],
)
async def test_where_nothing_is_known_before_it_says_so_and_a_restore_that_cannot_work_has_no_button(
    site: Site, answer: LiveAnswer, words: str, possible: bool
) -> None:
    reader = await operator(site, allow='["backup", "restore"]')
    site.agent.answer = answer
    page, _location = await reader.post("/restore", chosen(reader, "/a", target="/srv/restore", folder="x"))
    assert words in page
    assert ("Restore without knowing how much" in page) == possible


async def test_a_host_that_allows_no_restores_has_no_button(site: Site) -> None:
    reader = await operator(site, allow='["browse"]', targets="[]")
    page = await reader.get(f"/restore?snapshot={ID}")
    assert "restore_targets = [" in page
    assert "Continue" not in page


async def test_a_job_that_the_server_refuses_leads_back_to_the_form(site: Site) -> None:
    reader = await operator(site)
    long = "/" + "x" * 5000
    form = chosen(reader, long, target="/srv/restore", folder="x")
    page, _location = await reader.post("/restore/start", form, 422)
    assert 'role="alert"' in page
    assert jobs(site) == []
