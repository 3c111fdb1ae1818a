"""Questions about alerts, channels, people, repositories, and the whole."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any, get_args

from rmactors.common import clock
from rmactors.server.messages.audit import Audit
from rmactors.server.messages.retention import OldKind
from rmactors.server.store import channel_trouble, load_channels, load_rules, retention
from rmactors.server.store.database import Database
from rmactors.server.store.queries import (
    accounts,
    acting,
    alerts,
    audit_targets,
    channels,
    condition,
    credentials,
    digests,
    figures,
    pages,
    passkeys,
    push,
    repositories,
    repository_lists,
    silences,
    status_pages,
    waiting,
)
from rmactors.server.store.queries.repository_lists import RepositoryFilter
from tests.store.asked.fleet import LONG_AGO, SOON, WORDS
from tests.store.asked.pools import (
    ALERT_IDS,
    CHANNELS,
    DELIVERIES,
    HOSTS,
    JOBS,
    NAMES,
    NOON,
    PAGES,
    QUIET,
    REPOSITORIES,
    SCHEDULES,
    SILENCES,
    TIMES,
    TOKENS,
    USERS,
)
from tests.store.asked.question import Question, in_one_order, of_each, once, paged, unordered


def of_alerts() -> Iterator[Question]:
    some = alerts.AlertFilter
    filters = [some(q=q, anywhere=anywhere) for q in (*WORDS, "50%", "disk_", "GRÖSSE") for anywhere in (False, True)]
    filters += [some(host="a"), some(tag="prod"), some(host_id=HOSTS[1]), some(severity="critical")]
    filters += [some(kind="backup_failed"), some(q="größe", host="a", tag="prod", severity="warning")]
    sorts = get_args(alerts.AlertSort)
    for wanted, status, sort in product(filters, ("open", "acknowledged", "resolved", "all"), sorts):
        yield paged(alerts.alerts, replace(wanted, status=status, sort=sort), 25)
    yield paged(alerts.listed, some(), NOON, 25)
    yield once(alerts.counts, NOON)
    for query in (alerts.alert, alerts.timeline, alerts.was_meant):
        yield from of_each(query, (*ALERT_IDS[:80], "not there"))
    yield from of_each(acting.linked, ALERT_IDS[:9], CHANNELS[0])
    yield from (once(acting.silenced, host_id, "backup_failed", "text", LONG_AGO) for host_id in HOSTS)
    yield from (once(query) for query in (pages.open_alerts, pages.alert_counts, digests.alerts_elsewhere))
    yield paged(silences.silences, 2)
    yield from of_each(silences.silence, (*SILENCES, "not there"))
    yield Question(load_rules.load_rules, (), {}, shown=looked_up)
    yield from (Question(load_rules.load_rules, (host_id,), {}, shown=looked_up) for host_id in HOSTS)


def looked_up(states: dict[str, Any]) -> object:
    """What the rules remember has no order."""
    return [
        (host_id, in_one_order(state.alert_states), in_one_order(state.schedules), state.plans)
        for host_id, state in sorted(states.items())
    ]


def of_channels() -> Iterator[Question]:
    for at, limit in product((NOON, SOON, LONG_AGO), (2, 100)):
        yield paged(channels.channels, at, limit)
    for channel_id in (*CHANNELS, "not there"):
        yield once(channels.channel, channel_id, NOON)
        yield once(channels.dead_deliveries, channel_id, 5)
        yield paged(channels.log, channel_id, 9)
        yield once(load_channels.load_due, channel_id, 3, 10)
        yield once(load_channels.load_places, channel_id, [9, 3, 5, 1])
        yield from (once(waiting.waiting, channel_id, QUIET, at, due) for at, due in product(TIMES, (False, True)))
        for key in ("ended/repository", "ended/", "all", "ended/all"):
            yield once(load_channels.load_open, channel_id, key, 3)
    yield unordered(load_channels.load_channels)
    yield once(channel_trouble.load_channel_trouble)
    yield once(channels.glance)
    yield once(pages.around_a_page, LONG_AGO)
    yield once(push.channels_of_kind, "webpush")
    yield from of_each(channels.delivery, (*DELIVERIES[:30], "not there"))
    yield from (unordered(channels.alerts_of, some) for some in ((), ALERT_IDS[:9]))
    yield once(digests.digest_channels)
    for tags, after, most in product((frozenset[str](), frozenset(("prod",))), ("", HOSTS[7]), (5, 100)):
        yield once(digests.host_figures, tags, LONG_AGO, SOON, after, most)


def of_people() -> Iterator[Question]:
    for query in (accounts.users, accounts.tokens, accounts.enrollment_tokens, status_pages.status_pages):
        yield paged(query, 2)
    yield once(accounts.code_alarms, LONG_AGO)
    yield from (once(query) for query in (accounts.any_user, passkeys.any_passkey))
    yield Question(
        status_pages.watched, (), {}, shown=lambda found: (found.hosts, found.alerts, in_one_order(found.last_backups))
    )
    yield unordered(status_pages.by_digest)
    for query in (accounts.user, accounts.recovery_codes_left, passkeys.of_user, passkeys.credential_ids):
        yield from of_each(query, (*USERS, "not there"))
    yield from (paged(accounts.sessions, user_id, LONG_AGO, LONG_AGO, 1) for user_id in USERS)
    yield from (Question(accounts.login_by_id, (each,), {}, shown=every_part) for each in (*USERS, "not there"))
    yield from (Question(accounts.login_by_name, (name,), {}, shown=every_part) for name in NAMES)
    for number in range(20):
        yield once(accounts.signed_in, f"hash of W{number:03}")
        yield once(accounts.session_lives, f"W{number:03}", LONG_AGO, LONG_AGO)
        yield once(accounts.token_in_use, f"hash of T{number:03}")
        yield once(credentials.find_credential, f"hash of H{number:03}", NOON)
        yield once(credentials.find_credential, f"hash of E{number:03}", NOON)
        yield once(passkeys.by_credential, f"c{number:03}")
    yield from of_each(accounts.token, (*TOKENS, "not there"))
    yield from of_each(accounts.token_lives, TOKENS, NOON)
    yield from of_each(status_pages.status_page, (*PAGES, "not there"))
    for action, actor in product(("", "alert.resolve"), ("", NAMES[2])):
        yield paged(accounts.audit, 9, action=action, actor=actor)
    said = Audit(NOON, "nas1", "user", "alert.resolve", "x", "", "ok", "192.0.2.1", "text")
    yield once(accounts.is_in_audit, said, LONG_AGO)
    kinds = {
        "host": HOSTS, "schedule": SCHEDULES, "policy": ("P0", "P1"), "channel": CHANNELS, "user": USERS,
        "token": TOKENS, "alert": ALERT_IDS[:9], "job": JOBS[:9], "delivery": DELIVERIES[:9], "no such": ("x",),
    }  # fmt: skip
    for kind, ids in kinds.items():
        yield unordered(audit_targets.target_names, [(kind, target_id) for target_id in (*ids, "", "not there")])


def every_part(login: accounts.Login | None) -> object:
    """With what its text leaves out."""
    return None if login is None else [getattr(login, name) for name in login.__slots__]


def of_repositories() -> Iterator[Question]:
    filters = [RepositoryFilter(q) for q in WORDS] + [RepositoryFilter(tag="prod"), RepositoryFilter("haupt", "prod")]
    for wanted, sort in product(filters, repository_lists.SORTS):
        yield paged(repository_lists.listed, wanted, sort, 3)
        yield once(repository_lists.listed, wanted, sort, 5, skip=2)
    for wanted in filters:
        yield once(repository_lists.totals, wanted)
        yield Question(repository_lists.looked_up, (wanted,), {}, shown=lambda found: found.ids and sorted(found.ids))
    yield paged(repository_lists.listed, RepositoryFilter(ids=REPOSITORIES[:5]), "name", 2)
    yield once(repositories.repository_views)
    yield once(repositories.repository_views, LONG_AGO)
    for query in (repositories.repository_view, repositories.first_name):
        yield from of_each(query, (*REPOSITORIES, "not there"))
    yield from (unordered(repositories.views_of, some) for some in ([], list(REPOSITORIES[:4])))
    yield unordered(repositories.last_checks)
    yield once(repositories.silent_hosts, 50)
    yield once(repositories.hosts_to_ask, NOON, LONG_AGO, 9)
    yield from of_each(repositories.repositories_of_host, HOSTS)
    yield from of_each(repositories.to_measure, HOSTS, NOON - clock.DAY)


def of_the_whole() -> Iterator[Question]:
    for at in (NOON, SOON, LONG_AGO):
        yield Question(figures.figures, (at, 20), {}, shown=without_sizes)
        yield once(figures.oldest_unsent, at)
        yield once(figures.queues, at)
        yield Question(condition.condition, (at,), {}, shown=lambda found: replace(found, size=0, free=0))
    yield from of_each(figures.left_off, (3, 5000))
    yield once(condition.schema_trouble)
    yield Question(figures.space, (), {}, shown=lambda found: (found[0] > 0, found[1] >= 0))
    for what, most in product(get_args(OldKind), (7, 1000)):
        yield Question(retention.find_old, (what, NOON - clock.DAY, retention.START, most), {})
        yield once(found_old, what, most)


def without_sizes(found: figures.Figures) -> object:
    return replace(found, size=0, free=0, open_alerts={}), in_one_order(found.open_alerts)


def found_old(db: Database, what: Any, most: int) -> list[Any]:
    """All of a kind, some at a time."""
    found, after = [], retention.START
    while True:
        keys, goes_on = retention.find_old(db, what, NOON - clock.DAY, after, most)
        found.append((keys, goes_on))
        if goes_on is None:
            return found
        after = goes_on
