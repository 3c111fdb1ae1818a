"""Notifications, and how an attempt to send one ended."""

from dataclasses import dataclass
from typing import Literal

import msgspec

from rmactors.common.vocabulary import Event, Severity

AlertState = Literal["open", "acknowledged", "resolved"]


@dataclass(frozen=True, slots=True)
class GroupMember:
    """One alert of a grouped message. Its host is empty where all of the group are of one; its state is None where that
    follows from the message's event."""

    alert_id: str
    severity: Severity
    kind: str
    subject: str
    message: str
    host_id: str = ""
    host_name: str = ""
    state: AlertState | None = None


class NotificationBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an alert's event has to say, as JSON in the outbox. Times are microseconds.

    `zone` is that of the schedule that the alert is about, None for UTC. `repository` is that of its group.
    `open_since`: from when on nobody has acknowledged it, where the channel waited for that before it was told.
    """

    severity: Severity
    kind: str
    subject: str
    host_name: str
    message: str
    raised_at: int
    occurred_at: int
    actor: str | None
    note: str | None
    zone: str | None = None
    again: bool = False
    repository: str | None = None
    open_since: int | None = None


@dataclass(frozen=True, slots=True)
class Notification:
    """One notification, before a channel gives it its form.

    `raised_at` and `occurred_at` are microseconds; `occurred_at` is when this event happened.
    `kind` is a kind of alert, `multiple` for a group, `test` for a test, `digest` for a digest; of the last two,
    `host_id` is empty.
    `again`: a raise of an alert whose raise this channel was sent before, because it got worse.
    Of a group over hosts, `group` is no more than the first of `group_count` alerts, and `host_name` may be a number of
    them; `repository` is where all of them back up to, if they are grouped by that; `still_open` is how many of the
    group are not resolved.
    `act_link`: a page with one button, to acknowledge or silence this alert without signing in; empty: there is none.
    """

    delivery_id: str
    event: Event
    alert_id: str
    severity: Severity
    kind: str
    subject: str
    host_id: str
    host_name: str
    message: str
    raised_at: int
    occurred_at: int
    link: str
    actor: str | None = None
    note: str | None = None
    group: tuple[GroupMember, ...] = ()
    again: bool = False
    act_link: str = ""
    group_count: int = 0
    repository: str | None = None
    still_open: int = 0

    @property
    def about(self) -> Literal["Host", "Channel"]:
        """What `host_name` is the name of. What is about a channel is about no host, and `host_id` is empty."""
        return "Channel" if self.subject.startswith("channel:") else "Host"


@dataclass(frozen=True, slots=True)
class Attempt:
    """How one attempt to send a notification ended.

    verdict      `delivered`; `retry`: try again; `dead`: never try again on its own
    status_code  HTTP status or SMTP reply code; None if nothing answered
    latency_ms   from the start of the attempt to its end
    error        the receiver's own words or what went wrong; None when all is well
    retry_at     microseconds; not to be tried before, as the receiver asked
    recipients_left  SMTP: those still to be sent it, if others have it already
    in_doubt     the refusal may be another's than the receiver's: a proxy's, a name server's
    others_have_it  SMTP: the server works, and only those left are refused for now
    """

    verdict: Literal["delivered", "retry", "dead"]
    status_code: int | None
    latency_ms: float
    error: str | None = None
    retry_at: int | None = None
    recipients_left: tuple[str, ...] = ()
    in_doubt: bool = False
    others_have_it: bool = False
