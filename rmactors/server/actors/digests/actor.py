"""Makes the digests that are due.

Owns      nothing.
Receives  nothing: it looks now and then whether a channel's digest is due.
Sends     `QueueDigest` to the store, one at a time. What a digest says is read before, beside the writer, some hosts at
          a time: the write is as small as that of any other notification.
Restart   looks again. That a slot had its digest is on disk together with the digest.

After a time without the server there is one digest, about all of it.
"""

import logging

import trio

from rmactors.common import clock, ids
from rmactors.common.logs import fields
from rmactors.server.actors.digests import slots, wording
from rmactors.server.messages.answers import Committed, Stale
from rmactors.server.messages.digests import QueueDigest
from rmactors.server.messages.writes import Commit
from rmactors.server.runtime.mailbox import Outlet, ask_store
from rmactors.server.state.digest import DigestChannel, HostFigures
from rmactors.server.store.database import DatabaseError
from rmactors.server.store.queries.digests import alerts_elsewhere, digest_channels, host_figures
from rmactors.server.store.reader import Reader

_log = logging.getLogger(__name__)

EVERY_SECONDS = 15.0
HOSTS = 200
"""Read at once."""


async def run(to_store: Outlet[Commit], reader: Reader, first: float, every: float = EVERY_SECONDS) -> None:
    """Look again and again: after `first` seconds, in which agents report what they could not before, then `every` so
    often."""
    await trio.sleep(first)
    while True:
        try:
            await queue_due(to_store, reader, clock.now())
        except DatabaseError as error:
            _log.warning("the digests that are due cannot be made: %s", error)
        await trio.sleep(every)


async def queue_due(to_store: Outlet[Commit], reader: Reader, now: int) -> None:
    """Queue each channel's digest whose time has come. Raises DatabaseError."""
    for channel in await reader.run(digest_channels):
        slot = slots.due(channel, now)
        if slot is not None:
            await _queue(to_store, channel, slot, await _message(reader, channel, slot))


async def _message(reader: Reader, channel: DigestChannel, slot: int) -> str:
    hosts: list[HostFigures] = []
    after: str | None = ""
    while after is not None:
        found, after = await reader.run(host_figures, channel.host_tags, channel.since, slot, after, HOSTS)
        hosts += found
    tagged = bool(channel.host_tags)
    elsewhere = 0 if tagged else await reader.run(alerts_elsewhere)
    return wording.text(hosts, elsewhere, channel.since, channel.timezone, tagged)


async def _queue(to_store: Outlet[Commit], channel: DigestChannel, slot: int, message: str) -> None:
    write = QueueDigest(channel.id, ids.new(), ids.new(), channel.digest, channel.since, slot, message, clock.now())
    answer = await ask_store(to_store, write)
    if not isinstance(answer, Committed | Stale):  # Stale: it was changed meanwhile, and is looked at again
        said = fields("digest.failed", channel_id=channel.id)
        _log.warning("a digest cannot be queued, and is tried again: %s", answer, extra=said)
