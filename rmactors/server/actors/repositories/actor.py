"""Asks agents about their repositories: how large they are, whose snapshots are in them, who locks them.

Owns      which hosts are asked just now, and which repositories are measured there.
Receives  a wake-up where somebody wants to know now; else it looks now and then who is due.
Sends     questions to agents, through their hosts' actors; what they told, and when they are asked again, to the store.
Restart   looks again. Who is due stands in the database; a look that was cut short is begun again, and what it had
          measured is fresh.

A repository is measured at most daily, whichever of its hosts is asked first: measuring may take it minutes. Only a few
hosts are asked at a time, and those that are not there, or may not tell, are left alone.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Final, assert_never

import trio

from rmactors.common import clock
from rmactors.common.logs import fields
from rmactors.server.actors.repositories import agenda
from rmactors.server.actors.repositories.agenda import Away, Listed, Problem
from rmactors.server.messages.answers import Committed
from rmactors.server.messages.live_requests import AskAgentFor
from rmactors.server.messages.repositories import (
    FoundRepository,
    PostponeLook,
    SaveRepositories,
    SettleLook,
)
from rmactors.server.messages.writes import Commit
from rmactors.server.runtime.mailbox import Outlet, Signal, ask_store
from rmactors.server.state.repositories import DueHost, ToMeasure
from rmactors.server.store.database import DatabaseError
from rmactors.server.store.queries.repositories import hosts_to_ask, to_measure
from rmactors.server.store.reader import Reader

_log = logging.getLogger(__name__)

EVERY_SECONDS: Final = 15.0
AT_ONCE: Final = 4
"""Hosts that are asked at the same time."""
IDENTIFY_SECONDS: Final = 1200.0
MEASURE_SECONDS: Final = 1800.0
AGAIN_SECONDS: Final = 60.0
"""A host whose look cannot be put down because the store takes nothing is left alone for so long."""


async def run(
    to_store: Outlet[Commit],
    reader: Reader,
    ask: AskAgentFor,
    wanted: Signal,
    offline_after_seconds: float,
    first: float,
    now: Callable[[], int] = clock.now,
    every: float = EVERY_SECONDS,
) -> None:
    """Look who is due, after `first` seconds and then `every` so often, or when it is `wanted`."""
    await trio.sleep(first)
    async with trio.open_nursery() as nursery:
        looks = Looks(to_store, reader, ask, wanted, clock.seconds(offline_after_seconds), now)
        while True:
            try:
                await looks.start_due(nursery)
            except DatabaseError as error:
                _log.warning("whose repositories are to be looked at cannot be read: %s", error)
            with trio.move_on_after(every):
                await wanted.wait()


class Looks:
    """The looks that are going on: at most one at a host, and at a repository."""

    def __init__(
        self,
        to_store: Outlet[Commit],
        reader: Reader,
        ask: AskAgentFor,
        ended: Signal,
        silence: int,
        now: Callable[[], int],
    ) -> None:
        self._to_store = to_store
        self._reader = reader
        self._ask = ask
        self._ended = ended
        self._silence = silence
        self._now = now
        self._asked: set[str] = set()
        self._measured: set[str] = set()
        self._begun: dict[str, int] = {}
        """Which of all measurements was the last one of a repository, counted from 1."""
        self._count = 0

    async def start_due(self, nursery: trio.Nursery) -> None:
        """Ask as many of those that are due as there is room for. Raises DatabaseError."""
        if len(self._asked) >= AT_ONCE:
            return
        now, left_out = self._now(), set(self._asked)  # one whose look ends meanwhile is read as still due
        for host in await self._reader.run(hosts_to_ask, now, now - self._silence, AT_ONCE + len(self._asked)):
            if host.id not in left_out and len(self._asked) < AT_ONCE:
                self._asked.add(host.id)
                nursery.start_soon(self._look, host, name=f"repositories of {host.name}")

    async def _look(self, host: DueHost) -> None:
        try:
            settled = await self._look_at(host)
            if not await self._write(settled):
                await trio.sleep(AGAIN_SECONDS)
        finally:
            self._asked.discard(host.id)
            self._ended.set()

    async def _look_at(self, host: DueHost) -> SettleLook | PostponeLook:
        """Which repositories it has; then, one by one, those that nobody has measured today."""
        at = self._now()
        answer = await self._ask(host.id, "stats", {"identify": True}, IDENTIFY_SECONDS)
        match agenda.heard(answer):
            case Away():
                return agenda.when_away(host, self._now())
            case Problem() as problem:
                _tell(host, agenda.in_words(problem))
                return agenda.after_look(host, at, problem, ())
            case Listed(found):
                return await self._measure_those(host, at, found)

    async def _measure_those(
        self, host: DueHost, at: int, found: tuple[FoundRepository, ...]
    ) -> SettleLook | PostponeLook:
        named = {one.name: one for one in found}
        errors = [one.error for one in found if one.error is not None]
        if not await self._write(SaveRepositories(host.id, at, found, all_of_them=True)):
            return agenda.when_away(host, self._now())
        tried: set[str] = set()
        try:
            while (one := await self._next(host, at, tried)) is not None:
                tried.add(one.repository_id)
                self._measured.add(one.repository_id)
                self._count += 1
                self._begun[one.repository_id] = self._count
                try:
                    failed = await self._measure(host, at, one, named[one.name])
                finally:
                    self._measured.discard(one.repository_id)
                if isinstance(failed, Away):
                    return agenda.when_away(host, self._now())
                if failed is not None:
                    errors.append(failed)
        except DatabaseError as trouble:
            _log.warning("what is to be measured cannot be read: %s", trouble)
            return agenda.when_away(host, self._now())
        for error in errors:
            _tell(host, error)
        return agenda.after_look(host, at, None, errors)

    async def _next(self, host: DueHost, at: int, tried: set[str]) -> ToMeasure | None:
        """What is to be measured at this host next: not what another host measures, or has just measured. Raises
        DatabaseError."""
        left_out, before = tried | self._measured, self._count
        todo = await self._reader.run(to_measure, host.id, at - agenda.FRESH)
        # One that began meanwhile may have ended meanwhile, too: what was read does not know of it.
        left = (one for one in todo if one.repository_id not in left_out)
        return next((one for one in left if self._begun.get(one.repository_id, 0) <= before), None)

    async def _measure(self, host: DueHost, at: int, what: ToMeasure, known: FoundRepository) -> str | Away | None:
        """None if all went well, else what did not."""
        answer = await self._ask(host.id, "stats", {"repository": what.name}, MEASURE_SECONDS)
        match agenda.heard(answer):
            case Away() as away:
                return away
            case Problem() as problem:
                told = replace(known, error=agenda.in_words(problem))
            case Listed(found):
                gone = replace(known, error="its agent does not know it any more")
                told = next((one for one in found if one.name == what.name), gone)
            case _ as never:
                assert_never(never)
        await self._write(SaveRepositories(host.id, at, (told,), all_of_them=False))
        return told.error

    async def _write(self, write: SaveRepositories | SettleLook | PostponeLook) -> bool:
        answer = await ask_store(self._to_store, write)
        if not isinstance(answer, Committed):
            _log.warning("what a host told of its repositories cannot be put down: %s", answer)
        return isinstance(answer, Committed)


def _tell(host: DueHost, error: str) -> None:
    """Only the first time of several in a row."""
    level = logging.DEBUG if host.failures else logging.INFO
    said = fields("repositories.not_seen", host_id=host.id, host=host.name, error=error)
    _log.log(level, "a repository could not be looked at", extra=said)
