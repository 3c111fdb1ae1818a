"""The metrics of one server: what is counted, how many series there can be, and a database that cannot be read."""

from contextlib import closing
from pathlib import Path

import pytest
import trio.testing
from prometheus_client.parser import text_string_to_metric_families

from rmactors.server.messages.reasons import Reason
from rmactors.server.runtime.mailbox import Mailbox
from rmactors.server.store.engines.opening import connect, connect_read_only
from rmactors.server.store.migrations import migrate
from rmactors.server.store.place import Place
from rmactors.server.store.queries.figures import figures, left_off
from rmactors.server.store.reader import Reader
from rmactors.server.store.transaction import Wakeups
from rmactors.server.web.metrics import Meters, Sources
from tests.databases import on_sqlite_alone

Samples = dict[tuple[str, tuple[str, ...]], float]


def parse(text: bytes) -> Samples:
    """By name and label values; a series that is there twice is an error."""
    found: Samples = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            key = (sample.name, tuple(sample.labels.values()))
            assert key not in found, f"{key} is there twice"
            found[key] = sample.value
    return found


@pytest.fixture
def database(place: Place) -> Place:
    """With this version's schema, on each engine in turn."""
    with closing(connect(place)) as connection:
        migrate(connection)
    return place


def sources(reader: Reader, *boxes: Mailbox[int]) -> Sources:
    named = {box.name: box for box in boxes}
    return Sources(
        reader,
        named,
        list,
        lambda: 3,
        lambda: 2,
        lambda: 1,
        lambda: 0,
        lambda: {Reason.FAILED: 4},
        lambda: {"store": "disk full"},
    )


async def seen(meters: Meters, database: Place, *boxes: Mailbox[int]) -> dict[tuple[str, tuple[str, ...]], float]:
    """What `/metrics` would answer."""
    with closing(Reader(database)) as reader:
        return parse(await meters.render(sources(reader, *boxes)))


def fill(database: Place, script: str, *rows: tuple[object, ...]) -> None:
    with closing(connect(database)) as connection:
        connection.executemany(script, rows)


def add_hosts(database: Place, *names: str) -> None:
    fill(
        database,
        "INSERT INTO hosts (id, name, name_key, hostname, os, arch, agent_version, enrolled_at)"
        " VALUES (?, ?, ?, '', '', '', '', 0)",
        *[(name, name, name) for name in names],
    )


def add_schedule(database: Place, schedule_id: str, host: str, name: str, good_at: int) -> None:
    fill(
        database,
        "INSERT INTO schedules (id, host_id, name, kind, cron, timezone, enabled, mode, grace_seconds,"
        " max_runtime_seconds, on_partial, params, created_at, anchor_at)"
        " VALUES (?, ?, ?, 'backup', '', 'UTC', 1, 'agent', 0, 0, 'ok', '{}', 0, 0)",
        (schedule_id, host, name),
    )
    fill(
        database,
        "INSERT INTO tracks (host_id, kind, subject, version, last_good_at) VALUES (?, 'backup_failed', ?, 1, ?)",
        (host, schedule_id, good_at),
    )


def add_channel(database: Place, channel_id: str, name: str) -> None:
    fill(
        database,
        "INSERT INTO channels (id, kind, name, enabled, config, min_severity, events, host_tags, group_seconds,"
        " remind_hours, created_at, updated_at) VALUES (?, 'webhook', ?, 1, ?, 'info', '[]', '[]', 0, 0, 0, 0)",
        (channel_id, name, b"\0"),
    )


async def test_what_is_committed_is_counted_across_transactions(database: Place) -> None:
    meters = Meters()
    for _ in range(2):
        batch, one = Wakeups(), Wakeups()
        one.count("report", "backup", "failed")
        one.count("report", "backup", "failed")
        one.count("attempt", "ntfy", "retry")
        batch.merge(one)
        batch.merge(one)
        meters.count(batch.counts)
        meters.commit_took(0.004, 2)
    found = await seen(meters, database)
    assert found["rmactors_reports_total", ("backup", "failed")] == 8
    assert found["rmactors_notification_attempts_total", ("ntfy", "retry")] == 4
    assert found["rmactors_commit_seconds_bucket", ("0.005",)] == 2
    assert found["rmactors_commit_requests_sum", ()] == 4


async def test_every_reason_of_a_decision_is_a_series_from_the_start(database: Place) -> None:
    with closing(Reader(database)) as reader:
        found = parse(await Meters().render(sources(reader)))
    counted = {labels[0]: value for (name, labels), value in found.items() if name == "rmactors_decisions_total"}
    assert counted == {reason: 4 if reason is Reason.FAILED else 0 for reason in Reason}


async def test_two_servers_in_a_process_do_not_mix(database: Place) -> None:
    one, other = Meters(), Meters()
    one.commit_took(0.1, 1)
    found = await seen(other, database)
    assert found["rmactors_commit_seconds_count", ()] == 0


