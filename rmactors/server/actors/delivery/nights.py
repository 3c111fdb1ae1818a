"""What quiet hours hold back, and the one message that goes out when they are over. Pure.

Nothing of it is stored: whether it is quiet now, and which night a delivery is of, follows from the channel's settings
and the time. So other settings apply to what waits already, and a restart changes nothing.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from itertools import groupby

from rmactors.server.actors.delivery.batch import Batch, End
from rmactors.server.calendars.quiet_hours import QuietHours
from rmactors.server.state.delivery import Delivery


@dataclass(slots=True)
class Nights:
    """The quiet hours of a channel among `lanes` (alert → its deliveries in order); what is `busy` is in flight."""

    lanes: Mapping[str, deque[Delivery]]
    busy: Set[str]
    quiet: QuietHours | None = None
    _held: set[str] = field(default_factory=set)  # alerts whose head was due in a night

    def over_at(self, head: Delivery, now: int) -> int | None:
        """When a head may go that quiet hours hold back now; None where they do not."""
        if self.quiet is None or self._is_loud(head):
            return None
        night = self.quiet.at(now)
        if night is None:
            return None
        self._held.add(head.alert_id)
        return night.end

    def there_since(self, delivery: Delivery) -> int:
        """From when on it could be sent, so that what was held back is not too old to be tried."""
        if self.quiet is None or delivery.loud:
            return delivery.created_at
        return self.quiet.over_at(delivery.created_at)

    def pack(self, head: Delivery) -> Batch | None:
        """The message about all that was held back, if that is what a head is part of; None: it goes by itself."""
        if self.quiet is None:
            return None
        if head.of_night:  # the same again: under an id that a receiver may know, it must hear nothing new
            found = [each for lane in self._free() for each in lane if each.tried_as == head.tried_as]
        elif self._waited(head):
            found = [each for lane in self._free() if self._waited(lane[0]) for each in lane]
        else:
            return None
        lanes = [list(lane) for _, lane in groupby(found, key=lambda each: each.alert_id)]
        if len(lanes) == 1 and len(_needed(lanes[0])) == 1:
            return None
        return _batch(lanes)

    def sent(self, batch: Batch) -> None:
        """It is in flight."""
        self._held.difference_update(delivery.alert_id for delivery in batch.deliveries)

    def _free(self) -> Iterator[deque[Delivery]]:
        return (lane for alert_id, lane in self.lanes.items() if alert_id not in self.busy)

    def _waited(self, head: Delivery) -> bool:
        """Whether a head, or what is behind it, was held back in a night, and nobody can know of it yet."""
        lane = self.lanes[head.alert_id]
        if self._is_loud(head) or any(each.attempts for each in lane):
            return False
        return head.alert_id in self._held or any(map(self._is_of_a_night, lane))

    def _is_of_a_night(self, delivery: Delivery) -> bool:
        assert self.quiet is not None
        return self.quiet.at(delivery.created_at) is not None or self.quiet.at(delivery.due_at) is not None

    def _is_loud(self, head: Delivery) -> bool:
        """Whether anything of an alert goes out at once: what is before it has to go first."""
        return any(delivery.loud for delivery in self.lanes[head.alert_id])


def _needed(lane: list[Delivery]) -> list[Delivery]:
    """What of an alert's deliveries would go out by itself: a resolution covers all before it."""
    return lane[-1:] if lane[-1].event == "alert.resolved" else lane


def _batch(lanes: list[list[Delivery]]) -> Batch:
    """One message for several alerts, the first of those that are not over in front."""
    lanes.sort(key=lambda lane: (lane[-1].event == "alert.resolved", lane[0].seq))
    main = lanes[0][-1]
    carried: list[tuple[Delivery, End]] = []
    for lane in lanes:
        over = lane[-1].event == "alert.resolved"
        carried += [(each, "superseded" if over else "delivered") for each in lane[:-1]]
        if lane[-1] is not main:
            carried.append((lane[-1], "delivered"))
    return Batch(main, tuple(carried), group=True, night=True)
