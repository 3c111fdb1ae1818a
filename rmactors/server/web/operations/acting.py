"""Acting from a message: what a signed link is about, and what it does.

Nobody is signed in here. The link alone says what is allowed: one alert, acknowledged, silenced, or said to be meant
where a backup looks wrong, until the link or the alert ends.
"""

import logging
from dataclasses import dataclass

from rmactors.common import clock, ids
from rmactors.server.config import action_links
from rmactors.server.config.secrets import SecretError
from rmactors.server.edges.addresses import throttle_key
from rmactors.server.messages.answers import Duplicate
from rmactors.server.messages.audit import Audit
from rmactors.server.messages.requests import Acknowledge, Change, Resolve
from rmactors.server.messages.silences import CreateSilence
from rmactors.server.store.queries import acting as queries
from rmactors.server.store.queries.alerts import AlertRow
from rmactors.server.web.access import client_address, services, state
from rmactors.server.web.operations import alerts
from rmactors.server.web.problems import Problem, raise_for_answer, too_many, unavailable
from rmactors.server.web.views.texts import _

_log = logging.getLogger(__name__)
_SAME_END = clock.MINUTE
"""Silences whose ends are no further apart are one: a button was pressed twice."""


@dataclass(frozen=True, slots=True)
class Linked:
    """An alert that a link may act on, and who that is in the audit trail and the timeline: `link:<channel>`."""

    alert: AlertRow
    by: str


async def require(token: str) -> Linked:
    """What the link is about. Raises Problem 404, 410, 429 or 503 with a sentence for people, nothing of the alert."""
    now = services().now()
    wait = state().action_throttle.wait(throttle_key(client_address()), now)
    if wait:
        raise too_many(_("Too many requests. Wait a moment, then open the link again."), -(-wait // clock.SECOND))
    if not services().settings.action_links:
        raise Problem(404, _("Links like this one are switched off on this server. Sign in to act on alerts."))
    link = action_links.read(_keys(), token)
    if link is None:
        raise Problem(404, _("This link is not valid: it was cut off or changed, or the server's key is a new one."))
    if now >= link.ends_at:
        raise Problem(410, _("This link has expired: a link is good for seven days. Sign in to act on alerts."))
    found = await services().reader.run(queries.linked, link.alert_id, link.channel_id)
    if found.channel is None:
        raise Problem(410, _("This link has ended: the channel that it was sent to is not in use any more."))
    if found.alert is None or found.alert.resolved_at is not None:
        raise _is_over()
    return Linked(found.alert, f"link:{found.channel}")


async def acknowledge(linked: Linked) -> None:
    """As an operator does it. Raises Problem 410 where the alert was resolved meanwhile."""
    at, alert_id = services().now(), linked.alert.id
    record = _audit(linked, "alert.acknowledge", "alert", alert_id)
    answer = await services().ask_rules(lambda reply: Acknowledge(alert_id, linked.by, None, at, record, reply))
    try:
        raise_for_answer(answer, "alert")
    except Problem as problem:
        raise (_is_over() if problem.status in {404, 409} else problem) from None


async def meant(linked: Linked) -> None:
    """What looks wrong is as it should be: resolves it, and later backups are compared with this one. Raises Problem
    410 where the alert was resolved meanwhile."""
    at, alert_id = services().now(), linked.alert.id
    record = _audit(linked, "alert.resolve", "alert", alert_id, alerts.detail(None, meant=True))
    answer = await services().ask_rules(lambda reply: Resolve(alert_id, linked.by, None, at, record, reply, meant=True))
    if isinstance(answer, Duplicate):
        raise _is_over()
    try:
        raise_for_answer(answer, "alert")
    except Problem as problem:
        raise (_is_over() if problem.status in {404, 409} else problem) from None


async def silence(linked: Linked, hours: int) -> None:
    """Holds back what is sent about this kind of alert of this host, from now on for so many hours."""
    at, alert, silence_id = services().now(), linked.alert, ids.new()
    until = at + hours * clock.HOUR
    if await services().reader.run(queries.silenced, alert.host_id, alert.kind, linked.by, until - _SAME_END):
        return
    reason = _("By the link in a message about alert %s.") % alert.id
    write = CreateSilence(
        silence_id, alert.host_id, alert.kind, None, at, until, None, reason, linked.by, at,
        _audit(linked, "silence.create", "silence", silence_id, reason),
    )  # fmt: skip
    raise_for_answer(await services().ask_rules(lambda reply: Change(write, reply)), "silence")


def _keys() -> tuple[bytes, ...]:
    try:
        return services().box.derived(action_links.PURPOSE)
    except SecretError as error:
        _log.error("%s", error)
        raise unavailable(_("The server cannot check this link at the moment. Try again later.")) from None


def _is_over() -> Problem:
    return Problem(410, _("The alert that this link is about is over. There is nothing left to do."))


def _audit(linked: Linked, action: str, target_kind: str, target_id: str, detail: str = "") -> Audit:
    """By the link: it is neither a user nor a token."""
    at = services().now()
    return Audit(at, linked.by, "system", action, target_kind, target_id, client_address(), detail=detail)
