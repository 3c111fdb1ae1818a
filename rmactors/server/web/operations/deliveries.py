"""Sending again what was not delivered."""

from rmactors.server.messages.channels import RetryDelivery
from rmactors.server.web.access import audit, is_id, services
from rmactors.server.web.problems import not_found, raise_for_answer


async def retry(delivery_id: str) -> None:
    """Raises Problem 404 or 409."""
    if not is_id(delivery_id):
        raise not_found("delivery")
    write = RetryDelivery(delivery_id, services().now(), audit("delivery.retry", "delivery", delivery_id))
    raise_for_answer(await services().ask_store(write), "delivery")
