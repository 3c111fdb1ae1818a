"""A backup that has been good for too long no more, judged by the rules actor with a real store."""

from dataclasses import replace
from typing import Any

from rmactors.common import ids
from rmactors.common.clock import DAY, HOUR, MINUTE
from rmactors.server.actors.rules.agenda import Timing
from rmactors.server.messages.answers import Committed
from rmactors.server.messages.requests import Change, HostGone, HostReturned, Resolve, Tick
from rmactors.server.messages.schedules import SaveSchedule
from rmactors.server.store.place import Place
from tests.actors.works import Works, open_works
from tests.store.ledger import NOON, audit, end


def overdue(works: Works) -> list[tuple[str, bool]]:
    """(subject, resolved) of every overdue backup that was raised."""
    return [
        (subject, bool(resolved))
        for subject, resolved in works.ledger.rows(
            "SELECT subject, resolved FROM alerts WHERE kind = 'backup_overdue' ORDER BY created_at"
        )
    ]


async def made(works: Works, host: str, schedule: str = "", *, at: int = NOON, **changes: Any) -> str:
    """A schedule that an operator makes, or changes."""
    write = SaveSchedule(
        schedule or ids.new(), host, "Nightly", "backup", "0 3 * * *", "UTC", True, "agent", 0.0, 3600.0, "alert", "{}",
        at, NOON, audit(),
    )  # fmt: skip
    write = replace(write, **changes)
    assert isinstance(await works.ask(lambda reply: Change(write, reply)), Committed)
    return write.schedule_id


async def tick(works: Works, *times: int) -> None:
    for at in times:
        await works.to_rules.send(Tick(at))
    await works.settle()


async def test_a_host_that_was_never_heard_is_judged_and_a_good_end_resolves_it(works: Works) -> None:
    host = works.ledger.host(hello=False)
    works.ledger.channel()
    schedule = await made(works, host, max_age_hours=26.0)
    await tick(works, NOON + 26 * HOUR)
    assert overdue(works) == []
    await tick(works, NOON + 26 * HOUR + MINUTE)
    assert overdue(works) == [(schedule, False)]
    assert works.ledger.rows("SELECT severity FROM alerts WHERE kind = 'backup_overdue'") == [("critical",)]
    assert works.ledger.outbox() == [("raised", "queued")]
    await works.end(end(host, "job1", schedule_id=schedule, at=NOON + 27 * HOUR))
    assert overdue(works) == [(schedule, True)]
    await tick(works, NOON + 40 * HOUR, NOON + 53 * HOUR)
    assert overdue(works) == [(schedule, True)]
    await tick(works, NOON + 53 * HOUR + MINUTE)
    assert overdue(works) == [(schedule, True), (schedule, False)]


async def test_a_limit_under_an_hour_is_kept_again_right_after_a_good_end(works: Works) -> None:
    host = works.ledger.host()
    schedule = await made(works, host, max_age_hours=0.1)
    await tick(works, NOON + 7 * MINUTE)
    assert overdue(works) == [(schedule, False)]
    await works.end(end(host, "job1", schedule_id=schedule, at=NOON + 8 * MINUTE))
    await tick(works, NOON + 14 * MINUTE)
    assert overdue(works) == [(schedule, True)]
    await tick(works, NOON + 15 * MINUTE)
    assert overdue(works) == [(schedule, True), (schedule, False)]


async def test_a_good_end_that_comes_late_is_too_old_as_soon_as_the_limit_says(works: Works) -> None:
    host = works.ledger.host()
    schedule = await made(works, host, max_age_hours=26.0)
    await tick(works, NOON + 26 * HOUR + MINUTE)
    await works.end(end(host, "job1", schedule_id=schedule, at=NOON + 20 * MINUTE))
    await tick(works, NOON + 26 * HOUR + 19 * MINUTE)
    assert overdue(works) == [(schedule, True)]
    await tick(works, NOON + 26 * HOUR + 21 * MINUTE)
    assert overdue(works) == [(schedule, True), (schedule, False)]


