"""Days at random under a clock of their own, with the real store and queue: in the end every channel knows how every
alert stands that it was told of, whatever comes together, and nothing that is due is forgotten.

What goes wrong names its seed.
"""

import json
import random
from dataclasses import dataclass, field, replace
from datetime import time

import pytest

from rmactors.common import ids
from rmactors.common.clock import DAY, HOUR, MINUTE
from rmactors.server.calendars.quiet_hours import QuietHours
from rmactors.server.messages.alerts import WorsenAlert
from rmactors.server.messages.channels import RetryDelivery, SaveChannel
from rmactors.server.messages.notifications import Notification
from rmactors.server.messages.outbox import QueueReminders, ReleaseHeld
from rmactors.server.messages.retention import Prune
from rmactors.server.store.retention import START, find_old
from tests.delivery.queues import AGAIN, NEVER, OK, queue
from tests.delivery.storms import Post
from tests.store.ledger import NOON, Ledger, audit, channel

EVENTS = ("alert.raised", "alert.acknowledged", "alert.resolved", "alert.reminder")
NIGHT = json.dumps({"timezone": "UTC", "from": "22:00", "to": "07:00", "days": []})
STATES = {"alert.resolved": "resolved", "alert.acknowledged": "acknowledged"}


@dataclass
class Quiet(Post):
    """A channel that may have quiet hours; `known` is how each alert stands, for all that its receiver was told."""

    quiet: QuietHours | None = None
    known: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self._queue, self._seen = queue(quiet=self.quiet), 0

    def _arrive(self, told: Notification) -> None:
        super()._arrive(told)
        for member in told.group:
            self.known[member.alert_id] = member.state or STATES.get(told.event, "open")
        if not told.group:
            self.known[told.alert_id] = STATES.get(told.event, "open")


