"""Acknowledge, resolve, silence; several at once."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from rmactors.common import clock
from rmactors.server.messages.answers import Duplicate
from rmactors.server.messages.requests import Acknowledge, Resolve
from rmactors.server.store.queries import alerts as queries
from rmactors.server.store.queries.alerts import AlertRow
from rmactors.server.web.access import actor, audit, is_id, services
from rmactors.server.web.operations import silences
from rmactors.server.web.operations.silences import SilenceBody
from rmactors.server.web.problems import Problem, conflict, invalid_field, not_found, raise_for_answer
from rmactors.server.web.views.texts import _

_LONGEST_REASON = 500
MAY_BE_MEANT = "backup_suspicious"
"""The kind of alert to which an operator may answer that it is meant."""


async def acknowledge(alert_id: str, note: str | None) -> None:
    """By the signed-in user or token. Raises Problem 404 or 409."""
    who, at, record = actor().name, services().now(), audit("alert.acknowledge", "alert", alert_id, note or "")
    answer = await services().ask_rules(lambda reply: Acknowledge(alert_id, who, note or None, at, record, reply))
    raise_for_answer(answer, "alert")


@dataclass(frozen=True, slots=True)
class Failure:
    """Why it was not done to one of them."""

    id: str
    detail: str


async def to_each(alert_ids: Sequence[str], act: Callable[[AlertRow], Awaitable[None]]) -> tuple[int, list[Failure]]:
    """How many of them it was done to, each once, and where it could not be done."""
    done, failed = 0, list[Failure]()
    for alert_id in dict.fromkeys(alert_ids):
        try:
            await act(await require(alert_id.upper()))
            done += 1
        except Problem as problem:
            if problem.status >= 500:
                raise
            failed.append(Failure(alert_id, problem.detail))
    return done, failed


def silencing(note: str | None, hours: float) -> Callable[[AlertRow], Awaitable[None]]:
    """Silences what an alert is about, its host and kind, for so many hours from now: once for several alerts alike."""
    silenced = set[tuple[str, str]]()
    ends_at = clock.to_rfc3339(services().now() + clock.seconds(hours * 3600))
    reason = (note or "").strip()[:_LONGEST_REASON] or _("Silenced together with other alerts")

    async def silence(row: AlertRow) -> None:
        if (row.host_id, row.kind) in silenced:
            return
        if not row.host_id:
            raise conflict(_("It is about no host: silence it on its own."))
        await silences.create(SilenceBody(reason, row.host_id, row.kind, ends_at=ends_at))  # type: ignore[arg-type]
        silenced.add((row.host_id, row.kind))

    return silence


async def resolve(row: AlertRow, note: str | None, meant: bool | None) -> None:
    """By the signed-in user or token. `meant` answers a backup that looks wrong: later ones are compared with it. None:
    it is meant where that can be.

    Raises Problem 404; where it is meant, 422 for another kind of alert, and 409 if it was resolved without that.
    """
    if meant and row.kind != MAY_BE_MEANT:
        raise invalid_field("/meant", f"is an answer to {MAY_BE_MEANT} alone; this alert is {row.kind}")
    so = meant if meant is not None else row.kind == MAY_BE_MEANT
    who, at, record = actor().name, services().now(), audit("alert.resolve", "alert", row.id, detail(note, so))
    answer = await services().ask_rules(lambda reply: Resolve(row.id, who, note or None, at, record, reply, meant=so))
    raise_for_answer(answer, "alert")
    if meant and isinstance(answer, Duplicate) and not await services().reader.run(queries.was_meant, row.id):
        raise conflict(_("The alert was resolved already, so what backups are compared with has not changed."))


def detail(note: str | None, meant: bool) -> str:
    """What the audit trail says of a resolution."""
    return ": ".join(filter(None, ("meant" if meant else "", note)))


async def require(alert_id: str) -> AlertRow:
    """The alert, or the 404."""
    row = await services().reader.run(queries.alert, alert_id) if is_id(alert_id) else None
    if row is None:
        raise not_found("alert")
    return row
