"""Acknowledge and resolve."""

from rmactors.server.messages.requests import Acknowledge, Resolve
from rmactors.server.store.queries import alerts as queries
from rmactors.server.store.queries.alerts import AlertRow
from rmactors.server.web.access import actor, audit, is_id, services
from rmactors.server.web.problems import not_found, raise_for_answer


async def acknowledge(alert_id: str, note: str | None) -> None:
    """By the signed-in user or token. Raises Problem 404 or 409."""
    who, at, record = actor().name, services().now(), audit("alert.acknowledge", "alert", alert_id, note or "")
    answer = await services().ask_rules(lambda reply: Acknowledge(alert_id, who, note or None, at, record, reply))
    raise_for_answer(answer, "alert")


async def resolve(alert_id: str, note: str | None) -> None:
    """By the signed-in user or token. Raises Problem 404."""
    who, at, record = actor().name, services().now(), audit("alert.resolve", "alert", alert_id, note or "")
    answer = await services().ask_rules(lambda reply: Resolve(alert_id, who, note or None, at, record, reply))
    raise_for_answer(answer, "alert")


async def require(alert_id: str) -> AlertRow:
    """The alert, or the 404."""
    row = await services().reader.run(queries.alert, alert_id) if is_id(alert_id) else None
    if row is None:
        raise not_found("alert")
    return row
