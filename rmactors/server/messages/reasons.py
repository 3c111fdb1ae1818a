"""Why the rules decided what they did: asserted in tests, counted in `/metrics`, shown on an alert's timeline."""

from enum import StrEnum


class Reason(StrEnum):
    """The values are labels of `rmactors_decisions_total`, and stand in the database: they are never changed."""

    # Outcomes of runs. A loss is a run whose end was not reported in time.
    FAILED = "failed"
    LOST = "lost"
    LOOKS_WRONG = "looks_wrong"
    """A backup that succeeded and holds much less than usual."""
    FAILED_AGAIN = "failed_again"
    GOT_WORSE = "got_worse"
    TOLD_ELSEWHERE = "told_elsewhere"
    """A failure that another alert tells of."""
    SUCCEEDED = "succeeded"
    RECOVERED = "recovered"
    SAYS_NOTHING = "says_nothing"
    """Cancelled or skipped: neither good nor bad."""
    OUT_OF_DATE = "out_of_date"
    """Older than the outcome that counts."""
    OLDER_GOOD = "older_good"
    OLDER_THAN_LOSS = "older_than_loss"
    """Counts if that loss turns out to be none."""
    LOSS_ENDED = "loss_ended"
    LOSS_FAILED = "loss_failed"
    LOSS_RECOVERED = "loss_recovered"
    EARLIER_LOSS_ENDED = "earlier_loss_ended"
    EARLIER_LOSS_FAILED = "earlier_loss_failed"
    NO_RULE = "no_rule"
    """No alert is about this kind of job."""

    # Conditions that last.
    BEGAN = "began"
    LASTS = "lasts"
    CLEARED = "cleared"
    NOTHING_OPEN = "nothing_open"
    SUPPRESSED = "suppressed"
    """Resolved by an operator, and not cleared since."""
    SUPPRESSION_ENDED = "suppression_ended"

    # Schedules: their runs, and the checks of what is due.
    RUN_BEGAN = "run_began"
    RUN_NOTED = "run_noted"
    RUN_KNOWN = "run_known"
    NO_SCHEDULE = "no_schedule"
    NO_SLOT_MISSED = "no_slot_missed"
    JUST_RETURNED = "just_returned"
    NO_LIMIT = "no_limit"
    NOT_OVERDUE = "not_overdue"
    SCHEDULE_GONE = "schedule_gone"

    # How much backups usually hold.
    LEFT_OUT = "left_out"
    """It looks wrong, so it does not enter the measure."""
    NEW_MEASURE = "new_measure"

    # Too many alerts.
    TOO_MANY = "too_many"
    STILL_TOO_MANY = "still_too_many"
    NO_LONGER_TOO_MANY = "no_longer_too_many"

    # Operators.
    ACKNOWLEDGED = "acknowledged"
    ACKNOWLEDGED_ALREADY = "acknowledged_already"
    RESOLVED_BY_HAND = "resolved_by_hand"
    RESOLVED_UNTIL_CLEAR = "resolved_until_clear"
    MEANT = "meant"
    """Resolved: what looks wrong is meant."""
    NOT_OPEN = "not_open"
    """The store knows what became of the alert."""
    SCHEDULE_SAVED = "schedule_saved"
    SCHEDULE_DELETED = "schedule_deleted"
    HOST_DELETED = "host_deleted"
    SILENCE_CHANGED = "silence_changed"
