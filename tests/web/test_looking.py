"""Looking into snapshots over the API: what is asked, what is shown, what each end of a question answers."""

import json
from typing import Any

import pytest
from msgspec import Raw

from rmactors.common import clock
from rmactors.common.vocabulary import Role
from rmactors.server.messages.hosts import RecordHello
from rmactors.server.messages.live_requests import (
    AgentAnswered,
    AgentAway,
    AgentRefused,
    AgentSlow,
    AgentTooOld,
    LiveAnswer,
)
from rmactors.server.web.operations import looking
from tests.web.conftest import Reply, Site

ID = "0123456789abcdef" * 4
OTHER = "fedcba9876543210" * 4
AT = "2026-11-28T10:00:00.000Z"
NAME = "canary & <b>\n\u202e.txt"
ENTRY = {"name": NAME, "path": f"/home/{NAME}", "type": "file", "size": 5, "mtime": AT}
BODIES: dict[str, dict[str, Any]] = {
    "browse": {"plan": "home", "snapshot": "latest", "path": "/home"},
    "find": {"plan": "home", "pattern": "*.txt"},
    "diff": {"plan": "home", "from": ID, "to": OTHER},
    "restore-preview": {"plan": "home", "snapshot": ID, "include": ["/home/a\nb"], "target": "/srv/restore"},
}
"""A good question of each kind, by the end of its path; that for the snapshots takes no body."""
ANSWERS: dict[str, list[dict[str, Any]]] = {
    "browse": [ENTRY],
    "find": [{"snapshot": ID, "time": AT, "path": f"/home/{NAME}", "type": "file", "size": 5, "mtime": None}],
    "diff": [{"path": f"/home/{NAME}", "change": "modified"}],
}
KINDS = ["snapshots", *BODIES]


async def host(site: Site, *, plans: str = '[{"name": "home"}]', allow: str | None = '["browse"]') -> str:
    host_id = await site.enroll()
    await site.commit(
        RecordHello(
            host_id, site.clock(), False, "0.9.1", "h", "linux", "x86_64", "UTC", None, plans,
            allow=allow, restore_targets=None if allow is None else '["/srv/restore"]',
        )
    )  # fmt: skip
    return host_id


async def look(site: Site, host_id: str, kind: str, role: Role = "operator", **changes: Any) -> Reply:
    if kind == "snapshots":
        return await site.api("GET", f"/api/hosts/{host_id}/snapshots?plan=home", role=role)
    return await site.api("POST", f"/api/hosts/{host_id}/{kind}", {**BODIES[kind], **changes}, role=role)


def rows(site: Site) -> list[tuple[str, ...]]:
    """Of the audit trail: who looked where, and how that ended."""
    found = site.sql("SELECT actor, action, target_kind, target_id, detail, result FROM audit ORDER BY n")
    return [tuple(row) for row in found if row["action"].startswith("snapshot.")]


# ---- what is asked and shown


async def test_the_snapshots_of_a_plan_are_listed_as_of_now(site: Site) -> None:
    host_id = await host(site)
    item = {
        "id": ID, "short_id": ID[:8], "time": AT, "plan": "home", "paths": ["/home"], "tags": [], "hostname": "nas1",
        "files": 3, "bytes": 12, "added_bytes": None, "program_version": None,
    }  # fmt: skip
    site.agent.answers([item])
    answer = await look(site, host_id, "snapshots")
    assert answer.status == 200
    assert set(answer.json) == {"items", "as_of"}
    assert answer.json["items"] == [item]
    assert abs(clock.from_rfc3339(answer.json["as_of"]) - site.clock()) < clock.MINUTE
    assert site.agent.asked == [(host_id, "snapshots", {"plan": "home", "limit": 2000})]


async def test_a_plan_with_many_snapshots_is_asked_for_page_by_page(site: Site) -> None:
    host_id = await host(site)
    pages = [
        AgentAnswered(Raw(json.dumps([{"id": ID, "time": AT}, 5]).encode()), "2"),
        AgentAnswered(Raw(json.dumps([{"id": OTHER, "time": AT}]).encode()), None),
    ]

    async def ask(host_id: str, kind: Any, params: Any) -> LiveAnswer:
        site.agent.asked.append((host_id, kind, params))
        return pages[len(site.agent.asked) - 1]

    object.__setattr__(site.services, "ask_agent", ask)
    answer = (await look(site, host_id, "snapshots")).json
    assert [item["id"] for item in answer["items"]] == [ID, OTHER]
    assert answer["left_out"] == 1
    assert [params.get("cursor") for _, _, params in site.agent.asked] == [None, "2"]


