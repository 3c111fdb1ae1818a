"""The list of jobs as its page shows it: filters, heads and pages; and the same as a sheet. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from rmactors.common import clock
from rmactors.common.vocabulary import JOB_KINDS, JOB_STATUSES
from rmactors.server.store.queries.job_lists import SEARCHED, SORTED, JobFilter
from rmactors.server.store.queries.jobs import JobRow
from rmactors.server.web import rows as guard
from rmactors.server.web.views import jobs, lists, words
from rmactors.server.web.views.jobs import JobLine
from rmactors.server.web.views.lists import Asked, Choice, Head, ListKind, Pages
from rmactors.server.web.views.measures import number
from rmactors.server.web.views.texts import _
from rmactors.server.web.views.times import Moment

JOBS: Final = ListKind(
    "/jobs",
    MappingProxyType({"when": "-when", "kind": "kind", "host": "host", "status": "status", "took": "-took"}),
    "-when",
    MappingProxyType({"status": JOB_STATUSES, "kind": JOB_KINDS}),
    ("q", "host", "tag"),
)


@dataclass(frozen=True, slots=True)
class JobTable:
    """`note` says what was looked at where that is not everything; `more_href` is the next page by time."""

    asked: Asked
    lines: tuple[JobLine, ...]
    heads: tuple[Head, ...]
    statuses: tuple[Choice, ...]
    kinds: tuple[Choice, ...]
    tags: tuple[Choice, ...]
    host: str
    note: str
    pages: Pages
    more_href: str | None

    @property
    def csv_href(self) -> str:
        return self.asked.href("/jobs.csv")


def filter_of(of: Asked, host_id: str | None) -> JobFilter:
    """What the database is asked for. `host_id`: of the one host that `host` names, if there is one."""
    return JobFilter(
        of.get("q"), host_id, "" if host_id is not None else of.get("host"), of.get("tag"), of.get("kind") or None,
        of.get("status") or None,
    )  # fmt: skip


def table(
    rows: Sequence[JobRow],
    of: Asked,
    moment: Moment,
    hosts: Mapping[str, str],
    schedules: Mapping[str, str],
    *,
    host: str = "",
    tags: Sequence[str] = (),
    sorted_of: int = 0,
    size: int = 100,
    cursor: str | None = None,
) -> JobTable:
    """`hosts` and `schedules` are names by id. `sorted_of`: so many were put into order, 0 by time; then `cursor` is
    where the next page begins."""
    query = of.query()
    return JobTable(
        asked=of,
        lines=tuple(guard.each(rows, lambda job: jobs.line(job, hosts, schedules, moment), guard.line(JobLine))),
        heads=lists.heads(
            of,
            (("kind", _("Job")), ("host", _("Host")), ("status", _("State")), ("when", _("When")),
             ("took", _("Duration"))),
        ),
        statuses=lists.choices(of, "status", [(each, words.job_status(each).word) for each in JOB_STATUSES]),
        kinds=lists.choices(of, "kind", [(each, words.kind_name(each)) for each in JOB_KINDS]),
        tags=lists.choices(of, "tag", [(tag, tag) for tag in tags]),
        host=host or of.get("host"),
        note=_note(of, sorted_of),
        pages=lists.pages(of, sorted_of, size),
        more_href=f"/jobs?{query}{'&' if query else ''}cursor={cursor}" if cursor else None,
    )  # fmt: skip


def _note(of: Asked, sorted_of: int) -> str:
    if sorted_of >= SORTED:
        return _("The newest %s jobs, in this order.") % number(SORTED)
    if of.get("q"):
        return _("Names of hosts, and plans and schedules of the newest %s jobs.") % number(SEARCHED)
    return ""


# ---- the sheet

SHEET: Final = (
    "id", "host", "kind", "plan", "schedule", "status", "reason", "error", "queued_at", "started_at", "finished_at",
    "seconds",
)  # fmt: skip


def cells(row: JobRow, hosts: Mapping[str, str], schedules: Mapping[str, str]) -> list[str]:
    """A row of the sheet: what is not known is empty."""
    took = None
    if row.started_at is not None and row.finished_at is not None:
        took = f"{max(0, row.finished_at - row.started_at) / clock.SECOND:.3f}"
    values = (
        row.id, hosts.get(row.host_id), row.kind, row.plan, schedules.get(row.schedule_id or ""), row.status,
        row.reason, row.error, *(_time(at) for at in (row.queued_at, row.started_at, row.finished_at)), took,
    )  # fmt: skip
    return ["" if value is None else str(value) for value in values]


def _time(at: int | None) -> str | None:
    return clock.to_rfc3339(at) if at is not None else None
