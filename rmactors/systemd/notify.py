"""Telling the service manager how it is: sd_notify(3), which is datagrams to the socket in `NOTIFY_SOCKET`.

Without that variable nothing is sent, so the same program runs by hand, in a container and as a service.
"""

import logging
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import trio

_log = logging.getLogger(__name__)

STATUS_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Notifier:
    """`address` as in `NOTIFY_SOCKET`; `watchdog` in seconds. None if the service manager does not ask for it."""

    address: str | None = None
    watchdog: float | None = None

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "Notifier":
        """What the service manager asks for. A watchdog that is meant for another process is none of ours."""
        address = environ.get("NOTIFY_SOCKET") or None
        microseconds = environ.get("WATCHDOG_USEC", "")
        meant = environ.get("WATCHDOG_PID") in (None, "", str(os.getpid()))
        wanted = meant and microseconds.isdecimal() and int(microseconds) > 0
        return cls(address, int(microseconds) / 1e6 if wanted else None)

    def tell(self, *assignments: str) -> None:
        """Send `READY=1` and the like. Never waits and never raises: a service goes on without it."""
        if self.address is None:
            return
        to = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
                out.setblocking(False)
                out.sendto("\n".join(assignments).encode(), to)
        except OSError as error:
            _log.warning("the service manager could not be told %s: %s", assignments[0], error)


async def keep_alive(
    notifier: Notifier, checks: Callable[[], Mapping[str, str]], outside: Callable[[], bool] = lambda: False
) -> None:
    """Say again and again, until cancelled, that all is well, as long as every check is `ok`.

    Otherwise say what is wrong, and no more: the service manager ends the process when that has lasted too long. But
    not for trouble that is `outside`, a full disk say: a new process could do no better, and would cut off every agent.
    Four times within what it grants, so that one turn which comes late is no end.
    """
    pause = STATUS_SECONDS if notifier.watchdog is None else notifier.watchdog / 4
    while True:
        wrong = [f"{name}: {state}" for name, state in checks().items() if state != "ok"]
        alive = ["WATCHDOG=1"] if not wrong or outside() else []
        notifier.tell(*alive, _status("; ".join(wrong) or "all is well"))
        await trio.sleep(pause)


def _status(text: str) -> str:
    return f"STATUS={' '.join(text.split())}"
