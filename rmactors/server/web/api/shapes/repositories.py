"""Repositories, as the API shows them."""

from typing import Any

from msgspec import Struct

from rmactors.common import clock
from rmactors.server.store.queries.repositories import RepositoryView
from rmactors.server.web.api.shapes.rows import JsonObject, shaped
from rmactors.server.web.fields import Time
from rmactors.server.web.views import repository_figures as figures
from rmactors.server.web.what_was_sent import json_list


class RepositoryHost(Struct):
    """A host that has the repository in its agent.toml. Numbers are null where they are not known."""

    id: str
    name: str
    filed_as: str
    snapshots: int | None
    bytes: int | None
    unique_bytes: int | None


class OtherHost(Struct):
    """A host that is not enrolled, and has snapshots in it."""

    name: str
    snapshots: int | None
    bytes: int | None
    unique_bytes: int | None


class RepositoryUse(Struct):
    """The repository in one host's agent.toml; `error` is why it could not be looked at the last time."""

    host_id: str
    host_name: str
    name: str
    location: str
    plans: list[str]
    error: str | None
    error_at: Time | None


class GrowthPoint(Struct):
    at: Time
    bytes: int


class Repository(Struct):
    id: str
    name: str
    location: str
    hosts: list[RepositoryHost]
    other_hosts: list[OtherHost]
    plans: list[str]
    uses: list[RepositoryUse]
    snapshots: int | None
    size_bytes: int | None
    unique_bytes: int | None
    uncompressed_bytes: int | None
    compression: float | None
    version: int | None
    last_check: Time | None
    last_prune: Time | None
    last_restore_test: Time | None
    locks: list[JsonObject]
    growth_bytes_a_month: int | None
    growth: list[GrowthPoint]
    measured_at: Time | None
    measured_by: str | None
    wanted_at: Time | None


def repository(view: RepositoryView) -> Repository:
    """With the sizes that were read: in a list one a week."""
    shares = figures.shares(view)
    ends: dict[str, Any] = {f"last_{kind}": view.cares.get(kind) for kind in ("check", "prune", "restore_test")}
    return shaped(
        Repository,
        view.row,
        name=figures.name_of(view),
        location=view.uses[0].location,
        hosts=[shaped(RepositoryHost, share, id=share.host_id) for share in shares if share.host_id is not None],
        other_hosts=[shaped(OtherHost, share) for share in shares if share.host_id is None],
        plans=figures.plans_of(view),
        uses=[shaped(RepositoryUse, use, plans=json_list(use.plans)) for use in view.uses],
        unique_bytes=figures.unique_bytes(view),
        locks=json_list(view.row.locks),
        growth_bytes_a_month=view.row.growth_bytes,
        growth=[shaped(GrowthPoint, size) for size in view.sizes],
        **{name: None if care is None else clock.to_rfc3339(care.at) for name, care in ends.items()},
    )