async def test_without_a_plan_the_snapshots_of_all_plans_are_listed_newest_first(site: Site) -> None:
    host_id = await host(site, plans='[{"name": "home"}, {"name": "etc"}]')
    times = {"home": ["2026-11-28T10:00:00Z", "2026-11-26T10:00:00Z"], "etc": ["2026-11-27T10:00:00Z"]}

    async def ask(host_id: str, kind: Any, params: Any) -> LiveAnswer:
        items = [{"id": ID, "time": at, "plan": params["plan"]} for at in times[params["plan"]]]
        return AgentAnswered(Raw(json.dumps(items).encode()), None)

    object.__setattr__(site.services, "ask_agent", ask)
    answer = await site.api("GET", f"/api/hosts/{host_id}/snapshots", role="operator")
    assert [item["plan"] for item in answer.json["items"]] == ["home", "etc", "home"]


async def test_an_agent_that_never_comes_to_an_end_is_not_followed_without_end(site: Site) -> None:
    host_id = await host(site, plans=json.dumps([{"name": f"plan{n}"} for n in range(200)]))
    site.agent.answers([{"id": ID, "time": AT}] * 2_000, "more")
    for path in ("snapshots?plan=home", "snapshots"):
        site.agent.asked.clear()
        answer = await site.api("GET", f"/api/hosts/{host_id}/{path}", role="operator")
        assert len(answer.json["items"]) == 10_000
        assert len(site.agent.asked) == 5


@pytest.mark.parametrize("kind", ANSWERS)
async def test_a_page_is_shown_as_the_agent_gave_it(site: Site, kind: str) -> None:
    host_id = await host(site)
    site.agent.answers([*ANSWERS[kind], {"rubbish": 1}], "next")
    answer = await look(site, host_id, kind, cursor="here", limit=7)
    assert answer.json == {"items": ANSWERS[kind], "next_cursor": "next", "left_out": 1}
    assert site.agent.asked == [(host_id, kind, {**BODIES[kind], "cursor": "here", "limit": 7})]
    site.agent.answers([])
    assert (await look(site, host_id, kind)).json == {"items": [], "next_cursor": None}


async def test_a_restore_is_previewed(site: Site) -> None:
    host_id = await host(site)
    shown = {"snapshot": ID, "files": 3, "bytes": 12, "into": "/srv/restore/x", "free_bytes": None}
    site.agent.answers([shown])
    assert (await look(site, host_id, "restore-preview")).json == shown
    assert site.agent.asked == [(host_id, "preview", BODIES["restore-preview"])]
    assert (await look(site, host_id, "restore-preview", target=None, include=[])).status == 200
    assert site.agent.asked[1][2] == {"plan": "home", "snapshot": ID, "include": []}


async def test_the_only_plan_of_a_host_need_not_be_named(site: Site) -> None:
    host_id = await host(site)
    site.agent.answers([])
    assert (await look(site, host_id, "browse", plan=None)).status == 200
    assert (await site.api("GET", f"/api/hosts/{host_id}/snapshots", role="operator")).status == 200
    assert {params["plan"] for _, _, params in site.agent.asked} == {"home"}


@pytest.mark.parametrize(
    ("plans", "says"),
    [('[{"name": "home"}, {"name": "db"}]', "this host has home, db"), ("[]", "this host has told of no plan")],
)
async def test_where_there_are_several_plans_or_none_one_must_be_named(site: Site, plans: str, says: str) -> None:
    host_id = await host(site, plans=plans)
    answer = await look(site, host_id, "browse", plan=None)
    assert (answer.status, answer.json["errors"]) == (422, [{"pointer": "/plan", "detail": f"is required: {says}"}])


async def test_a_host_says_what_it_allows_and_where_it_restores_to(site: Site) -> None:
    host_id = await host(site)
    shown = await site.get(f"/api/hosts/{host_id}")
    assert (shown["allow"], shown["restore_targets"]) == (["browse"], ["/srv/restore"])
    long = json.dumps([f"/srv/{n}/{'x' * 1_900}" for n in range(50)])
    await site.commit(
        RecordHello(
            host_id, site.clock(), False, "1", "h", "linux", "x", "UTC", None, "[]", allow="[]", restore_targets=long
        )
    )
    assert len((await site.get(f"/api/hosts/{host_id}"))["restore_targets"]) == 50
    assert len((await site.get("/api/hosts"))["items"][0]["restore_targets"]) == 2, "a list shows the first"
    await host_that_does_not_tell(site, host_id)
    shown = await site.get(f"/api/hosts/{host_id}")
    assert (shown["allow"], shown["restore_targets"]) == (None, None)


