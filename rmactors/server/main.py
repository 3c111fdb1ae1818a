"""The server's process: signals, exit codes, and what it prints."""

import logging
import os
import signal
import sys
from typing import Final

import trio

from rmactors import PRODUCT, __version__
from rmactors.common import logs
from rmactors.server.bootstrap import StartError, take_all_files
from rmactors.server.config.settings import Settings, SettingsError
from rmactors.server.nodes.standby import LeaseLostError
from rmactors.server.runtime.supervision import OverBudgetError
from rmactors.server.tree import Server, serve
from rmactors.server.web.auth.setup import token_file
from rmactors.systemd.notify import Notifier

_log = logging.getLogger(__name__)

TURN_SECONDS: Final = 0.0005
"""As long as a thread that makes a page keeps the interpreter while others want it: an ack needs some ten turns."""


def run(settings: Settings) -> int:
    """The server as a process, until SIGTERM or SIGINT. Returns its exit code."""
    take_all_files()
    sys.setswitchinterval(TURN_SECONDS)
    try:
        trio.run(_until_signal, Server(settings, notifier=Notifier.of(os.environ)))
    except (StartError, SettingsError) as error:
        _say(settings, "server.failed", f"rmactors server: {error}", logging.ERROR)
        return 1
    except BaseExceptionGroup as group:
        return _died(settings, group)
    _log.info("stopped", extra=logs.fields("server.stopped"))
    return 0


def _say(settings: Settings, event: str, text: str, level: int = logging.INFO, **values: object) -> None:
    """For the person who started it: always said, and plainly if no program reads the log."""
    if settings.log_format == "text":
        print(text, file=sys.stderr, flush=True)
    else:
        _log.log(level, text, extra=logs.fields(event, **values))


def _died(settings: Settings, group: BaseExceptionGroup[BaseException]) -> int:
    """Say why the process ends, in one line if it is known."""
    known, others = group.split((OverBudgetError, OSError, StartError, LeaseLostError))
    if known is None or others is not None:
        raise group
    error: BaseException = known
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    _say(settings, "server.failed", f"rmactors server: {error}", logging.ERROR)
    return 1


async def _until_signal(server: Server) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_say_ready, server)
        nursery.start_soon(_close_on_signal, server)
        await serve(server)
        nursery.cancel_scope.cancel()


async def _close_on_signal(server: Server) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for number in signals:
            name = signal.Signals(number).name
            _log.info("%s: stopping", name, extra=logs.fields("server.stopping", signal=name))
            server.notifier.tell("STOPPING=1")
            server.closing.set()


async def _say_ready(server: Server) -> None:
    await server.ready.wait()
    server.notifier.tell("READY=1")
    settings = server.settings
    _say(
        settings, "server.started",
        f"{PRODUCT} {__version__}: pages on {settings.public_url}, agents on {settings.public_agent_url}",
        version=__version__, url=settings.public_url, agent_url=settings.public_agent_url, data_dir=settings.data_dir,
    )  # fmt: skip
    for text in settings.warnings:
        _say(settings, "server.insecure" if "COOKIE" in text else "server.settings", text, logging.WARNING)
    if server.setup_token is None:
        return
    if settings.log_format == "json":  # programs collect and keep what they read: no token there
        text = f"no user exists yet: open {settings.public_url}/setup and enter the token in {token_file(settings)}"
        _say(settings, "server.setup", text, logging.WARNING)
        return
    print(
        f"No user exists yet. Open {settings.public_url}/setup within 24 hours and enter this token:\n"
        f"{server.setup_token}",
        file=sys.stderr, flush=True,
    )  # fmt: skip
