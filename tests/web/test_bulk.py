"""The same done to many hosts: over the API, and from the list of hosts."""

import json
from typing import Any
from urllib.parse import urlencode

import msgspec
from quart import g
from quart.testing.client import QuartClient

from rmactors.common import clock, ids
from rmactors.common.vocabulary import Role
from rmactors.server.messages.hosts import RecordHello
from rmactors.server.web.access import Actor
from rmactors.server.web.operations import bulk
from tests.web.conftest import Reply, Site, reply


async def with_plans(site: Site, name: str, *plans: str) -> str:
    host_id = await site.enroll(name)
    said = msgspec.json.encode([{"name": plan, "repository": "r", "sources": []} for plan in plans]).decode()
    await site.commit(RecordHello(host_id, clock.now(), False, "1", name, "linux", "x", "UTC", "0.18.0", said))
    return host_id


async def posted(browser: QuartClient, fields: list[tuple[str, str]], path: str = "/hosts/bulk") -> Reply:
    sent = {"Content-Type": "application/x-www-form-urlencoded"}
    return await reply(await browser.post(path, data=urlencode(fields).encode(), headers=sent))


async def browser_of(site: Site, role: Role) -> QuartClient:
    await site.user(role, role)
    return await site.log_in(role)


def chosen(action: str, *host_ids: str, **fields: str) -> list[tuple[str, str]]:
    return [("action", action), *(("host", host_id) for host_id in host_ids), *fields.items()]


# ---- the API


async def test_a_job_is_queued_on_each_of_the_hosts(site: Site) -> None:
    hosts = [await site.enroll(f"nas{n}") for n in range(3)]
    answer = await site.api("POST", "/api/jobs/bulk", {"host_ids": hosts, "kind": "check"}, role="operator")
    assert answer.status == 202
    assert answer.json["failed"] == []
    assert sorted(job["host_id"] for job in answer.json["jobs"]) == sorted(hosts)
    assert {(job["kind"], job["status"]) for job in answer.json["jobs"]} == {("check", "queued")}
    assert len(await queued(site)) == 3


async def queued(site: Site) -> list[Any]:
    found: list[Any] = (await site.get("/api/jobs"))["items"]
    return found


async def test_hosts_are_chosen_by_any_of_their_tags(site: Site) -> None:
    hosts = [await site.enroll(f"nas{n}") for n in range(3)]
    await site.api("PATCH", f"/api/hosts/{hosts[0]}", {"tags": ["db", "prod"]})
    await site.api("PATCH", f"/api/hosts/{hosts[2]}", {"tags": ["web"]})
    body = {"host_tags": ["web", "db"], "kind": "backup", "params": {"plan": "home"}}
    answer = await site.post("/api/jobs/bulk", body, role="operator")
    assert {job["host_id"] for job in answer["jobs"]} == {hosts[0], hosts[2]}
    assert {job["params"]["plan"] for job in answer["jobs"]} == {"home"}


async def test_hosts_where_it_cannot_be_queued_are_named_beside_the_others(site: Site) -> None:
    one, several, unknown = (
        await with_plans(site, "one", "home"),
        await with_plans(site, "two", "etc", "home"),
        ids.new(),
    )
    answer = await site.post("/api/jobs/bulk", {"host_ids": [one, several, unknown], "kind": "backup"}, role="operator")
    assert [job["host_id"] for job in answer["jobs"]] == [one]
    assert sorted(answer["failed"], key=lambda each: each["detail"]) == [
        {"host_id": several, "detail": "Choose a plan: this host has etc and home."},
        {"host_id": unknown, "detail": "There is no such host."},
    ]


async def test_a_plan_that_a_host_does_not_have_is_asked_of_the_others_alone(site: Site) -> None:
    has, lacks, silent = [
        await with_plans(site, "one", "home"),
        await with_plans(site, "two", "etc"),
        await site.enroll(),
    ]
    body = {"host_ids": [has, lacks, silent], "kind": "backup", "params": {"plan": "home"}}
    answer = (await site.api("POST", "/api/jobs/bulk", body)).json
    assert answer["failed"] == [{"host_id": lacks, "detail": "There is no plan 'home' on this host: it has etc."}]
    assert {job["host_id"] for job in answer["jobs"]} == {has, silent}, "of one that has said nothing, nobody knows"


