"""What was not delivered: sent again, or dismissed."""

from rmactors.server.messages.channels import DismissDelivery, RetryDelivery
from rmactors.server.web.access import audit, is_id, services
from rmactors.server.web.problems import not_found, raise_for_answer


async def retry(delivery_id: str) -> None:
    """Raises Problem 404 or 409."""
    if not is_id(delivery_id):
        raise not_found("delivery")
    write = RetryDelivery(delivery_id, services().now(), audit("delivery.retry", "delivery", delivery_id))
    raise_for_answer(await services().ask_store(write), "delivery")


async def dismiss(delivery_id: str) -> None:
    """It stays dead and counts no longer. Raises Problem 404 or 409."""
    if not is_id(delivery_id):
        raise not_found("delivery")
    write = DismissDelivery(delivery_id, services().now(), audit("delivery.dismiss", "delivery", delivery_id))
    raise_for_answer(await services().ask_store(write), "delivery")
