"""The filter of the list of alerts, as it stands in its address. Pure."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, cast

from rmactors.common.vocabulary import ALERT_KINDS, SEVERITIES
from rmactors.server.store.queries.alerts import AlertFilter, AlertSort
from rmactors.server.web.views import lists
from rmactors.server.web.views.lists import Asked, ListKind

ALERTS: Final = ListKind(
    "/alerts",
    MappingProxyType({"severity": "severity", "newest": "newest", "oldest": "oldest"}),
    "severity",
    MappingProxyType(
        {"status": ("acknowledged", "resolved", "all"), "kind": ALERT_KINDS, "severity": SEVERITIES}
    ),
    ("q", "host", "tag"),
)  # fmt: skip
"""Without a status it has the open ones. `host` is a host's id, its name, or a part of names."""
_OLD: Final = "host_id"
"""What `host` was called in addresses."""


def asked(given: Mapping[str, str]) -> Asked:
    """What an address asks for."""
    return lists.asked(ALERTS, {**given, "host": given.get("host") or given.get(_OLD, "")})


def filter_of(of: Asked, host_id: str | None = None) -> AlertFilter:
    """What the database is asked for. `host_id`: of the one host that `host` names, if there is one."""
    sort = of.sort.removeprefix("-")
    return AlertFilter(
        status=of.get("status") or "open",  # type: ignore[arg-type]  # a word that the list knows
        severity=of.get("severity") or None,
        kind=of.get("kind") or None,
        host_id=host_id,
        q=of.get("q") or None,
        host=None if host_id is not None else of.get("host") or None,
        tag=of.get("tag") or None,
        anywhere=True,
        sort=cast("AlertSort", sort),
    )
