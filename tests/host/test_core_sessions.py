"""What a host's core decides: who is connected, what its agent is sent, when the host is silent."""

from datetime import timedelta

import pytest

from rmactors.common import clock, wire
from rmactors.server.actors.host import effects as do
from rmactors.server.actors.host import events
from rmactors.server.actors.host.core import RETRY_SECONDS
from rmactors.server.actors.host.sessions import REVOKED
from rmactors.server.messages.answers import Answer, Committed, Failed
from rmactors.server.messages.requests import HostClock, HostGone, HostReturned
from tests.host.history import START_AT, History, connection, frames, lost, notes, only, queued, runs, work

NO_DISK = Failed("the disk is full")

# ---- hello


def test_a_hello_goes_to_the_store_then_to_the_rules_and_then_what_waits_is_read() -> None:
    host = History()
    here = connection()
    effects = host.says_hello(here, plans=[wire.Plan("home")])
    connected, sign, saved, *rules, read = effects
    assert connected == do.Log(
        "info", "agent.connected", "agent.connected", {"address": "192.0.2.7", "link": 1, "agent_version": ""}
    )
    assert sign == do.SignOfLife(START_AT)
    assert isinstance(saved, do.SaveHello)
    assert (saved.connection, saved.hello.host_id, saved.hello.report_only) == (here, "host", False)
    assert rules == [
        do.TellRules(HostClock("host", None)), do.TellRules(HostReturned("host", START_AT, plans=("home",))),
    ]  # fmt: skip
    assert isinstance(read, do.ReadPendingWork)
    assert read.session is not None
    assert read.session.connection is here


def test_after_the_read_come_the_welcome_the_commands_and_the_losses() -> None:
    host = History([runs("lost"), runs("known")])
    here = connection()
    effects = host.is_read(host.says_hello(here, running_jobs=["known"]), work(queued("wanted"), schedules_rev=7))
    welcome = wire.Welcome(wire.PROTOCOL, "host", clock.to_datetime(START_AT), 30.0, 7, [])
    assert effects[:2] == [
        do.SendFrame(here, welcome), do.SendFrame(here, wire.RunJob("wanted", "backup", None, {})),
    ]  # fmt: skip
    assert len(effects) == 3
    assert lost(effects) == {"lost"}


def test_a_hello_of_a_command_that_only_reports_is_no_sign_of_life_and_gets_no_commands() -> None:
    host = History([runs()])
    here = connection()
    effects = host.says_hello(here, purpose="report")
    assert [type(effect) for effect in effects] == [do.Log, do.SaveHello, do.TellRules, do.ReadPendingWork]
    assert only(effects, do.Log)[0].level == "debug"
    assert only(effects, do.TellRules) == [do.TellRules(HostReturned("host", START_AT, report_only=True))]
    effects = host.is_read(effects, work(queued("wanted")))
    assert [type(frame) for frame in frames(effects)] == [wire.Welcome]
    assert lost(effects) == set()


def test_a_command_that_only_reports_tells_the_clock_too_if_it_says_the_time() -> None:
    host = History()
    effects = host.says_hello(connection(), purpose="report", utc_now=clock.to_datetime(START_AT + 91 * clock.SECOND))
    assert do.TellRules(HostClock("host", 91.0)) in effects


def test_an_agent_is_sent_away_if_what_waits_for_it_cannot_be_read() -> None:
    host = History()
    here = connection()
    effects = host.is_read(host.says_hello(here), None)
    assert effects == [do.CloseConnection(here, wire.CLOSE_GOING_AWAY, "the database cannot be read")]


def test_an_agent_is_sent_away_if_its_hello_cannot_be_written() -> None:
    host = History()
    here = host.connects()
    assert host.happens(events.HelloAnswered(here, Committed())) == []
    assert host.happens(events.HelloAnswered(here, NO_DISK)) == [
        do.CloseConnection(here, wire.CLOSE_GOING_AWAY, "the server cannot write")
    ]


