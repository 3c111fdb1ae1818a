"""Status pages, as the API shows them; and what one tells programs."""

import json
from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from rmactors.common import clock
from rmactors.server.store.queries.status_pages import StatusPageRow
from rmactors.server.web.api.shapes.rows import shaped
from rmactors.server.web.fields import Time
from rmactors.server.web.views.status_pages import StatusView


class StatusPage(Struct):
    id: str
    name: str
    host_tags: list[str]
    show: Literal["overview", "hosts"]
    created_by: str
    created_at: Time


class NewStatusPage(StatusPage):
    """With the secret of its address, told once."""

    token: str
    url: str


class Hosts(Struct):
    """How many there are, by what the dashboard says of them. `failed`: those with an open alert about a backup."""

    total: int
    ok: int
    warning: int
    critical: int
    failed: int


class Item(Struct):
    """`last_backup`: when a backup ended well last."""

    name: str
    status: Literal["ok", "warning", "critical"]
    last_backup: Time | None


class Told(Struct):
    """`items` only where the page shows hosts: the worst first, at most 500."""

    name: str
    status: Literal["ok", "warning", "critical"]
    as_of: Time
    hosts: Hosts
    items: list[Item] | UnsetType = UNSET


def status_page(row: StatusPageRow) -> StatusPage:
    return shaped(StatusPage, row, host_tags=json.loads(row.host_tags))


def new_status_page(row: StatusPageRow, token: str, url: str) -> NewStatusPage:
    return shaped(NewStatusPage, row, host_tags=json.loads(row.host_tags), token=token, url=url)


def told(view: StatusView) -> Told:
    counts = view.hosts
    return Told(
        view.name,
        view.status,
        clock.to_rfc3339(view.as_of),
        Hosts(counts.total, counts.ok, counts.warning, counts.critical, counts.failed),
        UNSET
        if view.items is None
        else [
            Item(item.name, item.status, clock.to_rfc3339(item.last_backup) if item.last_backup is not None else None)
            for item in view.items
        ],
    )
