"""`/jobs`: what ran, narrowed, sorted and page by page; the same as a sheet."""

from collections.abc import Sequence
from typing import cast

from quart import Blueprint, Response, request

from rmactors.server.store.queries import host_lists, job_lists
from rmactors.server.store.queries import pages as queries
from rmactors.server.store.queries.job_lists import JobFilter, JobSort
from rmactors.server.store.queries.jobs import JobRow
from rmactors.server.web import rows
from rmactors.server.web.access import route, services
from rmactors.server.web.cursors import cursor_text
from rmactors.server.web.html import in_thread
from rmactors.server.web.pages.lists import EXPORTED, cursor, followed, more_href, sheet
from rmactors.server.web.pages.rendering import moment, page
from rmactors.server.web.views import job_lists as views
from rmactors.server.web.views import lists, sheets
from rmactors.server.web.views.lists import Asked

blueprint = Blueprint("job_lists", __name__)

_PAGE = 100


@route(blueprint, "/jobs", role="viewer")
async def job_list() -> Response:
    """100 at a time, newest first. `q`, `host`, `tag`, `kind` and `status` narrow it, `sort` is a column."""
    asked, now, read = lists.asked(views.JOBS, request.args), moment(), services().reader.run
    wanted, host = await _wanted(asked)
    found, sorted_of = await read(
        job_lists.listed, wanted, cast("JobSort", asked.sort), _PAGE, cursor((int, str)), (asked.page - 1) * _PAGE
    )
    hosts, schedules = await names_of(found.items)
    tags = await read(queries.tags_in_use)
    more = more_href(cursor_text(found.after))

    def build() -> views.JobTable:
        return views.table(
            found.items, asked, now, hosts, schedules, host=host, tags=tags, sorted_of=sorted_of, size=_PAGE,
            more_href=more,
        )  # fmt: skip

    answer = await page(
        "jobs.html", "jobs", fragments={"job-list": "jobs/list.html"}, view=await in_thread(build)
    )  # fmt: skip
    return followed(answer, asked)


@route(blueprint, "/jobs.csv", role="viewer")
async def job_sheet() -> Response:
    """All jobs under the same filters, in the same order; at most 50,000."""
    asked = lists.asked(views.JOBS, request.args)
    wanted, _host = await _wanted(asked)
    found, _sorted = await services().reader.run(job_lists.listed, wanted, cast("JobSort", asked.sort), EXPORTED)
    hosts, schedules = await names_of(found.items)

    def instead(row: JobRow) -> list[str]:
        return [row.id, rows.cannot(), *[""] * (len(views.SHEET) - 2)]

    return await sheet(
        "jobs",
        lambda: sheets.table(
            views.SHEET, rows.each(found.items, lambda row: views.cells(row, hosts, schedules), instead)
        ),
    )


async def names_of(jobs: Sequence[JobRow]) -> tuple[dict[str, str], dict[str, str]]:
    """Names of their hosts and of their schedules, by id."""
    read = services().reader.run
    hosts = await read(queries.names_of, sorted({row.host_id for row in jobs}))
    schedules = await read(queries.schedule_names, sorted({row.schedule_id for row in jobs if row.schedule_id}))
    return hosts, schedules


async def _wanted(asked: Asked) -> tuple[JobFilter, str]:
    """The filter, and the name of the one host that it is of."""
    typed = asked.get("host")
    host = await services().reader.run(host_lists.host_named, typed) if typed else None
    return views.filter_of(asked, host[0] if host is not None else None), host[1] if host is not None else ""
