"""Which deliveries of a channel's queue go out as one message, and for how long they wait for each other. Pure.

A group of one host is its heads of one window. A group over hosts is what has one `group_key`: it goes when the first
of it is due. So resolutions that wait for the rest of their group all go with the last one, which is due at once.
"""

from collections import deque
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field

from rmactors.server.actors.delivery.batch import Batch, End
from rmactors.server.state.delivery import Delivery


@dataclass(slots=True)
class Groups:
    """The groups among `lanes` (alert → its deliveries in order); what is `busy` belongs to none."""

    lanes: Mapping[str, deque[Delivery]]
    busy: Set[str]
    takes_resolved: bool
    _alerts: dict[str, set[str]] = field(default_factory=dict)  # host or group key → alerts that may be part of it
    _due: dict[str, tuple[int, int]] = field(default_factory=dict)  # group key → (when it goes, how many it has)

    def add(self, delivery: Delivery) -> None:
        """It is in its lane from now on."""
        if _is_shared(delivery):
            due_at, number = self._due.get(delivery.group_key, (delivery.due_at, 0))
            self._due[delivery.group_key] = min(due_at, delivery.due_at), number + 1

    def ended(self, delivery: Delivery) -> None:
        """It is in its lane no more."""
        if not _is_shared(delivery):
            return
        due_at, number = self._due.pop(delivery.group_key)
        if number > 1:
            self._due[delivery.group_key] = due_at, number - 1
        else:
            self._alerts.pop(delivery.group_key, None)

    def lined_up(self, head: Delivery) -> int:
        """It is the first of its lane now, or there is something new behind it: when it may go."""
        later = self.standing_for(head)
        end = later or head
        if end.grouped:
            self._alerts.setdefault(end.group_key or end.host_id, set()).add(end.alert_id)
        if later is not None and head.recipients_left:
            # What some have already does not keep them waiting for what comes in its place.
            return min(head.due_at, later.due_at)
        if head.attempts:
            return head.due_at
        if _is_shared(end):
            return self._due[end.group_key][0]
        return min(head.due_at, end.due_at) if _is_shared(head) else head.due_at

    def waits_until(self, head: Delivery) -> int:
        """When what goes in a head's place is due, where that waits for others."""
        end = self.standing_for(head) or head
        return self._due[end.group_key][0] if _is_shared(end) else 0

    def standing_for(self, head: Delivery) -> Delivery | None:
        """What is queued behind a head and makes it needless: a resolution that can cover the raise as well; for a
        reminder, word that somebody looks after it, that it got worse or that it is over; for an acknowledgement that
        waits for others, that it is taken back or over."""
        match head.event:
            case "alert.raised":
                wanted = {"alert.resolved"} if self.takes_resolved else set()
            case "alert.reminder":
                wanted = {"alert.acknowledged", "alert.resolved", "alert.raised"}
            case "alert.acknowledged" if _is_shared(head):
                wanted = {"alert.resolved", "alert.raised"}
            case _:
                wanted = set()
        return next((delivery for delivery in self.lanes[head.alert_id] if delivery.event in wanted), None)

    def pack(self, head: Delivery, may_go: Callable[[Delivery], bool]) -> Batch:
        """The message that goes out for a head that is due, and all that it covers. `may_go`: whether a head that is in
        time for it may go now."""
        later = self.standing_for(head)
        end = later or head
        members = self._sharing(end, may_go) if _is_shared(end) else [end]
        if later is None and head.grouped and not head.group_key:
            members = self._window_of(head, may_go)
        first, *rest = sorted(members, key=lambda delivery: delivery.seq)
        carried: list[tuple[Delivery, End]] = [(before, "superseded") for before in self._before(first)]
        for member in rest:
            carried += [(before, "superseded") for before in self._before(member)]
            carried.append((member, "delivered"))
        return Batch(first, tuple(carried), group=bool(rest))

    def _before(self, delivery: Delivery) -> list[Delivery]:
        return [other for other in self.lanes[delivery.alert_id] if other.seq < delivery.seq]

    def _sharing(self, end: Delivery, may_go: Callable[[Delivery], bool]) -> list[Delivery]:
        """What goes as one message with a delivery of several hosts' group: all of it that may go, and was tried
        together with it."""
        members, others = [end], set()
        for alert_id in self._alerts.pop(end.group_key, set()) - {end.alert_id}:
            lane = self.lanes.get(alert_id)
            if not lane or alert_id in self.busy:
                continue
            other = self.standing_for(lane[0]) or lane[0]
            together = _is_shared(other) and (other.group_key, other.tried_as) == (end.group_key, end.tried_as)
            if together and may_go(lane[0]):
                members.append(other)
            else:
                others.add(alert_id)
        if others:
            self._alerts[end.group_key] = others
        return members

    def _window_of(self, head: Delivery, may_go: Callable[[Delivery], bool]) -> list[Delivery]:
        """A grouped head and what goes with it: other heads of its host, of one window or tried together before.

        No others: under an id that a receiver may know, it must hear nothing new, for it may drop what it knows.
        """
        members, others = [head], set()
        for alert_id in self._alerts.pop(head.host_id, set()):
            lane = self.lanes.get(alert_id)
            other = lane[0] if lane and alert_id not in self.busy else None
            if other is None or not other.grouped or other.group_key or other is head:
                continue
            together = (other.due_at, other.tried_as) == (head.due_at, head.tried_as)
            if together and self.standing_for(other) is None and may_go(other):
                members.append(other)
            else:
                others.add(alert_id)
        if others:
            self._alerts[head.host_id] = others
        return members


def _is_shared(delivery: Delivery) -> bool:
    return delivery.grouped and delivery.group_key != ""
