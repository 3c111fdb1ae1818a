"""`stats`: this host's repositories as wholes. See `repository_look`."""

import json
from typing import Final

from rmactors.agent.live_requests.context import Context
from rmactors.agent.live_requests.handler import Answer, Handler, Name, Params
from rmactors.agent.live_requests.refusal import Refused
from rmactors.agent.repository_look import RepositoryLook

LONGEST_SECONDS: Final = 2 * 3600.0
"""For all repositories together. The server asks for one at a time, and waits for half an hour."""


class Stats(Params, frozen=True):
    """`repository`: only that one of agent.toml. `identify`: only which they are, which is quick."""

    repository: Name | None = None
    identify: bool = False


async def _answer(context: Context, params: Stats) -> Answer:
    """One item for each repository. Not one of the turns of those who wait: it may take minutes."""
    chosen = [name for name in context.agent_file.repositories if params.repository in (None, name)]
    if params.repository is not None and not chosen:
        raise Refused("not_found", f"there is no repository {params.repository!r} in agent.toml")
    items = []
    for name in chosen:
        look = RepositoryLook(context.agent_file, name, context.host, context.jobs, context.spare_cache)
        items.append(json.dumps(await look.item(measure=not params.identify)).encode())
    return Answer(items)


HANDLER: Final = Handler(Stats, _answer, LONGEST_SECONDS)
