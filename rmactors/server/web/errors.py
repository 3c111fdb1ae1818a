"""Every error as an answer, expected or not: a problem for programs, a page for people.

Never shows what an unexpected exception said: that goes to the log.
"""

import logging
from html import escape

from quart import Quart, Response, request
from werkzeug.exceptions import HTTPException

from rmactors.server.store.database import DatabaseError
from rmactors.server.web.html import render
from rmactors.server.web.problems import Problem, for_program, problem_response, title_of, unavailable

_log = logging.getLogger(__name__)


async def page_error(problem: Problem) -> Response:
    """The problem as a page (template `error.html` with `status`, `title`, `detail`)."""
    title = title_of(problem.status)
    plain = f"<!doctype html><title>{title}</title><h1>{title}</h1><p>{escape(problem.detail)}</p>"
    try:
        # A body that did not come is what strangers send many of: that answer costs little.
        html = (
            plain
            if problem.status == 408
            # Nothing to come back to: the address of a form that was refused may take no GET.
            else await render("error.html", here="/", status=problem.status, title=title, detail=problem.detail)
        )
    except Exception:  # the page around the message may need what is just failing, the database say
        _log.exception("the error page cannot be made")
        html = plain
    response = Response(html, problem.status, content_type="text/html; charset=utf-8")
    response.headers.update(problem.headers)
    return response


async def answer_problem(problem: Problem) -> Response:
    """The problem in the form that the client can read."""
    return problem_response(problem) if for_program() else await page_error(problem)


def install(app: Quart) -> None:
    """Give every error, expected or not, its form."""

    async def on_http(error: HTTPException) -> Response:
        status = error.code or 500
        if status < 400:  # a redirect of the router
            return Response("", status, dict(error.get_headers()))
        problem = Problem(status, _detail(status), _slug(status))
        if status == 405:
            allowed = getattr(error, "valid_methods", None) or ()
            problem.headers = {"Allow": ", ".join(sorted(allowed))}
        return await answer_problem(problem)

    async def on_database(error: Exception) -> Response:
        _log.error("the database cannot be read: %s", error)
        return await answer_problem(unavailable("The database cannot be read at the moment."))

    async def on_bug(error: Exception) -> Response:
        _log.error("unexpected error in %s %r", request.method, _path(), exc_info=error)
        return await answer_problem(Problem(500, _detail(500), "internal"))

    app.register_error_handler(Problem, answer_problem)
    app.register_error_handler(HTTPException, on_http)
    for kind in DatabaseError:
        app.register_error_handler(kind, on_database)
    app.register_error_handler(Exception, on_bug)


def _path() -> str:
    """The path of the request at hand, without a secret that is a part of it."""
    path = request.path
    for name in ("token", "address"):
        if secret := (request.view_args or {}).get(name):
            path = path.replace(secret, f"<{name}>")
    return path


def _slug(status: int) -> str:
    return title_of(status).lower().replace(" ", "-")


def _detail(status: int) -> str:
    match status:
        case 404:
            return "There is nothing at this address."
        case 405:
            return "This address does not support that method."
        case 413:
            return "The body is larger than 1 MiB, or than 64 KiB without a sign-in."
        case 408:
            return "The body did not arrive in time."
        case 400:
            return "The request is not valid."
        case 500:
            return "Internal error. The server's log has the details."
        case _:
            return title_of(status)