def test_a_late_hello_closes_its_connection_and_changes_nothing() -> None:
    host = History()
    younger = host.connects(2, connection=2)
    late = connection(1)
    logged, *effects = host.says_hello(late, connection=1)
    assert isinstance(logged, do.Log)
    assert (logged.level, logged.event, logged.details) == ("debug", "agent.hello_late", {"link": 1})
    assert effects == [
        do.CloseConnection(late, wire.CLOSE_REPLACED, "a younger connection of this agent said hello before")
    ]
    assert host.core.connections() == [younger]


def test_a_newer_connection_of_the_same_agent_closes_the_older_one() -> None:
    host = History()
    older = host.connects(1)
    effects = host.says_hello(connection(2))
    assert effects[1] == do.CloseConnection(older, wire.CLOSE_REPLACED, "replaced by a newer connection")
    assert frames(effects) == []
    assert host.hangs_up(older) == [], "its end says nothing about the host"


def test_an_agent_hears_that_another_instance_replaced_it_and_if_it_comes_back_that_is_noted_as_a_clone() -> None:
    host = History()
    first = host.connects(1, instance_id="original")
    effects = host.says_hello(connection(2), instance_id="copy")
    assert effects[1:3] == [
        do.SendFrame(first, wire.Error(wire.ANOTHER_INSTANCE, "another agent uses this host's credential")),
        do.CloseConnection(first, wire.CLOSE_REPLACED, "replaced by a newer connection"),
    ]
    assert notes(effects) == []
    assert notes(host.says_hello(connection(3), instance_id="original")) == ["cloned_agent"]


# ---- frames that do not belong


@pytest.mark.parametrize(
    "frame",
    [
        wire.Heartbeat(),
        wire.JobProgress("job", 1.0),
        wire.JobLog("job", 0, []),
        wire.Enroll("x", "x", "x", "x", "x"),
        wire.JobStarted(1, "job", "backup", clock.to_datetime(START_AT)),
    ],
    ids=lambda frame: type(frame).__name__,
)
def test_a_connection_without_a_hello_is_told_to_come_again(frame: wire.FromAgent) -> None:
    """The actor has restarted, and does not know the connection any more."""
    host = History()
    stranger = connection()
    again = [do.CloseConnection(stranger, wire.CLOSE_GOING_AWAY, "say hello again")]
    assert host.says(stranger, frame) == again
    assert host.says_rubbish(stranger) == again
    assert host.hangs_up(stranger) == []


def test_a_host_that_enrolls_again_is_sent_away() -> None:
    host = History()
    here = host.connects()
    assert host.says(here, wire.Enroll("x", "x", "x", "x", "x")) == [
        do.SignOfLife(START_AT),
        do.SendFrame(here, wire.Error("bad_message", "this host is enrolled already")),
        do.CloseConnection(here, wire.CLOSE_BAD_MESSAGE, "bad_message"),
    ]


# ---- goodbye


def test_the_rules_hear_when_the_agent_has_gone_and_not_when_a_reporter_has() -> None:
    host = History()
    here, reporter = host.connects(1), host.connects(2, purpose="report")
    [logged] = host.hangs_up(reporter)
    assert isinstance(logged, do.Log)
    assert (logged.level, logged.event) == ("debug", "agent.disconnected")
    [logged, gone] = host.hangs_up(here)
    assert isinstance(logged, do.Log)
    assert (logged.level, logged.event) == ("info", "agent.disconnected")
    assert gone == do.TellRules(HostGone("host", START_AT))


# ---- what waits in the store


def test_a_host_that_changed_is_read_and_its_agent_gets_what_is_new_once() -> None:
    host = History()
    here = host.connects()
    assert host.happens(events.HostChanged()) == [do.ReadPendingWork()]
    found = events.PendingWorkRead(None, work(queued("wanted"), schedules_rev=2))
    assert host.happens(found) == [
        do.SendFrame(here, wire.Schedules(2, [])), do.SendFrame(here, wire.RunJob("wanted", "backup", None, {})),
    ]  # fmt: skip
    assert host.happens(found) == []


