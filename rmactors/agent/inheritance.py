"""What the starter of this process gave to it, so that a wrapped command gets the same: descriptors, environment.

Look before anything else is opened. Python changes some of it: in the C locale it adds LC_CTYPE to the environment, and
it ignores SIGPIPE, so that nobody can tell any more whether that was ignored before.
"""

import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn

_FIRST_OF_ITS_OWN: Final = 3
_MOST_LOOKED_AT: Final = 4096
PID_VARIABLES: Final = (b"LISTEN_PID", b"WATCHDOG_PID", b"SYSTEMD_EXEC_PID")
"""Set by systemd to the number of the process that it starts; read by that process to see whether it is meant."""


@dataclass(frozen=True, slots=True)
class Inheritance:
    """`fds` are those beyond stderr that a program started without us would have; `environment` None is this one."""

    fds: tuple[int, ...] = ()
    environment: Mapping[bytes, bytes] | None = None

    @property
    def names_this_process(self) -> bool:
        """Whether systemd's variables name this process, and so not the command."""
        own = b"%d" % os.getpid()
        return any((self.environment or {}).get(name) == own for name in PID_VARIABLES)


def look() -> Inheritance:
    """To be called before this process opens anything that it leaves open for others."""
    return Inheritance(_open_for_others(), environment())


def become(command: Sequence[str], given: Inheritance) -> NoReturn:
    """Let the command take this process's place. Raises OSError if it cannot be started."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and the command would go on doing so
        signal.signal(number, signal.SIG_DFL)
    os.execvpe(  # noqa: S606 - without a shell is what is meant
        command[0], tuple(command), os.environb if given.environment is None else given.environment
    )


def environment() -> dict[bytes, bytes] | None:
    """As the kernel got it at the start of this process; None if the system does not show it."""
    try:
        with open("/proc/self/environ", "rb") as file:
            entries = file.read().split(b"\0")
    except OSError:
        return None
    found: dict[bytes, bytes] = {}
    for entry in entries:
        name, given, value = entry.partition(b"=")
        if name and given:
            found.setdefault(name, value)  # as getenv reads it
    return found or None


def _open_for_others() -> tuple[int, ...]:
    try:
        numbers = sorted(int(name) for name in os.listdir("/proc/self/fd"))
    except OSError:
        numbers = list(range(_MOST_LOOKED_AT))
    return tuple(fd for fd in numbers if fd >= _FIRST_OF_ITS_OWN and _is_inherited(fd))


def _is_inherited(fd: int) -> bool:
    """What Python opens is closed for children; what came from outside never is, or it would not be here."""
    try:
        return os.get_inheritable(fd)
    except OSError:
        return False
