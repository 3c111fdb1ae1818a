"""Quiet hours over a real store and a real receiver. They are around the present, or were just over, in UTC: the clock
is the machine's, and alerts are of when the tests say."""

import json
from datetime import timedelta

from rmactors.common import clock, ids
from rmactors.common.clock import HOUR, MINUTE
from rmactors.server.messages.alerts import RaiseAlert, ResolveAlert
from tests.actors.office import DOWN, FINE, Office, arrived, bodies, told
from tests.actors.works import until
from tests.channels.receivers import Receiver


def hours(begin: int, end: int) -> str:
    """Quiet hours from so many minutes from now to so many, by the minute."""
    now = clock.to_datetime(clock.now())
    first, last = (f"{now + timedelta(minutes=minutes):%H:%M}" for minutes in (begin, end))
    return json.dumps({"timezone": "UTC", "from": first, "to": last, "days": []})


NOW_QUIET, JUST_OVER = hours(-120, 120), hours(-120, -10)


def raising(host_id: str, subject: str, minutes_ago: int = 60, *, critical: bool = False) -> RaiseAlert:
    severity = "critical" if critical else "warning"
    at = clock.now() - minutes_ago * MINUTE
    return RaiseAlert(ids.new(), host_id, "backup_failed", subject, severity, f"{subject} failed", at)


def resolving(alert_id: str) -> ResolveAlert:
    return ResolveAlert(alert_id, clock.now() - 30 * MINUTE, "rule", None, "it succeeded")


async def test_in_them_only_what_is_critical_arrives(office: Office, receiver: Receiver) -> None:
    host = office.works.ledger.host()
    await office.save(receiver.url(), quiet_hours=NOW_QUIET)
    loud = raising(host, "loud", 1, critical=True)
    await office.works.commit(raising(host, "held", 1), loud)
    await until(lambda: sorted(office.states()) == ["delivered", "queued"])  # before its end, which would stand for it
    await office.works.commit(resolving(loud.alert_id))
    await until(lambda: sorted(office.states()) == ["delivered", "delivered", "queued"], lambda: str(office.states()))
    assert told(receiver)[0][1] == "loud"
    assert {subject for _, subject in told(receiver)} == {"loud"}


async def test_when_they_are_over_one_message_has_all_of_it(office: Office, receiver: Receiver) -> None:
    host = office.works.ledger.host()
    await office.crash()
    await office.save(receiver.url(), quiet_hours=JUST_OVER, at=clock.now() - 3 * HOUR)
    stays, goes = raising(host, "stays"), raising(host, "goes")
    await office.works.commit(goes, stays)
    await office.works.commit(resolving(goes.alert_id))
    office.start()
    await until(lambda: sorted(office.states()) == ["delivered", "delivered", "superseded"])
    [body] = bodies(receiver)
    assert (body["event"], body["kind"], body["alert_id"]) == ("alert.raised", "multiple", stays.alert_id)
    assert (body["group_count"], body["still_open"]) == (2, 1)
    assert [(each["alert_id"], each["state"]) for each in body["group"]] == [
        (stays.alert_id, "open"), (goes.alert_id, "resolved"),
    ]  # fmt: skip
    assert body["message"].startswith("After the quiet hours 1 alert is open, 1 over:\n")


async def test_a_crash_while_it_is_refused_loses_nothing_of_it(office: Office, receiver: Receiver) -> None:
    host, receiver.script = office.works.ledger.host(), DOWN
    await office.crash()
    await office.save(receiver.url(), quiet_hours=JUST_OVER, at=clock.now() - 3 * HOUR)
    raised = [raising(host, f"s{n}") for n in range(4)]
    await office.works.commit(*raised)
    office.start()
    await arrived(receiver, 1)
    await until(lambda: office.works.ledger.value("SELECT count(*) FROM notification_log") > 0)
    await office.crash()
    receiver.script = FINE
    receiver.requests.clear()
    office.start()
    await office.until_done()
    came = [each["alert_id"] for body in bodies(receiver) for each in body.get("group", [body])]
    assert sorted(came) == sorted(each.alert_id for each in raised)


async def test_other_settings_apply_to_what_waits(office: Office, receiver: Receiver) -> None:
    host = office.works.ledger.host()
    ops = await office.save(receiver.url(), quiet_hours=NOW_QUIET)
    await office.works.commit(raising(host, "a", 1), raising(host, "b", 1), raising(host, "c", 1, critical=True))
    await arrived(receiver, 1)
    await office.save(receiver.url(), ops, quiet_hours=None)
    await office.until_states("delivered", "delivered", "delivered")
    assert sorted(told(receiver)) == [("raised", "a"), ("raised", "b"), ("raised", "c")]
