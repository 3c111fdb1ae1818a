"""Looks at this host's repositories as wholes, for the live request `stats`: whose id, how large, whose locks.

Owns nothing. Only reads, never takes a lock, and goes behind everything else on the machine: it may take minutes. A
repository in which a job of this agent runs is not measured. One that fails says so in its item; the others still come.
"""

import os
from collections.abc import Mapping
from typing import Any, Final

import trio

from rmactors.agent import programs
from rmactors.agent.agent_file import AgentFile, AgentFileError
from rmactors.agent.environment import environment_for
from rmactors.agent.job_process import LONGEST_ANSWER, JobProcess
from rmactors.agent.livefeed import LiveFeed
from rmactors.agent.masking import Mask, shown
from rmactors.agent.own_snapshots import read_listing
from rmactors.agent.process import Stop
from rmactors.agent.repository_stats import (
    Amount,
    Config,
    HostShare,
    can_be_told_apart,
    groups,
    lock_told,
    read_amount,
    read_config,
    read_ids,
    shares,
    shares_told,
    told_apart,
)
from rmactors.agent.restic_calls import flags_of
from rmactors.agent.restic_steps import Turns
from rmactors.agent.unlock_job import read_lock
from rmactors.agent.verdict import OutputSummary, cause_of, judge
from rmactors.common import ids
from rmactors.common.vocabulary import REPOSITORY_BUSY

_QUICK_SECONDS: Final = 120.0
"""For what reads a few small files."""
_MEASURE_SECONDS: Final = 25 * 60.0
"""For what reads the trees of all snapshots. The server waits half an hour for one repository."""
APART_SECONDS: Final = 10 * 60.0
"""For what each host alone has, all in all: the rest of it stays unknown."""
_MOST_LOCKS: Final = 20
_LONGEST_ERROR: Final = 500


class _Failed(Exception):
    """restic did not answer as it should. The message is for people."""