async def host_that_does_not_tell(site: Site, host_id: str) -> None:
    await site.commit(RecordHello(host_id, site.clock(), False, "0.1", "h", "linux", "x86_64", "UTC", None, "[]"))


# ---- who may, and what is asked wrongly


async def test_a_viewer_may_not_look_at_all(site: Site) -> None:
    host_id = await host(site)
    for kind in KINDS:
        assert (await look(site, host_id, kind, "viewer")).status == 403
    assert site.agent.asked == []


async def test_a_host_that_is_not_there_is_not_found(site: Site) -> None:
    for kind in KINDS:
        assert (await look(site, "01ARZ3NDEKTSV4RRFFQ69G5FAV", kind)).status == 404
        assert (await look(site, "x", kind)).status == 404


WRONG: list[tuple[str, dict[str, object], str]] = [
    *[(kind, {"plan": plan}, "/plan") for kind in BODIES for plan in ("", "a b", "/etc", "x" * 101, 5)],
    *[(kind, {"surprise": 1}, "/surprise") for kind in BODIES],
    *[("browse", {"snapshot": value}, "/snapshot") for value in ("", "newest", "abc", "ABCD", "0" * 65, None)],
    *[("browse", {"path": value}, "/path") for value in ("", "home", "/a\0", "/" + "x" * 4096, None, ["/"])],
    *[("browse", {"cursor": value}, "/cursor") for value in ("", "a\0", "x" * 4097, 5)],
    *[("browse", {"limit": value}, "/limit") for value in (0, -1, 2001, 1.5, "10")],
    *[("find", {"pattern": value}, "/pattern") for value in ("", "a\0", "x" * 1001, None)],
    *[("diff", {"from": value}, "/from") for value in ("latest", "", 5, None)],
    *[("diff", {"to": value}, "/to") for value in ("latest", "")],
    ("restore-preview", {"snapshot": "x"}, "/snapshot"),
    ("restore-preview", {"include": ["/a", "b"]}, "/include/1"),
    ("restore-preview", {"include": ["/"] * 101}, "/include"),
    ("restore-preview", {"include": ["/" + "x" * 4000] * 30}, "/include"),
    ("restore-preview", {"target": "srv"}, "/target"),
]


async def test_what_is_asked_wrongly_is_not_asked(site: Site) -> None:
    host_id = await host(site)
    for kind, change, pointer in WRONG:
        answer = await look(site, host_id, kind, **change)
        assert answer.status == 422, (kind, change)
        assert pointer in [error["pointer"].removesuffix("/0") for error in answer.json["errors"]], (kind, change)
    assert site.agent.asked == []
    assert rows(site) == []


async def test_a_text_that_no_frame_could_carry_is_not_asked(site: Site) -> None:
    host_id = await host(site)
    for kind, field in (("browse", "path"), ("find", "pattern"), ("browse", "cursor"), ("restore-preview", "target")):
        raw = json.dumps({**BODIES[kind], field: "/half \ud800"}).encode()
        answer = await site.api("POST", f"/api/hosts/{host_id}/{kind}", raw=raw, role="operator")
        assert answer.status in (400, 422), field
    assert looking.path_problem("/half \ud800") is not None, "as a page may be asked"
    assert site.agent.asked == []


async def test_the_snapshots_take_no_other_parameter(site: Site) -> None:
    host_id = await host(site)
    for query in ("plan=a%20b", "plan=home&path=/etc", "limit=5"):
        assert (await site.api("GET", f"/api/hosts/{host_id}/snapshots?{query}", role="operator")).status == 422
    assert site.agent.asked == []


# ---- how questions end

