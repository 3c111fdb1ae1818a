"""The few values of which rows are made, and what draws them by lot."""

import json
from collections.abc import Callable
from random import Random
from typing import Any, Final

from rmactors.common import clock

NOON: Final = clock.from_rfc3339("2026-11-23T12:00:00Z")
HOSTS: Final = tuple(f"H{number:02}" for number in range(24))
NAMES: Final = (
    "nas1", "NAS2", "Ärger", "ärmel", "Straße", "ΣΊΣΥΦΟΣ", "İzmir", "zebra", "Zulu", "a_b", "a%b", "back\\slash",
    "名前", "ﬀ", "🦀", "web-01", "web-02", "WEB-03", "_under", "~tilde", "db 1", "Db 2", "é", "É (2)",
)  # fmt: skip
TAGS: Final = ("[]", '["prod"]', '["Prod", "zfs"]', '["prod", "zürich"]', '["z\\u00fcrich"]', '["a b"]')
PLANS: Final = (None, "", "home", "Home", "größe", "etc")
STATS: Final = (
    "{}", '{"bytes_added": 12, "files_total": 3}', '{"data_added": 4096.5}', '{"bytes_added": null, "data_added": 7}',
    "broken", '{"bytes_added": "9 or so", "bytes_total": 5}', '{"bytes_added": true}', '{"bytes_added": [1]}', "[1]",
    '{"bytes_added": 1125899906842624}', '{"bytes_added": -3}', "3",
)  # fmt: skip
PARAMS: Final = (
    "{}", '{"plan": "home"}', '{"plan": ""}', '{"plan": null}', '{"plan": 3}', '{"plan": "größe"}', "broken",
    '{"plan": "gr\\u00f6\\u00dfe"}',
)  # fmt: skip
QUIET: Final = json.dumps({"timezone": "Europe/Berlin", "from": "11:00", "to": "14:00", "days": []})
TIMES: Final = tuple(NOON - ago for ago in (
    0, 1, clock.MINUTE, clock.HOUR, 5 * clock.HOUR, clock.DAY, clock.DAY + 1, 3 * clock.DAY, 9 * clock.DAY,
    20 * clock.DAY, 40 * clock.DAY, -clock.HOUR, -clock.DAY,
))  # fmt: skip
SCHEDULES: Final = tuple(f"S{number:02}" for number in range(60))
JOBS: Final = tuple(f"J{number:03}" for number in range(500))
ALERT_IDS: Final = tuple(f"A{number:03}" for number in range(300))
CHANNELS: Final = tuple(f"C{number}" for number in range(6))
REPOSITORIES: Final = tuple(f"{number:02x}" * 32 for number in range(16))
USERS: Final = tuple(f"U{number}" for number in range(8))
POLICIES: Final = tuple(f"P{number}" for number in range(5))
DELIVERIES: Final = tuple(f"D{number:03}" for number in range(300))
TOKENS: Final = tuple(f"T{number}" for number in range(9))
PAGES: Final = ("SP0", "SP1", "SP2", "SP3")
SILENCES: Final = tuple(f"Q{number:02}" for number in range(12))


def head(plan: str | None) -> str:
    return json.dumps(
        {"job_id": "J000", "verdict": "bad", "at": NOON, "spool_id": "s", "seq": 1, "plan": plan}, ensure_ascii=False
    )


Make = Callable[[Random, int], Any]


def any_of(*values: Any) -> Make:
    return lambda lot, _number: lot.choice(values)


def each(values: tuple[str, ...]) -> Make:
    return lambda _lot, number: values[number]


def numbered(prefix: str) -> Make:
    return lambda _lot, number: f"{prefix}{number:03}"