class RepositoryLook:
    """A look at one repository of the agent's file. `host` is the name under which this host files its snapshots."""

    def __init__(
        self,
        agent_file: AgentFile,
        name: str,
        host: str,
        jobs: Turns | None,
        spare_cache: str | None = None,
    ) -> None:
        self._file = agent_file
        self._name = name
        self._repository = agent_file.repositories[name]
        self._host = host
        self._jobs = jobs
        self._spare_cache = spare_cache
        self._mask = Mask(self._repository.repository)
        self._environment: dict[str, str] = {}

    async def item(self, *, measure: bool) -> dict[str, Any]:
        """All that is known of it; `error` says why something is not, `measured` whether the numbers are of now."""
        plans = [name for name, plan in self._file.plans.items() if plan.repository == self._name]
        item: dict[str, Any] = {
            "name": self._name, "repository_id": None, "location": shown(self._repository.repository), "plans": plans,
            "version": None, "compression": None, "size_bytes": None, "uncompressed_bytes": None, "snapshots": None,
            "hosts": [], "locks": [], "own_host": self._host, "measured": False, "error": None,
        }  # fmt: skip
        try:
            await self._prepare()
            config = await self._config()
            item |= {"repository_id": config.repository_id, "version": config.version}
            if measure:
                item |= await self._measured()
        except _Failed as failed:
            item["error"] = self._mask(str(failed))[:_LONGEST_ERROR]
        return item

    async def _prepare(self) -> None:
        distrust = await trio.to_thread.run_sync(
            lambda: (
                programs.trouble_of_restic(self._file.restic)
                or programs.trouble_of_repository(self._name, self._repository)
            )
        )
        if distrust:
            raise _Failed(f"nothing was run: {distrust}")
        try:
            self._environment = environment_for(self._repository, os.environ, self._spare_cache)
        except AgentFileError as error:
            raise _Failed(str(error)) from None
        self._environment.pop("RESTIC_HOST", None)  # it would leave out the snapshots of all other hosts

    async def _config(self) -> Config:
        config = read_config(await self._ask(_QUICK_SECONDS, "cat", "config"))
        if config is None:
            raise _Failed("restic's answer to `cat config` cannot be read")
        return config

    async def _measured(self) -> Mapping[str, Any]:
        if self._jobs is not None and self._jobs.is_busy(self._repository):
            raise _Failed(REPOSITORY_BUSY)
        try:
            listed = read_listing(await self._ask(_MEASURE_SECONDS, "snapshots", "--json"))
        except ValueError as error:
            raise _Failed(f"restic's list of snapshots cannot be read: {error}") from None
        began = trio.current_time()
        amount = await self._amount(_MEASURE_SECONDS)
        hosts = await self._apart(shares(listed), amount.size_bytes, trio.current_time() - began)
        return {
            "size_bytes": amount.size_bytes,
            "uncompressed_bytes": amount.uncompressed_bytes,
            "compression": amount.compression,
            "snapshots": len(listed),
            "hosts": shares_told(hosts),
            "locks": await self._locks(),
            "measured": True,
        }

    async def _amount(self, seconds: float, *hosts: str) -> Amount:
        selection = [f"--host={host}" for host in hosts]
        amount = read_amount(await self._ask(seconds, "stats", "--json", "--mode", "raw-data", *selection))
        if amount is None:
            raise _Failed("restic's answer to `stats` cannot be read")
        return amount

    async def _apart(self, hosts: list[HostShare], total: int, took: float) -> list[HostShare]:
        """What each host has and has alone, as far as that can be found out: `took` is how long one look takes."""
        if not can_be_told_apart(hosts):
            return hosts
        amounts: dict[frozenset[str], int] = {}
        deadline = trio.current_time() + APART_SECONDS
        for group in groups(hosts):
            with trio.move_on_at(deadline):
                await self._until_idle()
            left = deadline - trio.current_time()
            if took > left:
                break
            began = trio.current_time()
            try:
                amounts[group] = (await self._amount(left, *sorted(group))).size_bytes
            except _Failed:
                break
            took = max(took, trio.current_time() - began)
        return told_apart(hosts, total, amounts)

    async def _until_idle(self) -> None:
        """A job that has begun meanwhile goes first."""
        if self._jobs is not None:
            await self._jobs.until_idle(self._repository)

    async def _locks(self) -> list[dict[str, Any]]:
        """Those that are there, and can be read: one may go meanwhile."""
        found = []
        for lock_id in read_ids(await self._ask(_QUICK_SECONDS, "list", "locks"))[:_MOST_LOCKS]:
            try:
                lock = read_lock(await self._ask(_QUICK_SECONDS, "cat", "lock", lock_id))
            except _Failed:
                continue
            if lock is not None:
                found.append(lock_told(lock))
        return found

    async def _ask(self, seconds: float, *arguments: str) -> bytes:
        """restic's whole answer. Raises _Failed. It is ended when the repository does not answer at once: others wait,
        and there is another look later."""
        stop, summary, answer = Stop(seconds), OutputSummary(speaks_restic=True), bytearray()
        process = JobProcess(ids.new(), LiveFeed(), self._mask, stop, self._file.cancel_grace_seconds)
        process.in_background = True
        flags = flags_of(self._repository, self._environment)
        command = [self._file.restic, *flags, "--no-lock", *arguments]
        code = await process.run(command, self._environment, summary, stop, give_up=True, answer=answer)
        if stop.reason is not None:
            raise _Failed(cause_of(summary) or f"restic {arguments[0]} took too long")
        verdict = judge("snapshots", code, summary)
        if verdict.status != "succeeded":
            raise _Failed(verdict.error or f"restic {arguments[0]} ended with exit code {code}")
        if len(answer) >= LONGEST_ANSWER:
            raise _Failed(f"restic's answer to `{arguments[0]}` is longer than 64 MiB")
        return bytes(answer)
