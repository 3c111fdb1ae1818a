"""What an operator answers to a backup that looks wrong: that it is meant, or only that the alert is over."""

from dataclasses import dataclass

import pytest

from rmactors.common import clock, ids
from rmactors.server.bootstrap import act_link
from rmactors.server.messages.answers import Committed
from rmactors.server.messages.reports import EndReport
from rmactors.server.messages.requests import JudgeEnd
from tests.web.conftest import Site, reply

MEANT = "It is meant that this backup holds 5 files and 50 bytes: later backups are compared with it."
CONFLICT = "The alert was resolved already, so what backups are compared with has not changed."


@dataclass
class Doubted:
    """A host whose plan `home` was backed up three times with 1,000 files, and once with 5."""

    site: Site
    host_id: str
    alert_id: str = ""

    async def backup(self, files: int) -> None:
        at = self.site.clock()
        report = EndReport(
            self.host_id, ids.new(), "backup", "home", None, None, "succeeded", "ok", None, 0, at, at, "{}", None, None,
            at, files_total=files, bytes_total=files * 10,
        )  # fmt: skip
        answer = await self.site.services.ask_rules(lambda reply: JudgeEnd(report, reply))
        assert isinstance(answer, Committed)
        self.site.clock.advance(clock.HOUR)

    async def open_alerts(self) -> list[str]:
        found = (await self.site.get("/api/alerts"))["items"]
        return [alert["id"] for alert in found if alert["kind"] == "backup_suspicious"]

    async def resolve(self, body: object = None) -> dict[str, object]:
        answered: dict[str, object] = await self.site.post(f"/api/alerts/{self.alert_id}/resolve", body, "operator")
        return answered

    async def is_compared_with_it(self) -> bool:
        """Whether the next backup like it raises nothing."""
        await self.backup(5)
        return await self.open_alerts() == []

    def resolution(self) -> tuple[object, ...]:
        (row,) = self.site.sql(
            "SELECT by_whom, note, message, reason FROM alert_events WHERE event = 'resolved' AND alert_id = ?",
            self.alert_id,
        )
        return tuple(row)

    def audited(self) -> list[tuple[object, ...]]:
        rows = self.site.sql("SELECT actor, detail FROM audit WHERE action = 'alert.resolve' ORDER BY n")
        return [tuple(row) for row in rows]


@pytest.fixture
async def doubted(site: Site) -> Doubted:
    found = Doubted(site, await site.enroll())
    for files in (1000, 1000, 1000, 5):
        await found.backup(files)
    (found.alert_id,) = await found.open_alerts()
    return found


# ---- programs


@pytest.mark.parametrize("body", [None, {"note": "cleaned up"}, {"meant": None}, {"meant": True, "note": "cleaned up"}])
async def test_a_program_that_resolves_it_says_that_it_is_meant(doubted: Doubted, body: dict[str, object]) -> None:
    note = (body or {}).get("note")
    answered = await doubted.resolve(body)
    assert (answered["status"], answered["resolved_note"]) == ("resolved", note)
    assert doubted.resolution() == ("token:the operator", note, MEANT, "meant")
    assert doubted.audited() == [("token:the operator", f"meant: {note}" if note else "meant")]
    assert await doubted.is_compared_with_it()


async def test_a_program_can_resolve_it_and_leave_what_is_usual_as_it_is(doubted: Doubted) -> None:
    answered = await doubted.resolve({"meant": False})
    assert answered["status"] == "resolved"
    assert doubted.resolution() == ("token:the operator", None, None, "resolved_by_hand")
    assert doubted.audited() == [("token:the operator", "")]
    assert not await doubted.is_compared_with_it()


async def test_the_timeline_tells_what_later_backups_are_compared_with(doubted: Doubted) -> None:
    answered = await doubted.resolve({"meant": True})
    timeline = answered["timeline"]
    assert isinstance(timeline, list)
    assert [entry["message"] for entry in timeline if entry["event"] == "resolved"] == [MEANT]
    page = await doubted.site.api("GET", f"/alerts/{doubted.alert_id}", role="viewer")
    assert "because it is meant" in page.text
    assert MEANT in page.text


async def test_said_twice_it_is_said_once(doubted: Doubted) -> None:
    for _ in range(2):
        assert (await doubted.resolve({"meant": True}))["status"] == "resolved"
    assert len(doubted.audited()) == 1


