"""The web application: which blueprints there are, and what is put around every answer.

Routes reach the rest of the server only through `Services`.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from quart import Response, request
from quart.wrappers.base import BaseRequestWebsocket
from quart_trio import QuartTrio
from werkzeug.exceptions import BadHost
from werkzeug.routing import MapAdapter

from rmactors.server.web import access, api, auth, compression, errors, pages, static_files
from rmactors.server.web.auth import proof
from rmactors.server.web.auth.login_guard import LoginGuard
from rmactors.server.web.auth.passwords import Passwords
from rmactors.server.web.auth.throttle import Throttle
from rmactors.server.web.blueprints import blueprints
from rmactors.server.web.security import Perimeter
from rmactors.server.web.services import Services
from rmactors.server.web.sizes import MAX_BODY_BYTES, SizedConnection, SizedRequest

_BLUEPRINTS: Final = tuple(blueprint for part in (auth, api, pages) for blueprint in blueprints(part))
_ACTIONS_A_MINUTE: Final = 10
"""Links in messages that an address may follow, looking and acting together."""


class Site(QuartTrio):
    """Quart where it takes every byte that a request may hold: what follows would be a 500 without a header of ours."""

    request_class = SizedRequest
    asgi_http_class = SizedConnection

    def create_url_adapter(self, request: BaseRequestWebsocket | None) -> MapAdapter | None:
        """Also for a `Host` that can be no name: the guard refuses it, as any that is not ours."""
        try:
            return super().create_url_adapter(request)
        except BadHost:
            assert request is not None
            return self.url_map.bind("host.invalid", default_method=request.method, path_info=request.path)

    async def send_static_file(self, filename: str) -> Response:
        return static_files.answer(filename)


async def _no_metrics() -> bytes:
    return b"# HELP rmactors_info An application without a server around it has nothing to tell.\n"


def create_app(
    services: Services,
    *,
    passwords: Passwords | None = None,
    metrics: Callable[[], Awaitable[bytes]] = _no_metrics,
    keep_alive_seconds: float = 15.0,
) -> Site:
    """The ASGI application.

    `metrics` gives what `/metrics` answers, in Prometheus' text format. A quiet `/events` stream says something every
    `keep_alive_seconds`, and looks whether its reader is still signed in.
    """
    app = Site("rmactors.server.web", static_folder=str(static_files.folder()), static_url_path="/static")
    perimeter = Perimeter(services.settings)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.config["BODY_TIMEOUT"] = 30
    app.config["RESPONSE_TIMEOUT"] = 60
    login_guard = LoginGuard(passwords or Passwords(), services, access.client_address)
    app.extensions["rmactors"] = access.WebState(
        services, perimeter, login_guard, proof.prove_first, metrics, keep_alive_seconds,
        Throttle(_ACTIONS_A_MINUTE, 60 / _ACTIONS_A_MINUTE),
    )  # fmt: skip
    errors.install(app)
    access.install(app)
    for blueprint in _BLUEPRINTS:
        app.register_blueprint(blueprint)

    @app.after_request
    async def guard_answer(response: Response) -> Response:
        for name, value in perimeter.headers.items():
            response.headers.setdefault(name, value)
        if request.url_rule is None or request.url_rule.endpoint != "static":
            response.headers.setdefault("Cache-Control", "no-store")
            await compression.compress(response)
        return response

    return app
