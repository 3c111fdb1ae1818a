"""What the database says, beside what the model says."""

from collections import Counter, defaultdict

from tests.machine.engine import Engine
from tests.machine.model import Model
from tests.machine.things import LASTING, Alert, Key
from tests.store.ledger import Ledger


def alerts_by_id(engine: Engine, model: Model) -> dict[str, Alert]:
    """The model's alert of each on disk: of one key, both are in the order in which they were raised."""
    of_key: dict[Key, list[Alert]] = defaultdict(list)
    for alert in reversed(model.alerts):
        of_key[alert.key].append(alert)
    rows = engine.ledger.rows("SELECT id, host_id, kind, subject FROM alerts WHERE host_id <> ''")
    key_of: dict[str, Key] = {alert_id: (host, kind, subject) for alert_id, host, kind, subject in rows}
    assert set(key_of) <= set(engine.raised)
    return {alert_id: of_key[key_of[alert_id]].pop() for alert_id in engine.raised if alert_id in key_of}


def compare(engine: Engine, model: Model, channels: dict[str, str]) -> None:
    """Raises AssertionError where the two differ. `channels`: name → id. What is about a channel is not the model's:
    it says nothing of hosts, and nothing about hosts may change because of it."""
    ledger = engine.ledger
    on_disk = Counter(ledger.rows("SELECT host_id, kind, subject FROM alerts WHERE host_id <> ''"))
    expected = Counter(alert.key for alert in model.alerts)
    assert on_disk == expected, f"{on_disk - expected} too many, {expected - on_disk} missing"
    alerts = alerts_by_id(engine, model)
    _compare_alerts(ledger, alerts)
    _compare_notices(ledger, alerts, {channel_id: name for name, channel_id in channels.items()})
    _compare_jobs(ledger, model)
    _judge_channels(ledger)
    last_good = dict(ledger.rows("SELECT id, last_good_at FROM schedules"))
    assert last_good == {of: schedule.last_good_at for of, schedule in model.schedules.items()}


def _compare_alerts(ledger: Ledger, alerts: dict[str, Alert]) -> None:
    for row in ledger.connection.execute("SELECT * FROM alerts WHERE host_id <> ''"):
        alert = alerts[row["id"]]
        got = (row["occurrences"], row["acknowledged_by"], row["resolved_by"], row["created_at"])
        assert got == (alert.occurrences, alert.acknowledged_by, alert.resolved_by, alert.raised_at), alert
        if alert.key[1] in LASTING:
            assert row["last_seen_at"] >= alert.seen_at
        if alert.counts and alert.resolved_by is None:
            assert row["message"].startswith(f"{alert.counts} more failure"), (row["message"], alert)
        assert ledger.timeline(row["id"]) == alert.timeline, alert


def _compare_notices(ledger: Ledger, alerts: dict[str, Alert], names: dict[str, str]) -> None:
    """Each transition once for each channel that takes it, in order; and what is held back."""
    told: dict[tuple[str, str], list[str]] = defaultdict(list)
    places: dict[tuple[str, str], list[int]] = defaultdict(list)
    for alert_id, channel_id, event, pos in ledger.rows(
        "SELECT alert_id, channel_id, event, pos FROM deliveries WHERE host_id <> '' ORDER BY seq"
    ):
        told[alert_id, names[channel_id]].append(event)
        places[alert_id, names[channel_id]].append(pos)
    expected = {(of, name): events for of, alert in alerts.items() for name, events in alert.told.items()}
    assert told == expected
    assert all(numbers == sorted(set(numbers)) for numbers in places.values())
    held = {(of, name) for of, alert in alerts.items() for name in alert.held if alert.resolved_by is None}
    found = ledger.rows(
        "SELECT alert_id, channel_id FROM held JOIN alerts ON alerts.id = alert_id WHERE resolved = 0 AND host_id <> ''"
    )
    assert {(alert_id, names[channel_id]) for alert_id, channel_id in found} == held


def _judge_channels(ledger: Ledger) -> None:
    """No channel is told of itself, and none is told of before it has given up a message."""
    to_itself = "SELECT 1 FROM deliveries JOIN alerts ON alerts.id = alert_id WHERE subject = 'channel:' || channel_id"
    assert ledger.rows(to_itself) == []
    told_of = {subject for (subject,) in ledger.rows("SELECT subject FROM alerts WHERE host_id = ''")}
    gave_up = "SELECT DISTINCT 'channel:' || channel_id FROM deliveries WHERE host_id <> '' AND state = 'dead'"
    assert told_of <= {subject for (subject,) in ledger.rows(gave_up)}


def _compare_jobs(ledger: Ledger, model: Model) -> None:
    statuses = {
        job: ("lost" if given_up else "running" if status == "running" else "ended")
        for job, host, status, given_up in ledger.rows("SELECT id, host_id, status, given_up FROM jobs")
        if host not in model.gone  # with a host, its running jobs end
    }
    assert statuses == {job: model.jobs[job] for job in statuses}
    assert ledger.value("SELECT count(*) FROM jobs") == len(model.jobs)
