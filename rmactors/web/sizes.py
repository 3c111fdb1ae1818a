"""How large the body of a request may be: little where anybody may send one, so that strangers cannot fill the memory
with bodies that never end. Enforced while the bytes come in.
"""

from typing import Any

from quart_trio.wrappers import TrioRequest

from rmactors.web.access import ROUTES

PUBLIC_BODY_BYTES = 1 << 16


class SizedRequest(TrioRequest):
    """A request whose body is bounded by where it goes to."""

    def __init__(
        self, method: str, scheme: str, path: str, *others: Any, max_content_length: int | None = None, **more: Any
    ) -> None:
        if any(rule.need == "public" and rule.path == path for rule in ROUTES.values()):
            max_content_length = min(PUBLIC_BODY_BYTES, max_content_length or PUBLIC_BODY_BYTES)
        super().__init__(method, scheme, path, *others, max_content_length=max_content_length, **more)
