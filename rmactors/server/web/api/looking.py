"""`/api/hosts/{id}/snapshots` and what is in them: asked of the host's agent while the caller waits, at most 30 s.

An operator's, the list of snapshots too: each call makes the host run restic. Only where the host's agent.toml has
`browse` in `allow`.
"""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta, Struct
from quart import Blueprint, Response

from rmactors.server.web.access import route
from rmactors.server.web.api.bodies import arguments, json_body, json_response
from rmactors.server.web.api.shapes import looking as shapes
from rmactors.server.web.html import in_thread
from rmactors.server.web.operations import hosts, looking
from rmactors.server.web.validation import convert

blueprint = Blueprint("api_looking", __name__)

QUERY: Mapping[str, object] = {"plan": str}
Limit = Annotated[int, Meta(ge=1, le=looking.MOST_AT_ONCE)]
_PATHS = "/api/hosts/<host_id>"


class BrowseBody(Struct, forbid_unknown_fields=True):
    """`snapshot` is an id or `latest`. `plan` may be left out where the host has one."""

    snapshot: str
    path: str
    plan: str | None = None
    cursor: str | None = None
    limit: Limit | None = None


class FindBody(Struct, forbid_unknown_fields=True):
    """`pattern` is a name or a path; `*` and `?` stand for what they do in a shell."""

    pattern: str
    plan: str | None = None
    cursor: str | None = None
    limit: Limit | None = None


class DiffBody(Struct, forbid_unknown_fields=True):
    """Both are ids of snapshots of the plan."""

    to: str
    from_: str = msgspec.field(name="from")
    plan: str | None = None
    cursor: str | None = None
    limit: Limit | None = None


class PreviewBody(Struct, forbid_unknown_fields=True):
    """As the parameters of a job of kind `restore`. Without `include`, all of the snapshot."""

    target: str | None = None
    snapshot: str = "latest"
    include: list[str] = []
    plan: str | None = None


@route(blueprint, f"{_PATHS}/snapshots", role="operator", answer=shapes.Snapshots, query=QUERY)
async def list_snapshots(host_id: str) -> Response:
    """All snapshots of a plan, newest first; without `plan`, those of every plan of the host."""
    given = arguments(*QUERY)
    host = (await hosts.require(host_id)).host
    looked = await looking.snapshots(host, given.get("plan"))
    return json_response(await in_thread(lambda: shapes.snapshots(looked)))


@route(
    blueprint,
    f"{_PATHS}/browse",
    role="operator",
    methods=["POST"],
    body=BrowseBody,
    answer=shapes.Page[shapes.Entry],
    holds_secret=False,
)
async def browse(host_id: str) -> Response:
    """What is directly in a folder of a snapshot."""
    raw = await json_body()
    host = (await hosts.require(host_id)).host
    body = convert(raw, BrowseBody)
    looked = await looking.browse(host, body.plan, body.snapshot, body.path, body.cursor, body.limit)
    return json_response(await in_thread(lambda: shapes.entries(looked)))


@route(
    blueprint, f"{_PATHS}/find", role="operator", methods=["POST"], body=FindBody, answer=shapes.Page[shapes.Found],
    holds_secret=False,
)  # fmt: skip
async def find(host_id: str) -> Response:
    """Files and folders of that name in all snapshots of a plan."""
    raw = await json_body()
    host = (await hosts.require(host_id)).host
    body = convert(raw, FindBody)
    looked = await looking.find(host, body.plan, body.pattern, body.cursor, body.limit)
    return json_response(await in_thread(lambda: shapes.found(looked)))


@route(
    blueprint, f"{_PATHS}/diff", role="operator", methods=["POST"], body=DiffBody, answer=shapes.Page[shapes.Change],
    holds_secret=False,
)  # fmt: skip
async def diff(host_id: str) -> Response:
    """What changed from one snapshot to another."""
    raw = await json_body()
    host = (await hosts.require(host_id)).host
    body = convert(raw, DiffBody)
    looked = await looking.diff(host, body.plan, body.from_, body.to, body.cursor, body.limit)
    return json_response(await in_thread(lambda: shapes.changes(looked)))


@route(
    blueprint, f"{_PATHS}/restore-preview", role="operator", methods=["POST"], body=PreviewBody, answer=shapes.Preview
)
async def preview_restore(host_id: str) -> Response:
    """How much a restore would write, and where to. Nothing is written."""
    raw = await json_body()
    host = (await hosts.require(host_id)).host
    body = convert(raw, PreviewBody)
    found = await looking.preview(host, body.plan, body.snapshot, body.include, body.target)
    return json_response(shapes.preview(found))
