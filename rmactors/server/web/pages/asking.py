"""Pages that an agent fills: their first half is shown at once and says that the host is asked, the rest follows in the
same answer when it has come. So they need no script, and a reader who leaves or cancels ends the question with the
connection.
"""

import logging
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Final

from quart import Response, copy_current_request_context, g, request

from rmactors.common.logs import fields
from rmactors.server.store.database import DatabaseError
from rmactors.server.web.access import actor
from rmactors.server.web.html import render
from rmactors.server.web.pages.backups import Backups
from rmactors.server.web.pages.rendering import page
from rmactors.server.web.problems import Problem
from rmactors.server.web.views.no_answer import NoAnswer
from rmactors.server.web.views.restoring import RESTORE
from rmactors.server.web.views.texts import _

_ANSWER_HERE: Final = "<!-- the answer -->"
_LONGEST_SECONDS: Final = 120.0
"""A net around the whole answer: each question has its own, shorter limit."""
_log = logging.getLogger(__name__)

Answer = Callable[[], Awaitable[str]]


async def asked(answer: Answer, of: Backups, *, title: str, back: str, **context: Any) -> Response:
    """A page `snapshots/asked.html` that waits for what `answer` gives: a part of a page. A Problem that it raises
    becomes a part that says so.

    `back` is where *Cancel* leads.
    """
    response = await page("snapshots/asked.html", "hosts", of=of, title=title, back=back, **context)
    text = await response.get_data(as_text=True)
    assert isinstance(text, str)
    if request.method == "HEAD":
        return response
    first, _marker, last = text.partition(_ANSWER_HERE)
    who = actor()

    @copy_current_request_context
    async def rest() -> str:
        g.actor = who
        return await _safely(answer, of, str(context.get("snapshot") or "latest"))

    async def both() -> AsyncGenerator[bytes, None]:
        yield first.encode()
        yield (await rest() + last).encode()

    streamed = Response(both(), content_type=response.content_type)
    streamed.timeout = _LONGEST_SECONDS
    streamed.headers["X-Accel-Buffering"] = "no"  # a proxy that collects it would hold the first half back
    return streamed


async def not_answered(why: NoAnswer, restore: str = "") -> str:
    """The part of a page that says why there is nothing, and what to do. `restore` is where that goes all the same."""
    return await render("snapshots/no_answer.html", why=why, restore=restore)


async def _safely(answer: Answer, of: Backups, snapshot: str) -> str:
    """What it gives, or a part that says what went wrong: the page's head is out already, and its status with it."""
    try:
        return await answer()
    except Problem as problem:
        why = of.no_answer(problem)
        return await not_answered(why, of.place.restore(snapshot) if why.blind and RESTORE in (of.allow or ()) else "")
    except DatabaseError as error:
        _log.error("the database cannot be read: %s", error)
        return await not_answered(NoAnswer(_("The database cannot be read at the moment.")))
    except Exception as error:
        # Where, and not what it says, which may be the name of a file.
        where = "".join(traceback.format_tb(error.__traceback__))
        _log.error(
            "unexpected error in %s %s: %s\n%s", request.method, request.path, type(error).__name__, where,
            extra=fields("page.unanswered"),
        )  # fmt: skip
        return await not_answered(NoAnswer(_("Internal error. The server's log has the details.")))
