"""Each reading query gives the same answer on PostgreSQL as on SQLite: values, their types, and the order of rows.

Both databases hold the same rows, see `any_rows`. The cases call what pages, the API, `/metrics` and the actors call.
"""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, get_args

import pytest

from rmactors.common import clock
from rmactors.server.messages.audit import Audit
from rmactors.server.store import (
    channel_trouble,
    load_channels,
    load_hosts,
    load_policies,
    load_rules,
    retention,
)
from rmactors.server.store.database import Connection, Database
from rmactors.server.store.queries import (
    accounts,
    acting,
    alerts,
    audit_targets,
    backup_ages,
    calendar,
    channels,
    chosen,
    credentials,
    digests,
    figures,
    good_ends,
    host_lists,
    hosts,
    job_lists,
    jobs,
    pages,
    passkeys,
    plan_ages,
    policies,
    push,
    repositories,
    repository_lists,
    schedules,
    silences,
    status_pages,
    waiting,
)
from rmactors.server.store.queries.host_lists import HostFilter
from rmactors.server.store.queries.job_lists import JobFilter
from rmactors.server.store.queries.repository_lists import RepositoryFilter
from rmactors.server.store.queries.rows import Page
from tests.store.any_rows import (
    ALERTS_,
    CHANNELS,
    DELIVERIES,
    HOSTS,
    JOBS,
    NAMES,
    NOON,
    PAGES,
    POLICIES,
    QUIET,
    REPOSITORIES,
    SCHEDULES,
    SILENCES,
    TIMES,
    TOKENS,
    USERS,
)

Query = Callable[[Database], Any]
LONG_AGO, SOON = NOON - 30 * clock.DAY, NOON + clock.HOUR
WORDS = ("", "nas", "ÄRGER", "ß", "σίσυφος", "_", "%", "\\", "off", "never seen", "prod ZÜRICH", "İ", "no such thing")
DAYS = [pages.Days(0, LONG_AGO, LONG_AGO + 20 * clock.DAY, clock.DAY), pages.Days(20, LONG_AGO + 20 * clock.DAY, SOON, 2 * clock.DAY)]


def whole(listed: Callable[[tuple[Any, ...] | None], Any]) -> list[Any]:
    """Every page of a list, from one cursor to the next."""
    seen, after = [], None
    while True:
        found = listed(after)
        page = found if isinstance(found, Page) else found[0]
        seen.append(found)
        if page.after is None:
            return seen
        assert page.after != after and len(seen) < 1000
        after = page.after


# ---- what is asked


def of_hosts() -> Iterator[tuple[str, Query]]:
    filters = [HostFilter(q) for q in WORDS]
    filters += [HostFilter(tag="prod"), HostFilter(tag="zürich"), HostFilter(status="online", alerts=True)]
    filters += [HostFilter("nas", "prod", status) for status in host_lists.STATUSES]
    filters += [HostFilter(status=status) for status in host_lists.STATUSES]
    for wanted, sort in product(filters, get_args(host_lists.HostSort)):
        yield f"sheet {wanted} {sort}", lambda db, w=wanted, s=sort: host_lists.sheet(db, w, s, NOON - clock.HOUR, 1000)
        for skip in (0, 3, 50):
            yield (
                f"fleet {wanted} {sort} past {skip}",
                lambda db, w=wanted, s=sort, n=skip: pages.fleet(
                    db, DAYS, NOON - clock.DAY, pages.HostsWanted(NOON - clock.HOUR, 4, w, s, n)
                ),
            )
    for wanted, sort in product(filters, host_lists.API_SORTS):
        yield (
            f"host_views {wanted} {sort}",
            lambda db, w=wanted, s=sort: whole(lambda after: hosts.host_views(db, w, s, NOON - clock.HOUR, 3, after)),
        )
    for wanted, skip in product(filters, (0, 5)):
        yield (
            f"grouped {wanted} past {skip}",
            lambda db, w=wanted, n=skip: pages.fleet(
                db, DAYS, NOON - clock.DAY, pages.HostsWanted(NOON - clock.HOUR, 6, w, "name", n, by_tag=True)
            ),
        )
    yield "a cursor past all", lambda db: hosts.host_views(db, HostFilter(), "status", NOON, 3, ((1 << 63) - 1, "", ""))
    yield "tag_counts", host_lists.tag_counts
    yield "host_names", pages.host_names
    yield "enrolled_since", lambda db: pages.enrolled_since(db, LONG_AGO)
    for text in (*NAMES, *HOSTS, "nothing"):
        yield f"host_named {text}", lambda db, t=text: (host_lists.host_named(db, t), hosts.host_id_of(db, t))
        yield f"names_like {text}", lambda db, t=text: pages.names_like(db, t[:2], 5)
    for host_id in HOSTS:
        yield f"host {host_id}", lambda db, h=host_id: (hosts.host_view(db, h), hosts.notes(db, h), pages.open_of_host(db, h))
    for some in ((), HOSTS[:3], (*HOSTS, "none")):
        yield f"names_of {some}", lambda db, s=some: sorted(pages.names_of(db, s).items())
        yield f"chosen {some}", lambda db, s=some: chosen.by_id(db, s)
        yield f"last_jobs {some}", lambda db, s=some: jobs.last_jobs(db, list(s)) if "none" not in s else None
        yield f"good_ends {some}", lambda db, s=some: good_ends.good_ends(db, "backup", list(s)) if "none" not in s else None
    yield "chosen by tag", lambda db: chosen.by_tag(db, ["zfs"]) if False else None


