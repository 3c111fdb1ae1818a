"""Every route of the API with hostile values in every place, made from its own description: never a 500."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from rmactors.common import ids
from tests.web.conftest import PASSWORD, Site
from tests.web.test_channel_form import GOOD

NASTY: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, 1e308, -0.0, 2**63, -(2**63) - 1, 2**70, 10**400,
    "", " ", "\0", "a\0b", "\r\nX: y", "ü" * 50, "\u202e", "😀", "x" * 5000, "%00", "' OR 1=1 --", "../../etc/passwd",
    "{{7*7}}", "2026-11-24T00:00:00Z", "9999-12-31T23:59:59+14:00", "0001-01-01T00:00:00-23:59", "0" * 26, "ſ" * 26,
    "@daily", "* * * * *", "0 0 31 2 *", "UTC", "Europe/Berlin", "../UTC",
    [], [[]], [None], ["\0"], {}, {"": ""}, {"set": True}, {"a": {"b": {"c": []}}}, {"\0": 1},
    {"cron": "@daily", "duration_minutes": 1e300},
)  # fmt: skip
TEXTS = tuple(str(value) for value in NASTY if isinstance(value, str | int | float) and len(str(value)) < 1000)


def example(schema: dict[str, Any], schemas: dict[str, Any]) -> Any:
    """Something that fits a schema."""
    if "$ref" in schema:
        return example(schemas[schema["$ref"].rsplit("/", 1)[1]], schemas)
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return example(schema["anyOf"][0], schemas)
    match schema.get("type"):
        case "object":
            return {name: example(schema["properties"][name], schemas) for name in schema.get("required", [])}
        case "array":
            return []
        case "integer" | "number":
            return 5
        case "boolean":
            return True
        case _:
            return "x"


def bodies(schema: dict[str, Any], schemas: dict[str, Any], *, deep: bool) -> Iterator[Any]:
    """A valid body with one nasty value at a time; and nasty values in its place. `deep`: also inside of configs."""
    resolved = schemas[schema["$ref"].rsplit("/", 1)[1]]
    plain = {
        **example(schema, schemas), **{name: value for name, value in PLAIN.items() if name in resolved["properties"]}
    }  # fmt: skip
    yield from NASTY
    for name in [*resolved["properties"], "unknown"]:
        for value in NASTY:
            yield {**plain, name: value}
    if deep:
        for kind, config in CONFIGS.items():
            for name in config:
                for value in NASTY:
                    yield {**plain, "kind": kind, "config": {**config, name: value}}


PLAIN: dict[str, Any] = {
    "name": "n", "kind": "backup", "cron": "@daily", "reason": "r", "ends_at": "2999-01-01T00:00:00Z", "role": "viewer",
}  # fmt: skip
CONFIGS: dict[str, dict[str, Any]] = GOOD | {
    "webhook": {
        "url": "https://h.example/x", "bearer_token": "t", "header_name": "X-A", "header_value": "v",
        "signing_secret": "whsec_QUJD",
    },
    "ntfy": {"server_url": "https://n.example", "topic": "t", "access_token": "a"},
    "smtp": {
        "host": "m.example", "port": 25, "encryption": "none", "username": "u", "password": "p", "from": "a@b.example",
        "to": "c@d.example",
    },
    "pushover": {
        "api_url": "https://p.example", "app_token": "a" * 30, "user_key": "u" * 30, "device": "phone",
        "sound": "siren",
    },
}  # fmt: skip


@pytest.fixture
async def description(site: Site) -> Any:
    return await site.get("/api/openapi.json")


async def known_ids(site: Site) -> dict[str, str]:
    """An object of each kind, so that bodies are looked at and not only ids."""
    host_id = await site.enroll()
    schedule = await site.post(f"/api/hosts/{host_id}/schedules", {"name": "n", "kind": "backup", "cron": "@daily"})
    job = await site.post(f"/api/hosts/{host_id}/jobs", {"kind": "backup"})
    channel = await site.post(
        "/api/notifications", {"kind": "webhook", "name": "n", "config": {"url": "https://h.example"}}
    )
    user = await site.post("/api/users", {"username": "bert", "password": PASSWORD, "role": "viewer"})
    return {
        "host_id": host_id, "schedule_id": schedule["id"], "job_id": job["id"], "channel_id": channel["id"],
        "user_id": user["id"],
    }  # fmt: skip


def fine(answer: Any) -> bool:
    if answer.status >= 500:
        return False
    return answer.status < 400 or answer.headers["Content-Type"] == "application/problem+json"


async def test_no_body_makes_a_500(site: Site, description: Any) -> None:
    known, wrong, seen = await known_ids(site), [], Counter[int]()
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            if "requestBody" not in operation:
                continue
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            url = path
            for parameter in operation["parameters"]:
                url = url.replace("{" + parameter["name"] + "}", known.get(parameter["name"], ids.new()))
            for body in bodies(schema, description["components"]["schemas"], deep=path.endswith("/preview")):
                if method == "post" and path == "/api/users" and isinstance(body, dict):
                    body["password"] = "short"  # hashing is not what is tried here
                answer = await site.api(method.upper(), url, raw=json.dumps(body).encode())
                seen[answer.status] += 1
                if not fine(answer):
                    wrong.append((method, path, body, answer.status))
    assert wrong == []
    assert seen.total() > 2000
    assert {200, 201, 202, 422} <= set(seen)


async def test_no_id_and_no_parameter_makes_a_500(site: Site, description: Any) -> None:
    wrong = []
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            if path in ("/events", "/metrics"):
                continue
            for parameter in operation["parameters"]:
                for text in TEXTS:
                    url = path
                    for other in operation["parameters"]:
                        value = text if other is parameter else ids.new()
                        url = url.replace("{" + other["name"] + "}", quote(value, safe=""))
                    if parameter["in"] == "query":
                        url += f"?{parameter['name']}={quote(text, safe='')}"
                    answer = await site.api(method.upper(), url)
                    if not fine(answer):
                        wrong.append((method, url, answer.status))
    assert wrong == []
