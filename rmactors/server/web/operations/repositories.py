"""Repositories: found by id, asked about now."""

import re
from typing import Final

from rmactors.server.messages.repositories import RefreshRepository
from rmactors.server.store.queries import repositories as queries
from rmactors.server.store.queries.repositories import RepositoryView
from rmactors.server.web.access import audit, services
from rmactors.server.web.problems import Problem, not_found, raise_for_answer
from rmactors.server.web.views import repositories as views

_ID: Final = re.compile(r"[0-9a-f]{64}")


async def require(repository_id: str) -> RepositoryView:
    """The repository, or the 404."""
    known = _ID.fullmatch(repository_id) is not None
    found = await services().reader.run(queries.repository_view, repository_id) if known else None
    if found is None:
        raise not_found("repository")
    return found


async def refresh(view: RepositoryView) -> None:
    """Ask one of its hosts as soon as may be. Raises Problem 409 where none can be asked."""
    now = services().now()
    if why := views.cannot_ask(view, now, services().settings.offline_after_seconds):
        raise Problem(409, why, "conflict")
    record = audit("repository.refresh", "repository", view.id)
    raise_for_answer(await services().ask_store(RefreshRepository(view.id, now, record)), "repository")