async def test_neither_silence_nor_failures_nor_runs_that_go_on_hide_it(works: Works) -> None:
    host = works.ledger.host()
    schedule = await made(works, host, max_age_hours=26.0)
    await works.to_rules.send(HostReturned(host, NOON))
    for n, status in enumerate(("failed", "cancelled", "skipped", "partial")):
        await works.end(end(host, f"job{n}", schedule_id=schedule, at=NOON + (n + 1) * HOUR, status=status))
    await works.to_rules.send(HostGone(host, NOON + 6 * HOUR))
    await tick(works, NOON + 26 * HOUR + MINUTE)
    assert overdue(works) == [(schedule, False)]


async def test_each_tick_moves_when_it_was_last_seen_and_that_is_no_occurrence(works: Works) -> None:
    host = works.ledger.host()
    await made(works, host, max_age_hours=26.0)
    await tick(works, NOON + 27 * HOUR, NOON + 27 * HOUR + MINUTE)
    read = "SELECT last_seen_at, occurrences FROM alerts WHERE kind = 'backup_overdue'"
    assert works.ledger.rows(read) == [(NOON + 27 * HOUR + MINUTE, 1)]
    await tick(works, NOON + 3 * DAY)
    assert works.ledger.rows(read) == [(NOON + 3 * DAY, 1)]
    (message,) = works.ledger.rows("SELECT message FROM alerts WHERE kind = 'backup_overdue'")[0]
    assert "for 3 days (limit 26 hours)" in message


async def test_after_a_server_start_nothing_is_overdue_before_the_restart_grace(place: Place) -> None:
    timing = Timing(NOON + 2 * DAY, restart_grace=10 * MINUTE, stale_grace_seconds=300.0)
    async with open_works(place, timing) as works:
        host = works.ledger.host()
        schedule = await made(works, host, max_age_hours=26.0)
        await works.crash_rules()
        await tick(works, NOON + 2 * DAY + 9 * MINUTE)
        assert overdue(works) == []
        # what waited in the host's spool comes first
        await works.end(end(host, "job1", schedule_id=schedule, at=NOON + 2 * DAY - HOUR))
        await tick(works, NOON + 2 * DAY + 11 * MINUTE)
        assert overdue(works) == []
        await tick(works, NOON + 3 * DAY + 2 * HOUR)
        assert overdue(works) == [(schedule, False)]


async def test_resolved_by_hand_it_is_quiet_until_a_good_backup_also_after_a_restart(works: Works) -> None:
    host = works.ledger.host()
    schedule = await made(works, host, max_age_hours=26.0)
    await tick(works, NOON + 27 * HOUR)
    ((alert,),) = works.ledger.rows("SELECT id FROM alerts WHERE kind = 'backup_overdue'")
    at = NOON + 28 * HOUR
    answer = await works.ask(lambda reply: Resolve(alert, "anna", None, at, audit("alert.resolve", alert), reply))
    assert isinstance(answer, Committed)
    await works.crash_rules()
    await tick(works, NOON + 3 * DAY)
    assert overdue(works) == [(schedule, True)]
    await works.end(end(host, "job1", schedule_id=schedule, at=NOON + 3 * DAY))
    await tick(works, NOON + 5 * DAY)
    assert overdue(works) == [(schedule, True), (schedule, False)]


async def test_a_limit_counts_from_the_moment_it_is_set_also_where_it_is_passed_already(works: Works) -> None:
    host = works.ledger.host()
    schedule = await made(works, host)
    await tick(works, NOON + 5 * DAY)
    assert overdue(works) == []

    await made(works, host, schedule, at=NOON + 5 * DAY, max_age_hours=26.0)
    await tick(works, NOON + 5 * DAY + MINUTE)
    assert overdue(works) == [(schedule, False)]
    await made(works, host, schedule, at=NOON + 5 * DAY + 2 * MINUTE)
    assert overdue(works) == [(schedule, True)]
    await tick(works, NOON + 6 * DAY)
    assert overdue(works) == [(schedule, True)]


async def test_an_interval_without_a_limit_is_overdue_after_twice_of_it_and_is_never_missed(works: Works) -> None:
    host = works.ledger.host()
    schedule = await made(works, host, cron=None, every_hours=24.0)
    await works.to_rules.send(HostReturned(host, NOON))
    await tick(works, NOON + 48 * HOUR)
    assert works.ledger.value("SELECT count(*) FROM alerts") == 0
    await tick(works, NOON + 48 * HOUR + MINUTE)
    assert overdue(works) == [(schedule, False)]
    assert works.ledger.value("SELECT count(*) FROM alerts") == 1
