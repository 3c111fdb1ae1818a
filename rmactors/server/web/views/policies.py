"""Policies as lines, one with its hosts, and what one would change before it is saved. Pure."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rmactors.common.clock import DAY, MINUTE
from rmactors.server.state.policies import (
    Changed,
    Gone,
    Made,
    Policy,
    PolicyHost,
    Snapshot,
    Standing,
    differences,
    terms_for,
)
from rmactors.server.store.queries.policies import PolicyRow
from rmactors.server.web import rows as guard
from rmactors.server.web.views import schedules, words
from rmactors.server.web.views.texts import _, many
from rmactors.server.web.views.times import Moment, Time, duration
from rmactors.server.web.views.words import State

_NAMED: Final = 10
SHOWN: Final = 200
"""Hosts on a policy's page; more are counted."""


@dataclass(frozen=True, slots=True)
class PolicyLine:
    """`hosts` says how many have its schedule; `written` is to hover over."""

    id: str
    name: str
    kind_name: str
    tags: tuple[str, ...]
    in_words: str
    written: str
    hosts: str
    state: State


def lines(rows: Sequence[PolicyRow], schedules_of: Mapping[str, int]) -> list[PolicyLine]:
    return guard.each(rows, lambda row: line(row, schedules_of.get(row.id, 0)), guard.line(PolicyLine))


def line(row: PolicyRow, number: int) -> PolicyLine:
    return PolicyLine(
        row.id, row.name, words.kind_name(row.kind), tuple(map(str, json.loads(row.host_tags))), in_words(row),
        schedules.written(row.when), many("%(n)s host", "%(n)s hosts", number) if number else _("no host"),
        State("ok", _("On")) if row.enabled else State("off", _("Off")),
    )  # fmt: skip


def in_words(row: PolicyRow) -> str:
    """`Every day at 02:00, UTC, spread over 1 h`."""
    text = schedules.in_few_words(row.when)
    if not row.spread_minutes:
        return text
    return _("%(when)s, spread over %(minutes)s min") % {"when": text, "minutes": row.spread_minutes}


# ---- hosts where it cannot run


@dataclass(frozen=True, slots=True)
class Named:
    """Some hosts: what is said of them as a sentence, the names of the first, and how many more there are."""

    sentence: str
    names: tuple[tuple[str, str], ...]
    more: str


def named(sentence: str, hosts: Sequence[PolicyHost]) -> Named:
    rest = len(hosts) - _NAMED
    more = many("and %(n)s more", "and %(n)s more", rest) if rest > 0 else ""
    return Named(sentence, tuple((host.id, host.name) for host in hosts[:_NAMED]), more)


def trouble_on(policy: Policy, host: PolicyHost) -> str | None:
    """Why the agent would refuse each run, `several` or `unknown`; None where it would not, as far as is known."""
    params = json.loads(policy.terms.params)
    plan = params.get("plan")
    if policy.terms.mode != "agent" or not policy.terms.enabled or params.get("repository"):
        return None
    if plan is None:
        return "several" if len(host.plans) > 1 else None
    return "unknown" if host.plans and plan not in host.plans else None


def troubles(policy: Policy, hosts: Iterable[PolicyHost]) -> list[Named]:
    """The hosts of the policy where its runs would be refused, by why."""
    found: dict[str, list[PolicyHost]] = {"several": [], "unknown": []}
    for host in hosts:
        if policy.is_for(host) and (why := trouble_on(policy, host)) is not None:
            found[why].append(host)
    told = []
    if several := found["several"]:
        told.append(
            named(
                many(
                    "%(n)s host has several plans: choose one, or its runs are refused and you get an alert.",
                    "%(n)s hosts have several plans: choose one, or their runs are refused and you get alerts.",
                    len(several),
                ),
                several,
            )
        )
    if unknown := found["unknown"]:
        plan = json.loads(policy.terms.params).get("plan")
        sentence = many(
            "%(n)s host does not have it, so its runs are refused and you get an alert.",
            "%(n)s hosts do not have it, so their runs are refused and you get alerts.",
            len(unknown),
        )
        told.append(named(_("Plan %(plan)s: %(said)s") % {"plan": plan, "said": sentence}, unknown))
    return told


# ---- before it is saved


@dataclass(frozen=True, slots=True)
class Hour:
    """How many hosts begin a run in this hour; `share` of the fullest one, in percent."""

    words: str
    number: int
    share: int


@dataclass(frozen=True, slots=True)
class WouldChange:
    """What saving leads to. `first` and `last` are the ends of the next window, where there is one; `hours` those of
    the next day in which something begins."""

    lines: tuple[Named, ...]
    troubles: tuple[Named, ...]
    first: Time | None
    last: Time | None
    hours: tuple[Hour, ...]
    nothing: bool


