"""What a job may be told: what the agent would refuse at night is refused by API and form, beside its field."""

from typing import Any

import msgspec
import pytest

from rmactors.agent.agent_file import AgentFile, Plan, Repository
from rmactors.agent.job_spec import JobRefused, spec_for
from rmactors.common import ids
from rmactors.common.vocabulary import JOB_KINDS, JobKind
from rmactors.server.messages.hosts import RecordHello
from rmactors.server.web.operations.params import problems
from tests.web.conftest import Site

GOOD: list[tuple[JobKind, dict[str, Any]]] = [
    ("backup", {"plan": "home"}),
    ("forget", {"plan": "home", "prune": True}),
    ("forget", {"plan": "home", "prune": None}),
    ("check", {"plan": "home", "read_data": True}),
    ("check", {"repository": "main"}),
    *(("check", {"plan": "home", "read_data_subset": subset}) for subset in (
        "1/1", "1/5", "5/5", "256/256", "10%", "100%", "0.5%", "2.125%",
    )),
    ("restore", {"plan": "home", "snapshot": "latest", "include": ["/home/a b"]}),
    ("restore", {"plan": "home", "snapshot": "0123abcd", "include": ["/new\nline", "/\x1b[31m", "/\ufffd"]}),
    ("restore", {"plan": "home", "target": None}),
    ("restore", {"plan": "home", "target": "/back/sp ace/ü"}),
    ("diff", {"plan": "home", "from": "0123abcd", "to": "4567abcd"}),
    *((kind, {"repository": "main"}) for kind in ("prune", "init", "unlock", "snapshots")),
]  # fmt: skip

BAD: list[tuple[JobKind, dict[str, Any], str, str]] = [
    *(("check", {"plan": "home", "read_data_subset": subset}, "/params/read_data_subset", said) for subset, said in (
        ("3/2", "n from 1 to m"), ("0/5", "n from 1 to m"), ("1/0", "n from 1 to m"), ("1/257", "at most 256"),
        ("0%", "above 0%"), ("0.0%", "above 0%"), ("101%", "at most 100%"), ("150%", "at most 100%"),
        ("100.5%", "at most 100%"), ("-5%", "like 2.5%"), ("5", "like 2.5%"),
        ("1/5 --x", "like 2.5%"), ("1/5\n", "like 2.5%"), ("１/5", "like 2.5%"), (5, "like 2.5%"),
    )),
    ("check", {"plan": "home", "read_data": "yes"}, "/params/read_data", "true or false"),
    ("check", {"plan": "home", "read_data": True, "read_data_subset": "1/2"}, "/params/read_data_subset", "together"),
    ("check", {"plan": "home", "repository": "main"}, "/params/repository", "together"),
    ("backup", {"plan": "home", "repository": "main"}, "/params/repository", "no parameter of backup"),
    ("backup", {"plan": "home", "sources": ["/etc"]}, "/params/sources", "no parameter of backup"),
    ("forget", {"plan": "home", "prune": "yes"}, "/params/prune", "true or false"),
    ("prune", {"plan": "home", "max-unused": "5%"}, "/params/max-unused", "no parameter of prune"),
    ("restore", {"plan": "home", "snapshot": "--help"}, "/params/snapshot", "latest, or a snapshot's id"),
    ("restore", {"plan": "home", "snapshot": "ABCDEF"}, "/params/snapshot", "latest, or a snapshot's id"),
    ("restore", {"plan": "home", "snapshot": None}, "/params/snapshot", "latest, or a snapshot's id"),
    ("restore", {"plan": "home", "include": ["home"]}, "/params/include", "entry 1: must be an absolute path"),
    ("restore", {"plan": "home", "include": ["/a", "/b\0c"]}, "/params/include", "entry 2: must not contain NUL"),
    ("restore", {"plan": "home", "include": "/home"}, "/params/include", "a list of absolute paths"),
    ("restore", {"plan": "home", "include": ["/a"] * 101}, "/params/include", "at most 100 entries"),
    ("restore", {"plan": "home", "include": ["/" + "a" * 4096]}, "/params/include", "at most 4096 characters"),
    ("restore", {"plan": "home", "target": "here"}, "/params/target", "absolute path"),
    ("restore", {"plan": "home", "target": None, "include": ["/\ud800"]}, "/params/include", "half of a character"),
    ("restore", {"plan": "home", "target": "/srv/../etc"}, "/params/target", "must not contain `..`"),
    ("restore", {"plan": "home", "target": "/srv/a\nb"}, "/params/target", "control characters"),
    ("restore", {"plan": "home", "target": "/" + "a" * 4096}, "/params/target", "at most 4096 characters"),
    ("diff", {"plan": "home", "from": "0123", "to": "latest"}, "/params/to", "snapshot's id"),
    ("diff", {"plan": "home", "from": "0123"}, "/params/to", "is required"),
]  # fmt: skip

