"""Questions about hosts, their jobs, their schedules and how old their backups are."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any, Final, get_args

from rmactors.common import clock
from rmactors.server.store import load_hosts, load_policies
from rmactors.server.store.database import Database
from rmactors.server.store.queries import (
    backup_ages,
    calendar,
    chosen,
    good_ends,
    host_lists,
    hosts,
    job_lists,
    jobs,
    pages,
    plan_ages,
    policies,
    schedules,
)
from rmactors.server.store.queries.host_lists import HostFilter
from rmactors.server.store.queries.job_lists import JobFilter
from rmactors.server.store.queries.rows import Page
from tests.store.asked.pools import HOSTS, JOBS, NAMES, NOON, POLICIES, SCHEDULES
from tests.store.asked.question import Question, in_one_order, of_each, once, paged, unordered

LONG_AGO: Final = NOON - 30 * clock.DAY
SOON: Final = NOON + clock.HOUR
HEARD: Final = NOON - clock.HOUR
WORDS: Final = (
    "",
    "nas",
    "ÄRGER",
    "ß",
    "σίσυφος",
    "_",
    "%",
    "\\",
    "off",
    "never seen",
    "prod ZÜRICH",
    "İ",
    "not there",
)
"""What people search for."""
_MIDDLE: Final = LONG_AGO + 20 * clock.DAY
_DAYS: Final = [pages.Days(0, LONG_AGO, _MIDDLE, clock.DAY), pages.Days(20, _MIDDLE, SOON, 2 * clock.DAY)]
_PLANNED: Final = [
    calendar.Planned(cron, None if cron else "daily", zone, kind, 1)
    for cron, zone, kind in product(("0 3 * * *", None), ("UTC", "Europe/Berlin"), ("backup", "check"))
]
_SOME: Final = ((), HOSTS[:3], HOSTS)


def of_hosts() -> Iterator[Question]:
    filters = [HostFilter(q) for q in WORDS]
    filters += [HostFilter(tag="prod"), HostFilter(tag="zürich"), HostFilter(status="online", alerts=True)]
    filters += [HostFilter(q, status=status) for q, status in product(("", "nas"), host_lists.STATUSES)]
    for wanted, sort in product(filters, get_args(host_lists.HostSort)):
        yield once(host_lists.select, wanted, sort, HEARD, 4, skip=3)
        yield once(host_lists.sheet, wanted, sort, HEARD, 1000)
    for wanted, sort in product(filters, host_lists.API_SORTS):
        yield paged(host_lists_by_cursor, wanted, sort)
    for sort in host_lists.API_SORTS:
        yield paged(hosts.host_views, HostFilter(), sort, HEARD, 7)
    for wanted, skip, by_tag in product(filters, (0, 5), (False, True)):
        some = pages.HostsWanted(HEARD, 6, wanted, "name", skip, by_tag)
        yield Question(pages.fleet, (_DAYS, NOON - clock.DAY, some), {}, shown=fleet)
    for skip in (0, 6, 20, 50):
        yield once(host_lists.grouped, HostFilter(), HEARD, 9, skip)
    yield once(hosts.host_views, HostFilter(), "status", NOON, 3, ((1 << 63) - 1, "", ""))
    yield from (once(query) for query in (host_lists.tag_counts, pages.host_names, pages.tags_in_use, pages.host_count))
    yield once(pages.enrolled_since, LONG_AGO)
    yield once(pages.backed_up_since, LONG_AGO)
    yield from of_each(host_lists.host_named, (*NAMES, *HOSTS, "not there"))
    yield from of_each(hosts.host_id_of, (*NAMES, "not there"))
    yield from of_each(pages.names_like, ("", "a", "WEB", "_", "ä", "\\", "ς"), 5)
    for query in (hosts.host, hosts.host_view, hosts.notes, pages.open_of_host):
        yield from of_each(query, (*HOSTS, "not there"))
    yield from of_each(chosen.by_tag, ((), ("zfs",), ("prod", "zürich"), ("not there",)))
    for some in _SOME:
        yield unordered(pages.names_of, some)
        yield once(chosen.by_id, some)
        yield once(good_ends.good_ends, "backup", list(some))


def fleet(found: pages.Fleet) -> object:
    """What runs and what ran is looked up, and has no order."""
    return replace(found, running={}, runs=[]), in_one_order(found.running), in_one_order(found.runs)


def host_lists_by_cursor(db: Database, wanted: HostFilter, sort: Any, after: Any) -> Page[str]:
    """As the API pages through hosts."""
    found = host_lists.select(db, wanted, sort, HEARD, 3, after=after)
    return Page(found.ids, found.after)


def of_jobs() -> Iterator[Question]:
    filters = [JobFilter(q) for q in WORDS]
    filters += [JobFilter(host_id=HOSTS[3]), JobFilter(host="a"), JobFilter(tag="prod"), JobFilter("home", host="nas")]
    filters += [JobFilter(kind=kind) for kind in ("backup", "restore_test", "diff")]
    filters += [JobFilter(status=status) for status in ("failed", "running", "succeeded", "queued")]
    filters += [JobFilter("größe", status="failed", kind="backup"), JobFilter("prod", host_id=HOSTS[3])]
    for wanted, sort in product(filters, get_args(job_lists.JobSort)):
        if sort.endswith("when"):
            yield paged(job_lists.listed, wanted, sort, 40)
        else:
            yield once(job_lists.listed, wanted, sort, 40, skip=20)
    for narrowed in product((None, HOSTS[2]), (None, "backup"), (None, "failed"), (None, SCHEDULES[1])):
        host_id, kind, status, schedule_id = narrowed
        yield paged(jobs.jobs, 30, host_id=host_id, kind=kind, status=status, schedule_id=schedule_id)
    for job_id in (*JOBS[:50], "not there"):
        yield once(jobs.job, job_id)
        yield once(pages.subject_of, job_id)
        yield once(pages.tail, job_id, 4, 1500)
        yield paged(jobs.log_lines, job_id, 2)
    yield from of_each(jobs.jobs_named, ((), JOBS[5:9], ("not there", *JOBS[:2])))
    yield from of_each(jobs.last_jobs, [list(some) for some in _SOME])
    yield from (unordered(pages.running_jobs, some) for some in _SOME)
    yield from (unordered(pages.runs_by_day, _DAYS, some, {"S00": "H00", "S01": "H01"}) for some in _SOME)
    for host_id, subject in product(HOSTS[:6], ("", "plan:home", SCHEDULES[0])):
        yield once(pages.sizes, host_id, "backup", subject, 5)


def of_schedules() -> Iterator[Question]:
    yield from of_each(schedules.schedule, (*SCHEDULES, "not there"))
    yield from (paged(schedules.schedules, host_id, 2) for host_id in HOSTS)
    yield from of_each(schedules.schedules_of, [list(some) for some in _SOME])
    yield unordered(pages.schedule_names, SCHEDULES)
    for tag in ("", "prod", "zürich", "not there"):
        yield Question(
            calendar.plan, (tag,), {}, shown=lambda found: list(map(in_one_order, (found.slots, found.intervals)))
        )
        yield Question(calendar.who, (_PLANNED, tag, 10_000), {}, shown=lambda found: list(map(in_one_order, found)))
    yield paged(policies.policies, 2)
    yield unordered(policies.schedules_by_policy)
    yield unordered(load_policies.policies)
    for query in (policies.policy, policies.policy_name, load_policies.of_policy):
        yield from of_each(query, (*POLICIES, "not there"))
    yield from of_each(load_policies.of_hosts, _SOME)
    for after, only in product(("", HOSTS[10], "z"), (None, (), POLICIES[:2])):
        yield once(load_policies.next_hosts, after, 7, only)
    yield unordered(load_hosts.load_hosts)
    yield unordered(load_hosts.load_hosts_running)
    for host_id in (*HOSTS, "not there"):
        yield once(load_hosts.load_pending_work, host_id)
        yield unordered(load_hosts.load_running, host_id)
        yield once(load_hosts.load_hosts, {host_id})


def of_ages() -> Iterator[Question]:
    for tag, host_id in ((None, None), ("prod", None), (None, HOSTS[1])):
        yield unordered(plan_ages.plan_ages, NOON, tag, host_id)
    for by, descending in product(backup_ages.AGE_SORTS, (False, True)):
        order = backup_ages.AgeOrder(by, descending)
        yield paged(backup_ages.backup_ages, backup_ages.AgeFilter(), order, NOON, 20)
    for state in backup_ages.AGE_STATES:
        yield paged(
            backup_ages.backup_ages, backup_ages.AgeFilter("prod", None, state), backup_ages.AgeOrder(), NOON, 3
        )