def would_change(
    policy: Policy | None, hosts: Sequence[PolicyHost], standing: Sequence[Standing], moment: Moment
) -> WouldChange:
    """`policy` as it would be; None: it would be deleted. `hosts` by name."""
    by_id = {host.id: host for host in hosts}
    made: list[PolicyHost] = []
    changed: list[PolicyHost] = []
    gone: list[PolicyHost] = []
    policies = (policy,) if policy is not None else ()
    for difference in differences(Snapshot(policies, tuple(hosts), tuple(standing))):
        match difference:
            case Made(host):
                made.append(host)
            case Changed(each):
                changed.append(by_id[each.host_id])
            case Gone(each):
                gone.append(by_id[each.host_id])
    same = len(standing) - len(changed) - len(gone)
    told = [
        named(many("%(n)s host gets a schedule:", "%(n)s hosts get a schedule:", len(made)), made) if made else None,
        named(many("%(n)s schedule changes:", "%(n)s schedules change:", len(changed)), changed) if changed else None,
        named(many("%(n)s schedule is deleted:", "%(n)s schedules are deleted:", len(gone)), gone) if gone else None,
        named(many("%(n)s schedule stays as it is.", "%(n)s schedules stay as they are.", same), ()) if same else None,
    ]
    lines = tuple(each for each in told if each is not None)
    theirs = [host for host in hosts if policy is not None and policy.is_for(host)]
    paused = [host for host in theirs if host.paused]
    if paused:
        sentence = many(
            "%(n)s host is paused: its schedule is off until that ends.",
            "%(n)s hosts are paused: their schedules are off until that ends.",
            len(paused),
        )
        lines += (named(sentence, paused),)
    if policy is None:
        return WouldChange(lines, (), None, None, (), not lines)
    first, last = _window(policy, moment)
    return WouldChange(lines, tuple(troubles(policy, theirs)), first, last, _hours(policy, theirs, moment), not lines)


def _window(policy: Policy, moment: Moment) -> tuple[Time | None, Time | None]:
    """The next one: when its first host and its last may begin."""
    begins = policy.terms.when.next_fire(moment.now) if policy.spread_minutes and policy.terms.enabled else None
    if begins is None:
        return None, None
    return moment.slot(begins), moment.slot(begins + (policy.spread_minutes - 1) * MINUTE)


def _hours(policy: Policy, hosts: Sequence[PolicyHost], moment: Moment) -> tuple[Hour, ...]:
    """Of the next day: hosts with one expression begin at the same times."""
    whens = Counter(terms.when for host in hosts if (terms := terms_for(policy, host)).enabled)
    begins: Counter[int] = Counter()
    for when, number in whens.items():
        for at in when.fires_between(moment.now, moment.now + DAY):
            begins[at - at % (60 * MINUTE)] += number
    most = max(begins.values(), default=0)
    return tuple(Hour(moment.slot(at).words, begins[at], 100 * begins[at] // most) for at in sorted(begins))


# ---- one policy


@dataclass(frozen=True, slots=True)
class HostOfPolicy:
    """`next_run` is None where there is none. `trouble` says why its runs are refused, empty where they are not."""

    id: str
    name: str
    schedule_id: str
    in_words: str
    next_run: Time | None
    state: State
    trouble: str


@dataclass(frozen=True, slots=True)
class PolicyPage:
    """`waiting`: so many hosts do not have what it says yet; `more` are not listed."""

    id: str
    name: str
    facts: tuple[tuple[str, str], ...]
    hosts: tuple[HostOfPolicy, ...]
    more: str
    waiting: str
    troubles: tuple[Named, ...]


def policy_page(
    row: PolicyRow, policy: Policy, hosts: Sequence[PolicyHost], standing: Sequence[Standing], moment: Moment
) -> PolicyPage:
    """`hosts` by name."""
    own = {each.host_id: each for each in standing}
    theirs = [host for host in hosts if host.id in own]
    waiting = sum(1 for _each in differences(Snapshot((policy,), tuple(hosts), tuple(standing))))
    rest = len(theirs) - SHOWN
    return PolicyPage(
        row.id, row.name, tuple(_facts(row)),
        tuple(_host(policy, host, own[host.id], moment) for host in theirs[:SHOWN]),
        many("and %(n)s more host", "and %(n)s more hosts", rest) if rest > 0 else "",
        many("On %(n)s host it is not carried out yet.", "On %(n)s hosts it is not carried out yet.", waiting)
        if waiting else "",
        tuple(troubles(policy, hosts)),
    )  # fmt: skip


def _host(policy: Policy, host: PolicyHost, standing: Standing, moment: Moment) -> HostOfPolicy:
    terms = standing.terms
    due = schedules.next_run(terms.when, moment.now, moment.now) if terms.enabled and terms.when.has_slots else None
    why = {"several": _("several plans: choose one"), "unknown": _("no such plan")}
    state = State("ok", _("On")) if terms.enabled else State("off", _("Paused") if host.paused else _("Off"))
    return HostOfPolicy(
        host.id, host.name, standing.id, schedules.in_few_words(terms.when),
        moment.until(due) if due is not None else None, state, why.get(trouble_on(policy, host) or "", ""),
    )  # fmt: skip


def _facts(row: PolicyRow) -> Iterable[tuple[str, str]]:
    params = json.loads(row.params)
    yield _("What"), words.kind_name(row.kind)
    if params.get("plan"):
        yield _("Plan"), str(params["plan"])
    yield _("Hosts tagged"), ", ".join(map(str, json.loads(row.host_tags)))
    yield _("When"), in_words(row)
    yield _("Started by"), _("the agent") if row.mode == "agent" else _("cron or systemd on the host")
    if row.grace_seconds:
        yield _("Grace"), duration(row.grace_seconds)
    if row.max_age_hours is not None:
        yield _("Newest good backup"), schedules.limit(row.max_age_hours)
    yield _("Maximum run time"), duration(row.max_runtime_seconds)
    if row.on_partial == "ok":
        yield _("Unread files"), _("accepted")
    others = {name: value for name, value in params.items() if name != "plan"}
    if others:
        yield _("Parameters"), json.dumps(others)
