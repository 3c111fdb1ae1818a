"""What follows from policies and tags, for schedules that there are."""

from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmactors.server.calendars.spread import minute_of, shifted
from rmactors.server.calendars.when import When
from rmactors.server.messages.schedules import DeleteSchedule, SaveSchedule
from rmactors.server.state.policies import (
    TERMS as NAMES,
)
from rmactors.server.state.policies import (
    Changed,
    Gone,
    Made,
    Policy,
    PolicyHost,
    Snapshot,
    Standing,
    Terms,
    differences,
    terms_for,
    write_for,
)
from tests.policies.things import TERMS, host, policy, standing

AT = 1000


def found(policies: tuple[Policy, ...], hosts: tuple[PolicyHost, ...], *there: Standing) -> list[Any]:
    return list(differences(Snapshot(policies, hosts, there)))


def test_a_host_with_any_of_the_tags_gets_a_schedule_of_each_policy() -> None:
    both, one, none = host("a", "db", "web"), host("b", "web"), host("c", "x")
    first, second = policy("p", "db"), policy("q", "db", "web")
    assert found((first, second), (both, one, none)) == [
        Made(both, first, TERMS), Made(both, second, TERMS), Made(one, second, TERMS),
    ]  # fmt: skip


def test_terms_say_when_they_run() -> None:
    assert TERMS.when == When("0 2 * * *", None, None, "UTC")


def test_what_is_as_it_should_be_is_left_alone() -> None:
    assert found((policy(),), (host(),), standing()) == []


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Weekly"}, {"kind": "check"}, {"cron": "0 3 * * *"}, {"cron": None, "every_hours": 6.0},
        {"cron": None, "on_calendar": "daily", "mode": "external"}, {"timezone": "Europe/Berlin"}, {"enabled": False},
        {"grace_seconds": 60.0}, {"max_runtime_seconds": 60.0}, {"max_age_hours": 30.0}, {"on_partial": "ok"},
        {"params": '{"plan":"home"}'},
    ],
)  # fmt: skip
def test_whatever_the_policy_says_otherwise_is_changed_in_place(change: dict[str, Any]) -> None:
    (only,) = found((policy(**change),), (host(),), standing())
    assert only == Changed(standing(), replace(TERMS, **change))
    write = write_for(only, AT, lambda: "new")
    assert isinstance(write, SaveSchedule)
    assert (write.schedule_id, write.host_id, write.policy_id, write.at) == ("s", "h", "p", AT)
    assert {name: getattr(write, name) for name in change} == change
    moved = {"cron", "on_calendar", "every_hours", "timezone", "enabled", "mode", "kind", "grace_seconds"} & set(change)
    assert write.anchor_at == (AT if moved else 5), "slots count on where nothing of them changed"
    assert write.audit.detail == ", ".join(name for name in NAMES if name in change)


def test_who_loses_the_tag_or_the_policy_loses_the_schedule() -> None:
    assert found((policy(),), (host("h", "x"),), standing()) == [Gone(standing())]
    assert found((), (host(),), standing()) == [Gone(standing())]
    assert write_for(Gone(standing()), AT, lambda: "new") == DeleteSchedule(
        "s", AT, write_for(Gone(standing()), AT, str).audit
    )


def test_a_new_schedule_begins_now() -> None:
    (only,) = found((policy(),), (host(),))
    write = write_for(only, AT, lambda: "new")
    assert isinstance(write, SaveSchedule)
    assert (write.schedule_id, write.at, write.anchor_at, write.policy_id) == ("new", AT, AT, "p")
    assert (write.audit.actor, write.audit.actor_kind) == ("policy:Nightly", "system")


def test_schedules_of_hosts_that_are_not_looked_at_are_left_alone() -> None:
    assert found((policy(),), (host(),), standing(), standing("t", "another")) == []


def test_schedules_of_people_are_left_alone() -> None:
    assert found((), (host(),), standing(policy_id=None)) == []
    assert found((), (host(),), standing(policy_id=None, enabled=False)) == []


def test_each_host_runs_at_its_own_minute() -> None:
    wide = policy(spread=90)
    for each in (host("a"), host("b"), host("c")):
        assert terms_for(wide, each).cron == shifted("0 2 * * *", minute_of("p", each.id, 90))
    assert terms_for(policy(spread=90, cron=None, every_hours=3.0), host()).every_hours == 3.0


