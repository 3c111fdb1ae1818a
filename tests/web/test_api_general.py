"""What all of the API has in common: problems, JSON, health, metrics, its own description, the stream of topics."""

import json
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
import trio
from openapi_spec_validator import OpenAPIV31SpecValidator

from rmactors.server.messages.made_tokens import DeleteApiToken
from rmactors.server.web.api import bodies
from tests.web.conftest import Site


async def test_healthz_says_ok_to_anybody(site: Site) -> None:
    answer = await site.browser().get("/healthz")
    assert answer.status_code == 200
    assert (await answer.get_json()) == {
        "status": "ok",
        "version": (await answer.get_json())["version"],
        "checks": {"store": "ok", "rules": "ok", "delivery": "ok"},
    }


async def test_healthz_names_the_check_that_fails(site: Site) -> None:
    site.health["store"] = "disk full"
    answer = await site.browser().get("/healthz")
    assert answer.status_code == 503
    assert (await answer.get_json())["checks"]["store"] == "disk full"
    assert (await answer.get_json())["status"] != "ok"


async def test_metrics_are_in_prometheus_text_format(site: Site) -> None:
    answer = await site.api("GET", "/metrics", role="viewer")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert "# HELP" in answer.text


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"\xff\xfe", b"{'a': 1}", b'{"a": NaN}', b'{"a": 1} x', b"[" * 100_000, b'"\\ud800"']
)
async def test_what_is_not_json_is_a_400(site: Site, raw: bytes) -> None:
    answer = await site.api("POST", "/api/notifications", raw=raw)
    assert answer.status == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert set(answer.json) == {"type", "title", "status", "detail"}


@pytest.mark.parametrize("body", [{"reason": "a\0b"}, {"\0": 1}, {"reason": ["x"] * 5}, 5, "x", [], None, True])
async def test_json_of_the_wrong_shape_is_a_422(site: Site, body: Any) -> None:
    answer = await site.api("POST", "/api/silences", raw=json.dumps(body).encode())
    assert answer.status == 422
    assert answer.json["errors"][0].keys() == {"pointer", "detail"}


async def test_deep_nesting_is_refused_not_survived_by_luck(site: Site) -> None:
    host_id = await site.enroll()
    nested: Any = "x"
    for _ in range(200):
        nested = {"a": nested}
    body = {"name": "n", "kind": "backup", "cron": "@daily", "params": nested}
    assert (await site.api("POST", f"/api/hosts/{host_id}/schedules", body)).status == 422


@pytest.mark.parametrize("body", [{"x": 1}, [1], "x"])
async def test_a_route_without_a_body_takes_none(site: Site, body: Any) -> None:
    host_id = await site.enroll()
    assert (await site.api("POST", f"/api/hosts/{host_id}/rotate-token", body)).status == 422
    assert (await site.api("POST", f"/api/hosts/{host_id}/rotate-token", raw=b"{")).status == 400
    assert (await site.api("POST", f"/api/hosts/{host_id}/rotate-token", {})).status == 200