def of_jobs() -> Iterator[tuple[str, Query]]:
    filters = [JobFilter(q) for q in WORDS]
    filters += [JobFilter(host_id=HOSTS[3]), JobFilter(host="a"), JobFilter(tag="prod"), JobFilter("home", host="nas")]
    filters += [JobFilter(kind=kind) for kind in ("backup", "restore_test", "diff")]
    filters += [JobFilter(status=status) for status in ("failed", "running", "succeeded", "queued")]
    filters += [JobFilter("größe", status="failed", kind="backup"), JobFilter("prod", host_id=HOSTS[3])]
    for wanted, sort in product(filters, get_args(job_lists.JobSort)):
        if sort.endswith("when"):
            yield (
                f"jobs listed {wanted} {sort}",
                lambda db, w=wanted, s=sort: whole(lambda after: job_lists.listed(db, w, s, 40, after)),
            )
        else:
            for skip in (0, 20):
                yield (
                    f"jobs listed {wanted} {sort} past {skip}",
                    lambda db, w=wanted, s=sort, n=skip: job_lists.listed(db, w, s, 40, skip=n),
                )
    for host_id, kind, status, schedule_id in product(
        (None, HOSTS[2]), (None, "backup"), (None, "failed"), (None, SCHEDULES[1])
    ):
        yield (
            f"jobs {host_id} {kind} {status} {schedule_id}",
            lambda db, narrowed=(host_id, kind, status, schedule_id): whole(
                lambda after: jobs.jobs(db, 30, after, *narrowed)
            ),
        )
    for job_id in (*JOBS[:50], "none"):
        yield f"job {job_id}", lambda db, j=job_id: (jobs.job(db, j), pages.subject_of(db, j), pages.tail(db, j, 4, 1500))
        yield f"log {job_id}", lambda db, j=job_id: whole(lambda after: jobs.log_lines(db, j, 2, after))
    for ids in ([], list(JOBS[5:9])):
        yield f"jobs_named {ids}", lambda db, i=ids: jobs.jobs_named(db, i)
    for host_id, subject in product(HOSTS[:6], ("", "plan:home", SCHEDULES[0])):
        yield f"sizes {host_id} {subject}", lambda db, h=host_id, s=subject: pages.sizes(db, h, "backup", s, 5)


def of_schedules() -> Iterator[tuple[str, Query]]:
    for schedule_id in SCHEDULES:
        yield f"schedule {schedule_id}", lambda db, s=schedule_id: schedules.schedule(db, s)
    for host_id in HOSTS:
        yield f"schedules of {host_id}", lambda db, h=host_id: whole(lambda after: schedules.schedules(db, h, 2, after))
    yield "schedules of none", lambda db: schedules.schedules_of(db, [])
    yield "schedules of all", lambda db: schedules.schedules_of(db, list(HOSTS))
    yield "schedule_names", lambda db: sorted(pages.schedule_names(db, SCHEDULES).items())
    for tag in ("", "prod", "zürich", "nothing"):
        yield f"plan {tag}", lambda db, t=tag: planned(db, t)
        yield f"who {tag}", lambda db, t=tag: [sorted(some) for some in calendar.who(db, planned(db, t)[0], t, 1000)]
    yield "policies", lambda db: whole(lambda after: policies.policies(db, 2, after))
    yield "schedules_by_policy", lambda db: sorted(policies.schedules_by_policy(db).items())
    for policy_id in (*POLICIES, "none"):
        yield f"policy {policy_id}", lambda db, p=policy_id: (policies.policy(db, p), policies.policy_name(db, p))
        yield f"of_policy {policy_id}", lambda db, p=policy_id: load_policies.of_policy(db, p)
    for some in ((), HOSTS[:5], HOSTS):
        yield f"of_hosts {some}", lambda db, s=some: load_policies.of_hosts(db, s)
    for after, only in product(("", HOSTS[10], "z"), (None, [], list(POLICIES[:2]))):
        yield f"next_hosts {after} {only}", lambda db, a=after, o=only: load_policies.next_hosts(db, a, 7, o)