class Days:
    """`spoilt`: alerts that a channel was not told of on purpose, for it was off while something came of them."""

    def __init__(self, ledger: Ledger, seed: int) -> None:
        self.ledger, self.dice, self.now = ledger, random.Random(seed), NOON
        self.hosts = [ledger.host(f"nas{n}", tags=json.dumps(["home"] if n % 2 else ["work"])) for n in range(4)]
        for host in self.hosts:
            plans = json.dumps([{"name": "home", "repository": "rest:https://srv.lan:8000/", "sources": []}])
            ledger.connection.execute("UPDATE hosts SET plans = ? WHERE id = ?", (plans, host))
        self.posts = [self._channel() for _ in range(3)]
        self.off: dict[str, SaveChannel] = {}
        self.spoilt: set[tuple[str, str]] = set()
        self.serial = 0

    def _channel(self) -> tuple[Quiet, SaveChannel]:
        dice = self.dice
        by = dice.choice(["host", "repository", "all"])
        night = NIGHT if dice.random() < 0.4 else None
        write = channel(
            ids.new(), group_by=by, group_seconds=dice.choice([60.0, 600.0, 7200.0]) if by != "host" else 300.0,
            remind_hours=dice.choice([0.0, 1.0, 5.0]), after_minutes=dice.choice([0.0, 0.0, 20.0, 90.0]),
            quiet_hours=night, events=EVENTS, min_severity=dice.choice(["info", "info", "warning", "critical"]),
            host_tags=dice.choice([(), (), ("home",)]),
        )  # fmt: skip
        self.ledger.commit(write)
        quiet = QuietHours("UTC", time(22), time(7), frozenset(range(7))) if night else None
        return Quiet(self.ledger, write.channel_id, quiet=quiet), write

    def alerts(self, where: str = "1") -> list[str]:
        return [alert_id for (alert_id,) in self.ledger.rows(f"SELECT id FROM alerts WHERE {where} ORDER BY id")]

    def step(self) -> None:
        dice, open_alerts = self.dice, self.alerts("resolved_at IS NULL")
        what = dice.choices(
            [
                "raise",
                "resolve",
                "acknowledge",
                "worsen",
                "silence",
                "switch",
                "trouble",
                "restart",
                "tags",
                "nothing",
                "again",
                "prune",
                "change",
            ],
            [8, 6, 4, 3, 1, 1, 3, 2, 1, 4, 2, 1, 1],
        )[0]
        alert = dice.choice(open_alerts) if open_alerts else None
        if what == "raise":
            self.serial += 1
            host = dice.choice([*self.hosts, ""])
            severity = dice.choice(["info", "warning", "critical"])
            if host:
                subject = dice.choice(["plan:home", f"s{self.serial}"])
                kind = dice.choice(["backup_failed", "check_failed"])
                taken = self.ledger.rows(
                    "SELECT 1 FROM alerts WHERE host_id = ? AND subject = ? AND kind = ? AND resolved_at IS NULL",
                    host, subject, kind,
                )  # fmt: skip
                if not taken:
                    self._came(self.ledger.raise_(host, subject, kind, self.now, severity=severity))  # type: ignore[arg-type]
            else:
                about = f"channel:{dice.choice(self.posts)[0].channel_id}"
                if not self.ledger.rows("SELECT 1 FROM alerts WHERE subject = ? AND resolved_at IS NULL", about):
                    self._came(self.ledger.raise_("", about, "channel_failing", self.now))
        elif what == "again":
            dead = self.ledger.rows("SELECT id, channel_id FROM deliveries WHERE state = 'dead'")
            if dead:
                self.ledger.apply(RetryDelivery(dice.choice(dead)[0], self.now, audit("delivery.retry", "x")))
        elif what == "prune":
            for kind in ("held", "told", "group_windows", "shared_windows", "alerts", "deliveries", "dead_deliveries"):
                keys, _ = find_old(self.ledger.connection, kind, self.now - 3 * HOUR, START, 1000)
                self.ledger.commit(Prune(kind, self.now - 3 * HOUR, tuple(keys), 1000))
        elif what == "change":
            n = dice.randrange(3)
            post, write = self.posts[n]
            if post.channel_id not in self.off:
                by = dice.choice(["host", "repository", "all"])
                write = replace(
                    write, create=False, group_by=by, group_seconds=dice.choice([60.0, 7200.0]), at=self.now
                )
                self.ledger.commit(write)
                self.posts[n] = post, write
                post.restart()
        elif what == "silence":
            host, length = dice.choice([*self.hosts, None]), dice.choice([1, 3, 9])
            self.ledger.silence(self.now, self.now + length * HOUR, host_id=host)
        elif what == "switch":
            self._switch(*dice.choice(self.posts))
        elif what == "trouble":
            post, _ = dice.choice(self.posts)
            post.answers += dice.choices([OK, AGAIN, NEVER], [3, 6, 1], k=dice.randint(1, 6))
        elif what == "restart":
            post, _ = dice.choice(self.posts)
            if dice.random() < 0.5:
                post.restart()
            else:
                post.crash_at = post._attempts + 1
        elif what == "tags":
            tags = json.dumps(dice.choice([["home"], ["work"], []]))
            self.ledger.connection.execute("UPDATE hosts SET tags = ? WHERE id = ?", (tags, dice.choice(self.hosts)))
        elif alert is not None and what == "resolve":
            self.ledger.resolve(alert, self.now)
            self._came(alert)
        elif alert is not None and what == "acknowledge":
            self.ledger.acknowledge(alert, self.now)
            self._came(alert)
        elif alert is not None and what == "worsen":
            self.ledger.commit(WorsenAlert(alert, "worse", "worse", self.now))
            self._came(alert)

    def _came(self, alert_id: str) -> None:
        self.spoilt |= {(channel_id, alert_id) for channel_id in self.off}

    def _switch(self, post: Quiet, write: SaveChannel) -> None:
        on = post.channel_id in self.off
        how = self.dice.choice(["keep", "keep", "drop"])
        if how == "drop" and not on:
            queued = self.ledger.rows(
                "SELECT alert_id FROM deliveries WHERE channel_id = ? AND state = 'queued'"
                " UNION SELECT alert_id FROM held WHERE channel_id = ?", post.channel_id, post.channel_id,
            )  # fmt: skip
            self.spoilt |= {(post.channel_id, alert_id) for (alert_id,) in queued}
        self.ledger.commit(
            replace(write, create=False, enabled=on, at=self.now, queued="ask" if on else how)  # type: ignore[arg-type]
        )
        post.restart()
        if on:
            del self.off[post.channel_id]
        else:
            self.off[post.channel_id] = write

    def let_pass(self, micros: int) -> None:
        until = self.now + micros
        while self.now < until:
            self.now = min(until, self.now + 10 * MINUTE)
            self.ledger.commit(ReleaseHeld(self.now), QueueReminders(self.now))
            for post, _ in self.posts:
                if post.channel_id not in self.off:
                    post.until(self.now)
                else:
                    post.now = self.now

    def all_is_well(self) -> None:
        for post, write in self.posts:
            post.answers.clear()
            post.crash_at = None
            if post.channel_id in self.off:
                self._switch(post, write)
        self.let_pass(2 * DAY)

    def judge(self) -> None:
        stand = {
            row[0]: "resolved" if row[1] else "acknowledged" if row[2] else "open"
            for row in self.ledger.rows("SELECT id, resolved_at, acknowledged_at FROM alerts")
        }
        waiting = self.ledger.rows(
            "SELECT event FROM deliveries JOIN alerts ON alerts.id = alert_id WHERE state = 'queued' AND resolved = 1"
        )
        assert not waiting, "something waits without end"
        for post, write in self.posts:
            dead = {
                alert_id
                for (alert_id,) in self.ledger.rows(
                    "SELECT alert_id FROM deliveries WHERE channel_id = ? AND state = 'dead'", post.channel_id
                )
            }
            for alert_id, state in stand.items():
                if (post.channel_id, alert_id) in self.spoilt or alert_id in dead:
                    continue
                known = post.known.get(alert_id)
                where = post.channel_id, alert_id, write, self.story(post, alert_id)
                if known is not None and (known == "resolved") != (state == "resolved"):
                    raise AssertionError(f"it is {state}, told as {known}: {where}")
                if (
                    known is not None
                    and state == "acknowledged"
                    and known == "open"
                    and not self.ledger.rows("SELECT 1 FROM silences")
                ):
                    raise AssertionError(f"it is {state}, told as {known}: {where}")
                if known is None and state == "open" and self._due(write, alert_id):
                    raise AssertionError(f"forgotten: {where}")

    def _due(self, write: SaveChannel, alert_id: str) -> bool:
        row = self.ledger.row("SELECT * FROM alerts WHERE id = ?", alert_id)
        rank = ["info", "warning", "critical"].index
        return (
            not write.host_tags
            and rank(row["severity"]) >= rank(write.min_severity)
            and row["subject"] != f"channel:{write.channel_id}"
        )

    def story(self, post: Quiet, alert_id: str) -> list[tuple[object, ...]]:
        rows = self.ledger.rows("SELECT at, event, channel_id, note FROM alert_events WHERE alert_id = ?", alert_id)
        rows += self.ledger.rows(
            "SELECT created_at, event, state, due_at, grouped, group_key, attempts FROM deliveries"
            " WHERE alert_id = ? AND channel_id = ? ORDER BY seq", alert_id, post.channel_id,
        )  # fmt: skip
        rows += [(at, told.event, told.delivery_id) for at, told in post.messages if alert_id in post.members(told)]
        rows += self.ledger.rows(
            "SELECT at, 'held', silenced FROM held WHERE alert_id = ? AND channel_id = ?", alert_id, post.channel_id
        )
        return [((row[0] - NOON) / MINUTE, *row[1:]) for row in rows]


@pytest.mark.parametrize("seed", range(6))
def test_in_the_end_every_channel_knows_how_every_alert_stands(ledger: Ledger, seed: int) -> None:
    days = Days(ledger, seed)
    for _ in range(150):
        days.step()
        days.let_pass(days.dice.choice([0, 0, 0, 1, 2, 5, 20, 90, 300]) * MINUTE)
    days.all_is_well()
    days.judge()
