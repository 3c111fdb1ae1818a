"""When a host that says nothing is silent, and whether its clock was set. Pure: times come in, those of silence all in
seconds on one clock that never jumps."""


class SilenceMonitor:
    """Each silence of a host is reported once, and again if that did not get to disk.

    Silence is measured from the last sign of life. A host is silent after `offline_after` seconds, and not before
    `grace_until`. Not `watched` is a host whose agent was never here: it is never silent.
    """

    def __init__(self, offline_after: float, grace_until: float, last_sign: float, *, watched: bool) -> None:
        self._offline_after = offline_after
        self._grace_until = grace_until
        self._last_sign = last_sign
        self._watched = watched
        self._reported = False
        self._retry_at = float("-inf")

    def deadline(self) -> float:
        """When there is a silence to report, if nothing is heard until then."""
        if not self._watched or self._reported:
            return float("inf")
        return max(self._last_sign + self._offline_after, self._grace_until, self._retry_at)

    def is_newly_silent(self, now: float) -> bool:
        """True if there is a silence to report; it counts as reported from here on."""
        silent = now >= self.deadline()
        self._reported = self._reported or silent
        return silent

    def on_hello(self) -> None:
        """The agent is here, and its hello ends a silence without `on_sign` saying so."""
        self._watched, self._reported = True, False

    def on_sign(self, now: float) -> bool:
        """A sign of life. True if it ends a silence that was reported."""
        self._last_sign, self._retry_at = now, float("-inf")
        returned, self._reported = self._reported, False
        return returned

    def extend_grace(self, grace_until: float) -> None:
        """No host is judged before this."""
        self._grace_until = grace_until

    def retry(self, at: float) -> None:
        """The silence that was reported did not get to disk: report it again, at this time."""
        self._reported, self._retry_at = False, at


CLOCK_SET = 5.0
"""Seconds by which a clock has to differ from what is known: the time that a frame takes is no change."""


class HostClockMonitor:
    """How far a host's clock is from the server's, in seconds, and whether that has changed.

    One frame may have been held up somewhere, and many of them come in at once after that. So a clock counts as set
    when two heartbeats in a row say the same that is new.
    """

    def __init__(self) -> None:
        self._known: float | None = None
        self._last: float | None = None

    def on_hello(self, offset: float | None) -> None:
        """Counts at once: schedules are judged by it from now on."""
        self._known, self._last = offset, None

    def has_changed(self, offset: float) -> bool:
        """What a heartbeat says. True if this is how far it is from now on."""
        before, self._last = self._last, offset
        new = self._known is None or abs(offset - self._known) > CLOCK_SET
        if not new or before is None or abs(offset - before) > CLOCK_SET:
            return False
        self._known = offset
        return True