async def test_what_is_wrong_on_every_host_is_refused_as_a_whole(site: Site) -> None:
    host = await site.enroll()
    for body, pointer in [
        ({"kind": "check"}, "/host_ids"),
        ({"kind": "check", "host_ids": []}, "/host_ids"),
        ({"kind": "check", "host_ids": [host], "host_tags": ["a"]}, "/host_ids"),
        ({"kind": "check", "host_tags": ["nowhere"]}, "/host_tags"),
        ({"kind": "bake", "host_ids": [host]}, "/kind"),
        ({"kind": "check", "host_ids": [host], "params": {"depth": 3}}, "/params/depth"),
        ({"kind": "check", "host_ids": [ids.new() for _ in range(bulk.MOST_HOSTS + 1)]}, "/host_ids"),
        ({"kind": "check", "host_ids": [host], "more": 1}, "/more"),
    ]:
        answer = await site.api("POST", "/api/jobs/bulk", body, role="operator")
        assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, pointer), body
    assert await queued(site) == []


async def test_many_jobs_are_queued_although_some_of_their_hosts_go_away_meanwhile(site: Site) -> None:
    """One refused write takes along those of its commit: they are tried again, each in its own."""
    hosts = [await site.enroll(f"nas{n:02}") for n in range(7)]
    async with site.app.test_request_context("/"):
        g.actor = Actor("token", ids.new(), "token:test", "operator")
        found, outcome = await bulk.chosen(hosts, None)
        await site.api("DELETE", f"/api/hosts/{hosts[3]}")
        await bulk.run(found, "check", {}, outcome)
    assert [failure.host_id for failure in outcome.failed] == [hosts[3]]
    assert len(outcome.jobs) == len(await queued(site)) == 6


# ---- from the list


async def test_selected_hosts_run_a_job_and_the_list_says_on_how_many(site: Site) -> None:
    hosts = [await site.enroll(f"nas{n}") for n in range(2)]
    browser = await browser_of(site, "operator")
    answer = await posted(browser, chosen("run", *hosts, kind="backup", plan="home", next="/hosts?tag=db&q=n"))
    assert (answer.status, answer.location) == (303, "/hosts?tag=db&q=n&done=run.2")
    assert {(job["kind"], job["plan"]) for job in await queued(site)} == {("backup", "home")}
    shown = await reply(await browser.get(answer.location))
    assert "Queued on 2 hosts." in shown.text


async def test_an_address_cannot_say_what_was_done_in_other_words(site: Site) -> None:
    browser = await browser_of(site, "viewer")
    for told in ("run.x", "<b>.1", "shout.3", "run.123456", "run.²"):
        shown = await reply(await browser.get("/hosts?" + urlencode({"done": told})))
        assert 'class="told ok"' not in shown.text


async def test_selected_hosts_are_silenced_for_some_hours(site: Site) -> None:
    hosts = [await site.enroll(f"nas{n}") for n in range(2)]
    browser = await browser_of(site, "operator")
    answer = await posted(browser, chosen("silence", *hosts, hours="1,5", reason="new disks"))
    assert answer.location == "/hosts?done=silence.2"
    found = (await site.get("/api/silences"))["items"]
    assert {(each["host_id"], each["reason"]) for each in found} == {(host, "new disks") for host in hosts}
    lasts = clock.from_rfc3339(found[0]["ends_at"]) - clock.from_rfc3339(found[0]["starts_at"])
    assert abs(lasts - 90 * clock.MINUTE) < clock.MINUTE


