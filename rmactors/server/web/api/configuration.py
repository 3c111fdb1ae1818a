"""`/api/configuration/check`: whether the API would take what a configuration file says. Changes nothing.

What cannot be sent to be changed is found before the first change, and where stored secrets differ from those of the
file, an admin is told so, without being told them.
"""

from typing import Annotated, Any

from msgspec import Meta, Struct
from quart import Blueprint, Response

from rmactors.common.vocabulary import Role
from rmactors.server.web.access import actor, route
from rmactors.server.web.api.bodies import json_body, json_response
from rmactors.server.web.operations import checking
from rmactors.server.web.operations.checking import AsStored, CheckBody, Fault
from rmactors.server.web.validation import convert

blueprint = Blueprint("api_configuration", __name__)


class CheckAnswer(Struct):
    """`errors`: what would be refused, each with a pointer into the body. `channels`: for each that was sent, how it
    would be stored; null where it would not. `role` and `user_id` are the caller's."""

    errors: list[Fault]
    channels: Annotated[list[AsStored | None], Meta(max_length=checking.MOST)]
    role: Role
    user_id: str | None


@route(blueprint, "/api/configuration/check", role="viewer", methods=["POST"], body=CheckBody, answer=CheckAnswer)
async def check_configuration() -> Response:
    """Whether these objects would be taken: as their own routes take them, with all that is wrong with each.

    Each may have the `id` of what it would change; a schedule has its `host_id`. At most 200 in all.
    """
    raw: Any = await json_body()
    found = await checking.check(convert(raw, CheckBody))
    who = actor()
    return json_response(CheckAnswer(found.errors, found.channels, who.role, who.owner_id))
