"""Acting from a message, on a real server: the link in a webhook's body, fetched by a scanner, used by a person."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness.agents import ended, enroll_host, simulated
from harness.processes import COMMAND, ROOT, Server, away, running_server
from harness.sink import Sink


def rotate(server: Server) -> None:
    subprocess.run([*COMMAND, "keys", "rotate"], cwd=ROOT, env=server.environment, check=True, capture_output=True)


async def alert_of(server: Server, alert_id: str) -> Any:
    return await away(lambda: server.ask("GET", f"/api/alerts/{alert_id}"))


async def test_who_has_the_message_acknowledges_without_signing_in_and_a_scanner_changes_nothing(
    server: Server, sink: Sink
) -> None:
    await away(lambda: server.webhook(sink.url(), "phone"))
    async with simulated(server, await enroll_host(server, "nas")) as [agent]:
        agent.report(ended("home", error="wrong password"))
        [raised] = await sink.until_told(1)
        assert list(raised.body)[-1] == "act_link"
        link, alert_id = raised.body["act_link"], raised.body["alert_id"]
        assert link.startswith(f"{server.url}/act/")

        async with httpx.AsyncClient(trust_env=False, timeout=60) as browser:
            fetched = [await browser.request(method, link) for method in ("GET", "HEAD", "GET", "HEAD")]
            assert [answer.status_code for answer in fetched] == [200] * 4
            assert fetched[1].content == b""
            assert "wrong password" in fetched[0].text
            await browser.options(link)
            assert (await alert_of(server, alert_id))["status"] == "open"

            pressed = await browser.post(link, data={"choice": "acknowledge"})
            assert pressed.status_code == 200
            assert not browser.cookies
            [_, acknowledged] = await sink.until_told(2)
            assert acknowledged.body["event"] == "alert.acknowledged"
            assert acknowledged.body["actor"] == "link:phone"
            assert "act_link" not in acknowledged.body
            alert = await alert_of(server, alert_id)
            assert (alert["status"], alert["acknowledged_by"]) == ("acknowledged", "link:phone")

            agent.report(ended("home", "succeeded"))
            [_, _, resolved] = await sink.until_told(3)
            assert "act_link" not in resolved.body
            over = [await browser.request(method, link) for method in ("GET", "POST")]
            assert [answer.status_code for answer in over] == [410, 410]
            assert all("nas" not in answer.text for answer in over)

            for _ in range(100):
                if (last := await browser.get(link)).status_code == 429:
                    break
            assert (last.status_code, last.headers["Retry-After"].isdigit()) == (429, True)
    assert link.rpartition("/")[2] not in server.log


async def test_a_rotated_key_ends_the_links_that_are_out_and_new_ones_work(server: Server, sink: Sink) -> None:
    await away(lambda: server.webhook(sink.url()))
    async with simulated(server, await enroll_host(server, "nas")) as [agent]:
        agent.report(ended("home", error="wrong password"))
        [first] = await sink.until_told(1)
        await away(lambda: rotate(server))
        agent.report(ended("work", error="wrong password"))
        [_, second] = await sink.until_told(2)
    async with httpx.AsyncClient(trust_env=False, timeout=60) as browser:
        assert (await browser.get(first.body["act_link"])).status_code == 404
        assert (await browser.get(second.body["act_link"])).status_code == 200


@pytest.fixture
def without_links(tmp_path: Path) -> Iterator[Server]:
    with running_server(tmp_path / "off", action_links="false") as running:
        yield running


async def test_where_they_are_switched_off_no_message_has_one(without_links: Server, sink: Sink) -> None:
    await away(lambda: without_links.webhook(sink.url()))
    async with simulated(without_links, await enroll_host(without_links, "nas")) as [agent]:
        agent.report(ended("home", error="wrong password"))
        [raised] = await sink.until_told(1)
    assert "act_link" not in raised.body
