"""`rmactors demo`."""

import logging
import signal
import sys

import click
import trio

from rmactors.demo.story import tell


@click.command()
@click.option("--once", is_flag=True, help="End when the raise and the resolution have arrived; 0 if they have.")
def demo(once: bool) -> None:
    """A server on an empty temporary data dir, an agent of this machine with a real restic repository, one backup
    that succeeds and one that fails, and a sink that prints the notifications as they arrive."""
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(name)s: %(message)s")
    sys.exit(0 if trio.run(_until_signal, once) else 1)


async def _until_signal(once: bool) -> bool:
    stop = trio.Event()
    told = False

    async def listen() -> None:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                if stop.is_set():  # asked twice: at once
                    nursery.cancel_scope.cancel()
                stop.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(listen)
        told = await tell(once, stop)
        nursery.cancel_scope.cancel()
    return told
