"""What a handler has to work with: the agent's file, restic, and what is kept between requests."""

import os
from dataclasses import dataclass

import trio

from rmactors.agent import programs, this_host
from rmactors.agent.agent_file import AgentFile, AgentFileError, Plan, Repository
from rmactors.agent.environment import environment_for
from rmactors.agent.live_requests.listings import Listings
from rmactors.agent.live_requests.reader import Reader
from rmactors.agent.live_requests.refusal import Refused
from rmactors.agent.own_snapshots import Identity, identity_of
from rmactors.agent.restic_steps import Counters, Turns


@dataclass(frozen=True, slots=True)
class AskedPlan:
    """A plan of the agent's file that a request is about."""

    name: str
    plan: Plan
    repository: Repository
    identity: Identity


@dataclass(slots=True)
class Context:
    """`turns` is how many restics may run at once. `checked` are snapshots that were seen to be this host's, as (place
    of the repository, full id): an id never names another content. `listings` are gone with the connection. `jobs`
    knows whether a job of this agent has a repository.
    """

    agent_file: AgentFile
    counters: Counters
    turns: trio.CapacityLimiter
    checked: set[tuple[str, str]]
    listings: Listings
    spare_cache: str | None = None
    jobs: Turns | None = None

    @property
    def host(self) -> str:
        """The name under which this host's snapshots are filed."""
        return self.agent_file.host or this_host.hostname()

    def plan(self, name: str) -> AskedPlan:
        """Raises Refused."""
        plan = self.agent_file.plans.get(name)
        if plan is None:
            known = ", ".join(self.agent_file.plans) or "none"
            raise Refused("not_found", f"there is no plan {name!r} in agent.toml; its plans: {known}")
        repository = self.agent_file.repositories[plan.repository]
        return AskedPlan(name, plan, repository, identity_of(self.agent_file, name, self.host))

    async def reader(self, repository_name: str) -> Reader:
        """restic on a repository of the agent's file. Raises Refused if what would run is not to be trusted."""
        repository = self.agent_file.repositories[repository_name]
        try:
            environment = environment_for(repository, os.environ, self.spare_cache)
        except AgentFileError as error:
            raise Refused("failed", str(error)) from None

        def distrusted() -> str | None:
            restic = programs.trouble_of_restic(self.agent_file.restic)
            return restic or programs.trouble_of_repository(repository_name, repository)

        if trouble := await trio.to_thread.run_sync(distrusted):
            raise Refused("failed", f"nothing was run: {trouble}")
        return Reader(self.agent_file.restic, repository, environment, self.turns)