def planned(db: Database, tag: str) -> tuple[list[calendar.Planned], list[calendar.Interval]]:
    """In one order: what is planned has none."""
    found = calendar.plan(db, tag)
    return sorted(found.slots, key=repr), sorted(found.intervals, key=repr)


def of_ages() -> Iterator[tuple[str, Query]]:
    for tag, host_id in ((None, None), ("prod", None), (None, HOSTS[1])):
        yield (
            f"plan_ages {tag} {host_id}",
            lambda db, t=tag, h=host_id: sorted(plan_ages.plan_ages(db, NOON, t, h), key=lambda age: age.place),
        )
    states = (None, *backup_ages.AGE_STATES)
    for by, descending, state in product(backup_ages.AGE_SORTS, (False, True), states):
        order, wanted = backup_ages.AgeOrder(by, descending), backup_ages.AgeFilter(state=state)
        yield (
            f"backup_ages {order} {state}",
            lambda db, o=order, w=wanted: whole(lambda after: backup_ages.backup_ages(db, w, o, NOON, 20, after)),
        )


def of_alerts() -> Iterator[tuple[str, Query]]:
    some = alerts.AlertFilter
    filters = [some(q=q, anywhere=anywhere) for q in (*WORDS, "50%", "disk_", "GRÖSSE") for anywhere in (False, True)]
    filters += [some(host="a"), some(tag="prod"), some(host_id=HOSTS[1]), some(severity="critical"), some(kind="backup_failed")]
    for wanted, status, sort in product(
        filters, ("open", "acknowledged", "resolved", "all"), get_args(alerts.AlertSort)
    ):
        narrowed = alerts.AlertFilter(
            status, wanted.severity, wanted.kind, wanted.host_id, wanted.q, wanted.host, wanted.tag, wanted.anywhere, sort
        )  # type: ignore[arg-type]
        yield (
            f"alerts {narrowed}",
            lambda db, w=narrowed: whole(lambda after: alerts.listed(db, w, NOON, 25, after)),
        )
    for alert_id in (*ALERTS_[:80], "none"):
        yield (
            f"alert {alert_id}",
            lambda db, a=alert_id: (
                alerts.alert(db, a), alerts.timeline(db, a), alerts.was_meant(db, a), acting.linked(db, a, CHANNELS[0])
            ),
        )  # fmt: skip
    yield "open_alerts", pages.open_alerts
    yield "alert_counts", pages.alert_counts
    yield "silences", lambda db: whole(lambda after: silences.silences(db, 2, after))
    for silence_id in SILENCES:
        yield f"silence {silence_id}", lambda db, s=silence_id: silences.silence(db, s)
    yield "silenced", lambda db: [acting.silenced(db, h, "backup_failed", "text", LONG_AGO) for h in HOSTS]


def of_channels() -> Iterator[tuple[str, Query]]:
    for at, limit in product((NOON, SOON, LONG_AGO), (2, 100)):
        yield f"channels {at} {limit}", lambda db, a=at, n=limit: whole(lambda after: channels.channels(db, a, n, after))
    for channel_id in (*CHANNELS, "none"):
        yield (
            f"channel {channel_id}",
            lambda db, c=channel_id: (channels.channel(db, c, NOON), channels.dead_deliveries(db, c, 5)),
        )
        yield f"log {channel_id}", lambda db, c=channel_id: whole(lambda after: channels.log(db, c, 9, after))
        yield f"waiting {channel_id}", lambda db, c=channel_id: [
            waiting.waiting(db, c, QUIET, at, due) for at in TIMES for due in (False, True)
        ]
        yield f"load_due {channel_id}", lambda db, c=channel_id: load_channels.load_due(db, c, 3, 10)
        yield f"load_places {channel_id}", lambda db, c=channel_id: load_channels.load_places(db, c, [9, 3, 5, 1])
        for key in ("ended/repository", "ended/", "all", "ended/all"):
            yield f"load_open {channel_id} {key}", lambda db, c=channel_id, k=key: load_channels.load_open(db, c, k, 3)
    yield "load_channels", lambda db: sorted(load_channels.load_channels(db), key=lambda each: each.id)
    yield "channel trouble", channel_trouble.load_channel_trouble
    yield "glance", lambda db: pages.around_a_page(db, LONG_AGO)
    yield "push", lambda db: push.channels_of_kind(db, "webpush")
    yield "deliveries", lambda db: [channels.delivery(db, each) for each in DELIVERIES]
    for ids in ((), ALERTS_[:9]):
        yield f"alerts_of {ids}", lambda db, i=ids: sorted(channels.alerts_of(db, i).items())