FILE = AgentFile(
    allow=list(JOB_KINDS),
    repositories={"main": Repository(repository="/srv/restic", password_file="/p", restore_to="/restored")},
    plans={"home": Plan(repository="main", sources=["/home"])},
    restore_targets=["/back"],
)


def agents_word(kind: JobKind, params: dict[str, Any]) -> str | None:
    try:
        spec_for(FILE, kind, params, ids.new(), "nas1")
    except JobRefused as refused:
        return str(refused)
    return None


@pytest.mark.parametrize(("kind", "params"), GOOD)
def test_what_the_agent_takes_is_taken(kind: JobKind, params: dict[str, Any]) -> None:
    assert problems(kind, params) == []
    if kind != "forget":  # this plan keeps nothing, which only the agent knows
        assert agents_word(kind, params) is None


@pytest.mark.parametrize(("kind", "params", "pointer", "said"), BAD)
def test_what_the_agent_would_refuse_is_refused_with_its_place(
    kind: JobKind, params: dict[str, Any], pointer: str, said: str
) -> None:
    [found] = problems(kind, params)
    assert found.pointer == pointer
    assert said in found.detail
    assert agents_word(kind, params) is not None


async def with_plans(site: Site, *names: str) -> str:
    host_id = await site.enroll()
    plans = msgspec.json.encode([{"name": name, "repository": "main", "sources": ["/x"]} for name in names]).decode()
    await site.commit(
        RecordHello(host_id, site.clock(), False, "0.1", "nas1.lan", "linux", "x86_64", "UTC", "0.14.0", plans)
    )
    return host_id


@pytest.mark.parametrize(("kind", "params", "pointer", "said"), BAD[::4])
async def test_jobs_and_schedules_are_refused_alike(
    site: Site, kind: JobKind, params: dict[str, Any], pointer: str, said: str
) -> None:
    host_id = await with_plans(site, "home")
    good = {
        "name": "n",
        "kind": kind,
        "cron": "@daily",
        "params": {"from": "0123", "to": "4567"} if kind == "diff" else {},
    }
    made = await site.post(f"/api/hosts/{host_id}/schedules", good)
    for method, path, body in (
        ("POST", f"/api/hosts/{host_id}/jobs", {"kind": kind, "params": params}),
        ("POST", f"/api/hosts/{host_id}/schedules", {**good, "params": params}),
        ("PATCH", f"/api/schedules/{made['id']}", {"params": params}),
    ):
        answer = await site.api(method, path, body)
        assert answer.status == 422, path
        [error] = answer.json["errors"]
        assert error["pointer"] == pointer
        assert said in error["detail"]


@pytest.mark.parametrize("kind", ["backup", "forget", "prune", "check", "restore", "snapshots"])
async def test_a_host_with_several_plans_has_to_be_told_which(site: Site, kind: JobKind) -> None:
    host_id = await with_plans(site, "etc", "data", "mail")
    schedule = {"name": "n", "kind": kind, "cron": "@daily"}
    for path, body in (("jobs", {"kind": kind}), ("schedules", schedule)):
        answer = await site.api("POST", f"/api/hosts/{host_id}/{path}", body)
        assert answer.status == 422, path
        assert answer.json["errors"] == [
            {"pointer": "/params/plan", "detail": "Choose a plan: this host has etc, data and mail"}
        ]
        assert (
            await site.api("POST", f"/api/hosts/{host_id}/{path}", {**body, "params": {"plan": "etc"}})
        ).status < 300
    if kind in ("prune", "check", "snapshots"):
        await site.post(f"/api/hosts/{host_id}/jobs", {"kind": kind, "params": {"repository": "main"}})
    # What something else starts is no affair of the agent's file.
    await site.post(f"/api/hosts/{host_id}/schedules", {**schedule, "mode": "external"})


