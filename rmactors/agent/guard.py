"""Stands between the agent and a command, so that nothing of the command outlives the agent.

Run as a script of its own, with the standard library alone: `guard.py LIFELINE GRACE NICENESS COMMAND …`. It becomes
the command. Beside it stays a watcher that waits for the end of the lifeline, a pipe whose other end the agent alone
holds: should the agent die without a word (SIGKILL), the command gets SIGINT, so that restic removes its lock, and
what is left after the grace is ended. In the agent it names what belongs to a session.
"""

import os
import signal
import sys
import time

TERM_SECONDS = 5.0
"""Between SIGTERM and SIGKILL, or the grace if that is shorter."""
_LOOK_SECONDS = 0.05


def members(session: int) -> dict[int, int]:
    """Live processes of that session, with their process groups: restic puts its helpers into ones of their own."""
    found: dict[int, int] = {}
    try:
        names = os.listdir("/proc")
    except OSError:
        return found
    for name in filter(str.isdigit, names):
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue  # gone meanwhile
        if int(fields[3]) == session and fields[0] not in "ZX":
            found[int(name)] = int(fields[2])
    return found


def signal_session(session: int, number: int) -> None:
    """Send it once to everybody there: its first process group last, the sender may be in it."""
    for pid in [*(pid for pid, group in members(session).items() if group != session), -session]:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            pass  # nobody is left


def _watch(lifeline: int, session: int, grace: float) -> None:
    os.dup2(lifeline, 0)
    os.closerange(1, 256)  # the command's own output is to end with the command
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.read(0, 1)  # nothing is ever written: this is the agent's end
    try:
        os.kill(session, signal.SIGINT)  # the command alone: it needs its helpers for clearing up
    except ProcessLookupError:
        pass
    for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, min(grace, TERM_SECONDS))):
        end = time.monotonic() + seconds
        while time.monotonic() < end and len(members(session)) > 1:
            time.sleep(_LOOK_SECONDS)
        signal_session(session, number)
    os._exit(0)


def main(lifeline: int, grace: float, niceness: int, command: list[str]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    if os.fork() == 0:
        if os.fork() == 0:  # no child of the command's: that may wait for all of its own
            _watch(lifeline, os.getsid(0), grace)
        os._exit(0)
    os.wait()
    os.close(lifeline)
    os.nice(niceness)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])  # held back by the agent until here
    try:
        os.execvp(command[0], command)  # noqa: S606 - without a shell is what is meant
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