def test_a_window_that_no_expression_can_say_is_no_reason_to_run_nothing() -> None:
    wide = policy(spread=1440, cron="0,30 1-5 * * 1")
    assert {terms_for(wide, host(str(n))).cron for n in range(20)} >= {"0,30 1-5 * * 1"}


# ---- pauses


def test_on_a_paused_host_nothing_stays_on_and_afterwards_what_was_is_on_again() -> None:
    own, off = standing("own", policy_id=None), standing("off", policy_id=None, enabled=False)
    made, resting = standing(), host(paused=True)
    paused = found((policy(),), (resting,), own, off, made)
    assert [(each.standing.id, each.terms.enabled, each.by_pause) for each in paused] == [
        ("own", False, True), ("s", False, False),
    ]  # fmt: skip
    writes = [write_for(each, AT, str) for each in paused]
    assert [write.paused for write in writes if isinstance(write, SaveSchedule)] == [True, False]
    assert writes[0].audit.actor == "pause of the host"
    again = found(
        (policy(),), (host(),), replace(own, terms=replace(TERMS, enabled=False), paused=True), off,
        replace(made, terms=replace(TERMS, enabled=False)),
    )  # fmt: skip
    assert [(each.standing.id, each.terms.enabled) for each in again] == [("own", True), ("s", True)]
    back = write_for(again[0], AT, str)
    assert isinstance(back, SaveSchedule)
    assert (back.enabled, back.paused) == (True, False)


def test_a_policy_that_is_off_is_off_on_a_paused_host_as_well() -> None:
    assert found((policy(enabled=False),), (host(paused=True),), standing(enabled=False)) == []


# ---- whatever there is


TAGS = st.frozensets(st.sampled_from("abc"), min_size=1)
POLICIES = st.lists(
    st.builds(
        lambda id, tags, spread, enabled, cron: Policy(id, tags, spread, replace(TERMS, enabled=enabled, cron=cron)),
        st.sampled_from("pqr"), TAGS, st.sampled_from([0, 60]), st.booleans(), st.sampled_from(["0 2 * * *", "@daily"]),
    ), unique_by=lambda each: each.id,
)  # fmt: skip
HOSTS = st.lists(
    st.builds(PolicyHost, st.sampled_from("xyz"), st.just("n"), TAGS, paused=st.booleans()),
    unique_by=lambda each: each.id,
)  # fmt: skip
STANDING = st.lists(
    st.builds(
        lambda n, host_id, policy_id, enabled, paused: Standing(
            str(n), host_id, policy_id, replace(TERMS, enabled=enabled), 5, paused and not enabled
        ),
        st.integers(0, 99), st.sampled_from("xyz"), st.sampled_from(["p", "q", "gone", None]), st.booleans(),
        st.booleans(),
    ),
    unique_by=(lambda each: each.id, lambda each: (each.host_id, each.policy_id or each.id)),
)  # fmt: skip


@given(POLICIES, HOSTS, STANDING)
def test_once_carried_out_nothing_is_left_to_do(
    policies: list[Policy], hosts: list[PolicyHost], there: list[Standing]
) -> None:
    """Whatever was there: each host has one schedule of each of its policies, and a second look finds no difference."""
    new = count()
    after = {each.id: each for each in there}
    for difference in differences(Snapshot(tuple(policies), tuple(hosts), tuple(there))):
        match write_for(difference, AT, lambda: f"new {next(new)}"):
            case SaveSchedule() as write:
                after[write.schedule_id] = Standing(
                    write.schedule_id, write.host_id, write.policy_id,
                    Terms(**{name: getattr(write, name) for name in NAMES}), write.anchor_at, write.paused,
                )  # fmt: skip
            case DeleteSchedule() as gone:
                del after[gone.schedule_id]
    settled = Snapshot(tuple(policies), tuple(hosts), tuple(after.values()))
    assert list(differences(settled)) == []
    for each in hosts:
        theirs = sorted(s.policy_id for s in after.values() if s.host_id == each.id and s.policy_id is not None)
        assert theirs == sorted(p.id for p in policies if p.is_for(each))
        if each.paused:
            assert not any(s.terms.enabled for s in after.values() if s.host_id == each.id)
