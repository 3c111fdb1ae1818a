"""What a node answers that waits for the lease: that it is there, and where the leader is."""

from collections.abc import Callable, Mapping

from quart import Response, request
from quart_trio import QuartTrio

from rmactors import __version__
from rmactors.server.web.api.bodies import json_response

RETRY_SECONDS = 5
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def create_porch(leader: Callable[[], str | None], trouble: Callable[[], str], headers: Mapping[str, str]) -> QuartTrio:
    """The ASGI application. `leader`: its URL without a slash at the end, None where it is not known; `trouble`: why
    this node would not lead, or empty."""
    app = QuartTrio(__name__, static_folder=None)

    @app.route("/healthz")
    async def healthz() -> Response:
        said: dict[str, object] = {"status": "standby", "leader": leader(), "version": __version__}
        return json_response(said | ({"detail": trouble()} if trouble() else {}), 503)

    @app.route("/livez")
    async def livez() -> Response:
        return json_response({"status": "ok"})

    @app.route("/", defaults={"path": ""}, methods=_METHODS)
    @app.route("/<path:path>", methods=_METHODS)
    async def elsewhere(path: str) -> Response:
        url = leader()
        if url is None:
            text = "No node leads at the moment. Try again in a few seconds.\n"
            return Response(text, 503, {"Retry-After": str(RETRY_SECONDS)}, content_type="text/plain; charset=utf-8")
        asked = request.scope["raw_path"].decode("ascii", "replace").partition("?")[0]
        query = request.query_string.decode("ascii", "replace")
        return Response("", 307, {"Location": f"{url}{asked}{'?' + query if query else ''}"})

    @app.after_request
    async def guard(response: Response) -> Response:
        for name, value in headers.items():
            response.headers.setdefault(name, value)
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    return app