@pytest.mark.parametrize("plans", [(), ("home",)])
async def test_with_one_plan_or_none_known_it_may_be_left_out(site: Site, plans: tuple[str, ...]) -> None:
    host_id = await with_plans(site, *plans)
    await site.post(f"/api/hosts/{host_id}/jobs", {"kind": "backup"})
    await site.post(f"/api/hosts/{host_id}/schedules", {"name": "n", "kind": "backup", "cron": "@daily"})


async def test_a_schedule_that_is_older_than_its_hosts_second_plan_can_still_be_changed(site: Site) -> None:
    host_id = await with_plans(site, "home")
    made = await site.post(f"/api/hosts/{host_id}/schedules", {"name": "n", "kind": "backup", "cron": "@daily"})
    await site.commit(
        RecordHello(
            host_id, site.clock(), False, "0.1", "nas1.lan", "linux", "x86_64", "UTC", "0.14.0",
            '[{"name": "home"}, {"name": "etc"}]',
        )
    )  # fmt: skip
    assert (await site.api("PATCH", f"/api/schedules/{made['id']}", {"enabled": False})).status == 200
    answer = await site.api("PATCH", f"/api/schedules/{made['id']}", {"params": {}})
    assert answer.json["errors"][0]["pointer"] == "/params/plan"


async def test_a_run_of_a_schedule_does_what_the_schedule_says(site: Site) -> None:
    host_id = await with_plans(site, "etc", "data")
    schedule = {"name": "n", "kind": "backup", "cron": "@daily", "params": {"plan": "data"}}
    made = await site.post(f"/api/hosts/{host_id}/schedules", schedule)
    job = await site.post(f"/api/hosts/{host_id}/jobs", {"kind": "backup", "schedule_id": made["id"]})
    assert job["plan"] == "data"


async def test_the_form_of_a_new_schedule_chooses_no_plan_among_several(site: Site) -> None:
    await site.user()
    browser = await site.log_in()
    host_id = await with_plans(site, "etc", "data")
    path = f"/hosts/{host_id}/schedules/new"
    page = await (await browser.get(path)).get_data(as_text=True)
    assert '<option value="">Choose a plan</option><option>etc</option><option>data</option>' in page
    assert "the only one" not in page
    form = {
        "name": "n",
        "kind": "backup",
        "cron": "@daily",
        "timezone": "UTC",
        "enabled": "1",
        "max_runtime_hours": "24",
        "plan": "",
        "params": "{}",
    }
    refused = await browser.post(path, form=form)
    assert refused.status_code == 422
    assert "Choose a plan: this host has etc and data." in await refused.get_data(as_text=True)
    assert site.sql("SELECT * FROM schedules") == []
    assert (await browser.post(path, form={**form, "plan": "data"})).status_code == 303
    [row] = site.sql("SELECT params FROM schedules")
    assert row["params"] == '{"plan":"data"}'
    wrong = await browser.post(
        path, form={**form, "kind": "check", "plan": "etc", "params": '{"read_data_subset":"3/2"}'}
    )
    assert wrong.status_code == 422
    assert "n from 1 to m" in await wrong.get_data(as_text=True)


async def test_the_form_of_a_new_schedule_has_the_only_plan_by_its_name(site: Site) -> None:
    await site.user()
    browser = await site.log_in()
    host_id = await with_plans(site, "home")
    page = await (await browser.get(f"/hosts/{host_id}/schedules/new")).get_data(as_text=True)
    assert "<option selected>home</option>" in page


async def test_running_something_now_without_a_plan_says_which_there_are(site: Site) -> None:
    await site.user()
    browser = await site.log_in()
    host_id = await with_plans(site, "etc", "data")
    answer = await browser.post(f"/hosts/{host_id}/run", form={"kind": "backup", "plan": ""})
    assert answer.status_code == 422
    assert "Choose a plan: this host has etc and data." in await answer.get_data(as_text=True)
