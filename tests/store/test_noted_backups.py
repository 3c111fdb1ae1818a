"""What a host's row says of its backups: the newest, and the newest good one. It is written once a batch."""

from rmactors.common import ids
from rmactors.common.clock import DAY, HOUR
from rmactors.server.messages.alerts import TouchAlert
from rmactors.server.messages.answers import Committed, Duplicate, Refused, Stale
from tests.store.ledger import NOON, Ledger, end, save_end, save_loss, save_start, start


def noted(ledger: Ledger, host: str) -> tuple[int, int]:
    """When the newest backup ended, and the newest good one; 0: none has."""
    row = ledger.row("SELECT last_backup_at, last_good_backup_at FROM hosts WHERE id = ?", host)
    return row[0], row[1]


def ended(host: str, at: int, status: str = "succeeded", **changes: object) -> object:
    reason = {"succeeded": "ok", "partial": "incomplete"}.get(status, "error")
    return save_end(end(host, ids.new(), at=at, status=status, reason=reason, **changes))


def test_the_newest_of_a_batch_counts_in_whichever_order_they_come(ledger: Ledger) -> None:
    host, other = ledger.host(), ledger.host("nas2")
    answers, _ = ledger.writer.apply(
        [
            (ended(host, NOON + 2 * HOUR),),
            (ended(host, NOON + 3 * HOUR, "failed"),),
            (ended(host, NOON, "partial"),),
            (ended(other, NOON + HOUR, "failed"),),
        ]
    )
    assert [type(answer) for answer in answers] == [Committed] * 4
    assert noted(ledger, host) == (NOON + 3 * HOUR, NOON + 2 * HOUR)
    assert noted(ledger, other) == (NOON + HOUR, 0)


def test_one_that_is_reported_late_takes_nothing_back(ledger: Ledger) -> None:
    host = ledger.host()
    ledger.commit(ended(host, NOON + DAY, "partial"))
    ledger.commit(ended(host, NOON))
    assert noted(ledger, host) == (NOON + DAY, NOON + DAY)
    ledger.commit(ended(host, NOON + 2 * DAY, "failed"), ended(host, NOON + DAY + HOUR))
    assert noted(ledger, host) == (NOON + 2 * DAY, NOON + DAY + HOUR)


def test_the_end_of_a_loss_counts_as_it_ended(ledger: Ledger) -> None:
    host, job = ledger.host(), ids.new()
    ledger.commit(save_start(start(host, job)))
    ledger.commit(save_loss(host, job, at=NOON + HOUR))
    assert noted(ledger, host) == (NOON + HOUR, 0)
    ledger.commit(save_end(end(host, job, at=NOON + 2 * HOUR)))
    assert noted(ledger, host) == (NOON + 2 * HOUR, NOON + 2 * HOUR)


def test_what_was_not_taken_is_not_noted(ledger: Ledger) -> None:
    host, other, job = ledger.host(), ledger.host("nas2"), ids.new()
    ledger.commit(save_end(end(host, job, at=NOON)))
    answers, _ = ledger.writer.apply(
        [
            (save_end(end(other, job, at=NOON + DAY)),),
            (save_end(end(host, job, at=NOON + DAY)),),
            (ended(host, NOON + DAY), TouchAlert("no such alert", "m", NOON, True)),
        ]
    )
    assert [type(answer) for answer in answers] == [Refused, Duplicate, Stale]
    assert noted(ledger, host) == (NOON, NOON)
    assert noted(ledger, other) == (0, 0)


def test_other_kinds_of_jobs_are_no_backups(ledger: Ledger) -> None:
    host = ledger.host()
    ledger.commit(ended(host, NOON, kind="check"))
    assert noted(ledger, host) == (0, 0)
