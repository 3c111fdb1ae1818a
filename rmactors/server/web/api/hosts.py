"""`/api/hosts` and `/api/enrollment-tokens`: who may report, under which name, with which credential."""

from collections.abc import Mapping
from typing import Annotated, Literal, cast

from msgspec import UNSET, Meta, Struct, UnsetType
from quart import Blueprint, Response

from rmactors.common import clock
from rmactors.common.vocabulary import HostStatus
from rmactors.server.messages.made_tokens import MOST_USES
from rmactors.server.store.queries import accounts as account_queries
from rmactors.server.store.queries import hosts as queries
from rmactors.server.store.queries.host_lists import API_SORTS, STATUSES, HostFilter, HostSort, key_shape
from rmactors.server.store.queries.hosts import HostView
from rmactors.server.web.access import route, services
from rmactors.server.web.api.bodies import (
    PAGING,
    Listing,
    arguments,
    cursor_of,
    json_body,
    json_response,
    limit_of,
    listed,
    listing,
    no_body,
    no_content,
    one_of,
)
from rmactors.server.web.api.shapes import hosts as shapes
from rmactors.server.web.fields import Time
from rmactors.server.web.operations import hosts
from rmactors.server.web.operations.hosts import DEFAULT_TTL_MINUTES, MOST_TTL_MINUTES
from rmactors.server.web.problems import invalid_field
from rmactors.server.web.validation import convert
from rmactors.server.web.views.lists import LONGEST

blueprint = Blueprint("api_hosts", __name__)

Tags = Annotated[list[Annotated[str, Meta(min_length=1, max_length=100)]], Meta(max_length=100)]
Lifetime = Annotated[float, Meta(gt=0, le=MOST_TTL_MINUTES)]
QUERY: Mapping[str, object] = {
    "q": str, "tag": str, "status": Literal["offline", "never_seen", "reports_only", "online"],
    "sort": Literal["name", "-name", "last_backup", "-last_backup", "status"], **PAGING,
}  # fmt: skip


class EnrollmentBody(Struct, forbid_unknown_fields=True):
    """How long the token is good for (fractions are fine), how many hosts it enrolls, and their tags."""

    ttl_minutes: Lifetime = DEFAULT_TTL_MINUTES
    uses: Annotated[int, Meta(ge=1, le=MOST_USES)] = 1
    tags: Tags = []


class HostEnrollmentBody(Struct, forbid_unknown_fields=True):
    """How long the token is good for; fractions are fine."""

    ttl_minutes: Lifetime = DEFAULT_TTL_MINUTES


class EnrollmentToken(Struct):
    """The token, this once."""

    token: str
    expires_at: Time


class HostBody(Struct, forbid_unknown_fields=True):
    name: Annotated[str, Meta(min_length=1, max_length=100)] | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET


class AgentToken(Struct):
    """The host's new credential, this once."""

    agent_token: str


@route(
    blueprint, "/api/enrollment-tokens", role="admin", methods=["POST"], fresh=True, body=EnrollmentBody,
    optional_body=True, answer=EnrollmentToken, status=201,
)  # fmt: skip
async def create_enrollment_token() -> Response:
    """A token that `rmactors agent enroll` trades for a host's credential, once for each of its uses."""
    body = convert(await json_body(optional=True), EnrollmentBody)
    tags = tuple(dict.fromkeys(body.tags))
    token, expires_at = await hosts.new_enrollment_token(body.ttl_minutes, body.uses, tags)
    return json_response(EnrollmentToken(token, clock.to_rfc3339(expires_at)), 201)


@route(
    blueprint, "/api/enrollment-tokens", role="admin", answer=Listing[shapes.EnrollmentTokenEntry], query=PAGING
)  # fmt: skip
async def list_enrollment_tokens() -> Response:
    """Newest first, without the tokens; used and expired ones until a day after their end."""
    given = arguments(*PAGING)
    page = await services().reader.run(account_queries.enrollment_tokens, limit_of(given), cursor_of(given, (int, str)))
    return json_response(listing(page, shapes.enrollment_token))