async def test_said_of_an_alert_that_is_over_it_changes_nothing_and_the_answer_says_so(doubted: Doubted) -> None:
    await doubted.resolve({"meant": False})
    late = await doubted.site.api("POST", f"/api/alerts/{doubted.alert_id}/resolve", {"meant": True})
    assert (late.status, late.json["detail"]) == (409, CONFLICT)
    assert (await doubted.resolve())["status"] == "resolved"  # who does not ask for it is told nothing of it
    assert not await doubted.is_compared_with_it()


async def test_only_of_a_backup_that_looks_wrong_it_can_be_said(doubted: Doubted) -> None:
    doubted.site.sql("UPDATE alerts SET kind = 'backup_failed'")
    path = f"/api/alerts/{doubted.alert_id}/resolve"
    refused = await doubted.site.api("POST", path, {"meant": True})
    assert (refused.status, [error["pointer"] for error in refused.json["errors"]]) == (422, ["/meant"])
    assert (await doubted.site.api("POST", path, {"meant": "yes"})).status == 422
    assert doubted.audited() == []


# ---- people


async def test_the_page_offers_both_answers_to_those_who_may_act(doubted: Doubted) -> None:
    for path in ("/alerts", f"/alerts/{doubted.alert_id}"):
        seen = {role: (await doubted.site.api("GET", path, role=role)).text for role in ("viewer", "operator")}
        assert 'name="meant"' not in seen["viewer"], path
        assert seen["operator"].count('name="meant"') == 1, path
    await doubted.resolve()
    assert 'name="meant"' not in (await doubted.site.api("GET", f"/alerts/{doubted.alert_id}")).text


async def test_no_other_alert_can_be_meant(doubted: Doubted) -> None:
    doubted.site.sql("UPDATE alerts SET kind = 'backup_failed'")
    assert 'name="meant"' not in (await doubted.site.api("GET", f"/alerts/{doubted.alert_id}")).text


@pytest.mark.parametrize(("form", "meant"), [({"note": "x", "meant": "1"}, True), ({"note": "x"}, False)])
async def test_each_button_does_what_it_says(doubted: Doubted, form: dict[str, str], meant: bool) -> None:
    await doubted.site.user()
    browser = await doubted.site.log_in()
    answer = await browser.post(f"/alerts/{doubted.alert_id}/resolve", form=form)
    assert answer.status_code == 303
    assert doubted.resolution() == ("anna", "x", *((MEANT, "meant") if meant else (None, "resolved_by_hand")))
    assert await doubted.is_compared_with_it() == meant


async def test_resolved_with_others_it_is_not_said_to_be_meant(doubted: Doubted) -> None:
    await doubted.site.user()
    browser = await doubted.site.log_in()
    await browser.post("/alerts/resolve", form={"alert": doubted.alert_id})
    assert doubted.resolution() == ("anna", None, None, "resolved_by_hand")


# ---- the link in a message


async def linked(doubted: Doubted) -> str:
    """The path of the link about the alert."""
    body = {"kind": "webhook", "name": "ops", "config": {"url": "https://hooks.example/x"}}
    channel, services = await doubted.site.post("/api/notifications", body), doubted.site.services
    link = act_link(services.settings, services.box, channel["id"], doubted.alert_id, doubted.site.clock())
    return link.removeprefix(services.settings.public_url)


async def test_the_link_in_a_message_offers_it_and_takes_it(doubted: Doubted) -> None:
    path, client = await linked(doubted), doubted.site.app.test_client()
    page = await reply(await client.get(path))
    assert "This is meant: compare later backups with this one" in page.text
    done = await reply(await client.post(path, form={"choice": "meant"}))
    assert done.status == 200
    assert "The alert is resolved, and later backups are compared with this one." in done.text
    assert doubted.resolution() == ("link:ops", None, MEANT, "meant")
    assert doubted.audited() == [("link:ops", "meant")]
    assert await doubted.is_compared_with_it()
    assert (await client.get(path)).status_code == 410


async def test_the_link_about_another_alert_does_not_take_it(doubted: Doubted) -> None:
    path, client = await linked(doubted), doubted.site.app.test_client()
    doubted.site.sql("UPDATE alerts SET kind = 'backup_failed'")
    assert 'value="meant"' not in (await reply(await client.get(path))).text
    assert (await client.post(path, form={"choice": "meant"})).status_code == 422
    assert doubted.audited() == []
