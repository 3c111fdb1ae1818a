"""What is to be done about each message, over all hosts: effects in order, without a store."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from rmactors.common.clock import HOUR, MINUTE
from rmactors.server.actors.rules.agenda import Agenda, Presence, Timing
from rmactors.server.actors.rules.core import Core, Find, LookAtChannels, Store
from rmactors.server.actors.rules.hosts import Hosts
from rmactors.server.actors.rules.pipeline import Reload, Respond, Send
from rmactors.server.messages.alerts import AcknowledgeAlert, RaiseAlert, ResolveAlert, TouchConditions
from rmactors.server.messages.answers import Answer, Committed, Failed, Refused, Stale, no_reply
from rmactors.server.messages.channel_trouble import ExpectChannel
from rmactors.server.messages.hosts import DeleteHost
from rmactors.server.messages.outbox import QueueReminders, ReleaseHeld
from rmactors.server.messages.reasons import Reason
from rmactors.server.messages.requests import Change, HostClock, HostGone, Request, Tick, ZonesChanged
from rmactors.server.messages.schedules import DeleteSchedule
from rmactors.server.messages.silences import DeleteSilence
from rmactors.server.state.alert_state import AlertState
from rmactors.server.state.channel_trouble import ChannelTrouble, GivenUp
from rmactors.server.state.host_state import HostState
from tests.rules.asked import (
    AUDIT,
    NOON,
    OFFLINE,
    THREE,
    acknowledge,
    end,
    host,
    lost,
    resolve,
    returned,
    save,
    schedule,
    silent,
    start,
    with_alert,
)  # fmt: skip

NO_SUCH_HOST = Refused("not_found", "there is no such host")


def core(*hosts: HostState, **presence: Presence) -> Core:
    given = Core(Hosts(300.0), Agenda(Timing(0, 0, 300.0), dict(presence)), Counter())
    for each in hosts:
        given.loaded(each)
    return given


def effects(given: Core) -> list[Any]:
    """What is to be done now; it counts as done."""
    taken = list(given.effects)
    given.effects.clear()
    return taken


def take(given: Core, message: Any) -> list[Any]:
    given.take(message)
    return effects(given)


def send(given: Core, message: Any) -> Send:
    (effect,) = take(given, message)
    assert isinstance(effect, Send)
    return effect


# ---- which host a request is about


@pytest.mark.parametrize(
    "request_", [start(), end(), lost(), silent(), save(), Change(DeleteHost("host", NOON, AUDIT), no_reply)]
)
def test_what_names_its_host_is_decided_there(request_: Request) -> None:
    assert send(core(host(schedule())), request_).host_id == "host"


def test_what_names_an_alert_is_decided_where_that_is_open_and_else_left_to_the_store() -> None:
    given = core(with_alert("alert"))
    assert send(given, acknowledge()).host_id == "host"
    assert take(given, acknowledge("other")) == [
        Store((AcknowledgeAlert("other", NOON, "anna", None, AUDIT),), no_reply)
    ]
    assert take(given, resolve("other")) == [
        Store((ResolveAlert("other", NOON, "anna", None, None, AUDIT),), no_reply)
    ]  # fmt: skip


def test_an_alert_leads_to_its_host_from_its_raise_until_its_resolution_is_on_disk() -> None:
    given = core(host())
    raised = send(given, end())
    (alert,) = [write.alert_id for write in raised.writes if isinstance(write, RaiseAlert)]
    seen, resolved = send(given, acknowledge(alert)), send(given, resolve(alert))
    assert take(given, acknowledge(alert)) == [], "it waits for the resolution"
    for each in (raised, seen, resolved):
        given.answered(each, Committed())
    assert effects(given)[-1] == Reload("host")
    given.reread("host", host())
    [late] = effects(given)
    assert isinstance(late, Send)
    assert [type(effect) for effect in take(given, acknowledge(alert))] == [Store]


def test_a_schedule_leads_to_its_host() -> None:
    given = core(host(schedule("old")))
    delete = Change(DeleteSchedule("old", NOON, AUDIT), no_reply)
    unknown = Change(DeleteSchedule("new", NOON, AUDIT), no_reply)
    assert take(given, unknown) == [Respond(unknown, Refused("not_found", "there is no such schedule"))]
    assert send(given, save("new")).host_id == "host"
    assert take(given, unknown) == [], "it waits for the one that makes it"
    assert send(core(host(schedule("old"))), delete).host_id == "host"


def test_no_alert_begins_or_ends_by_a_silence() -> None:
    change = Change(DeleteSilence("silence", NOON, AUDIT), no_reply)
    assert take(core(), change) == [Store((change.write,), no_reply)]


# ---- hosts that come and go


@pytest.mark.parametrize("message", [end(), returned(), HostClock("host", 1.0)])
def test_a_host_that_is_not_known_is_read_first(message: Any) -> None:
    given = core()
    assert take(given, message) == [Find("host", message)]
    given.found(message, host(schedule()))
    assert [type(effect) for effect in effects(given)] == ([Send] if message == end() else [])
    assert send(given, end("other")).host_id == "host", "it is known from then on"


@pytest.mark.parametrize("message", [end(), returned(), HostClock("host", 1.0)])
def test_what_is_about_no_host_is_refused_if_anybody_waits(message: Any) -> None:
    given = core()
    given.found(message, None)
    assert effects(given) == ([Respond(message, NO_SUCH_HOST)] if message == end() else [])


@pytest.mark.parametrize("message", [end(), returned(), HostClock("host", 1.0)])
def test_of_a_host_that_could_not_be_read_who_waits_hears_so_and_may_ask_again(message: Any) -> None:
    given = core()
    given.unread(message, "the database is away")
    assert effects(given) == ([Respond(message, Failed("the database is away"))] if message == end() else [])
    assert take(given, message) == [Find("host", message)]


def test_a_host_that_is_read_again_leads_to_what_is_on_disk() -> None:
    given = core(host(schedule("old"), alert_states=with_alert("old").alert_states))
    failed = send(given, end("job", schedule_id="old"))
    given.answered(failed, Failed("disk full"))
    assert effects(given) == [Respond(failed.request, Failed("disk full")), Reload("host")]
    known = with_alert("new").alert_states | {OFFLINE: AlertState(suppressed_until_clear=True, version=2)}
    given.reread("host", host(schedule("new"), alert_states=known))
    delete = [Change(DeleteSchedule(id, NOON, AUDIT), no_reply) for id in ("old", "new")]
    assert [type(effect) for effect in take(given, acknowledge("old"))] == [Store]
    assert [type(effect) for effect in take(given, acknowledge("new"))] == [Send]
    assert [type(effect) for effect in take(given, delete[0])] == [Respond]
    assert take(given, delete[1]) == [], "it waits for the acknowledgement"


def test_a_host_that_is_deleted_is_forgotten_and_what_waited_is_refused() -> None:
    given = core(host(schedule()), host=Presence("online", THREE))
    deleted = send(given, Change(DeleteHost("host", NOON, AUDIT), no_reply))
    assert take(given, end()) == []
    given.answered(deleted, Committed())
    assert effects(given)[-1] == Reload("host")
    given.reread("host", None)
    assert effects(given) == [Respond(end(), NO_SUCH_HOST)]
    assert given.agenda.presence == {}
    assert take(given, end()) == [Find("host", end())]


def test_a_host_that_cannot_be_read_is_read_at_the_next_request() -> None:
    given = core(host())
    given.answered(send(given, end()), Stale("race"))
    given.unreadable("host", "no such file")
    assert effects(given) == [Reload("host"), Respond(end(), Failed("no such file"))]
    assert take(given, end("next")) == [Reload("host")]


def test_a_host_that_only_delivers_reports_ends_no_alert() -> None:
    given = core(with_alert(key=OFFLINE))
    assert take(given, returned(report_only=True)) == []


def test_decisions_are_counted_by_why_once_they_are_on_disk_or_need_no_write() -> None:
    given = core(host(alert_states={OFFLINE: AlertState(suppressed_until_clear=True, version=2)}))
    take(given, silent())
    assert given.decided == {Reason.SUPPRESSED: 1}
    failed, again = send(given, end("a")), send(given, end("b"))
    given.answered(failed, Committed())
    given.answered(again, Failed("disk full"))
    assert given.decided == {Reason.SUPPRESSED: 1, Reason.FAILED: 1}


# ---- restarts


@pytest.mark.parametrize(
    ("answer", "passed_on"),
    [
        (Committed(), Committed()),
        (Failed("disk full"), Failed("disk full")),
        (Stale("x"), Failed("decided on old state")),
    ],
)
def test_what_an_earlier_run_sent_is_answered_and_changes_nothing_here(answer: Answer, passed_on: Answer) -> None:
    before, given = core(host()), core(host())
    sent = send(before, end())
    given.answered(sent, answer, late=True)
    assert effects(given) == [Respond(end(), passed_on)]
    returned_before = send(core(with_alert(key=OFFLINE)), returned())
    given.answered(returned_before, answer, late=True)
    assert effects(given) == []


def test_an_answer_about_a_host_that_is_not_there_is_passed_on() -> None:
    given = core()
    given.answered(send(core(host()), end()), Committed())
    assert effects(given) == [Respond(end(), Committed())]


def test_who_waits_when_the_actor_ends_is_named_once() -> None:
    given = core(host(schedule()))
    waits, sent = save(), send(given, end("sent"))
    given.take(waits)
    given.take(returned())
    given.answered(sent, Committed())
    assert given.unanswered() == [waits, end("sent")]
    given.effects.clear()
    given.reread("host", host(schedule()))
    assert given.unanswered() == [waits]


def test_a_host_that_was_here_when_the_actor_restarted_is_still_here() -> None:
    given = core(with_alert(key=OFFLINE), host=Presence("online", THREE))
    steps = [effects(given) for _ in given.tick(Tick(NOON))]
    assert [type(effect) for step in steps for effect in step] == [Store, LookAtChannels, Send], (
        "its return may not be on disk"
    )


# ---- channels


def test_what_is_decided_about_a_channel_is_counted_once_it_is_on_disk_or_if_it_needs_no_write() -> None:
    given = core()
    dead = GivenUp(1, NOON, "410 Gone")
    raised = ChannelTrouble("c", "ops", True, True, given_up=dead)
    given.channels_seen([raised, replace(raised, resolved_at=NOON)], Tick(NOON))
    [store] = effects(given)
    assert [type(write) for write in store.writes] == [ExpectChannel, RaiseAlert]
    assert given.decided == {Reason.SUPPRESSED: 1}
    store.reply(Stale("it delivers again"))
    assert given.decided == {Reason.SUPPRESSED: 1}
    store.reply(Committed())
    assert given.decided == {Reason.SUPPRESSED: 1, Reason.BEGAN: 1}


# ---- time and presence


def test_a_tick_touches_what_lasts_and_checks_what_is_due_step_by_step() -> None:
    given = core(host(schedule()), host(schedule("late", "other"), id="other"))
    for host_id in ("host", "other"):
        given.take(returned(host_id))
    given.effects.clear()
    steps = [effects(given) for _ in given.tick(Tick(NOON + 3 * HOUR))]
    assert steps[0] == [
        Store(
            (TouchConditions(NOON + 3 * HOUR), ReleaseHeld(NOON + 3 * HOUR), QueueReminders(NOON + 3 * HOUR)), no_reply
        ),
        LookAtChannels(Tick(NOON + 3 * HOUR)),
    ]
    assert [[type(effect) for effect in step] for step in steps[1:]] == [[Send], [Send]]


def test_a_tick_in_the_grace_after_a_pause_judges_no_one() -> None:
    given = core(host(schedule()), host=Presence("online", THREE))
    assert len([effects(given) for _ in given.tick(Tick(NOON, judges=False))]) == 1


@pytest.mark.parametrize("state", [host(schedule()), with_alert(key=OFFLINE)])
def test_what_is_due_of_a_host_that_is_gone_is_passed_over(state: HostState) -> None:
    given = core(state, host=Presence("online", THREE))
    given.hosts.pipelines.clear()
    assert len([effects(given) for _ in given.tick(Tick(NOON))]) == 1


def test_a_return_that_is_not_on_disk_is_decided_again_at_a_tick() -> None:
    given = core(with_alert(key=OFFLINE))
    sent = send(given, returned())
    given.answered(sent, Failed("disk full"))
    assert effects(given) == [Reload("host")]
    given.reread("host", with_alert(key=OFFLINE))
    steps = [effects(given) for _ in given.tick(Tick(NOON + MINUTE))]
    assert [effect.request for step in steps[1:] for effect in step] == [returned()]


def test_a_return_that_is_decided_again_leaves_when_its_host_came_back() -> None:
    given = core(with_alert(key=OFFLINE))
    given.answered(send(given, returned()), Failed("disk full"))
    given.reread("host", with_alert(key=OFFLINE))
    later = NOON + 2 * MINUTE
    given.take(HostGone("host", NOON + MINUTE))
    given.take(structs.replace(returned(), at=later))
    for _ in given.tick(Tick(later)):
        given.effects.clear()
    assert given.agenda.presence["host"] == Presence("online", later), "an older one would judge its slots too early"


def test_a_host_that_leaves_is_not_checked_until_it_is_back() -> None:
    given = core(host(schedule()), host=Presence("online", THREE))
    given.take(HostGone("host", THREE + MINUTE))
    assert len([effects(given) for _ in given.tick(Tick(NOON))]) == 1
    assert take(given, returned()) == [], "nothing was open"
    assert len([effects(given) for _ in given.tick(Tick(NOON + 3 * HOUR))]) == 2


def test_new_zones_and_a_clock_plan_the_checks_again() -> None:
    given = core(host(schedule()), host=Presence("online", NOON))
    assert len([effects(given) for _ in given.tick(Tick(NOON + HOUR))]) == 2
    assert len([effects(given) for _ in given.tick(Tick(NOON + HOUR))]) == 1
    for message in (ZonesChanged(), HostClock("host", 60.0)):
        assert take(given, message) == []
        assert len([effects(given) for _ in given.tick(Tick(NOON + HOUR))]) == 2
