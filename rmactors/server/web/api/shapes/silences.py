"""Silences, as the API shows them."""

import msgspec
from msgspec import Struct

from rmactors.server.store.queries.silences import SilenceRow
from rmactors.server.web.api.shapes.rows import shaped
from rmactors.server.web.fields import Time
from rmactors.server.web.operations.silences import Recurrence


class Silence(Struct):
    id: str
    host_id: str | None
    kind: str | None
    tag: str | None
    starts_at: Time
    ends_at: Time | None
    recurrence: Recurrence | None
    reason: str
    created_by: str


def silence(row: SilenceRow) -> Silence:
    recurrence = msgspec.json.decode(row.recurrence, type=Recurrence) if row.recurrence else None
    return shaped(Silence, row, recurrence=recurrence)
