"""Notifications and channels as the tests of this directory use them."""

from dataclasses import replace
from typing import Any

from rmactors.common import clock
from rmactors.common.vocabulary import Priority
from rmactors.server.channels.base import ChannelSpec
from rmactors.server.messages.notifications import GroupMember, Notification

ALERT = "01K9XZ3V8T5WQ1R7M2N4P6S8AA"
DELIVERY = "01K9XZ3V8T5WQ1R7M2N4P6S8DD"
HOST = "01K9XZ3V8T5WQ1R7M2N4P6S8HH"
RAISED_AT = clock.from_rfc3339("2026-11-23T03:00:12.345Z")
LATER = clock.from_rfc3339("2026-11-23T04:30:00.000Z")

RAISE = Notification(
    delivery_id=DELIVERY,
    event="alert.raised",
    alert_id=ALERT,
    severity="warning",
    kind="backup_failed",
    subject="plan:home",
    host_id=HOST,
    host_name="nas1",
    message="Backup of home failed: wrong password",
    raised_at=RAISED_AT,
    occurred_at=RAISED_AT,
    link=f"https://rm.example.org/alerts/{ALERT}",
)
ACKNOWLEDGEMENT = replace(RAISE, event="alert.acknowledged", occurred_at=LATER, actor="dana", note="on it")
RESOLUTION = replace(RAISE, event="alert.resolved", occurred_at=LATER, actor="rule", note=None)
REMINDER = replace(RAISE, event="alert.reminder", occurred_at=LATER)
GROUP = replace(
    RAISE,
    severity="critical",
    kind="multiple",
    subject="",
    message="2 alerts on nas1: backup_failed, check_failed",
    group=(
        GroupMember(ALERT, "warning", "backup_failed", "plan:home", "Backup of home failed"),
        GroupMember("01K9XZ3V8T5WQ1R7M2N4P6S8BB", "critical", "check_failed", "plan:home", "Check found errors"),
    ),
)

OF_HOSTS = replace(
    GROUP,
    event="alert.resolved",
    host_name="39 hosts",
    message="39 alerts of 39 hosts are resolved:\n- [warning] nas1: backup_failed: No.\nand 38 more\n1 is still open",
    group=tuple(replace(member, host_id=HOST, host_name="nas1") for member in GROUP.group),
    group_count=39,
    repository="rest:https://srv:8000",
    still_open=1,
)
"""About several hosts; its list is cut."""

DIGEST = replace(
    RAISE,
    event="alert.digest",
    severity="info",
    kind="digest",
    subject="",
    host_id="",
    host_name="restic-manager",
    message=(
        "1 of 2 hosts needs a look: 7 backups since Monday 2026-11-16 08:00 CET, 1.2 GB added; 1 open alert.\n"
        "- nas1: no good backup since Friday 2026-11-20 03:00 CET, 2 failed; 1 open alert\n"
        "- web7: 7 backups, 1.2 GB added"
    ),
    link="https://rm.example.org/",
)


def spec(kind: str, default_priority: Priority | None = None, **config: Any) -> ChannelSpec:
    """A channel of that kind. A field that Python keeps for itself takes an underscore: `from_`."""
    named = {name.rstrip("_"): value for name, value in config.items()}
    return ChannelSpec("01K9XZ3V8T5WQ1R7M2N4P6S8CC", kind, "ops", named, default_priority)
