"""`/healthz` and `/livez` for monitors of the server, `/metrics` for Prometheus."""

from typing import Literal

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST
from quart import Blueprint, Response

from rmactors import __version__
from rmactors.server.web.access import route, services, state
from rmactors.server.web.api.bodies import json_response

blueprint = Blueprint("health", __name__)


class HealthReport(msgspec.Struct):
    """`checks` maps `store`, `rules` and `delivery` to `ok` or to what is wrong; whatever else is down is named too."""

    status: Literal["ok", "failing"]
    version: str
    checks: dict[str, str]


@route(blueprint, "/healthz", role="public", answer=HealthReport)
async def healthz() -> Response:
    """200 when all is well, 503 when the store cannot commit or an actor is down."""
    health = services().health()
    report = HealthReport("ok" if health.ok else "failing", __version__, health.checks)
    return json_response(report, 200 if health.ok else 503)


class Alive(msgspec.Struct):
    status: Literal["ok"]


@route(blueprint, "/livez", role="public", answer=Alive)
async def livez() -> Response:
    """200 as long as this node answers at all, whether it leads or waits, and whatever `/healthz` says."""
    return json_response(Alive("ok"))


@route(blueprint, "/metrics", role="viewer")
async def metrics() -> Response:
    """Prometheus text format."""
    return Response(await state().metrics(), content_type=CONTENT_TYPE_LATEST)
