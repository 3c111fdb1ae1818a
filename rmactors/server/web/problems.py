"""Answers that are errors, and their form for programs: RFC 9457 problems. The page for people is in `errors`."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import assert_never

import msgspec
from quart import Response, request

from rmactors.server.channels.base import FieldError
from rmactors.server.messages.answers import Answer, Committed, Duplicate, Failed, Refused, Stale

_log = logging.getLogger(__name__)

TYPE_PREFIX = "urn:restic-manager:problem:"
_PROGRAM_PATHS = ("/healthz", "/metrics", "/events")


@dataclass(slots=True)
class Problem(Exception):
    """An answer that is an error. You get it for what the asker did or what the server cannot do now, never for a bug.

    `slug` is the end of the problem's `type`; `errors` are the fields at fault, for a 422; `members` what a program is
    told beside that.
    """

    status: int
    detail: str
    slug: str = ""
    errors: Sequence[FieldError] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    members: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.status}: {self.detail}"


def not_found(what: str) -> Problem:
    return Problem(404, f"There is no such {what}.", "not-found")


def invalid(errors: Sequence[FieldError]) -> Problem:
    """422 with the fields at fault."""
    first = errors[0]
    where = first.pointer.lstrip("/") or "the body"
    return Problem(422, f"{where}: {first.detail}", "invalid", tuple(errors))


def invalid_field(pointer: str, detail: str) -> Problem:
    return invalid((FieldError(pointer, detail),))


def conflict(detail: str) -> Problem:
    return Problem(409, detail, "conflict")


def unavailable(detail: str) -> Problem:
    return Problem(503, detail, "unavailable", headers={"Retry-After": "5"})


def too_many(detail: str, retry_after: int) -> Problem:
    """429; `retry_after` in whole seconds."""
    return Problem(429, detail, "too-many-requests", headers={"Retry-After": str(max(1, retry_after))})


_REFUSALS: Mapping[str, int] = {"not_found": 404, "conflict": 409, "invalid": 422}


def raise_for_answer(answer: Answer, what: str = "object") -> None:
    """Raises the Problem for a commit that did not happen.

    A refusal with code `not_found` is a 404, with `invalid` a 422, with any other code a 409.
    """
    match answer:
        case Committed() | Duplicate():
            return
        case Refused("not_found", _):
            raise not_found(what)
        case Refused(code, detail):
            raise Problem(_REFUSALS.get(code, 409), detail, code.replace("_", "-"))
        case Stale(detail):
            raise conflict(f"It was changed in the meantime. Try again ({detail}).")
        case Failed(detail):
            _log.error("a change could not be stored: %s", detail)
            raise unavailable("The server cannot store changes at the moment. Nothing was changed.")
        case _:
            assert_never(answer)


def for_program() -> bool:
    """Whether the answer to the request at hand is read by a program."""
    return request.path.startswith("/api/") or request.path == "/api" or request.path in _PROGRAM_PATHS


def problem_response(problem: Problem) -> Response:
    """The problem as `application/problem+json`."""
    body: dict[str, object] = {
        "type": TYPE_PREFIX + problem.slug if problem.slug else "about:blank",
        "title": title_of(problem.status),
        "status": problem.status,
        "detail": problem.detail,
    }
    if problem.errors:
        body["errors"] = [{"pointer": error.pointer, "detail": error.detail} for error in problem.errors]
    body.update(problem.members)
    response = Response(msgspec.json.encode(body), problem.status, content_type="application/problem+json")
    response.headers.update(problem.headers)
    return response


def title_of(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
