"""What a node asks the database about the lease, on a connection of its own. Synchronous, for a thread."""

import json
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

from rmactors import __version__
from rmactors.common import clock
from rmactors.server.config.secrets import SecretBox, SecretError, key_id, read_keys
from rmactors.server.config.settings import Settings
from rmactors.server.nodes.tenure import RENEWALS
from rmactors.server.store import leadership, secret_rows
from rmactors.server.store.database import Connection, DatabaseError
from rmactors.server.store.engines import postgres_facts
from rmactors.server.store.engines.opening import connect
from rmactors.server.store.leadership import Lease
from rmactors.server.store.migrations import missing

_log = logging.getLogger(__name__)

SAY_SECONDS: Final = 5.0


@dataclass(slots=True)
class Membership:
    """`unable` is why this node would not take the lease, as it was seen last; empty if it would."""

    settings: Settings
    unable: str = ""
    box: SecretBox | None = None
    """Of the server that leads here. It is told which keys a rotation on another machine has replaced."""
    _db: Connection | None = None
    _said_at: float = -SAY_SECONDS
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def look(self) -> Lease:
        """The lease as it is; and now and then this node's word that it is there. Raises DatabaseError."""
        with self._asking():
            if time.monotonic() - self._said_at >= SAY_SECONDS:
                self._say()
            return leadership.look(self._connected())

    def _say(self) -> None:
        """This node is there. Raises DatabaseError."""
        db, settings = self._connected(), self.settings
        off = postgres_facts.clock_off(db, clock.now)
        if self.box is not None:
            self._retire(db, self.box)
        self.unable = self._why_not(db, off)
        keys = json.dumps(self._key_ids())
        leadership.say(db, settings.own_node_name, settings.own_node_url, __version__, keys, off)
        self._said_at = time.monotonic()

    def take(self) -> int | None:
        """The turn, if the lease is this node's from now on. Raises DatabaseError."""
        settings = self.settings
        with self._asking():
            return leadership.take(
                self._connected(), settings.own_node_name, settings.own_node_url, settings.lease_seconds
            )

    def renew(self, turn: int) -> bool:
        """False if it is another's. Raises DatabaseError."""
        with self._asking():
            kept = leadership.renew(self._connected(), turn, self.settings.lease_seconds)
            if kept and time.monotonic() - self._said_at >= SAY_SECONDS:
                self._say()
            return kept

    def give_back(self, turn: int) -> None:
        """Never raises: without it, the lease runs out by itself."""
        with suppress(*DatabaseError), self._asking():
            leadership.give_back(self._connected(), turn)
        self.close()

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """One question at a time, from whichever thread; after a failure, on a new connection."""
        with self._lock:
            try:
                yield
            except DatabaseError:
                self.close()
                raise

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _connected(self) -> Connection:
        if self._db is None:
            self._db = connect(self.settings.place, patience=self.settings.lease_seconds / RENEWALS)
        return self._db

    def _retire(self, db: Connection, box: SecretBox) -> None:
        try:
            box.retire(secret_rows.retired(db))
        except SecretError as error:
            _log.warning("%s", error)

    def _key_ids(self) -> list[str]:
        try:
            return [key_id(raw).hex() for raw in read_keys(self.settings.key_file)]
        except (OSError, SecretError):
            return []

    def _why_not(self, db: Connection, off: int) -> str:
        if abs(off) > postgres_facts.CLOCK_WRONG:
            return (
                f"this node's clock is {abs(off) / clock.SECOND:.0f} s {'ahead of' if off > 0 else 'behind'} the"
                " database's: set both by NTP"
            )
        _, unknown = missing(db)
        if unknown:
            return "the database was written by a newer version: upgrade this node"
        try:
            if not self.settings.key_file.exists():
                if secret_rows.holds_secrets(db):
                    return f"the key file {self.settings.key_file} is missing: copy the leader's"
            else:
                secret_rows.checked_box(db, self.settings.key_file)
        except (SecretError, OSError) as error:
            return f"the secrets in the database cannot be opened with this node's key file: {error}"
        return ""