UNREADABLE = (502, "agent-failed", "The agent's answer could not be read.")
ENDS: list[tuple[LiveAnswer, tuple[int, str, str]]] = [
    (AgentAway(), (409, "not-connected", "This host is not connected at the moment.")),
    (AgentTooOld(), (409, "agent-too-old", "The agent of this host (0.9.1) is too old for this: update it.")),
    (AgentSlow(), (504, "agent-slow", "The agent of this host gave no answer within 30 seconds.")),
    (AgentRefused("not_allowed", "not here"), (403, "not-allowed", "not here")),
    (AgentRefused("not_allowed", ""), (403, "not-allowed", "This host does not allow it.")),
    (AgentRefused("not_found", "no such path"), (404, "not-found", "no such path")),
    (AgentRefused("not_found", ""), (404, "not-found", "It is not there.")),
    (AgentRefused("invalid", "no such plan"), (422, "invalid", "no such plan")),
    (AgentRefused("invalid", ""), (422, "invalid", "The agent cannot use what was asked.")),
    (AgentRefused("busy", "later"), (503, "busy", "later")),
    (AgentRefused("busy", ""), (503, "busy", "The agent is busy.")),
    (AgentRefused("failed", "restic:\nlocked"), (502, "agent-failed", "restic: locked")),
    (AgentRefused("failed", ""), (502, "agent-failed", "The agent could not answer.")),
    (AgentRefused("from the future", "x" * 2_000), (502, "agent-failed", "x" * 499 + "…")),
    *[(AgentAnswered(Raw(items), None), UNREADABLE) for items in (b"{}", b"null", b'"x"')],
    *[(AgentAnswered(Raw(b"[]"), cursor), UNREADABLE) for cursor in ("", "a\0", "x" * 4_097)],
]


@pytest.mark.parametrize("kind", KINDS)
async def test_each_end_of_a_question_has_its_answer(site: Site, kind: str) -> None:
    host_id = await host(site)
    for end, (status, slug, detail) in ENDS:
        site.agent.answer = end
        found = await look(site, host_id, kind)
        said = found.json
        assert (found.status, said["type"].rpartition(":")[2], said["detail"]) == (status, slug, detail), end
        assert (found.headers.get("Retry-After") is not None) == (status == 503)


async def test_a_preview_that_is_not_one_item_cannot_be_read(site: Site) -> None:
    host_id = await host(site)
    for items in ([], [{"rubbish": 1}], 2 * [{"snapshot": ID}]):
        site.agent.answers(items)
        assert (await look(site, host_id, "restore-preview")).status == 502


async def test_an_agent_of_before_such_questions_is_told_of_where_it_is_silent(site: Site) -> None:
    host_id = await host(site, allow=None)
    site.agent.answer = AgentSlow()
    found = await look(site, host_id, "browse")
    assert found.status == 504
    assert found.json["detail"].endswith(" It may be too old for this: update it.")


# ---- the audit trail


async def test_who_looks_where_is_in_the_audit_trail_and_at_what_is_not(site: Site) -> None:
    host_id = await host(site)
    site.agent.answers([ENTRY])
    for kind in KINDS:
        await look(site, host_id, kind)
    who = ("token:the operator",)
    assert rows(site) == [
        (*who, "snapshot.list", "host", host_id, "plan home", "ok"),
        (*who, "snapshot.browse", "host", host_id, "plan home, snapshot latest", "ok"),
        (*who, "snapshot.find", "host", host_id, "plan home", "ok"),
        (*who, "snapshot.diff", "host", host_id, f"plan home, from {ID}, to {OTHER}", "ok"),
        (*who, "snapshot.preview", "host", host_id, f"plan home, snapshot {ID}", "ok"),
    ]
    whole = repr([tuple(row) for row in site.sql("SELECT * FROM audit")])
    for kept_out in ("canary", "/home", "*.txt", "/srv"):
        assert kept_out not in whole


async def test_who_walks_through_a_snapshot_has_one_row_within_ten_minutes(site: Site) -> None:
    host_id = await host(site)
    site.agent.answers([])
    for path in ("/", "/home", "/home/a"):
        await look(site, host_id, "browse", path=path, cursor="5")
    assert len(rows(site)) == 1
    await look(site, host_id, "browse", snapshot=ID)
    await look(site, host_id, "browse", "admin")
    assert [(row[0], row[4]) for row in rows(site)[1:]] == [
        ("token:the operator", f"plan home, snapshot {ID}"),
        ("token:the admin", "plan home, snapshot latest"),
    ]
    site.clock.advance(10 * clock.MINUTE + clock.SECOND)
    await look(site, host_id, "browse")
    assert len(rows(site)) == 4


async def test_a_host_that_refuses_has_a_row_that_says_so(site: Site) -> None:
    host_id = await host(site)
    site.agent.answer = AgentRefused("not_allowed", "no")
    await look(site, host_id, "browse")
    assert [(row[1], row[-1]) for row in rows(site)] == [("snapshot.browse", "ok"), ("snapshot.browse", "failed")]


async def test_without_a_row_nobody_looks(site: Site) -> None:
    host_id = await host(site)
    site.sql("ALTER TABLE audit RENAME TO elsewhere")
    assert (await look(site, host_id, "browse")).status == 503
    assert site.agent.asked == []