def test_commands_are_sent_again_on_a_new_connection() -> None:
    host = History()
    host.connects(1, waits=work(queued("wanted")))
    effects = host.is_read(host.says_hello(connection(2)), work(queued("wanted")))
    assert wire.RunJob("wanted", "backup", None, {}) in frames(effects)


def test_without_its_agent_nothing_is_sent() -> None:
    host = History()
    host.connects(1, purpose="report")
    assert host.happens(events.PendingWorkRead(None, work(queued("wanted"), schedules_rev=2))) == []


def test_a_rotated_credential_closes_all_connections_once_and_a_deletion_ends_the_actor() -> None:
    host = History()
    both = [host.connects(1), host.connects(2, purpose="report")]
    rotated = events.PendingWorkRead(None, work(token_hash="another"))
    assert host.happens(rotated) == [
        do.CloseConnection(each, wire.CLOSE_REVOKED, "the host has another credential") for each in both
    ]
    assert host.happens(rotated) == []
    assert not host.core.is_gone
    assert host.happens(events.PendingWorkRead(None, work(token_hash=None))) == []
    assert host.core.is_gone


def test_what_waits_and_could_not_be_read_is_read_again_until_it_could() -> None:
    host = History()
    here = host.connects()
    for _ in range(2):
        assert host.happens(events.PendingWorkRead(None, None)) == []
        assert host.core.next_deadline() == host.seconds + RETRY_SECONDS
        host.seconds += RETRY_SECONDS
        assert host.alarm() == [do.ReadPendingWork()]
    effects = host.happens(events.PendingWorkRead(None, work(schedules_rev=2)))
    assert effects == [do.SendFrame(here, wire.Schedules(2, []))]
    host.seconds += RETRY_SECONDS
    assert host.alarm() == []


# ---- silence


def test_a_silence_is_reported_at_its_deadline_and_its_end_with_the_next_sign_of_life() -> None:
    host = History()
    here = host.connects()
    host.seconds = 500.0
    assert host.says(here, wire.Heartbeat()) == [do.SignOfLife(host.at)]
    last_sign, host.seconds = host.at, host.core.next_deadline()
    assert host.seconds == 1400.0
    assert host.alarm() == [do.ReportSilence(last_sign, host.at)]
    assert host.alarm() == []
    assert host.says(here, wire.Heartbeat()) == [
        do.SignOfLife(host.at), do.TellRules(HostReturned("host", host.at)),
    ]  # fmt: skip


def test_the_hello_of_a_silent_host_says_once_that_it_is_back() -> None:
    host = History()
    host.seconds = 900.0
    assert only(host.alarm(), do.ReportSilence) == [do.ReportSilence(START_AT, host.at)]
    requests = [effect.request for effect in only(host.says_hello(connection()), do.TellRules)]
    assert [type(request) for request in requests] == [HostClock, HostReturned]


@pytest.mark.parametrize(("answer", "again_at"), [(NO_DISK, 900.0 + RETRY_SECONDS), (Committed(), float("inf"))])
def test_a_silence_that_did_not_get_to_disk_is_reported_again(answer: Answer, again_at: float) -> None:
    host = History()
    host.seconds = 900.0
    host.alarm()
    assert host.happens(events.SilenceAnswered(answer)) == []
    assert host.core.next_deadline() == again_at


def test_a_host_whose_agent_was_never_here_is_never_silent() -> None:
    host = History(first_hello_at=None)
    host.connects(purpose="report")
    assert host.core.next_deadline() == float("inf")
    host.connects(2)
    assert host.core.next_deadline() == 900.0


