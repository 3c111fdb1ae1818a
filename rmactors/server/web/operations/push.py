"""A user's own browsers as channels (kind `webpush`): made, found and deleted by that user.

Whose one is stands in its config. It ends with its user: what is deleted or disabled hears nothing more.
"""

import logging
from contextlib import suppress

from rmactors.common import ids
from rmactors.common.vocabulary import LIFECYCLE_EVENTS
from rmactors.server.channels.config import normalized
from rmactors.server.channels.webpush import keys
from rmactors.server.channels.webpush.kind import KIND
from rmactors.server.config.secrets import SecretError
from rmactors.server.messages.channels import DeleteChannel, SaveChannel
from rmactors.server.store.queries import push as queries
from rmactors.server.store.queries.channels import ChannelRow
from rmactors.server.web.access import actor, audit, services
from rmactors.server.web.channel_config import config_errors, open_config, seal_config
from rmactors.server.web.problems import Problem, conflict, invalid, not_found, raise_for_answer
from rmactors.server.web.views.texts import _

_log = logging.getLogger(__name__)

MOST_OF_A_USER = 10
_LONGEST_NAME = 100


def public_key() -> str:
    """The server's key of now, for which browsers make their subscriptions; empty while it cannot be read."""
    return next((keys.public_text(key) for key in _own_keys()), "")


async def of_user(user_id: str) -> list[ChannelRow]:
    """Those that belong to this user. One that cannot be opened, as its key is not there, is nobody's meanwhile."""
    found = []
    for row in await services().reader.run(queries.channels_of_kind, KIND.name):
        with suppress(Problem):
            if open_config(row).get("user_id") == user_id:
                found.append(row)
    return found


async def subscribe(endpoint: str, p256dh: str, auth: str, made_for: str, device: str) -> None:
    """Make the channel of a subscription, or make it over where this browser had the same one before.

    `made_for` is the server's public key that the browser was given. Raises Problem 409 or 422.
    """
    who = actor()
    if who.kind == "token":
        raise conflict(_("A token has no browser. Sign in as a user."))
    own = next((key for key in _own_keys() if keys.public_text(key) == made_for), None)
    if own is None:
        raise conflict(_("The server's key was changed meanwhile. Try again."))
    name = _("%(user)s's %(browser)s") % {"user": who.name, "browser": device}
    config = {"endpoint": endpoint, "p256dh": p256dh, "auth": auth, "vapid_key": own, "user_id": who.id}
    if errors := config_errors(KIND.name, name[:_LONGEST_NAME], config):
        raise invalid(errors)
    rows = await of_user(who.id)
    before = next((row for row in rows if open_config(row)["endpoint"] == endpoint), None)
    if before is None and len(rows) >= MOST_OF_A_USER:
        raise conflict(_("You have %d browsers already. Remove one first.") % MOST_OF_A_USER)
    writes = [_deletion(before)] if before is not None else []
    raise_for_answer(await services().ask_store(*writes, _creation(name[:_LONGEST_NAME], config)), "channel")


async def unsubscribe(channel_id: str) -> None:
    """One of one's own. Raises Problem 404."""
    rows = await of_user(actor().id)
    row = next((row for row in rows if row.id == channel_id), None)
    if row is None:
        raise not_found("browser")
    raise_for_answer(await services().ask_store(_deletion(row)), "channel")


async def endings(user_id: str) -> list[DeleteChannel]:
    """What to write together with the end of a user. Raises the 503 where it cannot be seen whose one is."""
    rows = await services().reader.run(queries.channels_of_kind, KIND.name)
    return [_deletion(row) for row in rows if open_config(row).get("user_id") == user_id]


def _own_keys() -> list[str]:
    try:
        return [keys.own_key(seed) for seed in services().box.derived(keys.PURPOSE)]
    except SecretError as error:
        _log.error("%s", error)
        return []


def _creation(name: str, config: dict[str, str]) -> SaveChannel:
    channel_id = ids.new()
    return SaveChannel(
        channel_id, KIND.name, name, True, seal_config(channel_id, normalized(KIND, config)), None, "info",
        LIFECYCLE_EVENTS, (), 0.0, 0.0, services().now(), True, audit("channel.create", "channel", channel_id, name),
    )  # fmt: skip


def _deletion(row: ChannelRow) -> DeleteChannel:
    return DeleteChannel(row.id, services().now(), audit("channel.delete", "channel", row.id, row.name))
