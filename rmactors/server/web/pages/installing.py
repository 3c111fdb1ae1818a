"""`/manifest.webmanifest`: what a phone needs to put the page among its programs. `/sw.js`: what shows a notification
when no page is open.

Browsers fetch both without a session. They say no more than the login page does.
"""

from typing import Final

import msgspec
from quart import Blueprint, Response

from rmactors import PRODUCT
from rmactors.server.web import static_files
from rmactors.server.web.access import route
from rmactors.server.web.views.texts import _

blueprint = Blueprint("installing", __name__)

THEME: Final = "#0b6b63"
GROUND: Final = "#f6f7f9"


@route(blueprint, "/manifest.webmanifest", role="public")
async def manifest() -> Response:
    found = {
        "id": "/",
        "name": PRODUCT,
        "short_name": _("Backups"),
        "description": _("Monitoring for restic backups."),
        "start_url": "/",
        "scope": "/",
        "display": "standalone",
        "theme_color": THEME,
        "background_color": GROUND,
        "icons": [_icon("192", 192, "any"), _icon("512", 512, "any"), _icon("maskable-512", 512, "maskable")],
    }
    response = Response(msgspec.json.encode(found), content_type="application/manifest+json")
    response.headers["Cache-Control"] = "no-cache"
    return response


@route(blueprint, "/sw.js", role="public")
async def service_worker() -> Response:
    """At the root, so that it is there for all pages."""
    script = static_files.files()["sw.js"]
    response = Response(script.data, content_type=script.content_type)
    response.headers["Cache-Control"] = "no-cache"
    return response


def _icon(name: str, size: int, purpose: str) -> dict[str, str]:
    return {"src": f"/static/icons/{name}.png", "sizes": f"{size}x{size}", "type": "image/png", "purpose": purpose}
