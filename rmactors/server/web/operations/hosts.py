"""Hosts and enrollment tokens: which hosts may report, under which name, with which credential."""

from collections.abc import Iterable

from rmactors.common import clock, ids
from rmactors.server.config import tokens
from rmactors.server.edges.host_names import host_name_problem
from rmactors.server.messages.hosts import DeleteHost, RotateHostToken, UpdateHost
from rmactors.server.messages.made_tokens import CreateEnrollmentToken, DeleteEnrollmentToken
from rmactors.server.messages.requests import Change
from rmactors.server.store.queries import hosts as queries
from rmactors.server.store.queries.hosts import HostView
from rmactors.server.web.access import actor, audit, is_id, maker, services
from rmactors.server.web.problems import invalid_field, not_found, raise_for_answer
from rmactors.server.web.validation import one_line_each

DEFAULT_TTL_MINUTES = 60.0
MOST_TTL_MINUTES = 7 * 24 * 60.0
POLICIES_FOLLOW_SECONDS = 30.0


async def new_enrollment_token(
    ttl_minutes: float, uses: int = 1, tags: tuple[str, ...] = (), for_host: str | None = None
) -> tuple[str, int]:
    """(token, when it expires: no later than the API token that makes it). `for_host` is the id of the one host that it
    enrolls a machine as. Raises Problem 404, 422."""
    check_tags(tags)
    token, token_id, at, ends_at = tokens.make(tokens.ENROLLMENT), ids.new(), services().now(), actor().ends_at
    expires_at = at + clock.seconds(ttl_minutes * 60)
    if ends_at is not None:
        expires_at = min(expires_at, ends_at)
    record = audit(
        "enrollment_token.create", "enrollment_token", token_id, tokens.enrollment_gives(uses, tags, for_host)
    )
    prefix = token[: tokens.SHOWN_PREFIX_LENGTH]
    write = CreateEnrollmentToken(
        token_id, tokens.digest(token), at, expires_at, record, prefix, maker(), uses, tags, for_host
    )
    raise_for_answer(await services().ask_store(write), "host" if for_host is not None else "token")
    return token, expires_at


async def revoke_enrollment_token(token_id: str) -> None:
    """Raises Problem 404."""
    if not is_id(token_id):
        raise not_found("enrollment token")
    record = audit("enrollment_token.delete", "enrollment_token", token_id)
    raise_for_answer(await services().ask_store(DeleteEnrollmentToken(token_id, record)), "enrollment token")


async def change(host_id: str, name: str | None, tags: tuple[str, ...] | None) -> None:
    """None leaves as it is. Raises Problem 404, 409 or 422."""
    check_tags(tags or ())
    detail = ", ".join(word for word, value in (("name", name), ("tags", tags)) if value is not None)
    write = UpdateHost(host_id, name, tags, audit("host.update", "host", host_id, detail))
    raise_for_answer(await services().ask_store(write), "host")
    if tags is not None:
        await policies_follow()


async def policies_follow() -> None:
    """Wait until policies have made the schedules that follow from the tags that hosts have now, within reason."""
    await services().policies_settled("hosts", POLICIES_FOLLOW_SECONDS)


def check_tags(tags: Iterable[str], pointer: str = "/tags") -> None:
    """Raises the 422 for a tag that is no plain line, or that a form, where commas stand between tags, would change."""
    tags = tuple(tags)
    one_line_each(pointer, *tags)
    if any("," in tag for tag in tags):
        raise invalid_field(pointer, "must not contain a comma")
    if any(tag != tag.strip() or not tag for tag in tags):
        raise invalid_field(pointer, "must not begin or end with a space")


def tags_typed(text: str) -> tuple[str, ...]:
    """Tags as a person types them, separated by commas."""
    return tuple(dict.fromkeys(tag for part in text.split(",") if (tag := part.strip()[:100])))


def checked_name(name: str) -> str:
    """A host's name. Raises the 422 for one that will not do."""
    if problem := host_name_problem(name):
        raise invalid_field("/name", problem)
    return name


async def remove(host_id: str) -> None:
    """Raises Problem 404."""
    write = DeleteHost(host_id, services().now(), audit("host.delete", "host", host_id))
    raise_for_answer(await services().ask_rules(lambda reply: Change(write, reply)), "host")


async def new_agent_token(host_id: str) -> str:
    """Raises Problem 404."""
    token = tokens.make(tokens.HOST)
    write = RotateHostToken(host_id, tokens.digest(token), audit("host.rotate_token", "host", host_id))
    raise_for_answer(await services().ask_store(write), "host")
    return token


async def require(host_id: str) -> HostView:
    """The host, or the 404."""
    found = await services().reader.run(queries.host_view, host_id) if is_id(host_id) else None
    if found is None:
        raise not_found("host")
    return found
