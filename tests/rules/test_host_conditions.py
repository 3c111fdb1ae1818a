"""Conditions that hold until they clear, and what operators do to them."""

import pytest

from rmactors.common import clock
from rmactors.common.vocabulary import AlertKind
from rmactors.server.actors.rules import host_conditions, operators
from rmactors.server.actors.rules.host_conditions import Condition
from rmactors.server.messages.alerts import AcknowledgeAlert, RaiseAlert, ResolveAlert, SaveAlertState, TouchAlert
from rmactors.server.messages.answers import Answer, no_reply
from rmactors.server.messages.audit import Audit
from rmactors.server.messages.reasons import Reason
from rmactors.server.messages.requests import Acknowledge, HostReturned, HostWentSilent, Resolve
from rmactors.server.state.alert_state import EMPTY, AlertDecision, AlertKey, AlertState, OpenAlert

OFFLINE = AlertKey("host", "agent_offline", "")
STALE = AlertKey("host", "stale_schedule", "sched")
AUDIT = Audit(0, "anna", "user", "alert.resolve", "alert", "x")


def by_hand(at: int, note: str | None = None) -> Resolve:
    return Resolve("a", "anna", note, at, AUDIT, no_reply)


def tell(key: AlertKey, state: AlertState, step: str, fresh: str) -> AlertDecision:
    match step:
        case "hold":
            return host_conditions.fire(key, state, "it is so", 5, fresh)
        case "clear":
            return host_conditions.resolve(key, state, "it is over", 6)
        case "acknowledge":
            return operators.acknowledge(key, state, "anna", "on it", 7, AUDIT)
        case _:
            return operators.resolve(key, state, by_hand(8, "fixed"))


@pytest.mark.parametrize("key", [OFFLINE, STALE])
@pytest.mark.parametrize(
    ("story", "does"),
    [
        (["hold"], ["raises"]),
        (["hold", "hold"], ["raises", "touches"]),  # one alert however often it is found to hold
        (["hold", "clear"], ["raises", "resolves"]),
        (["hold", "clear", "hold"], ["raises", "resolves", "raises"]),
        (["clear"], ["nothing"]),
        (["clear", "hold"], ["nothing", "raises"]),
        # an operator's resolution suppresses it until it has cleared once
        (["hold", "resolve", "hold"], ["raises", "resolves", "nothing"]),
        (["hold", "resolve", "hold", "clear", "hold"], ["raises", "resolves", "nothing", "nothing", "raises"]),
        (["hold", "resolve", "clear", "clear"], ["raises", "resolves", "nothing", "nothing"]),
        # an acknowledgement keeps it open
        (["hold", "acknowledge", "hold"], ["raises", "acknowledges", "touches"]),
        # the store finds that it is said already: only there is it known whether the first is on disk
        (["hold", "acknowledge", "acknowledge"], ["raises", "acknowledges", "acknowledges"]),
        (["hold", "acknowledge", "clear"], ["raises", "acknowledges", "resolves"]),
        (["hold", "acknowledge", "clear", "hold", "acknowledge"],
         ["raises", "acknowledges", "resolves", "raises", "acknowledges"]),
    ],
)  # fmt: skip
def test_a_story(key: AlertKey, story: list[str], does: list[str]) -> None:
    state, did = EMPTY, []
    for n, step in enumerate(story):
        decision = tell(key, state, step, f"alert{n}")
        words = {
            RaiseAlert: "raises", TouchAlert: "touches", ResolveAlert: "resolves", AcknowledgeAlert: "acknowledges",
        }  # fmt: skip
        did.append(next((words[type(write)] for write in decision.writes if type(write) in words), "nothing"))
        state = decision.state
    assert did == does


def test_that_an_alert_is_suppressed_is_written_down() -> None:
    raised = host_conditions.fire(OFFLINE, EMPTY, "silent", 5, "a")
    resolved = operators.resolve(OFFLINE, raised.state, by_hand(6))
    assert SaveAlertState("host", "agent_offline", "", 2, None, None, None, True) in resolved.writes
    cleared = host_conditions.resolve(OFFLINE, resolved.state, "back", 7)
    assert cleared.writes == (SaveAlertState("host", "agent_offline", "", 3, None, None, None, False),)


def test_a_resolution_by_hand_is_an_operators_and_by_a_rule_is_the_rules() -> None:
    raised = host_conditions.fire(STALE, EMPTY, "late", 5, "a")
    decided = operators.resolve(STALE, raised.state, by_hand(6, "fixed"))
    assert ResolveAlert("a", 6, "anna", "fixed", None, AUDIT, Reason.RESOLVED_UNTIL_CLEAR) in decided.writes
    by_rule = host_conditions.resolve(STALE, raised.state, "it ran", 6)
    assert ResolveAlert("a", 6, "rule", None, "it ran", reason=Reason.CLEARED) in by_rule.writes


@pytest.mark.parametrize("kind", ["backup_failed", "forget_failed", "prune_failed", "check_failed"])
def test_a_failure_resolved_by_hand_is_not_suppressed(kind: AlertKind) -> None:
    key, state = AlertKey("host", kind, "s"), AlertState(OpenAlert("a", "warning", 1), version=3)
    decision = operators.resolve(key, state, by_hand(6))
    assert not decision.state.suppressed_until_clear
    # It still counts a version on, so that what is decided next on a resolved alert fails if this one does.
    assert SaveAlertState("host", kind, "s", 4, None, None, None, False) in decision.writes


def test_a_request_about_an_alert_unknown_here_is_left_to_the_store() -> None:
    def reply(_: Answer) -> None:
        raise AssertionError("nobody is answered here")

    assert operators.plain(Acknowledge("a", "anna", "n", 5, AUDIT, reply)) == AcknowledgeAlert(
        "a", 5, "anna", "n", AUDIT
    )
    assert operators.plain(Resolve("a", "anna", "n", 5, AUDIT, reply)) == ResolveAlert("a", 5, "anna", "n", None, AUDIT)


def test_what_is_heard_of_a_host_tells_which_conditions_hold() -> None:
    saturday = clock.from_rfc3339("2026-11-21T03:00:00Z")
    silent = HostWentSilent("host", saturday, saturday + clock.HOUR, no_reply)
    text = "Nothing heard from this host since Saturday 2026-11-21 03:00 UTC."
    assert list(host_conditions.conditions(silent)) == [Condition("agent_offline", True, text)]
    returned = HostReturned("host", saturday)
    assert list(host_conditions.conditions(returned)) == [Condition("agent_offline", False, "The host is back.")]
