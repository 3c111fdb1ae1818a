"""A host with too many open alerts: what it makes up raises no more of them, and one alert counts the others."""

from dataclasses import replace
from itertools import count

import pytest
from msgspec import structs

from rmactors.common.clock import HOUR
from rmactors.server.actors.rules import alert_limit, wording
from rmactors.server.actors.rules.decisions import Decidable, decide
from rmactors.server.messages.alerts import (
    ExpectOpen,
    ForgetAlertState,
    RaiseAlert,
    ResolveAlert,
    SaveAlertState,
    TouchAlert,
)
from rmactors.server.messages.answers import no_reply
from rmactors.server.messages.jobs import SaveEnd
from rmactors.server.messages.requests import HostWentSilent, JudgeEnd, JudgeLoss
from rmactors.server.state.alert_state import AlertKey, AlertState, LastOutcome, outcome_from_json, outcome_to_json
from rmactors.server.state.host_state import HostState
from tests.rules.test_plans import FLOOR, NOON, a_book, lost, run, schedule
from tests.rules.test_suspicious import backup

NIGHTLY = schedule("nightly", "home")
NUMBERS = count()


def crowded(most: int, *failing: str) -> HostState:
    """A host that may have so many open alerts, of which it has those plans'."""
    host = a_book(replace(NIGHTLY))
    host.most_open = most
    for plan in failing:
        update(host, run("failed", 0, plan=plan))
    return host


def update(host: HostState, step: Decidable) -> list[str]:
    """What a step does to alerts, a word each; those of a kind of their own by that kind."""
    of = {state.alert.id: key for key, state in host.alert_states.items() if state.alert is not None}
    did = []
    for write in decide(host, step, f"fresh {next(NUMBERS)}", FLOOR).writes:
        match write:
            case RaiseAlert():
                of[write.alert_id] = AlertKey(write.host_id, write.kind, write.subject)
                did.append(f"raises {name(of[write.alert_id])}")
            case TouchAlert():
                did.append(f"{'touches' if write.again else 'corrects'} {name(of[write.alert_id])}")
            case ResolveAlert():
                did.append(f"resolves {name(of[write.alert_id])}")
            case _:
                pass
    return did


def name(key: AlertKey) -> str:
    return key.subject if key.kind == "backup_failed" else key.kind


def message(host: HostState, step: Decidable) -> str:
    """What is said of too many alerts."""
    writes = decide(host, step, "fresh", FLOOR).writes
    return next(write.message for write in writes if isinstance(write, RaiseAlert | TouchAlert))


def test_beyond_the_bound_one_alert_counts_the_others() -> None:
    host = crowded(2, "a", "b")
    assert update(host, run("failed", 1, plan="c")) == ["raises too_many_alerts"]
    assert update(host, run("failed", 1, plan="d")) == ["touches too_many_alerts"]
    assert message(host, run("failed", 2, plan="c")) == (
        "2 more failures of this host have no alert of their own, because too many of its alerts are open (2 at most)."
        " The newest: backup of c, backup of d. Does something on this host make up names of plans? Resolve what is"
        " over: what fails again then has its own."
    )


def test_the_outcome_itself_is_kept_like_any_other() -> None:
    host = crowded(1, "a")
    writes = decide(host, run("failed", 1, plan="b"), "fresh", FLOOR).writes
    assert isinstance(writes[0], SaveEnd)
    [own, too_many] = [write for write in writes if isinstance(write, SaveAlertState)]
    assert (own.subject, too_many.kind) == ("plan:b", "too_many_alerts")
    last = outcome_from_json(own.last)
    assert last is not None
    assert (last.verdict, last.told_by) == ("bad", "fresh")
    assert outcome_from_json(outcome_to_json(last)) == last


def test_open_ones_go_on_to_be_touched_and_resolved() -> None:
    host = crowded(1, "a")
    update(host, run("failed", 1, plan="b"))
    assert update(host, run("failed", 2, plan="a")) == ["touches plan:a"]
    assert update(host, run("succeeded", 3, plan="a")) == ["resolves plan:a"]