def test_no_host_is_judged_before_the_grace_is_over_also_if_that_moves() -> None:
    host = History([runs(deadline_at=START_AT)], grace_until=1000.0)
    assert host.core.next_deadline() == host.seconds + 1000.0
    host.seconds = 1000.0
    assert host.alarm(grace_until=2000.0) == []
    assert host.core.next_deadline() == 2000.0
    host.seconds = 2000.0
    effects = host.alarm(grace_until=2000.0)
    assert [type(effect) for effect in effects] == [do.ReportSilence, do.JudgeReport]
    assert lost(effects) == {"job"}


# ---- clocks


def test_two_heartbeats_that_agree_say_that_the_clock_was_set() -> None:
    host = History()
    here = host.connects(utc_now=clock.to_datetime(START_AT))
    fast = wire.Heartbeat(clock.to_datetime(START_AT) + timedelta(seconds=91))
    assert host.says(here, wire.Heartbeat(clock.to_datetime(START_AT))) == [do.SignOfLife(START_AT)]
    assert host.says(here, fast) == [do.SignOfLife(START_AT)]
    assert host.says(here, fast) == [
        do.SignOfLife(START_AT), do.ClockChanged(91.0), do.TellRules(HostClock("host", 91.0)),
    ]  # fmt: skip
    assert host.says(here, fast) == [do.SignOfLife(START_AT)]


def test_the_clock_of_a_reporter_is_no_sign_of_life_and_says_nothing_with_its_heartbeats() -> None:
    host = History()
    reporter = host.connects(purpose="report")
    fast = wire.Heartbeat(clock.to_datetime(START_AT) + timedelta(seconds=91))
    assert [host.says(reporter, fast) for _ in range(3)] == [[], [], []]


# ---- enrolled again


def test_who_has_the_new_credential_may_be_here_before_the_change_is_read() -> None:
    """It is told to close what shows the old one, and to let be what shows the new one."""
    host = History()
    old, reporter = host.connects(1, instance_id="old"), host.connects(2, purpose="report")
    new = connection(3, "new hash")
    effects = host.says_hello(new, instance_id="new")
    assert only(effects, do.CloseConnection) == [do.CloseConnection(old, wire.CLOSE_REVOKED, REVOKED)]
    assert frames(effects) == [], "nothing is said of a clone"
    effects = host.is_read(effects, work(token_hash="new hash"))
    assert [type(frame) for frame in frames(effects)] == [wire.Welcome]
    changed = host.happens(events.PendingWorkRead(None, work(token_hash="new hash")))
    assert changed == [do.CloseConnection(reporter, wire.CLOSE_REVOKED, REVOKED)]
    host.hangs_up(old)
    assert notes(host.says(new, wire.Heartbeat(clock.to_datetime(host.at)))) == []


def test_a_machine_that_had_the_old_credential_is_no_clone_when_it_is_enrolled_again() -> None:
    host = History()
    host.connects(1, instance_id="a")
    host.connects(2, instance_id="b")
    host.happens(events.PendingWorkRead(None, work(token_hash="new hash")))
    effects = host.says_hello(connection(3, "new hash"), instance_id="a")
    assert notes(effects) == []


def test_a_hello_under_the_old_credential_that_comes_late_disturbs_nobody() -> None:
    host = History()
    host.happens(events.PendingWorkRead(None, work(token_hash="new hash")))
    new = connection(2, "new hash")
    host.is_read(host.says_hello(new), work(token_hash="new hash"))
    late = connection(1)
    assert host.says_hello(late) == [do.CloseConnection(late, wire.CLOSE_REVOKED, REVOKED)]


def test_who_shows_a_credential_that_is_not_the_newest_gets_no_welcome() -> None:
    """Two changes at once: this one was good for a moment between them."""
    host = History()
    between = connection(1, "in between")
    effects = host.is_read(host.says_hello(between), work(token_hash="newest"))
    assert effects == [do.CloseConnection(between, wire.CLOSE_REVOKED, REVOKED)]
