"""The numbers of a repository that pages, API and CSV show alike. Pure."""

from dataclasses import dataclass
from typing import Any

from rmactors.server.store.queries.repositories import RepositoryView, UseRow
from rmactors.server.store.queries.repository_lists import Sort
from rmactors.server.web.what_was_sent import json_list


@dataclass(frozen=True, slots=True)
class Share:
    """What one host has in a repository. `host_id` is None for a host that is not enrolled, and then `name` is what
    restic calls it. `filed_as` is that name always. Numbers are None where they are not known."""

    host_id: str | None
    name: str
    filed_as: str
    snapshots: int | None
    bytes: int | None
    unique_bytes: int | None


def name_of(view: RepositoryView) -> str:
    """As the first of its hosts calls it."""
    return view.uses[0].name


def plans_of(view: RepositoryView) -> list[str]:
    """The names of all plans that use it, each once."""
    return sorted({plan for use in view.uses for plan in json_list(use.plans) if isinstance(plan, str)})


def shares(view: RepositoryView) -> list[Share]:
    """Of each host that has it, and then of those that are not enrolled and have snapshots in it.

    Two hosts that file their snapshots under one name cannot be told apart: of neither it is known what it has.
    """
    told = {str(share.get("host")): share for share in json_list(view.row.shares) if isinstance(share, dict)}
    hosts: dict[str, UseRow] = {}
    for use in view.uses:
        hosts.setdefault(use.host_id, use)
    names = [use.filed_as for use in hosts.values()]
    found = [
        _share(use.host_id, use.host_name, use.filed_as, told if names.count(use.filed_as) == 1 else {})
        for use in hosts.values()
    ]
    return found + [_share(None, host, host, told) for host in told if host not in names]


def unique_bytes(view: RepositoryView) -> int | None:
    """What only one host has, all hosts together; None if that is not known of each."""
    each = [_number(share, "unique_bytes") for share in json_list(view.row.shares)]
    if view.row.measured_at is None or any(one is None for one in each):
        return None
    return sum(one for one in each if one is not None)


def key_shape(sort: Sort) -> tuple[type, ...]:
    """The types in a sort key."""
    return (str, str) if sort == "name" else (int, str)


def _share(host_id: str | None, name: str, filed_as: str, told: dict[str, dict[str, Any]]) -> Share:
    found = told.get(filed_as, {})
    snapshots, held, unique = (_number(found, part) for part in ("snapshots", "bytes", "unique_bytes"))
    return Share(host_id, name, filed_as, snapshots, held, unique)


def _number(share: Any, name: str) -> int | None:
    value = share.get(name) if isinstance(share, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None
