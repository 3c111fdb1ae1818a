"""The long part of `/metrics`: when each schedule and each host ended well last.

Ten thousand lines, written here and not by prometheus_client, which makes an object of each. They are made in a thread,
in slices: between two of them anyone who waits for Python gets it, so that no ack waits for a scrape.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final

from rmactors.common.clock import SECOND
from rmactors.server.store.queries.figures import GoodRun

_SLICE: Final = 200
_OF_SCHEDULE: Final = "rmactors_schedule_last_success_timestamp_seconds"
_OF_HOST: Final = "rmactors_host_last_success_timestamp_seconds"
_LEFT_OFF: Final = "rmactors_last_success_left_off"


class GoodRunLines:
    """Makes them, and remembers the beginning of each line from one scrape to the next."""

    def __init__(self, pause: Callable[[float], None] = time.sleep) -> None:
        """`pause` is called between slices."""
        self._pause = pause
        self._begun: dict[tuple[str, str, str], str] = {}

    def text(self, runs: Sequence[GoodRun], left_off: int) -> bytes:
        """In Prometheus' text format."""
        newest: dict[tuple[str, str, str], int] = {}
        for begin in range(0, len(runs), _SLICE):
            for host, schedule, kind, at in runs[begin : begin + _SLICE]:
                # Schedules of one host may share a name: the older one is the one to worry about.
                key = (host, schedule, kind)
                known = newest.get(key)
                newest[key] = at if known is None or at < known else known
            self._pause(0)
        known_before, self._begun = self._begun, {}
        of_schedules: list[str] = []
        of_hosts: list[str] = []
        for number, (key, at) in enumerate(newest.items()):
            begun = known_before.get(key) or _begun(*key)
            self._begun[key] = begun
            (of_schedules if key[1] else of_hosts).append(f"{begun}{at / SECOND}")
            if number % _SLICE == 0:
                self._pause(0)
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


def _begun(host: str, schedule: str, kind: str) -> str:
    host, schedule = _escaped(host), _escaped(schedule)
    if schedule:
        return f'{_OF_SCHEDULE}{{host="{host}",kind="{kind}",schedule="{schedule}"}} '
    return f'{_OF_HOST}{{host="{host}",kind="{kind}"}} '


def _head(name: str, meaning: str) -> tuple[str, str]:
    return f"# HELP {name} {meaning}", f"# TYPE {name} gauge"


def _escaped(value: str) -> str:
    """As a label's value is written."""
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