def of_people() -> Iterator[tuple[str, Query]]:
    yield "users", lambda db: whole(lambda after: accounts.users(db, 2, after))
    yield "tokens", lambda db: whole(lambda after: accounts.tokens(db, 2, after))
    yield "enrollment_tokens", lambda db: whole(lambda after: accounts.enrollment_tokens(db, 2, after))
    yield "code_alarms", lambda db: accounts.code_alarms(db, LONG_AGO)
    yield "any", lambda db: (accounts.any_user(db), passkeys.any_passkey(db))
    for user_id in (*USERS, "none"):
        yield (
            f"user {user_id}",
            lambda db, u=user_id: (
                accounts.user(db, u), secrets_of(accounts.login_by_id(db, u)), accounts.recovery_codes_left(db, u),
                passkeys.of_user(db, u), passkeys.credential_ids(db, u),
            ),
        )  # fmt: skip
        yield (
            f"sessions {user_id}",
            lambda db, u=user_id: whole(lambda after: accounts.sessions(db, u, LONG_AGO, LONG_AGO, 1, after)),
        )
    for name in NAMES:
        yield f"login {name}", lambda db, n=name: secrets_of(accounts.login_by_name(db, n))
    for number in range(20):
        yield (
            f"digests {number}",
            lambda db, n=f"{number:03}": (
                accounts.signed_in(db, f"hash of W{n}"), accounts.token_in_use(db, f"hash of T{n}"),
                accounts.session_lives(db, f"W{n}", LONG_AGO, LONG_AGO), credentials.find_credential(db, f"hash of H{n}", NOON),
                credentials.find_credential(db, f"hash of E{n}", NOON), passkeys.by_credential(db, f"c{n}"),
            ),
        )  # fmt: skip
    for token_id in TOKENS:
        yield f"token {token_id}", lambda db, t=token_id: (accounts.token(db, t), accounts.token_lives(db, t, NOON))
    for action, actor in product(("", "alert.resolve"), ("", NAMES[2])):
        yield f"audit {action} {actor}", lambda db, a=action, b=actor: whole(lambda after: named(db, after, a, b))
    said = Audit(NOON, "nas1", "user", "alert.resolve", "x", "", "ok", "192.0.2.1", "text")
    yield "is_in_audit", lambda db: accounts.is_in_audit(db, said, LONG_AGO)
    yield "status_pages", lambda db: whole(lambda after: status_pages.status_pages(db, 2, after))
    yield "by_digest", lambda db: sorted(status_pages.by_digest(db).items())
    yield "watched", lambda db: (lambda found: (found.hosts, found.alerts, sorted(found.last_backups.items())))(
        status_pages.watched(db)
    )
    for page_id in PAGES:
        yield f"status_page {page_id}", lambda db, p=page_id: status_pages.status_page(db, p)


def secrets_of(login: accounts.Login | None) -> object:
    """Which its representation leaves out."""
    return None if login is None else [getattr(login, name) for name in login.__slots__]


def named(
    db: Database, after: tuple[Any, ...] | None, action: str, actor: str
) -> tuple[Page[accounts.AuditRow], list[Any]]:
    page = accounts.audit(db, 9, after, action, actor)
    targets = audit_targets.target_names(db, [(row.target_kind, row.target_id) for row in page.items])
    return page, sorted(targets.items())


