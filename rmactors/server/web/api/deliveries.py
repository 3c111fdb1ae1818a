"""`/api/deliveries`: what was given up, sent again or dismissed."""

from quart import Blueprint, Response

from rmactors.server.store.queries import channels as queries
from rmactors.server.web.access import route, services
from rmactors.server.web.api.bodies import json_response, no_body
from rmactors.server.web.api.shapes import channels as shapes
from rmactors.server.web.operations import deliveries
from rmactors.server.web.problems import not_found

blueprint = Blueprint("api_deliveries", __name__)


@route(
    blueprint, "/api/deliveries/<delivery_id>/retry", role="operator", methods=["POST"], answer=shapes.Delivery,
    status=202,
)  # fmt: skip
async def retry_delivery(delivery_id: str) -> Response:
    """A dead delivery is due again. 409 where it is not dead, or its channel is off."""
    await no_body()
    await deliveries.retry(delivery_id)
    return await _delivery(delivery_id, 202)


@route(
    blueprint, "/api/deliveries/<delivery_id>/dismiss", role="operator", methods=["POST"], answer=shapes.Delivery,
)  # fmt: skip
async def dismiss_delivery(delivery_id: str) -> Response:
    """A dead delivery that nobody wants any more: it stays dead and counts no longer. 409 where it is not dead."""
    await no_body()
    await deliveries.dismiss(delivery_id)
    return await _delivery(delivery_id, 200)


async def _delivery(delivery_id: str, status: int) -> Response:
    row = await services().reader.run(queries.delivery, delivery_id)
    if row is None:
        raise not_found("delivery")
    return json_response(shapes.delivery(row), status)