async def test_mailboxes_connections_and_checks_are_as_they_are_when_asked(database: Place) -> None:
    box: Mailbox[int] = Mailbox("store", 1)
    box.offer(1)
    box.offer(2)
    found = await seen(Meters(), database, box)
    assert found["rmactors_mailbox_depth", ("store",)] == 1
    assert found["rmactors_mailbox_dropped_total", ("store",)] == 1
    assert found["rmactors_agents_connected", ()] == 3
    assert found["rmactors_event_streams", ()] == 2
    assert found["rmactors_actor_restarts_total", ()] == 1
    assert found["rmactors_check_ok", ("store",)] == 0


async def test_a_database_that_cannot_be_read_takes_its_part_away_and_not_the_rest(tmp_path: Path) -> None:
    found = await seen(Meters(), tmp_path / "missing.db")
    assert found["rmactors_database_readable", ()] == 0
    assert found["rmactors_agents_connected", ()] == 3
    assert ("rmactors_hosts", ()) not in found


async def test_last_successes_are_told_for_each_schedule_and_each_host(database: Place) -> None:
    add_hosts(database, "nas1")
    add_schedule(database, "s1", "nas1", "nightly", 10_000_000)
    add_schedule(database, "s2", "nas1", "weekly", 20_000_000)
    found = await seen(Meters(), database)
    assert found["rmactors_schedule_last_success_timestamp_seconds", ("nas1", "backup", "nightly")] == 10
    assert found["rmactors_schedule_last_success_timestamp_seconds", ("nas1", "backup", "weekly")] == 20
    assert found["rmactors_host_last_success_timestamp_seconds", ("nas1", "backup")] == 20


async def test_schedules_and_channels_that_share_a_name_are_no_series_twice(database: Place) -> None:
    add_hosts(database, "nas1")
    add_schedule(database, "s1", "nas1", "nightly", 10_000_000)
    add_schedule(database, "s2", "nas1", "nightly", 20_000_000)
    add_channel(database, "c1", "ops")
    add_channel(database, "c2", "ops")
    found = await seen(Meters(), database)
    assert found["rmactors_schedule_last_success_timestamp_seconds", ("nas1", "backup", "nightly")] == 10
    assert ("rmactors_channel_queued", ("ops", "webhook")) in found
    assert ("rmactors_channel_queued", ("ops (2)", "webhook")) in found


async def test_names_with_quotes_and_line_breaks_are_labels_like_others(database: Place) -> None:
    add_hosts(database, "nas1")
    names = ['a "quoted" one', "back\\slash", "two\nlines", "ü, {x=1}"]
    for number, name in enumerate(names):
        add_schedule(database, f"s{number}", "nas1", name, 1_500_000)
    meters = Meters()
    for _ in range(2):  # the second time with the lines of the first
        found = await seen(meters, database)
        for name in names:
            assert found["rmactors_schedule_last_success_timestamp_seconds", ("nas1", "backup", name)] == 1.5


async def test_a_good_end_that_is_newer_is_told_at_the_next_scrape_and_what_is_gone_no_longer(database: Place) -> None:
    add_hosts(database, "nas1", "nas2")
    add_schedule(database, "s1", "nas1", "nightly", 10_000_000)
    add_schedule(database, "s2", "nas2", "nightly", 10_000_000)
    meters = Meters()
    await seen(meters, database)
    fill(database, "UPDATE tracks SET last_good_at = 30000000 WHERE subject = ?", ("s1",))
    fill(database, "UPDATE hosts SET deleted_at = 1 WHERE id = ?", ("nas2",))
    fill(database, "UPDATE schedules SET deleted_at = 1 WHERE id = ?", ("s2",))
    found = await seen(meters, database)
    assert found["rmactors_schedule_last_success_timestamp_seconds", ("nas1", "backup", "nightly")] == 30
    assert found["rmactors_host_last_success_timestamp_seconds", ("nas1", "backup")] == 30
    assert [labels for _, labels in found if "nas2" in labels] == []


def test_past_the_limit_series_are_counted_instead_of_named(database: Place) -> None:
    add_hosts(database, "nas1", "nas2")
    for number in range(5):
        add_schedule(database, f"s{number}", "nas1", f"plan {number}", number)
    connection = connect_read_only(database)
    found = figures(connection, 0, series=3)
    left_out = left_off(connection, series=3)
    connection.close()
    assert len([run for run in found.good_runs if run[1]]) == 3
    assert left_out == 2


async def test_the_lag_of_the_event_loop_is_what_a_task_waits_beyond_its_time(
    autojump_clock: trio.testing.MockClock,
) -> None:
    meters = Meters()
    with trio.move_on_after(10.5):
        await meters.measure_lag()
    count = meters.registry.get_sample_value("rmactors_event_loop_lag_seconds_count")
    assert count == 10
    assert meters.registry.get_sample_value("rmactors_event_loop_lag_seconds_sum") == pytest.approx(0, abs=1e-6)


@on_sqlite_alone
async def test_the_disk_is_told_with_the_database(database: Place) -> None:
    found = await seen(Meters(), database)
    assert found["rmactors_disk_free_bytes", ()] > 0
    assert found["rmactors_database_log_bytes", ()] >= 0
    assert found["rmactors_database_bytes", ()] > 0