def of_repositories() -> Iterator[tuple[str, Query]]:
    filters = [RepositoryFilter(q) for q in WORDS] + [RepositoryFilter(tag="prod"), RepositoryFilter("haupt", "prod")]
    for wanted, sort in product(filters, repository_lists.SORTS):
        yield (
            f"repositories {wanted} {sort}",
            lambda db, w=wanted, s=sort: whole(lambda after: repository_lists.listed(db, w, s, 3, after)),
        )
        yield (
            f"repositories looked up {wanted} {sort}",
            lambda db, w=wanted, s=sort: repository_lists.listed(db, repository_lists.looked_up(db, w), s, 5, skip=2),
        )
    for wanted in filters:
        yield (
            f"totals {wanted}",
            lambda db, w=wanted: (
                repository_lists.totals(db, w), repository_lists.totals(db, repository_lists.looked_up(db, w)),
                sorted(repository_lists.looked_up(db, w).ids or ()),
            ),
        )  # fmt: skip
    yield "repository_views", repositories.repository_views
    yield "repository_views with sizes", lambda db: repositories.repository_views(db, LONG_AGO)
    for repository_id in (*REPOSITORIES, "none"):
        yield f"repository {repository_id}", lambda db, r=repository_id: (
            repositories.repository_view(db, r), repositories.first_name(db, r)
        )
    yield "views_of none", lambda db: repositories.views_of(db, [])
    yield "last_checks", lambda db: sorted(repositories.last_checks(db).items())
    yield "silent_hosts", lambda db: repositories.silent_hosts(db, 50)
    yield "hosts_to_ask", lambda db: repositories.hosts_to_ask(db, NOON, LONG_AGO, 9)
    for host_id in HOSTS:
        yield f"repositories of {host_id}", lambda db, h=host_id: (
            repositories.repositories_of_host(db, h), repositories.to_measure(db, h, NOON - clock.DAY)
        )


def of_figures() -> Iterator[tuple[str, Query]]:
    for at in (NOON, SOON, LONG_AGO):
        yield f"figures {at}", lambda db, a=at: without_sizes(figures.figures(db, a, 20))
        yield f"oldest_unsent {at}", lambda db, a=at: figures.oldest_unsent(db, a)
    yield "left_off", lambda db: (figures.left_off(db, 3), figures.left_off(db))
    yield "digest_channels", digests.digest_channels
    yield "alerts_elsewhere", digests.alerts_elsewhere
    for after, most in product(("", HOSTS[7]), (5, 100)):
        yield (
            f"host_figures {after} {most}",
            lambda db, a=after, n=most: digests.host_figures(db, frozenset(), LONG_AGO, SOON, a, n),
        )


def without_sizes(found: figures.Figures) -> object:
    return [
        found.hosts, sorted(found.open_alerts.items()), found.queues, found.oldest_due_at, found.good_runs,
        found.repositories,
    ]  # fmt: skip


def of_actors() -> Iterator[tuple[str, Query]]:
    yield "load_hosts", lambda db: sorted(load_hosts.load_hosts(db), key=repr)
    yield "load_hosts_running", lambda db: sorted(load_hosts.load_hosts_running(db))
    for host_id in (*HOSTS, "none"):
        yield f"work of {host_id}", lambda db, h=host_id: (
            load_hosts.load_pending_work(db, h), sorted(load_hosts.load_running(db, h), key=repr),
            load_hosts.load_hosts(db, {h}),
        )
    yield "load_rules", lambda db: {key: sorted_states(value) for key, value in sorted(load_rules.load_rules(db).items())}
    for what, most in product(retention._KINDS, (7, 1000)):
        yield f"find_old {what} {most}", lambda db, w=what, n=most: found_old(db, w, n)


def sorted_states(found: Any) -> object:
    """What the rules remember is looked up, and has no order."""
    return sorted(found.alert_states.items(), key=repr), sorted(found.schedules.items()), found.host_id, found.plans


def found_old(db: Database, what: Any, most: int) -> list[Any]:
    found, after = [], retention.START
    while True:
        keys, after_these = retention.find_old(db, what, NOON - clock.DAY, after, most)
        found.append((keys, after_these))
        if after_these is None:
            return found
        after = after_these


# ---- the comparison


GROUPS = (of_hosts, of_jobs, of_schedules, of_ages, of_alerts, of_channels, of_people, of_repositories, of_figures, of_actors)


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.__name__)
def test_both_engines_give_the_same_answer(group: Callable[[], Iterator[tuple[str, Query]]], twins: list[Connection]) -> None:
    sqlite, postgres = twins
    asked = 0
    for name, query in group():
        expected, found = query(sqlite), query(postgres)
        assert repr(found) == repr(expected), name
        asked += 1
    assert asked > 3


def test_every_function_of_the_queries_is_asked() -> None:
    """All that takes a database first."""
