"""Which kinds of request this agent answers, and by what."""

from collections.abc import Mapping
from typing import Any, Final

from rmactors.agent.live_requests import browse, diff, find, preview, snapshots, stats
from rmactors.agent.live_requests.handler import Handler
from rmactors.common.vocabulary import LiveRequest

HANDLERS: Final[Mapping[LiveRequest, Handler[Any]]] = {
    "snapshots": snapshots.HANDLER,
    "browse": browse.HANDLER,
    "find": find.HANDLER,
    "diff": diff.HANDLER,
    "preview": preview.HANDLER,
    "stats": stats.HANDLER,
}
