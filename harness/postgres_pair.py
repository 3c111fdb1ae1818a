"""A primary and its synchronous standby, which takes over when the primary is killed."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from harness.postgres import PostgresServer
from harness.processes import eventually

STANDBY: Final = "standby"
"""What the one that follows calls itself, whichever of the two it is."""


class Pair:
    """No commit is answered before both have it: while one is away, commits wait."""

    def __init__(self, **options: Any) -> None:
        both: dict[str, Any] = {"durable": True, "tcp": True, "wal_keep_size": "256MB"} | options
        self.primary, self.standby = PostgresServer(**both), PostgresServer(**both)

    @property
    def both(self) -> tuple[PostgresServer, PostgresServer]:
        return self.primary, self.standby

    def start(self) -> None:
        self.primary.start()
        self.standby.follow(self.primary, STANDBY)
        for server in self.both:
            server.set(synchronous_standby_names=STANDBY)
            server.execute("SELECT pg_reload_conf()")
        self.wait_until_synchronous()

    def fail_over(self) -> None:
        """SIGKILL to the primary: the standby leads from now on."""
        self.primary.kill()
        self.standby.promote()
        self.primary, self.standby = self.standby, self.primary

    def rebuild(self) -> None:
        """The one that was killed comes back as the standby."""
        self.standby.follow(self.primary, STANDBY)
        self.wait_until_synchronous()

    def wait_until_synchronous(self) -> None:
        def synchronous() -> bool:
            return self.primary.execute("SELECT sync_state FROM pg_stat_replication") == [("sync",)]

        eventually(synchronous, 120, lambda: f"no synchronous standby\n{self.standby.log[-4000:]}")

    def remove(self) -> None:
        for server in self.both:
            server.remove()


@contextmanager
def running_pair(**options: Any) -> Iterator[Pair]:
    """Two that are ready, and gone at the end of the block however that ends."""
    pair = Pair(**options)
    try:
        pair.start()
        yield pair
    finally:
        pair.remove()
