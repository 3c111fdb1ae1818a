"""The filter of a list of alerts, as it stands in a URL. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlencode

from rmactors.common.vocabulary import ALERT_KINDS, SEVERITIES
from rmactors.server.store.queries.alerts import AlertFilter

_STATUSES: Final = ("open", "acknowledged", "resolved", "all")


def filter_from(given: Mapping[str, str]) -> AlertFilter:
    """The filter that a URL asks for. What is not a known word counts as not given: a page is no API."""
    status = given.get("status", "")
    host = given.get("host") or given.get("host_id") or None
    return AlertFilter(
        status=status if status in _STATUSES else "open",  # type: ignore[arg-type]
        severity=_known(given.get("severity"), SEVERITIES),
        kind=_known(given.get("kind"), ALERT_KINDS),
        host_id=host[:26] if host else None,
        q=(given.get("q") or "").strip().replace("\0", "")[:200] or None,
    )


def query_of(wanted: AlertFilter) -> str:
    """The filter as a query string without the question mark; defaults are left out."""
    parts = {
        "status": wanted.status if wanted.status != "open" else "",
        "severity": wanted.severity,
        "kind": wanted.kind,
        "host": wanted.host_id,
        "q": wanted.q,
    }
    return urlencode({name: value for name, value in parts.items() if value})


def href(wanted: AlertFilter, **changed: Any) -> str:
    """The list narrowed like this, with some of it changed."""
    query = query_of(replace(wanted, **changed))
    return "/alerts" + (f"?{query}" if query else "")


def _known(value: str | None, allowed: Sequence[str]) -> str | None:
    return value if value in allowed else None
