"""Errors as answers: RFC 9457 problems for programs, a page for people.

Owns the form of every error, expected or not. Never shows what an unexpected exception said: that goes to the log.
"""

import logging
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from http import HTTPStatus
from typing import assert_never

import msgspec
from quart import Quart, Response, render_template, request
from werkzeug.exceptions import HTTPException

from rmactors.server.channels.base import FieldError
from rmactors.server.messages.answers import Answer, Committed, Duplicate, Failed, Refused, Stale

_log = logging.getLogger(__name__)

TYPE_PREFIX = "urn:restic-manager:problem:"
_PROGRAM_PATHS = ("/healthz", "/metrics", "/events")


@dataclass(slots=True)
class Problem(Exception):
    """An answer that is an error. You get it for what the asker did or what the server cannot do now, never for a bug.

    `slug` is the end of the problem's `type`; `errors` are the fields at fault, for a 422.
    """

    status: int
    detail: str
    slug: str = ""
    errors: Sequence[FieldError] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

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


def settled(answer: Answer, what: str = "object") -> None:
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
            raise conflict(f"It changed in the meantime, try again ({detail}).")
        case Failed(detail):
            _log.error("a change could not be stored: %s", detail)
            raise unavailable("The server cannot store changes at the moment; nothing was changed.")
        case _:
            assert_never(answer)


def for_program() -> bool:
    """Whether the answer to the request at hand is read by a program."""
    return request.path.startswith("/api/") or request.path == "/api" or request.path in _PROGRAM_PATHS


def problem_response(problem: Problem) -> Response:
    """The problem as `application/problem+json`."""
    body: dict[str, object] = {
        "type": TYPE_PREFIX + problem.slug if problem.slug else "about:blank",
        "title": _title(problem.status),
        "status": problem.status,
        "detail": problem.detail,
    }
    if problem.errors:
        body["errors"] = [{"pointer": error.pointer, "detail": error.detail} for error in problem.errors]
    response = Response(msgspec.json.encode(body), problem.status, content_type="application/problem+json")
    response.headers.update(problem.headers)
    return response


async def page_error(problem: Problem) -> Response:
    """The problem as a page (template `error.html` with `status`, `title`, `detail`)."""
    title = _title(problem.status)
    plain = f"<!doctype html><title>{title}</title><h1>{title}</h1><p>{escape(problem.detail)}</p>"
    try:
        # A body that did not come is what strangers send many of: that answer costs little.
        html = (
            plain
            if problem.status == 408
            else await render_template("error.html", status=problem.status, title=title, detail=problem.detail)
        )
    except Exception:  # the page around the message may need what is just failing, the database say
        _log.exception("the error page cannot be made")
        html = plain
    response = Response(html, problem.status, content_type="text/html; charset=utf-8")
    response.headers.update(problem.headers)
    return response


async def answer_problem(problem: Problem) -> Response:
    """The problem in the form that whoever asked can read."""
    return problem_response(problem) if for_program() else await page_error(problem)


def install(app: Quart) -> None:
    """Give every error, also one that nobody expected, its form."""

    async def on_http(error: HTTPException) -> Response:
        status = error.code or 500
        if status < 400:  # a redirect of the router
            return Response("", status, dict(error.get_headers()))
        problem = Problem(status, _detail(status), _slug(status))
        if status == 405:
            allowed = getattr(error, "valid_methods", None) or ()
            problem.headers = {"Allow": ", ".join(sorted(allowed))}
        return await answer_problem(problem)

    async def on_database(error: sqlite3.Error) -> Response:
        _log.error("the database cannot be read: %s", error)
        return await answer_problem(unavailable("The database cannot be read at the moment."))

    async def on_bug(error: Exception) -> Response:
        _log.error("unexpected error in %s %r", request.method, request.path, exc_info=error)
        return await answer_problem(Problem(500, _detail(500), "internal"))

    app.register_error_handler(Problem, answer_problem)
    app.register_error_handler(HTTPException, on_http)
    app.register_error_handler(sqlite3.Error, on_database)
    app.register_error_handler(Exception, on_bug)


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def _slug(status: int) -> str:
    return _title(status).lower().replace(" ", "-")


def _detail(status: int) -> str:
    match status:
        case 404:
            return "There is nothing at this address."
        case 405:
            return "This address does not take that method."
        case 413:
            return "The body is larger than 1 MiB, or than 64 KiB where nobody has signed in yet."
        case 408:
            return "The body did not arrive in time."
        case 400:
            return "The request cannot be read."
        case 500:
            return "Something went wrong inside the server. Its log says what."
        case _:
            return _title(status)
