"""`/api/hosts` and `/api/enrollment-tokens`: who may report, under which name, with which credential."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType
from quart import Blueprint, Response

from rmactors.common import clock, ids
from rmactors.server.config import tokens
from rmactors.server.edges.host_names import host_name_problem
from rmactors.server.messages.hosts import (
    CreateEnrollmentToken,
    DeleteEnrollmentToken,
    DeleteHost,
    RotateHostToken,
    UpdateHost,
)
from rmactors.server.messages.requests import Change
from rmactors.server.store.queries import accounts as account_queries
from rmactors.server.store.queries import hosts as queries
from rmactors.server.store.queries.hosts import HostView
from rmactors.server.web.access import actor, audit, is_id, maker, route, services
from rmactors.server.web.api import shapes
from rmactors.server.web.api.bodies import (
    PAGING,
    Listing,
    arguments,
    convert,
    cursor_of,
    json_body,
    json_response,
    limit_of,
    listing,
    no_body,
    no_content,
    one_line_each,
)
from rmactors.server.web.problems import invalid_field, not_found, settled

blueprint = Blueprint("api_hosts", __name__)

DEFAULT_TTL_MINUTES = 60.0
MOST_TTL_MINUTES = 7 * 24 * 60.0


class EnrollmentBody(Struct, forbid_unknown_fields=True):
    """How long the token is good for; fractions are fine."""

    ttl_minutes: Annotated[float, Meta(gt=0, le=MOST_TTL_MINUTES)] = DEFAULT_TTL_MINUTES


class EnrollmentToken(Struct):
    """The token, this once."""

    token: str
    expires_at: shapes.Time


class HostBody(Struct, forbid_unknown_fields=True):
    name: Annotated[str, Meta(min_length=1, max_length=100)] | UnsetType = UNSET
    tags: Annotated[list[Annotated[str, Meta(min_length=1, max_length=100)]], Meta(max_length=100)] | UnsetType = UNSET


class AgentToken(Struct):
    """The host's new credential, this once."""

    agent_token: str


@route(
    blueprint, "/api/enrollment-tokens", role="admin", methods=["POST"], fresh=True, body=EnrollmentBody,
    optional_body=True, answer=EnrollmentToken, status=201,
)  # fmt: skip
async def create_enrollment_token() -> Response:
    """A single-use token that `rmactors agent enroll` trades for a host's credential."""
    body = convert(await json_body(optional=True), EnrollmentBody)
    token, expires_at = await new_enrollment_token(body.ttl_minutes)
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
    """It lets nobody in any more. A host that it let in stays."""
    await no_body()
    await revoke_enrollment_token(token_id)
    return no_content()


async def new_enrollment_token(ttl_minutes: float) -> tuple[str, int]:
    """(token, when it expires: no later than the API token that makes it); for pages as well."""
    token, token_id, at, ends_at = tokens.make(tokens.ENROLLMENT), ids.new(), services().now(), actor().ends_at
    expires_at = at + clock.seconds(ttl_minutes * 60)
    if ends_at is not None:
        expires_at = min(expires_at, ends_at)
    record = audit("enrollment_token.create", "enrollment_token", token_id)
    prefix = token[: tokens.SHOWN_PREFIX_LENGTH]
    write = CreateEnrollmentToken(token_id, tokens.digest(token), at, expires_at, record, prefix, maker())
    settled(await services().ask_store(write), "token")
    return token, expires_at


async def revoke_enrollment_token(token_id: str) -> None:
    """For pages as well. Raises Problem 404."""
    if not is_id(token_id):
        raise not_found("enrolment token")
    record = audit("enrollment_token.delete", "enrollment_token", token_id)
    settled(await services().ask_store(DeleteEnrollmentToken(token_id, record)), "enrolment token")


@route(blueprint, "/api/hosts", role="viewer", answer=Listing[shapes.Host], query=PAGING)
async def list_hosts() -> Response:
    """By name. A host with long plans has the first of them here, and all of them by itself."""
    given = arguments(*PAGING)
    page = await services().reader.run(queries.host_views, limit_of(given), cursor_of(given, (str, str)))
    return json_response(listing(page, lambda view: _shape(view, whole=False)))


@route(blueprint, "/api/hosts/<host_id>", role="viewer", answer=shapes.Host)
async def show_host(host_id: str) -> Response:
    """One host with its schedules and the last job of each kind."""
    return json_response(_shape(await require(host_id)))


@route(blueprint, "/api/hosts/<host_id>", role="admin", methods=["PATCH"], body=HostBody, answer=shapes.Host)
async def change_host(host_id: str) -> Response:
    """A new name or new tags."""
    raw = await json_body()
    await require(host_id)
    body = convert(raw, HostBody, read_only=shapes.Host.__struct_fields__)
    name = checked_name(body.name) if not isinstance(body.name, UnsetType) else None
    tags = tuple(dict.fromkeys(body.tags)) if not isinstance(body.tags, UnsetType) else None
    await change(host_id, name, tags)
    return json_response(_shape(await require(host_id)))


async def change(host_id: str, name: str | None, tags: tuple[str, ...] | None) -> None:
    """None leaves as it is; for pages as well. Raises Problem 404, 409 or 422."""
    one_line_each("/tags", *(tags or ()))
    detail = ", ".join(word for word, value in (("name", name), ("tags", tags)) if value is not None)
    write = UpdateHost(host_id, name, tags, audit("host.update", "host", host_id, detail))
    settled(await services().ask_store(write), "host")


def checked_name(name: str) -> str:
    """A host's name. Raises the 422 for one that will not do."""
    if problem := host_name_problem(name):
        raise invalid_field("/name", problem)
    return name


@route(blueprint, "/api/hosts/<host_id>", role="admin", methods=["DELETE"], fresh=True, status=204)
async def delete_host(host_id: str) -> Response:
    """Revokes its credential, closes its socket, resolves its alerts."""
    await no_body()
    await require(host_id)
    await remove(host_id)
    return no_content()


async def remove(host_id: str) -> None:
    """For pages as well. Raises Problem 404."""
    write = DeleteHost(host_id, services().now(), audit("host.delete", "host", host_id))
    settled(await services().ask_rules(lambda reply: Change(write, reply)), "host")


@route(blueprint, "/api/hosts/<host_id>/rotate-token", role="admin", methods=["POST"], fresh=True, answer=AgentToken)
async def rotate_token(host_id: str) -> Response:
    """A new credential; the old one dies and the live socket closes."""
    await no_body()
    await require(host_id)
    return json_response(AgentToken(await new_agent_token(host_id)))


async def new_agent_token(host_id: str) -> str:
    """For pages as well. Raises Problem 404."""
    token = tokens.make(tokens.HOST)
    write = RotateHostToken(host_id, tokens.digest(token), audit("host.rotate_token", "host", host_id))
    settled(await services().ask_store(write), "host")
    return token


async def require(host_id: str) -> HostView:
    """The host, or the 404."""
    found = await services().reader.run(queries.host_view, host_id) if is_id(host_id) else None
    if found is None:
        raise not_found("host")
    return found


def _shape(view: HostView, *, whole: bool = True) -> shapes.Host:
    return shapes.host(view, services().now(), services().settings.offline_after_seconds, whole=whole)
