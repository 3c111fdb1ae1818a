"""`/api/deliveries`: sending again what was given up."""

from quart import Blueprint, Response

from rmactors.server.messages.channels import RetryDelivery
from rmactors.server.store.queries import channels as queries
from rmactors.server.web.access import audit, is_id, route, services
from rmactors.server.web.api import shapes
from rmactors.server.web.api.bodies import json_response, no_body
from rmactors.server.web.problems import not_found, settled

blueprint = Blueprint("api_deliveries", __name__)


@route(
    blueprint, "/api/deliveries/<delivery_id>/retry", role="operator", methods=["POST"], answer=shapes.Delivery,
    status=202,
)  # fmt: skip
async def retry_delivery(delivery_id: str) -> Response:
    """A dead delivery is due again. 409 where it is not dead, or its channel is off."""
    await no_body()
    await retry(delivery_id)
    row = await services().reader.run(queries.delivery, delivery_id)
    if row is None:
        raise not_found("delivery")
    return json_response(shapes.delivery(row), 202)


async def retry(delivery_id: str) -> None:
    """For pages as well. Raises Problem 404 or 409."""
    if not is_id(delivery_id):
        raise not_found("delivery")
    write = RetryDelivery(delivery_id, services().now(), audit("delivery.retry", "delivery", delivery_id))
    settled(await services().ask_store(write), "delivery")
