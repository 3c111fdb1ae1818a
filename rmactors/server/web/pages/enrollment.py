"""`/hosts/new` and `/hosts/{id}/credential`: machines that become hosts, and one that becomes a host again."""

from dataclasses import replace

from quart import Blueprint, Response, request

from rmactors.server.messages.made_tokens import MOST_USES
from rmactors.server.store.queries import accounts as account_queries
from rmactors.server.store.queries import pages as queries
from rmactors.server.store.queries.hosts import HostView
from rmactors.server.web.access import route, services
from rmactors.server.web.html import go
from rmactors.server.web.operations import hosts
from rmactors.server.web.pages.rendering import field_errors, fragment, moment, page
from rmactors.server.web.problems import Problem
from rmactors.server.web.views import enrollment, people
from rmactors.server.web.views.enrollment import Commands, Typed
from rmactors.server.web.views.texts import _

blueprint = Blueprint("enrollment", __name__)

_TOKENS_SHOWN = 100
_LIFETIMES = tuple(minutes for minutes, _word in enrollment.LIFETIMES)


@route(blueprint, "/hosts/new", role="admin")
async def new_host() -> Response:
    """Also which enrollment tokens there are."""
    return await _new_host_page(Typed())


@route(blueprint, "/hosts/new", role="admin", methods=["POST"], fresh=True)
async def make_enrollment_token() -> Response:
    """The command to copy, with a token that is shown this once, and a place that watches for the host (form `name`,
    `uses`, `tags` separated by commas, `ttl` in minutes)."""
    typed = Typed.of(await request.form)
    errors = enrollment.errors_of(typed, MOST_USES, _LIFETIMES)
    try:
        if typed.name and "name" not in errors:
            hosts.checked_name(typed.name)
        if errors:
            return await _new_host_page(typed, errors, status=422)
        now = moment()
        tags = hosts.tags_typed(typed.tags)
        token, expires_at = await hosts.new_enrollment_token(float(typed.ttl), int(typed.uses), tags)
    except Problem as problem:
        return await _new_host_page(typed, errors | field_errors(problem), status=422)
    command = enrollment.for_new_hosts(token, _address(), now.until(expires_at), typed)
    return await _new_host_page(typed, command=command, since=now.now)


@route(blueprint, "/hosts/new/tokens/<token_id>/delete", role="admin", methods=["POST"], fresh=True)
async def delete_enrollment_token(token_id: str) -> Response:
    """Revokes it."""
    await hosts.revoke_enrollment_token(token_id)
    return go("/hosts/new")


@route(blueprint, "/hosts/arrived", role="viewer")
async def arrived() -> Response:
    """Hosts that were enrolled since `since` (microseconds): the part of the page that watches."""
    since = request.args.get("since", "")
    at = int(since) if since.isdecimal() and len(since) < 18 else services().now()
    enrolled = await services().reader.run(queries.enrolled_since, at)
    now, silence = moment(), services().settings.offline_after_seconds
    return await fragment("hosts/arrived.html", since=at, arrived=enrollment.arrivals(enrolled, now, silence))


@route(blueprint, "/hosts/<host_id>/credential", role="admin")
async def credential(host_id: str) -> Response:
    """What becomes of the host by either way to a new credential, before it does."""
    return await _credential_page(await hosts.require(host_id))


@route(blueprint, "/hosts/<host_id>/enrollment-token", role="admin", methods=["POST"], fresh=True)
async def make_token_for_host(host_id: str) -> Response:
    """A token that enrolls a machine again as this host, shown this once."""
    found, now = await hosts.require(host_id), moment()
    token, expires_at = await hosts.new_enrollment_token(hosts.DEFAULT_TTL_MINUTES, for_host=found.host.id)
    command = enrollment.for_same_host(token, _address(), now.until(expires_at))
    return await _credential_page(found, command=command, since=now.now)


@route(blueprint, "/hosts/<host_id>/rotate-token", role="admin", methods=["POST"], fresh=True)
async def rotate_token(host_id: str) -> Response:
    """A new credential, shown this once. The old one is dead."""
    found = await hosts.require(host_id)
    return await _credential_page(found, token=await hosts.new_agent_token(found.host.id))


async def _new_host_page(
    typed: Typed, errors: dict[str, str] | None = None, *, status: int = 200, command: Commands | None = None,
    since: int = 0,
) -> Response:  # fmt: skip
    found = await services().reader.run(account_queries.enrollment_tokens, _TOKENS_SHOWN)
    tokens = people.enrollment_lines(found.items, moment())
    lifetimes = [(minutes, _(word)) for minutes, word in enrollment.LIFETIMES]
    shown = replace(typed, uses=typed.uses or "1")
    return await page(
        "host_new.html", "hosts", status=status, typed=shown, errors=errors or {}, lifetimes=lifetimes, tokens=tokens,
        address=_address(), most_uses=MOST_USES, command=command, since=since, arrived=(),
    )  # fmt: skip


async def _credential_page(
    found: HostView, *, command: Commands | None = None, since: int = 0, token: str = ""
) -> Response:
    return await page(
        "host_credential.html", "hosts", host=found.host, address=_address(),
        new_credential=enrollment.NEW_CREDENTIAL, state_dir=enrollment.STATE_DIR, command=command, since=since,
        token=token, arrived=(),
    )  # fmt: skip


def _address() -> enrollment.Address:
    settings = services().settings
    return enrollment.address(settings.public_agent_url, settings.agent_listen)
