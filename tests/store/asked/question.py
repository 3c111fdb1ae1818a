"""A question to the database: a query function with its arguments, and how its answer is compared."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from rmactors.server.store.database import Database
from rmactors.server.store.queries.rows import Page


@dataclass(frozen=True)
class Question:
    """`shown` is what of the answer is compared. With `pages`, the list is read from one cursor to the next."""

    query: Callable[..., Any]
    args: tuple[Any, ...]
    named: dict[str, Any]
    shown: Callable[[Any], object] = lambda answer: answer
    pages: bool = False

    def answer(self, db: Database) -> str:
        """As text, which tells 1 from True and from 1.0."""
        asked = partial(self.query, db, *self.args, **self.named)
        return repr(self.shown(every_page(asked) if self.pages else asked()))

    def __str__(self) -> str:
        named = [f"{name}={value!r}" for name, value in self.named.items()]
        return f"{self.query.__module__}.{self.query.__name__}({', '.join([*map(repr, self.args), *named])})"


def once(query: Callable[..., Any], *args: Any, **named: Any) -> Question:
    return Question(query, args, named)


def paged(query: Callable[..., Any], *args: Any, **named: Any) -> Question:
    return Question(query, args, named, pages=True)


def unordered(query: Callable[..., Any], *args: Any, **named: Any) -> Question:
    """For an answer whose order means nothing."""
    return Question(query, args, named, shown=in_one_order)


def of_each(query: Callable[..., Any], values: Iterable[Any], *more: Any) -> list[Question]:
    return [once(query, value, *more) for value in values]


def in_one_order(answer: Any) -> list[Any]:
    return sorted(answer.items() if isinstance(answer, dict) else answer, key=repr)


def every_page(asked: Callable[..., Any]) -> list[Any]:
    """What a list answers to each of its cursors."""
    seen, after = [], None
    while True:
        found = asked(after=after)
        page = found if isinstance(found, Page) else found[0]
        seen.append(found)
        if page.after is None:
            return seen
        assert page.after != after
        after = page.after