def test_what_was_held_back_and_fails_again_when_there_is_room_has_its_own_alert() -> None:
    host = crowded(1, "a")
    update(host, run("failed", 1, plan="b"))
    update(host, run("failed", 1, plan="c"))
    update(host, run("succeeded", 2, plan="a"))
    assert update(host, run("failed", 3, plan="b")) == ["raises plan:b", "corrects too_many_alerts"]
    assert update(host, run("failed", 4, plan="c")) == ["touches too_many_alerts"]


def test_when_none_is_held_back_any_more_it_is_resolved() -> None:
    host = crowded(1, "a")
    update(host, run("failed", 1, plan="b"))
    update(host, run("failed", 1, plan="c"))
    assert update(host, run("succeeded", 2, plan="b")) == ["corrects too_many_alerts"]
    assert update(host, run("succeeded", 2, plan="c")) == ["resolves too_many_alerts"]
    assert host.held_back() == {}


def test_what_neither_is_over_nor_new_changes_nothing_about_it() -> None:
    host = crowded(1, "a")
    update(host, run("failed", 5, plan="b"))
    assert update(host, run("cancelled", 6, plan="b")) == []
    assert update(host, run("failed", 1, plan="b", job="older")) == []


@pytest.mark.parametrize(
    ("step", "does"),
    [
        (run("failed", 1, of="nightly", plan="home"), ["raises nightly"]),
        (HostWentSilent("host", NOON, NOON + HOUR, no_reply), ["raises agent_offline"]),
    ],
)
def test_what_is_about_a_schedule_or_the_host_itself_always_has_its_alert(step: Decidable, does: list[str]) -> None:
    """Whatever the host makes up, it hides nothing of what the server knows by itself."""
    host = crowded(2, "a", "b")
    update(host, run("failed", 1, plan="c"))
    assert update(host, step) == does


def test_other_kinds_are_held_back_and_named_as_well() -> None:
    host = crowded(1, "a")
    update(host, run("failed", 1, plan="b", kind="check"))
    assert host.open_alerts() == 1
    assert "The newest: forget, check of b." in message(host, run("failed", 1, plan=None, kind="forget"))
    assert "The newest: restore test of b, " in message(host, run("failed", 1, plan="b", kind="restore_test"))
    update(host, backup(0, 1, None, "c"))
    assert list(host.held_back())[-1].kind == "backup_suspicious"


def test_a_loss_that_was_held_back_is_over_with_its_real_end() -> None:
    host = crowded(1, "a")
    assert update(host, lost(1, "J", plan="b")) == ["raises too_many_alerts"]
    assert update(host, run("failed", 2, plan="b", job="J")) == [], "it is a failure still, and no new one"
    assert len(host.held_back()) == 1
    assert update(host, lost(3, "K", plan="c")) == ["touches too_many_alerts"]
    assert update(host, run("succeeded", 4, plan="c", job="K")) == ["corrects too_many_alerts"]


def test_the_real_end_of_an_earlier_loss_is_held_back_like_the_loss() -> None:
    host = crowded(1, "a")
    update(host, lost(1, "J", plan="b"))
    update(host, lost(2, "K", plan="b"))
    assert update(host, run("failed", 3, plan="b", job="J")) == []
    assert len(host.held_back()) == 1


def test_resolved_by_hand_it_comes_again_with_the_next_failure_and_counts_from_there() -> None:
    host = crowded(1, "a")
    update(host, run("failed", 1, plan="b"))
    update(host, run("failed", 1, plan="c"))
    key = AlertKey("host", "too_many_alerts", "")
    host.put(key, structs.replace(host.state_of(key), alert=None))
    assert host.held_back() == {}
    assert update(host, run("succeeded", 2, plan="b")) == []
    assert update(host, run("failed", 3, plan="c")) == ["raises too_many_alerts"]
    assert len(host.held_back()) == 1


def test_read_from_the_store_again_it_counts_the_same() -> None:
    host = crowded(2, "a", "b")
    for n, plan in enumerate("cdef"):
        update(host, run("failed", n, plan=plan))
    update(host, run("succeeded", 9, plan="c"))
    again = HostState("host", True, False, dict(host.alert_states), dict(host.schedules), most_open=2)
    assert (again.open_alerts(), list(again.held_back())) == (2, list(host.held_back()))
    assert message(again, run("failed", 10, plan="g")).startswith("4 more failures")