@route(
    blueprint, "/api/enrollment-tokens/<token_id>", role="admin", methods=["DELETE"], fresh=True, status=204
)  # fmt: skip
async def delete_enrollment_token(token_id: str) -> Response:
    """Revokes it. A host that was enrolled with it stays."""
    await no_body()
    await hosts.revoke_enrollment_token(token_id)
    return no_content()


@route(blueprint, "/api/hosts", role="viewer", answer=Listing[shapes.Host], query=QUERY)
async def list_hosts() -> Response:
    """By name, unless `sort` says otherwise. Each word of `q` is a part of the name, of the machine's own name or of a
    tag, or the beginning of a word for a status. A host with long plans has the first of them here, and all of them by
    itself."""
    given = arguments(*QUERY)
    sort = cast("HostSort", one_of(given, "sort", API_SORTS) or "name")
    for name in ("q", "tag"):
        if len(given.get(name, "")) > LONGEST:
            raise invalid_field(f"/{name}", "is too long")
    status = cast("HostStatus | None", one_of(given, "status", STATUSES))
    wanted = HostFilter(given.get("q", ""), given.get("tag", ""), status)
    since = services().now() - clock.seconds(services().settings.offline_after_seconds)
    page = await services().reader.run(
        queries.host_views, wanted, sort, since, limit_of(given), cursor_of(given, key_shape(sort))
    )
    return await listed(page, lambda view: _shape(view, whole=False))


@route(blueprint, "/api/hosts/<host_id>", role="viewer", answer=shapes.Host)
async def show_host(host_id: str) -> Response:
    """One host with its schedules and the last job of each kind."""
    return json_response(_shape(await hosts.require(host_id)))


@route(blueprint, "/api/hosts/<host_id>", role="admin", methods=["PATCH"], body=HostBody, answer=shapes.Host)
async def change_host(host_id: str) -> Response:
    """A new name or new tags."""
    raw = await json_body()
    await hosts.require(host_id)
    body = convert(raw, HostBody, read_only=shapes.Host.__struct_fields__)
    name = hosts.checked_name(body.name) if not isinstance(body.name, UnsetType) else None
    tags = tuple(dict.fromkeys(body.tags)) if not isinstance(body.tags, UnsetType) else None
    await hosts.change(host_id, name, tags)
    return json_response(_shape(await hosts.require(host_id)))


@route(blueprint, "/api/hosts/<host_id>", role="admin", methods=["DELETE"], fresh=True, status=204)
async def delete_host(host_id: str) -> Response:
    """Revokes its credential, closes its socket, resolves its alerts."""
    await no_body()
    await hosts.require(host_id)
    await hosts.remove(host_id)
    return no_content()


@route(blueprint, "/api/hosts/<host_id>/rotate-token", role="admin", methods=["POST"], fresh=True, answer=AgentToken)
async def rotate_token(host_id: str) -> Response:
    """A new credential; the old one dies and the live socket closes."""
    await no_body()
    await hosts.require(host_id)
    return json_response(AgentToken(await hosts.new_agent_token(host_id)))


@route(
    blueprint, "/api/hosts/<host_id>/enrollment-token", role="admin", methods=["POST"], fresh=True,
    body=HostEnrollmentBody, optional_body=True, answer=EnrollmentToken, status=201,
)  # fmt: skip
async def create_token_for_host(host_id: str) -> Response:
    """A token that enrolls a machine again as this host: id, name, schedules and history stay, and the old credential
    works until the token is used."""
    raw = await json_body(optional=True)
    await hosts.require(host_id)
    body = convert(raw, HostEnrollmentBody)
    token, expires_at = await hosts.new_enrollment_token(body.ttl_minutes, for_host=host_id)
    return json_response(EnrollmentToken(token, clock.to_rfc3339(expires_at)), 201)


def _shape(view: HostView, *, whole: bool = True) -> shapes.Host:
    return shapes.host(view, services().now(), services().settings.offline_after_seconds, whole=whole)
