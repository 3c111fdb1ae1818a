"""Looking into the repositories of a host: its agent is asked while somebody waits. Nothing of its answers is kept.

That somebody looks is in the audit trail before the agent is asked: who, at which host, plan and snapshot, never at
which path or for which name. Who goes on in the same snapshot within ten minutes has one row.

Everything here raises Problem: 403 where the host does not allow it, 404 for what is not there, 409 where the host is
not connected or its agent too old, 422 for what was asked wrongly, 502 where the agent failed, 503 where it is busy,
504 where it took too long. The detail is a sentence, the agent's own where it has one.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar, assert_never

import trio
from msgspec import Raw

from rmactors.common import clock
from rmactors.common.text import excerpt
from rmactors.common.vocabulary import LiveRequest
from rmactors.server.channels.base import FieldError
from rmactors.server.messages.audit import AppendAudit, Audit
from rmactors.server.messages.live_requests import (
    AgentAnswered,
    AgentAway,
    AgentRefused,
    AgentSlow,
    AgentTooOld,
)
from rmactors.server.store.queries import accounts as queries
from rmactors.server.store.queries.hosts import HostRow
from rmactors.server.web import live_items
from rmactors.server.web.access import audit, refusal, services
from rmactors.server.web.html import in_thread
from rmactors.server.web.live_items import Change, Entry, Found, Items, NotAListError, Preview, Snapshot
from rmactors.server.web.operations.params import MOST_PATHS, plan_names
from rmactors.server.web.problems import Problem, invalid, invalid_field, raise_for_answer

T = TypeVar("T")

MOST_AT_ONCE: Final = live_items.MOST_ITEMS
"""Items of one answer, the most that may be asked for."""
MOST_SNAPSHOTS: Final = 10_000
"""Of all plans together. Who has more sees the newest of those that come first."""
SECONDS: Final = 30.0
LONGEST_PATH: Final = 4_096
LONGEST_PATTERN: Final = 1_000
LONGEST_CURSOR: Final = 4_096
_MOST_INCLUDED: Final = 100_000
"""Characters of all paths to restore together: a frame has at most 1 MiB."""
_ONE_ROW: Final = 10 * clock.MINUTE
_LONGEST_DETAIL: Final = 500
_SNAPSHOT: Final = re.compile(r"[0-9a-f]{4,64}")
_NO_TEXT: Final = re.compile("[\0\ud800-\udfff]")
_PLAN: Final = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_ACTIONS: Final[Mapping[LiveRequest, str]] = {
    "snapshots": "snapshot.list",
    "browse": "snapshot.browse",
    "find": "snapshot.find",
    "diff": "snapshot.diff",
    "preview": "snapshot.preview",
    "stats": "repository.look",
}


@dataclass(frozen=True, slots=True)
class Looked(Generic[T]):
    """One page of an answer. `as_of`: when it came, in microseconds. `next_cursor` asks for what follows, None at the
    end. `left_out` items could not be read, and are not among `items`."""

    items: Sequence[T]
    next_cursor: str | None
    as_of: int
    left_out: int = 0


async def snapshots(host: HostRow, plan: str | None) -> Looked[Snapshot]:
    """All snapshots of a plan, newest first. Without `plan`, those of every plan of the host."""
    plans = plan_names(host.plans) if plan is None else ()
    found: list[Looked[Snapshot]] = []
    with trio.move_on_after(SECONDS) as scope:
        for name in plans or (_plan(host, plan),):
            room = MOST_SNAPSHOTS - sum(len(looked.items) + looked.left_out for looked in found)
            if room > 0:
                found.append(await _of_plan(host, name, room))
    if scope.cancelled_caught:
        raise _slow(host)
    newest_first = sorted((item for looked in found for item in looked.items), key=lambda one: one.time, reverse=True)
    cursor = next((looked.next_cursor for looked in found if looked.next_cursor), None)
    return Looked(newest_first, cursor, services().now(), sum(looked.left_out for looked in found))


async def _of_plan(host: HostRow, plan: str, most: int) -> Looked[Snapshot]:
    params = {"plan": plan, "limit": MOST_AT_ONCE}
    await _write_down(host, "snapshots", params)
    found: list[Snapshot] = []
    left_out, cursor = 0, None
    while len(found) + left_out < most:
        page = await _page(host, "snapshots", {**params, **_if_given(cursor=cursor)}, live_items.snapshots)
        found += page.items
        left_out, cursor = left_out + page.left_out, page.next_cursor
        if cursor is None:
            break
    return Looked(found, cursor, services().now(), left_out)


async def browse(
    host: HostRow, plan: str | None, snapshot: str, path: str, cursor: str | None = None, limit: int | None = None
) -> Looked[Entry]:
    """What is directly in the folder `path` of a snapshot, an id or `latest`."""
    _check("snapshot", _snapshot_problem(snapshot))
    _check("path", path_problem(path))
    params = {"plan": _plan(host, plan), "snapshot": snapshot, "path": path, **_place(cursor, limit)}
    return await _look(host, "browse", params, live_items.entries)


async def find(
    host: HostRow, plan: str | None, pattern: str, cursor: str | None = None, limit: int | None = None
) -> Looked[Found]:
    """Files and folders of this name or path in all snapshots of a plan; `*` and `?` stand for what they do in a
    shell."""
    _check("pattern", _pattern_problem(pattern))
    params = {"plan": _plan(host, plan), "pattern": pattern, **_place(cursor, limit)}
    return await _look(host, "find", params, live_items.found)


async def diff(
    host: HostRow, plan: str | None, from_: str, to: str, cursor: str | None = None, limit: int | None = None
) -> Looked[Change]:
    """What changed from one snapshot of a plan to another; both are ids."""
    _check("from", _id_problem(from_))
    _check("to", _id_problem(to))
    params = {"plan": _plan(host, plan), "from": from_, "to": to, **_place(cursor, limit)}
    return await _look(host, "diff", params, live_items.changes)


async def preview(
    host: HostRow, plan: str | None, snapshot: str, include: Sequence[str], target: str | None
) -> Preview:
    """How much a restore of these paths would write: into a folder of `restore_targets`, or without `target` into the
    one for restores. Without paths, all of the snapshot."""
    _check("snapshot", _snapshot_problem(snapshot))
    if len(include) > MOST_PATHS:
        raise invalid_field("/include", f"must have at most {MOST_PATHS} entries")
    if wrong := [FieldError(f"/include/{n}", said) for n, path in enumerate(include) if (said := path_problem(path))]:
        raise invalid(wrong)
    if sum(map(len, include)) > _MOST_INCLUDED:
        raise invalid_field("/include", f"must have at most {_MOST_INCLUDED} characters in all its paths together")
    if target is not None:
        _check("target", path_problem(target))
    params = {"plan": _plan(host, plan), "snapshot": snapshot, "include": list(include), **_if_given(target=target)}
    looked = await _look(host, "preview", params, live_items.previews)
    if len(looked.items) != 1:
        raise _failed("The agent's answer could not be read.")
    return looked.items[0]


# ---- what is asked


def path_problem(path: str) -> str | None:
    """What is wrong with a path in a snapshot, as the rest of a sentence. Any character may stand in one but NUL."""
    if not path.startswith("/"):
        return "must be an absolute path"
    if _NO_TEXT.search(path):
        return "must not contain NUL or half a pair of a character"
    return f"must have at most {LONGEST_PATH} characters" if len(path) > LONGEST_PATH else None


def _pattern_problem(pattern: str) -> str | None:
    if not pattern or _NO_TEXT.search(pattern):
        return "must be the name of a file, or a part of it with *"
    return f"must have at most {LONGEST_PATTERN} characters" if len(pattern) > LONGEST_PATTERN else None


def _id_problem(snapshot: str) -> str | None:
    if _SNAPSHOT.fullmatch(snapshot):
        return None
    return "must be a snapshot's id: 4 to 64 of the characters 0-9 and a-f"


def _snapshot_problem(snapshot: str) -> str | None:
    return None if snapshot == "latest" or _id_problem(snapshot) is None else "must be latest, or a snapshot's id"


def _check(field: str, problem: str | None) -> None:
    if problem is not None:
        raise invalid_field(f"/{field}", problem)


def _plan(host: HostRow, plan: str | None) -> str:
    if plan is not None:
        _check("plan", None if _PLAN.fullmatch(plan) else "must be the name of a plan")
        return plan
    known = plan_names(host.plans)
    if len(known) != 1:
        raise invalid_field("/plan", f"is required: this host has {', '.join(known) or 'told of no plan'}")
    return known[0]


def _place(cursor: str | None, limit: int | None) -> dict[str, Any]:
    """Where in a list, and how much of it."""
    if cursor is not None and not _is_cursor(cursor):
        raise invalid_field("/cursor", "is not a cursor of this list")
    if limit is not None and not 1 <= limit <= MOST_AT_ONCE:
        raise invalid_field("/limit", f"must be a number from 1 to {MOST_AT_ONCE}")
    return _if_given(cursor=cursor, limit=limit)


def _is_cursor(text: str) -> bool:
    return bool(text) and len(text) <= LONGEST_CURSOR and not _NO_TEXT.search(text)


def _if_given(**params: Any) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value is not None}


# ---- asking


async def _look(
    host: HostRow, kind: LiveRequest, params: Mapping[str, Any], read: Callable[[Raw], Items[T]]
) -> Looked[T]:
    await _write_down(host, kind, params)
    return await _page(host, kind, params, read)


async def _page(
    host: HostRow, kind: LiveRequest, params: Mapping[str, Any], read: Callable[[Raw], Items[T]]
) -> Looked[T]:
    answer = await services().ask_agent(host.id, kind, params)
    match answer:
        case AgentAnswered(raw, cursor):
            try:
                items = await in_thread(lambda: read(raw))  # there may be a mebibyte of it, of any kind
            except NotAListError:
                raise _failed("The agent's answer could not be read.") from None
            if cursor is not None and not _is_cursor(cursor):
                raise _failed("The agent's answer could not be read.")
            return Looked(items.items, cursor, services().now(), items.left_out)
        case AgentRefused(code, detail):
            if code == "not_allowed":
                await services().ask_store(AppendAudit(_row(host, kind, params, refused=True)))
            raise _refused(code, excerpt(detail, _LONGEST_DETAIL))
        case AgentAway():
            raise Problem(409, "This host is not connected at the moment.", "not-connected")
        case AgentTooOld():
            told = f"The agent of this host ({excerpt(host.agent_version, 40)}) is too old for this: update it."
            raise Problem(409, told, "agent-too-old")
        case AgentSlow():
            raise _slow(host)
        case _:
            assert_never(answer)


def _refused(code: str, detail: str) -> Problem:
    match code:
        case "not_allowed":
            return Problem(403, detail or "This host does not allow it.", "not-allowed")
        case "not_found":
            return Problem(404, detail or "It is not there.", "not-found")
        case "invalid":
            return Problem(422, detail or "The agent cannot use what was asked.", "invalid")
        case "busy":
            return Problem(503, detail or "The agent is busy.", "busy", headers={"Retry-After": "5"})
        case _:
            return _failed(detail or "The agent could not answer.")


def _failed(detail: str) -> Problem:
    return Problem(502, detail, "agent-failed")


def _slow(host: HostRow) -> Problem:
    # Agents of before there were such questions say nothing about them.
    hint = "" if host.allow is not None else " It may be too old for this: update it."
    return Problem(504, f"The agent of this host gave no answer within 30 seconds.{hint}", "agent-slow")


# ---- the audit trail


async def _write_down(host: HostRow, kind: LiveRequest, params: Mapping[str, Any]) -> None:
    """Nobody looks without a row that says so. Raises Problem 503."""
    row = _row(host, kind, params)
    if not await services().reader.run(queries.is_in_audit, row, row.at - _ONE_ROW):
        raise_for_answer(await services().ask_store(AppendAudit(row)))


def _row(host: HostRow, kind: LiveRequest, params: Mapping[str, Any], *, refused: bool = False) -> Audit:
    """Names host, plan and snapshots, and nothing of what is in them."""
    named = {"plan": params["plan"], **{name: params[name] for name in ("snapshot", "from", "to") if name in params}}
    detail = ", ".join(f"{name} {value}" for name, value in named.items())
    return (refusal if refused else audit)(_ACTIONS[kind], "host", host.id, detail)
