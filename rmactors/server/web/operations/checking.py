"""Whether objects of a configuration would be taken, before the first of them is changed."""

import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec
import trio
from msgspec import Meta, Struct

from rmactors.common.vocabulary import Role
from rmactors.server.channels.base import FieldError, Kind
from rmactors.server.channels.config import masked, normalized
from rmactors.server.channels.registry import KINDS
from rmactors.server.web.access import actor, services
from rmactors.server.web.auth.throttle import Throttle
from rmactors.server.web.channel_config import open_config
from rmactors.server.web.operations import channels, hosts, policies, schedules, silences, users
from rmactors.server.web.operations.policies import PolicyBody
from rmactors.server.web.operations.schedules import ScheduleBody
from rmactors.server.web.operations.silences import SilenceBody
from rmactors.server.web.problems import Problem, invalid_field
from rmactors.server.web.validation import convert

MOST: Final = 200
"""Objects in one request: what a check may keep the server busy with."""
_GUESSES: Final = Throttle(20, 60.0)
"""How often a channel's secrets are compared: who has an admin's token must not find a stored one by trying."""
Item = dict[str, Any]
Items = Annotated[list[Item], Meta(max_length=MOST)]


class CheckBody(Struct, forbid_unknown_fields=True):
    """Bodies as their own routes take them. Each may have the `id` of what it would change; schedules, their host's."""

    hosts: Items = []
    policies: Items = []
    schedules: Items = []
    channels: Items = []
    silences: Items = []
    users: Items = []


class HostTags(Struct, forbid_unknown_fields=True):
    tags: Annotated[list[Annotated[str, Meta(min_length=1, max_length=100)]], Meta(max_length=100)]


class NewUser(Struct, forbid_unknown_fields=True):
    """`password` only where it is to be set."""

    username: str
    role: Role
    disabled: bool = False
    password: str | None = None

    def __repr__(self) -> str:
        return f"NewUser({self.username!r})"


class Fault(Struct):
    pointer: str
    detail: str


class AsStored(Struct):
    """`config` with defaults and without secrets; `secrets` are the fields of its kind that are secret; `changed` those
    whose stored secret is another one, null for who is not told that, or asks too often."""

    config: dict[str, Any]
    secrets: list[str]
    changed: list[str] | None


@dataclass(slots=True)
class Found:
    errors: list[Fault]
    channels: list[AsStored | None]


async def check(body: CheckBody) -> Found:
    """Every object by itself, as its own route would check it. Raises Problem 422 for too many."""
    found = Found([], [])
    if sum(len(getattr(body, kind)) for kind in CheckBody.__struct_fields__) > MOST:
        raise invalid_field("", f"has more than {MOST} objects: send them in parts")
    checks: Mapping[str, Callable[[Item], Awaitable[object]]] = {
        "hosts": _host, "policies": _policy, "schedules": _schedule, "silences": _silence, "users": _user,
    }  # fmt: skip
    for kind, check_one in checks.items():
        for number, item in enumerate(getattr(body, kind)):
            await _noted(found, f"/{kind}/{number}", check_one, item)
    for number, item in enumerate(body.channels):
        found.channels.append(await _noted(found, f"/channels/{number}", _channel, item))
    return found


async def _noted(found: Found, pointer: str, check_one: Callable[[Item], Awaitable[Any]], item: Item) -> Any:
    """What the check gives; None where it refuses, and why is noted."""
    await trio.lowlevel.checkpoint()  # others have their turn
    try:
        return await check_one(item)
    except Problem as problem:
        errors = list(problem.errors) or [FieldError("", problem.detail)]
        found.errors += [Fault(pointer + error.pointer, error.detail) for error in errors]
        return None


async def _host(item: Item) -> None:
    hosts.check_tags(convert(item, HostTags, read_only=("id",)).tags)


async def _policy(item: Item) -> None:
    body = convert(item, PolicyBody, read_only=("id",))
    policies.check(body, policies.body_of(await policies.require(str(item["id"]))) if "id" in item else None)


async def _schedule(item: Item) -> None:
    host_id = item.get("host_id")
    if not isinstance(host_id, str):
        raise invalid_field("/host_id", "is required")
    host = (await hosts.require(host_id)).host
    body = convert(item, ScheduleBody, read_only=("id", "host_id"))
    if "id" not in item:
        schedules.check(body)
        await schedules.check_job(host.id, body.kind, body.params, by_agent=body.mode == "agent")
    else:
        row = await schedules.require(str(item["id"]))
        schedules.check(body, schedules.body_of(row))
        if schedules.body_of(row) != body:  # what is stored may be older than a rule
            await schedules.check_job(host.id, body.kind, body.params, by_agent=body.mode == "agent")


async def _silence(item: Item) -> None:
    await silences.checked(convert(item, SilenceBody, read_only=("id",)))


async def _user(item: Item) -> None:
    body = convert(item, NewUser, read_only=("id",))
    if "id" not in item:
        users.check_name(body.username)
    if body.password is not None:
        await users.check_password(body.password, body.username)


async def _channel(item: Item) -> AsStored:
    channel_id = item.get("id")
    row = (await channels.require(str(channel_id)))[0] if channel_id is not None else None
    body = channels.checked(item, row, to_save=True)
    kind = KINDS[body.kind]
    sent = item["config"]
    guesses = any(isinstance(sent.get(each.name), str) for each in kind.fields if each.secret)
    if not actor().may("admin") or (row is not None and guesses and _GUESSES.wait(row.id, services().now())):
        changed: list[str] | None = None  # also of the right one, which no other answer would say
    else:
        changed = _changed(kind, open_config(row), body.config) if row is not None else []
    config: dict[str, Any] = msgspec.to_builtins(masked(kind, normalized(kind, body.config)))
    return AsStored(config, [each.name for each in kind.fields if each.secret], changed)


def _changed(kind: Kind, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The secrets that are on both sides and differ."""
    return [
        each.name for each in kind.fields
        if each.secret and before.get(each.name) and after.get(each.name)
        and not hmac.compare_digest(str(before[each.name]).encode(), str(after[each.name]).encode())
    ]  # fmt: skip