async def test_an_unexpected_error_is_a_problem_that_tells_nothing(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken() -> None:
        raise RuntimeError("the secret is 42")

    site.app.view_functions["api_alerts.list_alerts"] = broken  # type: ignore[assignment]
    answer = await site.api("GET", "/api/alerts")
    assert answer.status == 500
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "42" not in answer.text
    assert "the secret is 42" in caplog.text


async def test_a_database_that_cannot_be_read_is_a_503(site: Site) -> None:
    async def broken() -> None:
        raise sqlite3.OperationalError("disk I/O error")

    site.app.view_functions["api_alerts.list_alerts"] = broken  # type: ignore[assignment]
    answer = await site.api("GET", "/api/alerts")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")


# ---- the description


async def test_the_description_covers_every_route_and_resolves(site: Site) -> None:
    described = await site.get("/api/openapi.json")
    assert described["openapi"].startswith("3.1")
    assert [error.message for error in OpenAPIV31SpecValidator(described).iter_errors()] == []
    operations = {(m, p): o for p, methods in described["paths"].items() for m, o in methods.items()}
    served = {
        (method.lower(), rule.rule.replace("<", "{").replace(">", "}"))
        for rule in site.app.url_map.iter_rules()
        for method in rule.methods or ()
        if rule.rule.startswith("/api/") or rule.rule in ("/healthz", "/metrics", "/events")
    }
    assert operations.keys() == {found for found in served if found[0] not in ("head", "options")}
    assert len(operations) >= 49
    assert len({operation["operationId"] for operation in operations.values()}) == len(operations)
    assert [key for key, operation in operations.items() if not operation["summary"]] == []
    for (method, path), operation in operations.items():
        for status, answer in operation["responses"].items():
            assert answer.get("content") or status == "204", f"{method} {path} → {status}: of no type"
    schemas = described["components"]["schemas"]

    def check(value: Any) -> None:
        if isinstance(value, dict):
            if "$ref" in value:
                assert value["$ref"].removeprefix("#/components/schemas/") in schemas
            for item in value.values():
                check(item)
        elif isinstance(value, list):
            for item in value:
                check(item)

    check(described)


async def test_answers_are_what_the_description_says(site: Site) -> None:
    """Every list and object that can be read has exactly the keys that its schema names."""
    described = await site.get("/api/openapi.json")
    schemas = described["components"]["schemas"]
    host_id = await site.enroll()
    await site.post(f"/api/hosts/{host_id}/schedules", {"name": "n", "kind": "backup", "cron": "@daily"})
    await site.post(f"/api/hosts/{host_id}/jobs", {"kind": "backup"})
    await site.post("/api/silences", {"reason": "x", "ends_at": "2999-01-01T00:00:00Z"})
    await site.post("/api/notifications", {"kind": "ntfy", "name": "n", "config": {"topic": "t"}})
    await site.user()
    for path in (
        "/api/hosts",
        "/api/jobs",
        "/api/silences",
        "/api/notifications",
        "/api/users",
        "/api/tokens",
        "/api/audit",
    ):
        schema = described["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        listing = schemas[schema["$ref"].rsplit("/", 1)[1]]
        item = schemas[listing["properties"]["items"]["items"]["$ref"].rsplit("/", 1)[1]]
        found = (await site.get(path, role="admin"))["items"][0]
        assert set(found) == set(item["properties"]) == set(item["required"])


# ---- topics


async def read_until(connection: Any, wanted: Callable[[bytes], bool]) -> bytes:
    seen = b""
    with trio.fail_after(30):
        while not wanted(seen):
            seen += await connection.receive()
    return seen


async def test_the_stream_names_what_changed(site: Site) -> None:
    headers = {"Authorization": f"Bearer {site.tokens['viewer']}"}
    async with site.app.test_client().request("/events", headers=headers) as connection:
        await connection.send_complete()
        await read_until(connection, lambda seen: b"connected" in seen)
        await site.topics.send(frozenset({"alerts", "jobs"}))
        seen = await read_until(connection, lambda seen: seen.endswith(b"jobs\n\n"))
        assert seen.endswith(b"data: alerts\n\ndata: jobs\n\n")
        assert connection.headers["Content-Type"].startswith("text/event-stream")
        assert connection.headers["X-Accel-Buffering"] == "no"
        assert connection.headers["Cache-Control"] == "no-store"
        site.topics.close()


async def test_the_stream_ends_with_the_server(site: Site) -> None:
    headers = {"Authorization": f"Bearer {site.tokens['viewer']}"}
    site.topics.close()
    with trio.fail_after(30):
        answer = await site.app.test_client().get("/events", headers=headers)
        assert await answer.get_data() == b": connected\nretry: 3000\n\n"


async def test_the_stream_ends_with_the_sign_in(site: Site) -> None:
    token_id = next(row["id"] for row in site.sql("SELECT id FROM api_tokens WHERE role = 'viewer'"))
    headers = {"Authorization": f"Bearer {site.tokens['viewer']}"}
    with trio.fail_after(30):
        async with site.app.test_client().request("/events", headers=headers) as connection:
            await connection.send_complete()
            await read_until(connection, lambda seen: b"still here" in seen)
            await site.commit(DeleteApiToken(token_id, site.audit("token.delete", token_id)))
        refused = await site.app.test_client().get("/events", headers=headers)
    assert refused.status_code == 401


def test_pointers_follow_rfc_6901() -> None:
    assert bodies.escape("a/b~c") == "a~1b~0c"