async def test_a_tag_is_put_on_selected_hosts_and_taken_off(site: Site) -> None:
    hosts = [await site.enroll(f"nas{n}") for n in range(2)]
    await site.api("PATCH", f"/api/hosts/{hosts[0]}", {"tags": ["db"]})
    browser = await browser_of(site, "admin")
    assert (await posted(browser, chosen("tag", *hosts, tag=" prod "))).location == "/hosts?done=tag.2"
    assert [(await site.get(f"/api/hosts/{host}"))["tags"] for host in hosts] == [["db", "prod"], ["prod"]]
    again = len(site.sql("SELECT 1 FROM audit WHERE action = 'host.update'"))
    await posted(browser, chosen("tag", *hosts, tag="prod"))
    assert len(site.sql("SELECT 1 FROM audit WHERE action = 'host.update'")) == again
    await posted(browser, chosen("untag", *hosts, tag="prod"))
    assert [(await site.get(f"/api/hosts/{host}"))["tags"] for host in hosts] == [["db"], []]


async def test_tags_and_deletion_take_an_admin_as_they_do_for_one_host(site: Site) -> None:
    host = await site.enroll()
    browser = await browser_of(site, "operator")
    for action in ("tag", "untag", "delete"):
        assert (await posted(browser, chosen(action, host, tag="db"))).status == 403
    assert (await site.get(f"/api/hosts/{host}"))["tags"] == []


async def test_deletion_asks_first_and_takes_the_number_of_hosts(site: Site) -> None:
    hosts = [await site.enroll(f"nas{n}") for n in range(3)]
    browser = await browser_of(site, "admin")
    asked = await posted(browser, chosen("delete", *hosts[:2]))
    assert asked.status == 200
    assert "nas0" in asked.text
    assert "nas2" not in asked.text
    assert (await posted(browser, chosen("delete", *hosts[:2], confirm="3"), "/hosts/bulk/delete")).status == 422
    assert len((await site.get("/api/hosts"))["items"]) == 3
    done = await posted(browser, chosen("delete", *hosts[:2], confirm="2"), "/hosts/bulk/delete")
    assert done.location == "/hosts?done=delete.2"
    assert [host["id"] for host in (await site.get("/api/hosts"))["items"]] == hosts[2:]


async def test_what_is_missing_is_asked_for_with_the_selection_kept(site: Site) -> None:
    hosts = [await site.enroll(f"nas{n}") for n in range(2)]
    browser = await browser_of(site, "admin")
    for action, missing in (("run", "kind"), ("silence", "reason"), ("tag", "tag"), ("untag", "tag")):
        asked = await posted(browser, chosen(action, *hosts))
        assert asked.status == 200
        assert f'name="{missing}"' in asked.text
        assert all(f'name="host" value="{host}"' in asked.text for host in hosts)


async def test_what_cannot_be_done_is_told_with_the_names_of_the_hosts(site: Site) -> None:
    one, several = await with_plans(site, "one", "home"), await with_plans(site, "two", "etc", "home")
    browser = await browser_of(site, "operator")
    answer = await posted(browser, chosen("run", one, several, kind="backup"))
    assert answer.status == 422
    assert "Queued on 1 host." in answer.text
    assert "two</a>: Choose a plan: this host has etc and home." in answer.text
    assert f'name="host" value="{one}"' not in answer.text


async def test_a_refused_form_names_the_field(site: Site) -> None:
    host = await site.enroll()
    browser = await browser_of(site, "admin")
    for fields, text in [
        (chosen("run", host, kind="restore"), "Choose what to run."),
        (chosen("silence", host, hours="0", reason="x"), "Give a number greater than 0."),
        (chosen("silence", host, hours="soon", reason="x"), "Give a number greater than 0."),
        (chosen("tag", host, tag="a,b"), "must not contain a comma"),
        (chosen("tag", host, tag="x" * 101), "1 to 100 characters"),
    ]:
        answer = await posted(browser, fields)
        assert answer.status == 422
        assert text in answer.text, fields
    assert (await posted(browser, [("action", "run")])).status == 422
    assert (await posted(browser, chosen("explode", host))).status == 422
    assert json.loads(site.sql("SELECT tags FROM hosts")[0][0]) == []


async def test_a_host_has_at_most_so_many_tags(site: Site) -> None:
    host = await site.enroll()
    await site.api("PATCH", f"/api/hosts/{host}", {"tags": [f"t{n}" for n in range(100)]})
    browser = await browser_of(site, "admin")
    answer = await posted(browser, chosen("tag", host, tag="one more"))
    assert answer.status == 422
    assert "a host has at most 100 tags" in answer.text
