"""The rules actor with a real store actor on a real file: nothing acked is lost, whatever fails in between."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import trio
from msgspec import structs

from rmactors.common import clock, ids, zones
from rmactors.common.clock import DAY, HOUR, MINUTE
from rmactors.server.actors import zone_watch
from rmactors.server.actors.rules.agenda import Timing
from rmactors.server.messages.answers import Answer, Committed, Duplicate, Failed, Refused
from rmactors.server.messages.hosts import DeleteHost
from rmactors.server.messages.reports import LostJob
from rmactors.server.messages.requests import (
    Acknowledge,
    Change,
    HostGone,
    HostReturned,
    HostWentSilent,
    JudgeEnd,
    JudgeLoss,
    Resolve,
    Tick,
    ZonesChanged,
)
from rmactors.server.messages.schedules import DeleteSchedule, SaveSchedule
from rmactors.server.messages.silences import CreateSilence, DeleteSilence
from rmactors.server.runtime.mailbox import Mailbox
from rmactors.server.store.place import Place
from tests.actors.works import Works, open_works, until
from tests.store.ledger import NOON, audit, end, start
from tests.zone_folders import folder

THREE = NOON - 9 * HOUR


def stale(works: Works) -> list[tuple[str, bool]]:
    """(subject, resolved) of every missed schedule that was raised."""
    return [
        (subject, bool(resolved))
        for subject, resolved in works.ledger.rows(
            "SELECT subject, resolved FROM alerts WHERE kind = 'stale_schedule' ORDER BY created_at"
        )
    ]


async def test_a_failure_is_on_disk_when_it_is_answered(works: Works) -> None:
    host = works.ledger.host()
    works.ledger.channel()
    assert isinstance(await works.end(end(host, "job1", status="failed")), Committed)
    assert works.ledger.rows("SELECT kind, occurrences FROM alerts") == [("backup_failed", 1)]
    assert works.ledger.outbox() == [("raised", "queued")]


async def test_the_log_says_at_debug_why_it_was_decided(works: Works, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "rmactors.server.actors.rules")
    host = works.ledger.host()
    await works.end(end(host, "job1", status="failed"))
    assert caplog.messages == [f"host {host}: failed"]


async def test_decisions_are_pipelined_and_nothing_of_them_is_lost(works: Works) -> None:
    hosts = [works.ledger.host(f"nas{n}") for n in range(4)]
    works.ledger.channel()
    before = works.store_state.commits
    answers: dict[str, Answer] = {}
    for n in range(400):
        host, job = hosts[n % 4], f"job{n}"
        status = "failed" if (n // 4) % 3 < 2 else "succeeded"  # bad, bad, good
        report = end(host, job, status=status, at=NOON + n)
        await works.to_rules.send(JudgeEnd(report, partial(answers.__setitem__, job)))
    await works.settle()
    assert {type(answer) for answer in answers.values()} == {Committed}
    assert len(answers) == 400
    assert works.ledger.value("SELECT count(*) FROM jobs") == 400
    assert works.ledger.value("SELECT count(*) FROM alerts") == 4 * 34
    assert works.ledger.value("SELECT sum(occurrences) FROM alerts") == 4 * 67
    assert works.ledger.value("SELECT count(*) FROM deliveries") == 4 * (34 + 33)
    assert works.store_state.commits - before < 200, "batched"


async def test_a_report_that_comes_twice_counts_once(works: Works) -> None:
    host = works.ledger.host()
    report = end(host, "job1", status="failed")
    first, second = [], []
    await works.to_rules.send(JudgeEnd(report, first.append))
    await works.to_rules.send(JudgeEnd(report, second.append))
    await works.settle()
    assert isinstance(first[0], Committed)
    assert second == [Duplicate()]
    assert isinstance(await works.end(end(host, "job2", status="failed", at=NOON + 1)), Committed)
    assert works.ledger.value("SELECT occurrences FROM alerts") == 2


async def test_a_decision_on_state_that_is_not_so_is_made_again(works: Works) -> None:
    host = works.ledger.host()
    await works.end(end(host, "job1", status="failed"))
    (alert,) = works.ledger.rows("SELECT id FROM alerts")[0]
    works.ledger.resolve(alert, by="somebody else")  # beside the actor, which cannot know
    assert isinstance(await works.end(end(host, "job2", status="failed", at=NOON + 1)), Committed)
    assert works.ledger.rows("SELECT resolved FROM alerts ORDER BY created_at") == [(1,), (0,)]
    assert works.rules_state.reloads == 1


async def test_while_nothing_can_be_committed_nothing_is_acked_and_what_comes_again_is_taken(works: Works) -> None:
    host = works.ledger.host()
    works.ledger.channel()
    with works.ledger.locked():
        assert isinstance(await works.end(end(host, "job1", status="failed")), Failed)
        assert works.store_state.failing is not None
    assert works.ledger.value("SELECT count(*) FROM alerts") == 0
    assert isinstance(await works.end(end(host, "job1", status="failed")), Committed)
    await until(lambda: works.store_state.failing is None)  # it is proved after the answer
    assert works.ledger.outbox() == [("raised", "queued")]
    assert works.ledger.value("SELECT occurrences FROM alerts") == 1


async def test_what_was_decided_on_a_failed_decision_fails_too_or_is_decided_again(works: Works) -> None:
    host = works.ledger.host()
    for round_ in range(5):
        answers: list[Answer] = []
        again: list[int] = []
        with works.ledger.locked():
            for n in range(20):
                at = NOON + 100 * round_ + n
                status = "succeeded" if n % 4 == 3 else "failed"
                report = end(host, f"job{round_}-{n}", status=status, at=at)
                await works.to_rules.send(JudgeEnd(report, answers.append))
            await until(answers.__len__)
        await until(lambda answers=answers: len(answers) == 20)
        for n in range(20):
            status = "succeeded" if n % 4 == 3 else "failed"
            answer = await works.end(end(host, f"job{round_}-{n}", status=status, at=NOON + 100 * round_ + n))
            assert isinstance(answer, Committed | Duplicate)
            again.append(n)
    assert works.ledger.value("SELECT count(*) FROM jobs") == 100
    assert works.ledger.value("SELECT count(*) FROM alerts WHERE resolved = 0") == 0
    assert await works.end(end(host, "last", status="failed", at=NOON + 10_000)) == Committed()
    assert works.ledger.value("SELECT count(*) FROM alerts WHERE resolved = 0") == 1


# ---- restarts


async def test_a_restart_in_the_middle_loses_nothing(works: Works) -> None:
    host = works.ledger.host()
    works.ledger.channel()
    answers: dict[str, Answer] = {}
    for n in range(90):
        if n in (30, 60):
            await works.crash_rules()
        report = end(host, f"job{n}", status="failed" if n % 3 else "succeeded", at=NOON + n)
        await works.to_rules.send(JudgeEnd(report, partial(answers.__setitem__, report.job_id)))
    await works.settle()
    assert len(answers) == 90
    for n in range(90):  # what was not acked is sent again, as agents do
        if not isinstance(answers[f"job{n}"], Committed | Duplicate):
            report = end(host, f"job{n}", status="failed" if n % 3 else "succeeded", at=NOON + n)
            assert isinstance(await works.end(report), Committed | Duplicate)
    assert works.ledger.value("SELECT count(*) FROM jobs") == 90
    assert works.ledger.value("SELECT count(*) FROM alerts") == 30
    assert works.ledger.value("SELECT count(*) FROM alerts WHERE resolved = 0") == 1
    assert works.status.restarts == 2


async def test_after_a_restart_open_alerts_are_known(works: Works) -> None:
    host = works.ledger.host()
    await works.end(end(host, "job1", status="failed"))
    (alert,) = works.ledger.rows("SELECT id FROM alerts")[0]
    await works.crash_rules()
    assert isinstance(await works.ask(partial(_acknowledge, alert)), Committed)
    await works.end(end(host, "job2", status="failed", at=NOON + 1))
    await works.crash_rules()
    await works.end(end(host, "job3", at=NOON + 2))
    assert works.ledger.timeline(alert) == ["raised", "acknowledged", "resolved"]
    assert works.ledger.value("SELECT occurrences FROM alerts") == 2


async def test_after_a_restart_a_host_that_is_here_is_still_judged(works: Works) -> None:
    host = works.ledger.host()
    schedule = works.ledger.schedule(host, anchor_at=THREE - DAY)
    await works.to_rules.send(HostReturned(host, THREE - 3 * HOUR))
    await works.settle()
    await works.crash_rules()
    await works.to_rules.send(Tick(NOON))
    await works.settle()
    assert stale(works) == [(schedule, False)]


async def test_after_a_restart_a_host_that_had_left_is_not_judged(works: Works) -> None:
    host = works.ledger.host()
    works.ledger.schedule(host, anchor_at=THREE - DAY)
    await works.to_rules.send(HostReturned(host, THREE - 3 * HOUR))
    await works.to_rules.send(HostGone(host, THREE))
    await works.settle()
    await works.crash_rules()
    await works.to_rules.send(Tick(NOON))
    await works.settle()
    assert stale(works) == []


# ---- presence


def _acknowledge(alert: str, reply: object) -> Acknowledge:
    return Acknowledge(alert, "anna", None, NOON, audit(), reply)  # type: ignore[arg-type]


async def test_a_silent_host_is_told_once_and_its_return_resolves(works: Works) -> None:
    host = works.ledger.host()
    works.ledger.channel()
    assert isinstance(await works.ask(partial(HostWentSilent, host, NOON - HOUR, NOON)), Committed)
    assert isinstance(await works.ask(partial(HostWentSilent, host, NOON - HOUR, NOON + 1)), Committed)
    await works.to_rules.send(HostReturned(host, NOON + HOUR))
    await works.settle()
    assert works.ledger.outbox() == [("raised", "queued"), ("resolved", "queued")]


async def test_a_return_that_could_not_be_committed_resolves_at_a_later_tick(works: Works) -> None:
    host = works.ledger.host()
    await works.ask(partial(HostWentSilent, host, NOON - HOUR, NOON))
    with works.ledger.locked():
        await works.to_rules.send(HostReturned(host, NOON + HOUR))
        await until(lambda: works.store_state.failing is not None)
    await works.settle()
    assert works.ledger.value("SELECT resolved FROM alerts") == 0
    await works.to_rules.send(Tick(NOON + HOUR + MINUTE))
    await works.settle()
    assert works.ledger.value("SELECT resolved FROM alerts") == 1


async def test_a_return_that_could_not_be_committed_is_void_when_the_host_is_gone_again(works: Works) -> None:
    host = works.ledger.host()
    await works.ask(partial(HostWentSilent, host, NOON - HOUR, NOON))
    with works.ledger.locked():
        await works.to_rules.send(HostReturned(host, NOON + HOUR))
        await until(lambda: works.store_state.failing is not None)
    await works.to_rules.send(HostGone(host, NOON + HOUR + 1))
    await works.to_rules.send(Tick(NOON + HOUR + MINUTE))
    await works.settle()
    assert works.ledger.value("SELECT resolved FROM alerts") == 0


async def test_a_missed_slot_is_raised_within_a_tick_and_ended_by_a_run(works: Works) -> None:
    host = works.ledger.host()
    schedule = works.ledger.schedule(host, anchor_at=THREE - DAY)
    await works.to_rules.send(HostReturned(host, THREE - HOUR))
    for at in (THREE + 2 * HOUR, THREE + round(2.4 * HOUR), THREE + round(2.4 * HOUR) + MINUTE, NOON):
        await works.to_rules.send(Tick(at))
    await works.settle()
    assert stale(works) == [(schedule, False)]
    assert works.ledger.value("SELECT created_at FROM alerts") == THREE + round(2.4 * HOUR) + MINUTE
    assert works.ledger.rows("SELECT last_seen_at, occurrences FROM alerts") == [(NOON, 1)]
    await works.start(start(host, "job1", schedule_id=schedule))
    assert stale(works) == [(schedule, True)]


async def test_a_host_that_is_away_or_has_only_just_returned_is_not_judged(works: Works) -> None:
    host = works.ledger.host()
    schedule = works.ledger.schedule(host, anchor_at=THREE - DAY)
    await works.to_rules.send(Tick(NOON))
    await works.settle()
    assert stale(works) == []
    await works.to_rules.send(HostReturned(host, NOON))
    await works.to_rules.send(Tick(NOON + 2 * HOUR))
    await works.settle()
    assert stale(works) == []
    await works.to_rules.send(Tick(NOON + round(2.4 * HOUR) + 1))
    await works.settle()
    assert stale(works) == [(schedule, False)]


async def test_a_host_that_only_reports_is_judged_by_its_slots_alone(works: Works) -> None:
    host = works.ledger.host(hello=False)
    schedule = works.ledger.schedule(host, anchor_at=THREE - DAY, mode="external")
    await works.to_rules.send(HostReturned(host, THREE, report_only=True))
    await works.to_rules.send(Tick(NOON))
    await works.settle()
    assert stale(works) == [(schedule, False)]


async def test_a_schedule_in_a_zone_that_this_machine_does_not_know_keeps_no_other_from_being_judged(
    works: Works,
) -> None:
    host = works.ledger.host()
    foreign = works.ledger.schedule(host, anchor_at=THREE - DAY, timezone="Mars/Olympus")
    schedule = works.ledger.schedule(host, anchor_at=THREE - DAY)
    await works.to_rules.send(HostReturned(host, THREE - HOUR))
    await works.to_rules.send(Tick(NOON))
    await works.settle()
    assert stale(works) == [(schedule, False)]
    report = structs.replace(start(host, "job1", schedule_id=foreign), scheduled_for=THREE)
    assert isinstance(await works.start(report), Committed)
    assert works.status.restarts == 0


async def test_new_time_zone_data_moves_the_next_look_at_a_schedule(
    works: Works, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder(tmp_path / "zoneinfo", "2025b", America__Vancouver="America/Los_Angeles")
    monkeypatch.setattr(zones, "_ours", zones.Zones(lambda: [path]))
    host = works.ledger.host()
    at_one = {"cron": "0 1 * * *", "timezone": "America/Vancouver", "anchor_at": THREE}
    schedule = works.ledger.schedule(host, **at_one)
    await works.to_rules.send(HostReturned(host, THREE))
    await works.to_rules.send(Tick(THREE + 3 * HOUR))  # due at nine, late from 11:24 on, by the old data
    await works.settle()
    folder(path, "2026f", America__Vancouver="America/Phoenix")  # at eight by the new
    assert zones.refresh()
    for at in (THREE + 7 * HOUR, THREE + round(7.4 * HOUR), THREE + round(7.4 * HOUR) + MINUTE):
        await works.to_rules.send(ZonesChanged())
        await works.to_rules.send(Tick(at))
        await works.settle()
        assert stale(works) == ([(schedule, False)] if at > THREE + 7.4 * HOUR else [])


async def test_an_update_of_the_files_reaches_the_rules(tmp_path: Path) -> None:
    path = folder(tmp_path / "zoneinfo", "2025b", Japan="Asia/Tokyo")
    found, to_rules = zones.Zones(lambda: [path]), Mailbox[ZonesChanged]("rules", 4)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: zone_watch.run(to_rules, every=0.001, refresh=found.refresh))
        await trio.testing.wait_all_tasks_blocked()
        folder(path, "2026f", Japan="Asia/Tokyo")
        assert await to_rules.receive() == ZonesChanged()
        nursery.cancel_scope.cancel()
    assert found.version == "2026f"


async def test_after_a_server_start_nothing_is_late_before_the_restart_grace(place: Place) -> None:
    async with open_works(place, Timing(NOON, 2 * MINUTE, 300.0)) as works:
        host = works.ledger.host(hello=False)
        works.ledger.connection.execute("UPDATE hosts SET first_report_at = 1")
        works.ledger.schedule(host, anchor_at=THREE - DAY, cron="*/5 * * * *")
        await works.to_rules.send(HostReturned(host, NOON - HOUR, report_only=True))
        await works.to_rules.send(Tick(NOON + MINUTE))
        await works.settle()
        assert stale(works) == []
        await works.to_rules.send(Tick(NOON + 2 * MINUTE))
        await works.settle()
        assert len(stale(works)) == 1


async def test_a_host_whose_book_could_not_be_read_is_read_at_the_next_look(works: Works) -> None:
    """A commit fails and the database cannot be read either: once it can, the host is judged as ever."""
    host = works.ledger.host()
    schedule = works.ledger.schedule(host, anchor_at=THREE - DAY)
    await works.to_rules.send(HostReturned(host, THREE - HOUR))
    await works.settle()
    works.reader.close()
    with works.ledger.locked():
        failed: list[Answer] = []
        await works.to_rules.send(JudgeEnd(end(host, "job1", status="failed"), failed.append))
        await until(lambda: len(works.to_store) > 0 or bool(failed))
        with works.ledger.unreadable():
            await until(lambda: bool(failed))
            await trio.testing.wait_all_tasks_blocked(0.02)
    await works.to_rules.send(Tick(NOON))
    await works.to_rules.send(Tick(NOON + MINUTE))
    await works.settle()
    assert isinstance(failed[0], Failed)
    assert stale(works) == [(schedule, False)]


# ---- operators


async def test_operators_acts_on_what_is_not_there_are_refused(works: Works) -> None:
    host = works.ledger.host()
    assert isinstance(await works.ask(partial(_acknowledge, "none")), Refused)
    gone = await works.ask(partial(Change, DeleteSchedule("none", NOON, audit())))
    assert isinstance(gone, Refused)
    assert isinstance(await works.end(end("nobody", "job1")), Refused)
    schedule = works.ledger.schedule(host)
    await works.crash_rules()
    deletion = partial(Change, DeleteSchedule(schedule, NOON, audit()))
    assert isinstance(await works.ask(deletion), Committed)
    assert isinstance(await works.ask(deletion), Refused)


async def test_acknowledging_and_resolving_twice_is_once(works: Works) -> None:
    host = works.ledger.host()
    works.ledger.channel()
    await works.end(end(host, "job1", status="failed"))
    (alert,) = works.ledger.rows("SELECT id FROM alerts")[0]
    assert [type(await works.ask(partial(_acknowledge, alert))) for _ in range(2)] == [Committed, Duplicate]
    resolve = partial(Resolve, alert, "anna", "fixed", NOON, audit())
    assert [type(await works.ask(resolve)) for _ in range(2)] == [Committed, Duplicate]
    refused = await works.ask(partial(_acknowledge, alert))
    assert isinstance(refused, Refused)
    assert refused.code == "conflict"
    assert [event for event, _ in works.ledger.outbox()] == ["raised", "acknowledged", "resolved"]


async def test_a_schedule_is_watched_from_the_moment_it_is_made(works: Works) -> None:
    host = works.ledger.host()
    await works.to_rules.send(HostReturned(host, THREE - DAY))
    write = SaveSchedule(
        ids.new(), host, "Nightly", "backup", "0 3 * * *", "UTC", True, "agent", 0.0, 3600.0, "alert", "{}",
        THREE - HOUR, THREE - HOUR, audit(),
    )  # fmt: skip
    assert isinstance(await works.ask(partial(Change, write)), Committed)
    await works.to_rules.send(Tick(NOON))
    await works.settle()
    assert stale(works) == [(write.schedule_id, False)]
    assert isinstance(await works.ask(partial(Change, replace(write, enabled=False))), Committed)
    assert stale(works) == [(write.schedule_id, True)]
    await works.to_rules.send(Tick(NOON + 2 * DAY))
    await works.settle()
    assert len(stale(works)) == 1


async def test_deleting_a_host_ends_its_alerts_and_forgets_it(works: Works) -> None:
    host = works.ledger.host()
    works.ledger.channel()
    works.ledger.schedule(host, anchor_at=THREE - DAY)
    await works.to_rules.send(HostReturned(host, THREE - DAY))
    await works.to_rules.send(Tick(NOON))
    await works.end(end(host, "job1", status="failed"))
    assert isinstance(await works.ask(partial(Change, DeleteHost(host, NOON, audit()))), Committed)
    assert works.ledger.value("SELECT count(*) FROM alerts WHERE resolved = 0") == 0
    assert isinstance(await works.end(end(host, "job2", status="failed")), Refused)
    await works.to_rules.send(Tick(NOON + 5 * DAY))
    await works.settle()
    assert works.ledger.value("SELECT count(*) FROM alerts") == 2
    assert works.rules_state.presence == {}


async def test_a_silence_goes_straight_to_the_store_and_a_tick_releases_what_it_held(works: Works) -> None:
    host = works.ledger.host()
    works.ledger.channel()
    silence = CreateSilence(ids.new(), host, None, None, NOON, NOON + HOUR, None, "works", "anna", NOON, audit())
    assert isinstance(await works.ask(partial(Change, silence)), Committed)
    await works.end(end(host, "job1", status="failed", at=NOON + MINUTE))
    await works.to_rules.send(Tick(NOON + 2 * MINUTE))
    await works.settle()
    assert works.ledger.outbox() == []
    await works.to_rules.send(Tick(NOON + HOUR))
    await works.settle()
    assert works.ledger.outbox() == [("raised", "queued")]
    assert isinstance(await works.ask(partial(Change, DeleteSilence(silence.silence_id, NOON, audit()))), Committed)


async def test_a_lost_job_is_raised_and_its_real_end_takes_its_place(works: Works) -> None:
    host = works.ledger.host()
    await works.start(start(host, "job1"))
    loss = LostJob(host, "job1", "backup", None, None, NOON, NOON + DAY, "gone")
    assert isinstance(await works.ask(partial(JudgeLoss, loss)), Committed)
    assert works.ledger.rows("SELECT status, reason FROM jobs") == [("failed", "lost")]
    assert isinstance(await works.ask(partial(JudgeLoss, loss)), Duplicate)
    await works.crash_rules()
    assert isinstance(await works.end(end(host, "job1", at=NOON + HOUR)), Committed)
    assert works.ledger.rows("SELECT status, reason FROM jobs") == [("succeeded", "ok")]
    assert works.ledger.rows("SELECT resolved, occurrences FROM alerts") == [(1, 1)]


async def test_mad_times_of_an_agent_break_nothing(works: Works) -> None:
    host = works.ledger.host()
    schedule = works.ledger.schedule(host, timezone="America/New_York")
    first, last = clock.from_rfc3339("0001-01-01T00:00:00Z"), clock.from_rfc3339("9999-12-31T23:59:00Z")
    for n, when in enumerate((first, last, 0, -1)):
        report = structs.replace(
            start(host, f"job{n}", schedule_id=schedule), scheduled_for=when, started_at=min(when, NOON)
        )
        assert isinstance(await works.start(report), Committed)
        ended = structs.replace(
            end(host, f"job{n}", schedule_id=schedule), scheduled_for=when, started_at=min(when, NOON),
            finished_at=min(when, NOON),
        )  # fmt: skip
        assert isinstance(await works.end(ended), Committed)
    assert works.status.restarts == 0
