"""When each plan of a host was last proven restorable, or how to begin. Pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from rmactors.common import clock
from rmactors.server.store.queries.hosts import HostView
from rmactors.server.store.queries.jobs import JobRow
from rmactors.server.web import rows as guard
from rmactors.server.web.views import stats
from rmactors.server.web.views.measures import size
from rmactors.server.web.views.no_answer import allow_line
from rmactors.server.web.views.texts import _, many
from rmactors.server.web.views.times import Moment, Time
from rmactors.server.web.what_was_sent import json_list

KIND: Final = "restore_test"
NEW_SCHEDULE: Final = {"kind": KIND, "name": _("Restore test"), "cron": "0 12 * * 0"}
"""What the form of a new schedule begins with: weekly, when nobody backs up."""


@dataclass(frozen=True, slots=True)
class ProvenLine:
    """One plan. `at`, `job_id` (empty where it is no longer kept) and `amount` are of the newest test that passed;
    `failed` is when a later one did not. `scheduled`: tests of it come by themselves."""

    plan: str
    at: Time | None
    job_id: str
    amount: str
    failed: Time | None
    failed_job: str
    scheduled: bool


@dataclass(frozen=True, slots=True)
class RestoreTests:
    """`allow_line` is what to put into agent.toml where the host does not allow them."""

    lines: tuple[ProvenLine, ...]
    may_begin: bool
    allow_line: str


def restore_tests(view: HostView, plans: Sequence[str], moment: Moment) -> RestoreTests:
    """Of a host whose agent told these plans, and of plans that were tested when it told of none."""
    allow = None if view.host.allow is None else [str(kind) for kind in json_list(view.host.allow)]
    named = list(plans) or [end.plan for end in view.restore_tests if end.plan]
    lines = guard.each(named, lambda plan: _line(plan, view, plans, moment), guard.line(ProvenLine))
    return RestoreTests(tuple(lines), allow is None or KIND in allow, allow_line(allow, KIND))


def files_and_bytes(text: str) -> tuple[int | None, int | None]:
    """Files and bytes, of a test's statistics."""
    found = stats.read(text)
    files, size_ = stats.amount(found, "files_tested"), stats.amount(found, "bytes_tested")
    return None if files is None else int(files), None if size_ is None else int(size_)


def _line(plan: str, view: HostView, plans: Sequence[str], moment: Moment) -> ProvenLine:
    good = next((end for end in view.restore_tests if end.plan == plan), None)
    last = view.last_jobs.get(KIND)
    failed = last if last is not None and _is_failure(last, plan, 0 if good is None else good.at) else None
    return ProvenLine(
        plan=plan,
        at=_days_ago(good.at, moment) if good is not None else None,
        job_id=good.job_id if good is not None and good.kept else "",
        amount=_amount(good.stats) if good is not None else "",
        failed=moment.ago(failed.finished_at) if failed is not None and failed.finished_at is not None else None,
        failed_job=failed.id if failed is not None else "",
        scheduled=any(
            each.kind == KIND and each.enabled and _plan_of(each.params, plans) == plan for each in view.schedules
        ),
    )


def _days_ago(at: int, moment: Moment) -> Time:
    """`2 days ago`: it stands in a sentence."""
    days = (moment.now - at) // clock.DAY
    ago = moment.ago(at)
    return replace(ago, words=many("%(n)s day ago", "%(n)s days ago", days)) if days > 0 else ago


def _is_failure(job: JobRow, plan: str, after: int) -> bool:
    return job.plan == plan and job.status == "failed" and (job.finished_at or 0) > after


def _plan_of(params: str, plans: Sequence[str]) -> str | None:
    """Which plan a schedule is about; without one, the only one of its host."""
    named = json.loads(params).get("plan")
    return named or (plans[0] if len(plans) == 1 else None)


def _amount(text: str) -> str:
    files, bytes_ = files_and_bytes(text)
    parts = [] if files is None else [many("%(n)s file", "%(n)s files", files)]
    return ", ".join([*parts, size(bytes_)] if bytes_ is not None else parts)
