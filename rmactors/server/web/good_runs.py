"""The long part of `/metrics`: when each schedule and each host ended well last.

Ten thousand lines, written here and not by prometheus_client, which makes an object of each. They are made in a thread,
in slices: between two of them whoever waits for Python gets it, so that no ack waits for a scrape.
"""

import time
from collections.abc import Callable, Iterable
from typing import Final

from rmactors.common.clock import SECOND
from rmactors.server.store.queries.figures import GoodRun

_SLICE: Final = 200
_OF_SCHEDULE: Final = "rmactors_schedule_last_success_timestamp_seconds"
_OF_HOST: Final = "rmactors_host_last_success_timestamp_seconds"
_LEFT_OFF: Final = "rmactors_last_success_left_off"


def text(runs: Iterable[GoodRun], left_off: int, pause: Callable[[float], None] = time.sleep) -> bytes:
    """The lines in Prometheus' text format. `pause` is called between slices."""
    newest: dict[tuple[str, ...], int] = {}
    for number, run in enumerate(runs):
        # Schedules of one host may share a name: the older one is the one to worry about.
        key: tuple[str, ...] = (run.host, run.schedule, run.kind) if run.schedule else (run.host, run.kind)
        newest[key] = min(run.at, newest.get(key, run.at))
        if number % _SLICE == 0:
            pause(0)
    of_schedules, of_hosts = [], []
    for number, (key, at) in enumerate(newest.items()):
        if len(key) == 3:
            host, schedule, kind = map(_escaped, key)
            of_schedules.append(f'{_OF_SCHEDULE}{{host="{host}",kind="{kind}",schedule="{schedule}"}} {at / SECOND}')
        else:
            host, kind = map(_escaped, key)
            of_hosts.append(f'{_OF_HOST}{{host="{host}",kind="{kind}"}} {at / SECOND}')
        if number % _SLICE == 0:
            pause(0)
    lines = [
        *_head(_OF_SCHEDULE, "Newest good end of a schedule's run."),
        *of_schedules,
        *_head(_OF_HOST, "Newest good end of any job of this kind on a host."),
        *of_hosts,
        *_head(_LEFT_OFF, "Series of last successes left out, past the limit."),
        f"{_LEFT_OFF} {left_off}",
        "",
    ]
    return "\n".join(lines).encode()


def _head(name: str, meaning: str) -> tuple[str, str]:
    return f"# HELP {name} {meaning}", f"# TYPE {name} gauge"


def _escaped(value: str) -> str:
    """As a label's value is written."""
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
