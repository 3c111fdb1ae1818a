"""`/jobs`: what ran, narrowed, sorted and page by page; the same as a sheet."""

from collections.abc import Sequence
from typing import Any, cast

from quart import Blueprint, Response, request

from rmactors.server.store.queries import host_lists, job_lists
from rmactors.server.store.queries import pages as queries
from rmactors.server.store.queries.job_lists import JobFilter, JobSort
from rmactors.server.store.queries.jobs import JobRow
from rmactors.server.web import rows
from rmactors.server.web.access import route, services
from rmactors.server.web.cursors import cursor_text
from rmactors.server.web.pages.lists import EXPORTED, cursor, followed, sheet
from rmactors.server.web.pages.rendering import moment, page, wants_fragment
from rmactors.server.web.views import job_lists as views
from rmactors.server.web.views import lists, sheets
from rmactors.server.web.views.lists import Asked

blueprint = Blueprint("job_lists", __name__)

_PAGE = 100


@route(blueprint, "/jobs", role="viewer")
async def job_list() -> Response:
    """100 at a time, newest first. `q`, `host`, `tag`, `kind` and `status` narrow it, `sort` is a column."""
    asked, now, after = lists.asked(views.JOBS, request.args), moment(), cursor((int, str))

    bare = wants_fragment("job-list")  # the filters stay as they are

    def look(db: Any) -> views.JobTable:
        wanted, host = _wanted(db, asked)
        sort = cast("JobSort", asked.sort)
        found, sorted_of = job_lists.listed(db, wanted, sort, _PAGE, after, (asked.page - 1) * _PAGE)
        hosts, schedules = _names(db, found.items)
        return views.table(
            found.items, asked, now, hosts, schedules, host=host, tags=[] if bare else queries.tags_in_use(db),
            sorted_of=sorted_of, size=_PAGE, cursor=cursor_text(found.after),
        )  # fmt: skip

    view = await services().reader.run(look)
    answer = await page(
        "jobs.html", "jobs", fragments={"job-list": "jobs/list.html"}, view=view
    )  # fmt: skip
    return followed(answer, asked)


@route(blueprint, "/jobs.csv", role="viewer")
async def job_sheet() -> Response:
    """All jobs under the same filters, in the same order; at most 50,000."""
    asked = lists.asked(views.JOBS, request.args)

    def look(db: Any) -> tuple[list[JobRow], dict[str, str], dict[str, str]]:
        wanted, _host = _wanted(db, asked)
        found, _many = job_lists.listed(db, wanted, cast("JobSort", asked.sort), EXPORTED)
        return found.items, *_names(db, found.items)

    found, hosts, schedules = await services().reader.run(look)

    def instead(row: JobRow) -> list[str]:
        return [row.id, rows.cannot(), *[""] * (len(views.SHEET) - 2)]

    return await sheet(
        "jobs",
        lambda: sheets.table(views.SHEET, rows.each(found, lambda row: views.cells(row, hosts, schedules), instead)),
    )


async def names_of(jobs: Sequence[JobRow]) -> tuple[dict[str, str], dict[str, str]]:
    """Names of their hosts and of their schedules, by id."""
    return await services().reader.run(_names, jobs)


def _names(db: Any, jobs: Sequence[JobRow]) -> tuple[dict[str, str], dict[str, str]]:
    hosts = queries.names_of(db, sorted({row.host_id for row in jobs}))
    return hosts, queries.schedule_names(db, sorted({row.schedule_id for row in jobs if row.schedule_id}))


def _wanted(db: Any, asked: Asked) -> tuple[JobFilter, str]:
    """The filter, and the name of the one host that it is of."""
    typed = asked.get("host")
    host = host_lists.host_named(db, typed) if typed else None
    return views.filter_of(asked, host[0] if host is not None else None), host[1] if host is not None else ""
