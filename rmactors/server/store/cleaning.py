"""What agents sent before it was checked on arrival, checked again: functions for the SQL of migrations.

They stay for as long as a migration names them. Each gives back what it got if that fits, so that `x <> kept_x(x)`
finds the rows to change; and what is no text, since a function that raises would keep the server from starting.
"""

import json
import sqlite3
from collections.abc import Callable
from typing import Any, Final

from rmactors.common import bounds, job_stats

MESSAGE: Final = 3_000
"""Characters of what an alert says: an error, and what is said around it."""
_PLANS, _SOURCES = 200, 100
_WHOLE: Final = 1 << 20
"""Characters of JSON; more than that no frame could bring."""


def register(connection: sqlite3.Connection) -> None:
    """Make the functions known to this connection."""
    functions: dict[str, tuple[int, Callable[..., Any]]] = {
        "kept_name": (1, _if_text(bounds.name)),
        "kept_text": (1, _if_text(bounds.text)),
        "kept_message": (1, _if_text(_message)),
        "kept_subject": (1, _if_text(_subject)),
        "kept_plans": (1, _if_text(_plans)),
        "kept_json": (1, _if_text(_json)),
        "kept_stats": (2, _stats),
        "stats_warning": (3, _warning),
    }
    for name, (arguments, function) in functions.items():
        connection.create_function(name, arguments, function, deterministic=True)


def _if_text(fit: Callable[[str], str]) -> Callable[[Any], Any]:
    return lambda value: fit(value) if isinstance(value, str) else value


def _message(value: str) -> str:
    return bounds.text(value, MESSAGE)


def _subject(value: str) -> str:
    """Of a plan's alerts; a schedule's is its id."""
    return "plan:" + bounds.name(value[5:]) if value.startswith("plan:") else value


def _stats(value: Any, kind: str) -> Any:
    if not isinstance(value, str):
        return value
    found = job_stats.fit(value, kind)
    return value if found.as_sent else found.text


def _warning(value: Any, kind: str, warning: Any) -> Any:
    if not isinstance(value, str) or not isinstance(warning, str | None):
        return warning
    return "; ".join(each for each in (warning, job_stats.fit(value, kind).warning) if each) or None


def _plans(value: str) -> str:
    try:
        found = json.loads(value) if len(value) <= _WHOLE else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list):
        return "[]"
    kept = [_plan(plan) for plan in found[:_PLANS] if isinstance(plan, dict)]
    return value if kept == found else json.dumps(kept)


def _plan(plan: dict[str, Any]) -> dict[str, Any]:
    sources = plan.get("sources")
    return {
        "name": _word(plan.get("name"), bounds.name) or "",
        "kind_hint": _word(plan.get("kind_hint"), bounds.name),
        "repository": _word(plan.get("repository"), bounds.text) or "",
        "sources": [bounds.text(each) for each in sources[:_SOURCES] if isinstance(each, str)]
        if isinstance(sources, list)
        else [],
    }


def _word(value: object, fit: Callable[[str], str]) -> str | None:
    return fit(value) if isinstance(value, str) else None


def _json(value: str) -> str:
    """With every text in it cleaned, and cut as a message is. What is no JSON stays: its reader says so."""
    try:
        found = json.loads(value)
        kept = _inside(found)
    except (ValueError, RecursionError):
        return value
    return value if kept == found else json.dumps(kept)


def _inside(value: Any) -> Any:
    if isinstance(value, str):
        return _message(value)
    if isinstance(value, list):
        return [_inside(each) for each in value]
    if isinstance(value, dict):
        return {name: _inside(each) for name, each in value.items()}
    return value
