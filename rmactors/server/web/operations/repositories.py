"""Repositories: found by id, listed in an order, asked about now."""

import re
from typing import Any, Final

from rmactors.server.messages.repositories import RefreshRepository
from rmactors.server.store.queries import repositories as queries
from rmactors.server.store.queries.repositories import RepositoryView
from rmactors.server.store.queries.rows import Page
from rmactors.server.web.access import audit, services
from rmactors.server.web.problems import Problem, not_found, raise_for_answer
from rmactors.server.web.views import repositories as views
from rmactors.server.web.views import repository_figures as figures
from rmactors.server.web.views.repository_figures import Sort

Keyed = tuple[tuple[Any, str], RepositoryView]
"""A repository with its sort key."""

_ID: Final = re.compile(r"[0-9a-f]{64}")


async def require(repository_id: str) -> RepositoryView:
    """The repository, or the 404."""
    known = _ID.fullmatch(repository_id) is not None
    found = await services().reader.run(queries.repository_view, repository_id) if known else None
    if found is None:
        raise not_found("repository")
    return found


async def every(sort: Sort) -> list[Keyed]:
    """All of them in this order: they are fewer than hosts. Of their sizes, those that say how they grow."""
    since = services().now() - figures.LOOKED_AT
    return figures.ordered(await services().reader.run(queries.repository_views, since), sort)


def some(ordered: list[Keyed], limit: int, after: tuple[Any, ...] | None) -> Page[RepositoryView]:
    """Those past the sort key `after`."""
    rest = [(key, view) for key, view in ordered if after is None or key > after]
    shown = rest[:limit]
    return Page([view for _key, view in shown], shown[-1][0] if len(rest) > limit else None)


async def grown(page: Page[RepositoryView]) -> Page[RepositoryView]:
    """The same, with a size for each week that is kept."""
    return Page(await services().reader.run(queries.with_a_size_a_week, page.items), page.after)


async def refresh(view: RepositoryView) -> None:
    """Ask one of its hosts as soon as may be. Raises Problem 409 where none can be asked."""
    now = services().now()
    if why := views.cannot_ask(view, now, services().settings.offline_after_seconds):
        raise Problem(409, why, "conflict")
    record = audit("repository.refresh", "repository", view.id)
    raise_for_answer(await services().ask_store(RefreshRepository(view.id, now, record)), "repository")