def test_without_a_bound_every_failure_has_its_alert() -> None:
    host = crowded(0, *"abcdef")
    assert update(host, run("failed", 1, plan="g")) == ["raises plan:g"]


def test_where_the_bound_was_taken_away_what_fails_again_has_its_alert_and_the_last_ends_it() -> None:
    host = crowded(1, "a")
    update(host, run("failed", 1, plan="b"))
    update(host, run("failed", 1, plan="c"))
    host.most_open = 0
    assert update(host, run("failed", 2, plan="b")) == ["raises plan:b", "corrects too_many_alerts"]
    assert update(host, run("failed", 2, plan="c")) == ["raises plan:c", "resolves too_many_alerts"]


def test_a_failure_that_an_alert_of_its_schedule_tells_of_by_now_is_held_back_no_more() -> None:
    host = crowded(1, "a")
    update(host, run("failed", 1, plan="home"))
    assert update(host, run("failed", 2, of="nightly", plan="home")) == ["raises nightly"]
    assert update(host, run("failed", 3, plan="home")) == ["touches nightly", "resolves too_many_alerts"]


# ---- what it expects of the disk


def counted_on(host: HostState, step: JudgeEnd | JudgeLoss) -> list[ExpectOpen]:
    return [write for write in decide(host, step, "fresh", FLOOR).writes if isinstance(write, ExpectOpen)]


def test_near_the_bound_a_decision_says_how_many_open_alerts_it_counts_on() -> None:
    host = crowded(2, "a")
    assert counted_on(host, run("failed", 1, plan="b")) == [ExpectOpen("host", 2, reached=False)]
    assert counted_on(host, run("failed", 1, plan="c")) == [ExpectOpen("host", 2, reached=True)]
    assert counted_on(host, run("failed", 2, plan="b")) == []
    assert counted_on(host, run("succeeded", 3, plan="b")) == []


def test_far_from_it_nothing_is_asked() -> None:
    host = crowded(1000, "a")
    assert counted_on(host, run("failed", 1, plan="b")) == []


# ---- what is remembered


def test_of_a_host_that_names_plans_without_end_the_oldest_are_forgotten_but_for_open_alerts() -> None:
    host = crowded(2, "a", "b")
    update(host, run("failed", 0, of="nightly", plan="home"))
    last = LastOutcome("J", "good", NOON, None, None)
    for n in range(alert_limit.REMEMBERED - len(host.alert_states)):
        host.put(AlertKey("host", "backup_failed", f"plan:{n}"), AlertState(last=last, version=3))
    kept, forgotten = (AlertKey("host", "backup_failed", f"plan:{n}") for n in (0, 1))
    update(host, run("succeeded", 1, plan="0"))
    assert kept in host.alert_states
    writes = decide(host, run("failed", 1, plan="new"), "fresh", FLOOR).writes
    gone = [write for write in writes if isinstance(write, ForgetAlertState)]
    assert gone[0] == ForgetAlertState("host", "backup_failed", "plan:1", 3)
    assert len(gone) == alert_limit.FORGOTTEN_AT_ONCE
    assert forgotten not in host.alert_states
    open_ones = {AlertKey("host", "backup_failed", subject) for subject in ("plan:a", "plan:b", "nightly")}
    assert open_ones | {kept} <= host.alert_states.keys()
    assert len(host.alert_states) <= alert_limit.REMEMBERED


# ---- wording


def test_one_failure_is_said_as_one_and_long_names_are_cut() -> None:
    said = wording.held_back(1, 0, [("prune_failed", "x" * 200)])
    assert said.startswith("1 more failure of this host has no alert of its own, because too many of its alerts are")
    assert " are open. The newest" in said
    assert f"The newest: prune of {'x' * 59}…." in said


def test_numbers_are_readable() -> None:
    assert "1,234 more failures" in (said := wording.held_back(1234, 1000, []))
    assert "(1,000 at most)" in said
