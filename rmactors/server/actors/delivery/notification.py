"""From what the outbox holds to what a channel is given. Pure."""

import json
from typing import Any

from rmactors.common.vocabulary import SEVERITIES, Event, Severity
from rmactors.common.zones import day_and_time
from rmactors.server.actors.delivery.queue import Batch
from rmactors.server.messages.notifications import GroupMember, Notification


def of_batch(batch: Batch, base_url: str) -> Notification:
    """The notification of one batch. `base_url` has no slash at the end."""
    main = batch.main
    body: dict[str, Any] = json.loads(main.body)
    severity: Severity = body["severity"]
    kind, message = body["kind"], body["message"]
    group: tuple[GroupMember, ...] = ()
    if batch.group:
        group = tuple(_member(delivery.alert_id, json.loads(delivery.body)) for delivery in batch.deliveries)
        severity = max((member.severity for member in group), key=SEVERITIES.index)
        kind = "multiple"
        message = _together(group)
    elif batch.carried and batch.carried[0][0].event == "alert.raised":
        raises = [json.loads(delivery.body) for delivery, _ in batch.carried if delivery.event == "alert.raised"]
        message = _both(raises, body)
    event: Event = main.event  # type: ignore[assignment]  # the outbox writes nothing else
    return Notification(
        main.id, event, main.alert_id, severity, kind, body["subject"], main.host_id, body["host_name"], message,
        body["raised_at"], body["occurred_at"], f"{base_url}/alerts/{main.alert_id}", body["actor"], body["note"],
        group, body.get("again", False),
    )  # fmt: skip


def _member(alert_id: str, body: dict[str, Any]) -> GroupMember:
    return GroupMember(alert_id, body["severity"], body["kind"], body["subject"], body["message"])


def _together(group: tuple[GroupMember, ...]) -> str:
    told = "\n".join(f"- [{member.severity}] {member.kind}: {_indented(member.message)}" for member in group)
    return f"{len(group)} alerts:\n{told}"


def _indented(message: str) -> str:
    """A message with several lines, of which none but the first stands where one of a group does."""
    return "\n  ".join(message.splitlines())


def _both(raises: list[dict[str, Any]], resolved: dict[str, Any]) -> str:
    """A raise that was not told in time, and its end, in one message. Where it got worse meanwhile, as it was then."""
    raised = {**raises[-1], "occurred_at": raises[0]["occurred_at"]}
    end = "" if resolved["message"] == raised["message"] else f" {resolved['message']}"
    zone = resolved.get("zone", "UTC")
    began, ended = (day_and_time(body["occurred_at"], zone) for body in (raised, resolved))
    return f"Raised {began}, resolved {ended}: {raised['message']}{end}"
