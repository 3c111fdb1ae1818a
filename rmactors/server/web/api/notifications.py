"""`/api/notifications`: channels, what they would send, what they sent."""

import json
from typing import Literal

from quart import Blueprint, Response

from rmactors.server.store.queries import channels as queries
from rmactors.server.store.queries.channels import ChannelHealth, ChannelRow
from rmactors.server.web.access import is_htmx, route, services
from rmactors.server.web.api.bodies import (
    PAGING,
    Listing,
    arguments,
    cursor_of,
    json_body,
    json_response,
    limit_of,
    listing,
    no_body,
    no_content,
    one_of,
)
from rmactors.server.web.api.shapes import channels as shapes
from rmactors.server.web.api.shapes.rows import json_object, shaped
from rmactors.server.web.channel_config import readable_config
from rmactors.server.web.html import html
from rmactors.server.web.operations import channels
from rmactors.server.web.operations.channels import ChannelBody, PreviewAnswer, TestResult

blueprint = Blueprint("api_notifications", __name__)


@route(blueprint, "/api/notifications", role="viewer", answer=Listing[shapes.Channel], query=PAGING)
async def list_channels() -> Response:
    """With their health; secrets read as `{"set": true}`."""
    given = arguments(*PAGING)
    page = await services().reader.run(
        queries.channels, services().now(), limit_of(given), cursor_of(given, (int, str))
    )
    return json_response(listing(page, lambda found: shape(*found)))


@route(
    blueprint, "/api/notifications", role="admin", methods=["POST"], fresh=True, body=ChannelBody,
    answer=shapes.Channel, status=201,
)  # fmt: skip
async def create_channel() -> Response:
    """A new channel; it hears of what happens from now on."""
    body = channels.checked(await json_body())
    channel_id = await channels.save(None, body)
    return json_response(shape(*await channels.require(channel_id)), 201)


@route(blueprint, "/api/notifications/<channel_id>", role="viewer", answer=shapes.Channel)
async def show_channel(channel_id: str) -> Response:
    """One channel; secrets read as `{"set": true}`."""
    return json_response(shape(*await channels.require(channel_id)))


@route(
    blueprint, "/api/notifications/<channel_id>", role="admin", methods=["PUT"], fresh=True, body=ChannelBody,
    answer=shapes.Channel, query={"queued": Literal["keep", "drop"]},
)  # fmt: skip
async def replace_channel(channel_id: str) -> Response:
    """Replaces all but the secrets that are left out. `kind` cannot change.

    Where what decides about their receiver changes (`url`, `host` …), each secret is given again or cleared: else 422.
    Disabling one that has something queued is a 409 with the number, unless `queued` says what becomes of that.
    """
    raw = await json_body()
    row, _ = await channels.require(channel_id)
    queued = one_of(arguments("queued"), "queued", ("keep", "drop"))
    body = channels.checked(raw, row, to_save=True)
    await channels.save(row, body, "keep" if queued == "keep" else "drop" if queued == "drop" else "ask")
    return json_response(shape(*await channels.require(channel_id)))


@route(blueprint, "/api/notifications/<channel_id>", role="admin", methods=["DELETE"], fresh=True, status=204)
async def delete_channel(channel_id: str) -> Response:
    """Its queue and its log go with it."""
    await no_body()
    await channels.require(channel_id)
    await channels.remove(channel_id)
    return no_content()


@route(blueprint, "/api/notifications/<channel_id>/test", role="operator", methods=["POST"], answer=TestResult)
async def test_channel(channel_id: str) -> Response:
    """One real attempt now, enabled or not. htmx gets the result as a chip (template `fragments/test_result.html`)."""
    await no_body()
    row, _ = await channels.require(channel_id)
    result = await channels.try_now(row)
    if is_htmx():
        return await html("fragments/test_result.html", result=result)
    return json_response(result)


@route(blueprint, "/api/notifications/preview", role="admin", methods=["POST"], body=ChannelBody, answer=PreviewAnswer)
async def preview_channel() -> Response:
    """What a sample alert would send. With the `id` of a channel, its stored secrets stand for those left out: where
    they would be kept."""
    raw = await json_body()
    channel_id = raw.get("id") if isinstance(raw, dict) else None
    row = (await channels.require(channel_id))[0] if isinstance(channel_id, str) else None
    return json_response(channels.preview_of(channels.checked(raw, row)))


@route(
    blueprint, "/api/notifications/<channel_id>/log", role="viewer", answer=Listing[shapes.LogEntry],
    query=PAGING,
)  # fmt: skip
async def show_log(channel_id: str) -> Response:
    """Every attempt, newest first."""
    await channels.require(channel_id)
    given = arguments(*PAGING)
    page = await services().reader.run(queries.log, channel_id, limit_of(given), cursor_of(given, (int,)))
    return json_response(listing(page, shapes.log_entry))


def shape(row: ChannelRow, health: ChannelHealth) -> shapes.Channel:
    """The channel as the API shows it, without its secrets."""
    return shaped(
        shapes.Channel,
        row,
        config=readable_config(row),
        events=json.loads(row.events),
        host_tags=json.loads(row.host_tags),
        quiet_hours=json_object(row.quiet_hours) if row.quiet_hours else None,
        digest=json_object(row.digest) if row.digest else None,
        health=shapes.health(health, services().now()),
    )
