"""Ids, names, tags and expressions are one line each: with a line end, or what a terminal obeys, they are refused."""

import json
from typing import Any
from urllib.parse import quote

import pytest

from tests.web.conftest import Site
from tests.web.test_api_notifications import WEBHOOK

SCHEDULE = {"name": "nightly", "kind": "backup", "cron": "0 3 * * *", "params": {"plan": "home"}}


@pytest.mark.parametrize("end", ["%0A", "%E2%80%A8", "%20"])
async def test_an_id_with_anything_behind_it_is_no_id(site: Site, end: str) -> None:
    host_id = await site.enroll()
    job_id = (await site.post(f"/api/hosts/{host_id}/jobs", {"kind": "check", "params": {"plan": "home"}}))["id"]
    for path in (f"/api/jobs/{job_id}", f"/api/jobs/{job_id}/log", f"/api/hosts/{host_id}"):
        assert (await site.api("GET", path)).status == 200
        assert (await site.api("GET", path.replace(job_id, job_id + end).replace(host_id, host_id + end))).status == 404
    assert (await site.api("POST", f"/api/jobs/{job_id}{end}/cancel")).status == 404
    for path in ("/api/jobs", "/api/alerts"):
        assert (await site.api("GET", f"{path}?host_id={host_id}{end}")).status == 422


@pytest.mark.parametrize("evil", ["\n", "\x1b[2J", "\x9b", "\u2028", "\u202e"])
async def test_a_name_a_tag_and_an_expression_are_one_line(site: Site, evil: str) -> None:
    host_id = await site.enroll()
    schedules = f"/api/hosts/{host_id}/schedules"
    schedule_id = (await site.post(schedules, SCHEDULE))["id"]
    channel_id = (await site.post("/api/notifications", WEBHOOK))["id"]
    [host] = site.sql("SELECT name, tags FROM hosts")
    external = {**SCHEDULE, "cron": None, "on_calendar": "daily" + evil, "mode": "external"}
    silence = {"reason": "x", "ends_at": "2999-01-01T00:00:00Z"}
    tries: list[tuple[str, str, dict[str, Any], str]] = [
        ("PATCH", f"/api/hosts/{host_id}", {"name": f"nas{evil}"}, "/name"),
        ("PATCH", f"/api/hosts/{host_id}", {"tags": ["a", f"b{evil}"]}, "/tags"),
        *(
            (method, path, {**SCHEDULE, **change}, pointer)
            for method, path in (("POST", schedules), ("PATCH", f"/api/schedules/{schedule_id}"))
            for change, pointer in (
                ({"name": f"nightly{evil}"}, "/name"), ({"cron": f"0 3 * * *{evil}"}, "/cron"),
                ({"timezone": f"UTC{evil}"}, "/timezone"), ({"params": {"plan": f"home{evil}"}}, "/params/plan"),
                ({"kind": "check", "params": {"repository": f"main{evil}"}}, "/params/repository"),
                ({"kind": "check", "params": {"read_data_subset": f"1/2{evil}"}}, "/params/read_data_subset"),
            )
        ),
        ("POST", schedules, external, "/on_calendar"),
        ("POST", f"/api/hosts/{host_id}/jobs", {"kind": "diff", "params": {"from": "0123" + evil, "to": "4567"}},
         "/params/from"),
        ("POST", f"/api/hosts/{host_id}/jobs", {"kind": "restore", "params": {"snapshot": "0123" + evil}},
         "/params/snapshot"),
        ("POST", "/api/silences", {**silence, "tag": f"a{evil}"}, "/tag"),
        ("POST", "/api/silences", {**silence, "recurrence": {"cron": f"@daily{evil}", "duration_minutes": 5}},
         "/recurrence/cron"),
        ("POST", "/api/notifications", {**WEBHOOK, "name": f"ops{evil}"}, "/name"),
        ("POST", "/api/notifications", {**WEBHOOK, "host_tags": [f"a{evil}"]}, "/host_tags"),
        ("PUT", f"/api/notifications/{channel_id}", {**WEBHOOK, "name": f"ops{evil}"}, "/name"),
        ("POST", "/api/users", {"username": f"ann{evil}", "password": "a long enough phrase", "role": "viewer"},
         "/username"),
        ("POST", "/api/tokens", {"name": f"script{evil}", "role": "viewer"}, "/name"),
    ]  # fmt: skip
    for method, path, body, pointer in tries:
        answer = await site.api(method, path, body)
        assert answer.status == 422, (method, path, body, answer.body)
        assert pointer in [error["pointer"] for error in answer.json["errors"]], (body, answer.body)
    assert site.sql("SELECT name, tags FROM hosts") == [host]
    for table in ("schedules", "channels", "silences", "users", "api_tokens"):
        assert evil not in json.dumps(
            [dict(row) for row in site.sql(f"SELECT * FROM {table}")], default=str, ensure_ascii=False
        )


async def test_a_cron_expression_out_of_a_crontab_has_tabs(site: Site) -> None:
    host_id = await site.enroll()
    made = await site.post(f"/api/hosts/{host_id}/schedules", {**SCHEDULE, "cron": "0\t3\t*\t*\t*"})
    assert made["next_fire_at"]


async def test_what_is_stored_since_before_this_rule_can_still_be_changed_elsewhere(site: Site) -> None:
    host_id = await site.enroll()
    schedule_id = (await site.post(f"/api/hosts/{host_id}/schedules", SCHEDULE))["id"]
    site.sql("UPDATE schedules SET name = ?, cron = ?", "old\n", "0 3 * * *\n")
    changed = await site.api("PATCH", f"/api/schedules/{schedule_id}", {"grace_seconds": 60})
    assert (changed.status, changed.json["grace_seconds"]) == (200, 60)


async def test_a_number_in_an_address_that_is_none_breaks_no_page(site: Site) -> None:
    await site.user()
    browser = await site.log_in()
    for number in ["²", "³¹", "1²", "٣", "\uff11", "-1", "1e3", "9" * 400, "x", ""]:
        typed = quote(number)
        for path in (
            f"/hosts/arrived?since={typed}",
            *(f"/schedules/preview?timezone=UTC&cron={typed.join(parts)}" for parts in (
                ("", "+3+*+*+*"), ("0+", "+*+*+*"), ("0+3+", "+*+*"), ("0+3+*+", "+*"), ("*/", "+*+*+*+*"),
            )),
        ):  # fmt: skip
            assert (await browser.get(path)).status_code == 200, path
        assert (await site.api("GET", f"/api/hosts?limit={typed}")).status in (200, 422)
