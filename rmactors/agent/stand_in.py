"""Becomes a command that systemd's variables are to name: `stand_in.py COMMAND …`, a script of its own.

systemd says in LISTEN_PID for which process the sockets are that it passes on. `exec` is that process, and the command
is another one, whose number is known only once it is there. The standard library alone; quick to start.
"""

import os
import signal
import sys

PID_VARIABLES = ("LISTEN_PID", "WATCHDOG_PID", "SYSTEMD_EXEC_PID")


def main(command: list[str], of: str) -> None:
    """`of` is the process that the variables name so far."""
    for name in PID_VARIABLES:
        if os.environ.get(name) == of:
            os.environ[name] = str(os.getpid())
    if not _was_given("LC_CTYPE"):
        os.environ.pop("LC_CTYPE", None)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and the command would go on doing so
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)  # noqa: S606 - without a shell is what is meant
    except FileNotFoundError:
        code, words = 127, "command not found"
    except OSError as error:
        code, words = 126, (error.strerror or str(error)).lower()
    sys.stderr.write(f"rmactors: {command[0]}: {words}\n")
    sys.exit(code)


def _was_given(name: str) -> bool:
    """In the C locale, Python adds a variable as it starts."""
    try:
        with open("/proc/self/environ", "rb") as file:
            return f"\0{name}=".encode() in b"\0" + file.read()
    except OSError:
        return True


if __name__ == "__main__":
    main(sys.argv[2:], sys.argv[1])
