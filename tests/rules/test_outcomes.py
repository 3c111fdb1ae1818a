"""What the end of a job does to the alert of its subject: one row a case.

A story is a list of what happened to one subject, in the order in which it was judged. Words of a story:
`good`, `bad`, `partial`, `cancelled`, `skipped` are ends, `lost` is a job given up, `resolve` and `acknowledge` are
an operator's. `A@5` is job A, ended in minute 5.
"""

from dataclasses import dataclass, field

import pytest
from msgspec import structs

from rmactors.common.clock import MINUTE
from rmactors.common.vocabulary import JobEnd, JobReason, OnPartial
from rmactors.server.actors.rules import operators
from rmactors.server.actors.rules.outcomes import CAUSE_KEPT, LOSSES_KEPT, Outcome, is_newer, judge, verdict_of
from rmactors.server.messages.alerts import (
    AcknowledgeAlert,
    RaiseAlert,
    ResolveAlert,
    SaveAlertState,
    TouchAlert,
    WorsenAlert,
)
from rmactors.server.messages.answers import no_reply
from rmactors.server.messages.audit import Audit
from rmactors.server.messages.reasons import Reason
from rmactors.server.messages.requests import Resolve
from rmactors.server.state.alert_state import (
    EMPTY,
    AlertDecision,
    AlertKey,
    AlertState,
    LastOutcome,
    outcome_from_json,
    outcome_to_json,
)

KEY = AlertKey("host", "backup_failed", "sched")
AUDIT = Audit(0, "anna", "user", "alert.resolve", "alert", "x")
STATUS: dict[str, JobEnd] = {
    "good": "succeeded", "bad": "failed", "partial": "partial", "cancelled": "cancelled", "skipped": "skipped",
    "lost": "failed",
}  # fmt: skip


def outcome(
    word: str,
    job: str,
    minute: int,
    *,
    on_partial: OnPartial = "alert",
    spool: str | None = None,
    seq: int | None = None,
) -> Outcome:
    lost = word == "lost"
    return Outcome(
        job, "backup", "Nightly", STATUS[word], "lost" if lost else "error", None, None, on_partial, minute * MINUTE,
        (minute + 1) * MINUTE, spool, seq, lost,
    )  # fmt: skip


@dataclass
class Subject:
    """An alert's state, and what became of its alerts: their ids are numbered as they are raised."""

    on_partial: OnPartial = "alert"
    state: AlertState = EMPTY
    raised: int = 0
    occurrences: dict[str, int] = field(default_factory=dict)
    resolved: dict[str, str] = field(default_factory=dict)

    def tell(self, step: str) -> str:
        """One step of a story; what it did in one word."""
        if step == "resolve":
            decision = operators.resolve(KEY, self.state, Resolve("x", "anna", None, 0, AUDIT, no_reply))
        elif step == "acknowledge":
            decision = operators.acknowledge(KEY, self.state, "anna", None, 0, AUDIT)
        else:
            word, _, rest = step.partition(" ")
            job, _, place = rest.partition("@")
            minute, _, seq = place.partition("#")
            spool = ("spool", int(seq)) if seq else (None, None)
            what = outcome(word, job, int(minute), on_partial=self.on_partial, spool=spool[0], seq=spool[1])
            decision = judge(KEY, self.state, what, f"alert{self.raised + 1}")
        return self.take(decision)

    def take(self, decision: AlertDecision) -> str:
        did = "nothing"
        for write in decision.writes:
            match write:
                case RaiseAlert():
                    self.raised += 1
                    self.occurrences[write.alert_id] = 1
                    did = "raises"
                case TouchAlert():
                    self.occurrences[write.alert_id] += int(write.again)
                    did = "touches" if write.again else "corrects"
                case WorsenAlert():
                    assert write.notice == f"This got worse. {write.message}"
                    assert decision.state.alert is not None
                    assert not decision.state.alert.acknowledged
                    self.occurrences[write.alert_id] += 1
                    did = "worsens"
                case ResolveAlert():
                    self.resolved[write.alert_id] = write.by
                    did = "resolves"
                case SaveAlertState():
                    assert outcome_from_json(write.last) == decision.state.last
                    assert (write.version, write.suppressed_until_clear) == (self.state.version + 1, False)
                case _:
                    pass
        if decision.state != self.state:
            assert decision.writes, "what is remembered is written down"
        self.state = decision.state
        return did


@pytest.mark.parametrize(
    ("story", "does"),
    [
        # the ordinary life of a backup
        (["good A@1"], ["nothing"]),
        (["bad A@1"], ["raises"]),
        (["bad A@1", "bad B@2", "good C@3"], ["raises", "touches", "resolves"]),
        (["bad A@1", "good B@2", "bad C@3"], ["raises", "resolves", "raises"]),
        (["partial A@1"], ["raises"]),
        (["bad A@1", "partial B@2"], ["raises", "touches"]),
        # neutral ends neither raise nor resolve
        (["cancelled A@1"], ["nothing"]),
        (["skipped A@1"], ["nothing"]),
        (["bad A@1", "cancelled B@2", "skipped C@3"], ["raises", "nothing", "nothing"]),
        (["bad A@1", "cancelled B@5", "good C@3"], ["raises", "nothing", "resolves"]),  # nor do they count in the order
        # order is when it happened, not when it arrived
        (["good B@5", "bad A@3"], ["nothing", "nothing"]),  # an old failure does not reopen
        (["bad B@5", "good A@3"], ["raises", "nothing"]),  # an old success does not close
        (["bad B@5", "bad A@3"], ["raises", "nothing"]),  # an old failure is no recurrence
        (["bad A@3", "good B@3"], ["raises", "resolves"]),  # in a tie the later arrival counts
        (["good A@3", "bad B@3"], ["nothing", "raises"]),
        # within one spool by its numbers, whatever the clock said
        (["bad A@5#1", "good B@3#2"], ["raises", "resolves"]),  # the host's clock was set back
        (["good B@3#2", "bad A@5#1"], ["nothing", "nothing"]),
        (["bad A@5#1", "good B@3"], ["raises", "nothing"]),  # without a common spool, by time
        # what an operator resolved comes back as a fresh alert
        (["bad A@1", "resolve", "bad B@2"], ["raises", "resolves", "raises"]),
        (["bad A@1", "resolve", "good B@2", "bad C@3"], ["raises", "resolves", "nothing", "raises"]),
        # acknowledged: still open, still touched, and the next alert is not acknowledged
        (["bad A@1", "acknowledge", "bad B@2", "good C@3"], ["raises", "nothing", "touches", "resolves"]),
        # a job that was lost is a failure
        (["lost A@5"], ["raises"]),
        (["bad A@1", "lost B@5"], ["raises", "touches"]),
        (["lost A@5", "good B@9"], ["raises", "resolves"]),
        (["good B@9", "lost A@5"], ["nothing", "nothing"]),  # cannot happen, and would not matter
        # its real end takes its place
        (["lost A@5", "good A@3"], ["raises", "resolves"]),
        (["lost A@5", "bad A@3"], ["raises", "corrects"]),
        (["lost A@5", "cancelled A@3"], ["raises", "resolves"]),
        (["lost A@5", "skipped A@3"], ["raises", "resolves"]),
        (["lost A@5", "partial A@3"], ["raises", "corrects"]),
        # with an end before it that was good
        (["good Z@1", "lost A@5", "good A@3"], ["nothing", "raises", "resolves"]),
        (["good Z@1", "lost A@5", "bad A@3"], ["nothing", "raises", "corrects"]),
        (["good Z@1", "lost A@5", "cancelled A@3"], ["nothing", "raises", "resolves"]),
        (["good Z@4", "lost A@5", "bad A@3"], ["nothing", "raises", "resolves"]),  # Z was later than A
        (["good Z@4", "lost A@5", "good A@3"], ["nothing", "raises", "resolves"]),
        # with an end before it that was bad
        (["bad Z@1", "lost A@5", "good A@3"], ["raises", "touches", "resolves"]),
        (["bad Z@1", "lost A@5", "bad A@3"], ["raises", "touches", "corrects"]),
        (["bad Z@1", "lost A@5", "cancelled A@3"], ["raises", "touches", "nothing"]),
        (["bad Z@4", "lost A@5", "good A@3"], ["raises", "touches", "nothing"]),  # Z was later than A and was bad
        (["bad Z@4", "lost A@5", "bad A@3"], ["raises", "touches", "nothing"]),
        # with an operator's resolution before it: the loss alone keeps the alert open
        (["bad Z@1", "resolve", "lost A@5", "cancelled A@3"], ["raises", "resolves", "raises", "resolves"]),
        (["bad Z@4", "resolve", "lost A@5", "good A@3"], ["raises", "resolves", "raises", "resolves"]),
        (["bad Z@1", "resolve", "lost A@5", "bad A@3"], ["raises", "resolves", "raises", "corrects"]),
        # with an operator's resolution between it and its real end
        (["lost A@5", "resolve", "good A@3"], ["raises", "resolves", "nothing"]),
        (["lost A@5", "resolve", "bad A@3"], ["raises", "resolves", "nothing"]),  # no new occurrence, so no new alert
        (["lost A@5", "resolve", "cancelled A@3"], ["raises", "resolves", "nothing"]),
        (["lost A@5", "resolve", "bad A@3", "good B@9", "bad C@10"],
         ["raises", "resolves", "nothing", "nothing", "raises"]),
        # with another run in between
        (["lost A@5", "good B@9", "bad A@3"], ["raises", "resolves", "nothing"]),  # B is newer whatever A was
        (["lost A@5", "good B@9", "bad A@12"], ["raises", "resolves", "raises"]),  # A went on for longer than B
        (["lost A@5", "bad B@9", "good A@3"], ["raises", "touches", "nothing"]),
        (["lost A@5", "bad B@9", "good A@12"], ["raises", "touches", "resolves"]),
        # two jobs of the same subject lost at once, their ends in either order
        (["lost A@5", "lost B@5", "good A@3", "good B@4"], ["raises", "touches", "nothing", "resolves"]),
        (["lost A@5", "lost B@5", "good B@4", "good A@3"], ["raises", "touches", "nothing", "resolves"]),
        (["lost A@5", "lost B@5", "good A@3", "bad B@4"], ["raises", "touches", "nothing", "corrects"]),
        (["lost A@5", "lost B@5", "good A@4", "bad B@3"], ["raises", "touches", "nothing", "resolves"]),
        (["lost A@5", "lost B@5", "cancelled A@3", "cancelled B@4"], ["raises", "touches", "nothing", "resolves"]),
        (["lost A@5", "lost B@5", "cancelled B@3", "cancelled A@4"], ["raises", "touches", "nothing", "resolves"]),
        (["lost A@5", "lost B@5", "bad A@3", "cancelled B@4"], ["raises", "touches", "nothing", "nothing"]),
        (["lost A@5", "lost B@5", "bad B@3", "cancelled A@4"], ["raises", "touches", "nothing", "nothing"]),
        (["lost A@5", "lost B@6", "lost C@7", "good A@3", "good B@4", "good C@4"],
         ["raises", "touches", "touches", "nothing", "nothing", "resolves"]),
        (["bad Z@1", "lost A@5", "lost B@6", "cancelled A@3", "cancelled B@4"],
         ["raises", "touches", "touches", "nothing", "nothing"]),
        # what is older than a loss counts should that turn out to be none
        (["lost B@5", "good A@3", "cancelled B@4"], ["raises", "nothing", "resolves"]),
        (["lost B@5", "bad A@3", "cancelled B@4"], ["raises", "nothing", "nothing"]),  # A holds the alert open
        (["bad Z@1", "lost B@5", "good A@3", "cancelled B@4"], ["raises", "touches", "nothing", "resolves"]),
        (["good Z@1", "lost B@5", "bad A@3", "cancelled B@4", "good C@9"],
         ["nothing", "raises", "nothing", "nothing", "resolves"]),
        (["good Z@4", "lost B@5", "bad A@3", "cancelled B@4"], ["nothing", "raises", "nothing", "resolves"]),
        # an earlier loss that ends after all others: it is the newest, and no new occurrence
        (["lost A@5", "lost B@6", "good A@9"], ["raises", "touches", "resolves"]),
        (["lost A@5", "lost B@6", "bad A@9", "good C@10"], ["raises", "touches", "corrects", "resolves"]),
        (["lost A@5", "lost B@6", "resolve", "bad A@9", "bad C@10"],
         ["raises", "touches", "resolves", "nothing", "raises"]),
    ],
)  # fmt: skip
def test_a_story(story: list[str], does: list[str]) -> None:
    subject = Subject()
    assert [subject.tell(step) for step in story] == does


@pytest.mark.parametrize(
    ("story", "does"),
    [
        # partial and then failed or lost is news, acknowledged or not, and is told once
        (["partial A@1", "bad B@2", "bad C@3"], ["raises", "worsens", "touches"]),
        (["partial A@1", "acknowledge", "bad B@2", "bad C@3"], ["raises", "nothing", "worsens", "touches"]),
        (["partial A@1", "acknowledge", "partial B@2", "lost C@3"], ["raises", "nothing", "touches", "worsens"]),
        (["partial A@1", "bad B@2", "good C@3", "partial D@4", "bad E@5"],
         ["raises", "worsens", "resolves", "raises", "worsens"]),
        # failed and lost are equally bad, and partial is no worse than either
        (["bad A@1", "lost B@2", "bad C@3"], ["raises", "touches", "touches"]),
        (["bad A@1", "acknowledge", "partial B@2"], ["raises", "nothing", "touches"]),
        # it goes up and down: people know the worst already
        (["bad A@1", "partial B@2", "bad C@3"], ["raises", "touches", "touches"]),
        (["partial A@1", "bad B@2", "acknowledge", "partial C@3", "bad D@4"],
         ["raises", "worsens", "nothing", "touches", "touches"]),
        # but who acknowledges it while it is partial has acknowledged no more than that
        (["bad A@1", "partial B@2", "acknowledge", "bad C@3"], ["raises", "touches", "nothing", "worsens"]),
        (["partial A@1", "bad B@2", "partial C@3", "acknowledge", "bad D@4", "bad E@5"],
         ["raises", "worsens", "touches", "nothing", "worsens", "touches"]),
        # acknowledging it twice changes nothing
        (["bad A@1", "acknowledge", "partial B@2", "acknowledge", "bad C@3"],
         ["raises", "nothing", "touches", "nothing", "touches"]),
        # what is older than the partial run makes nothing worse
        (["partial A@5", "bad B@3"], ["raises", "nothing"]),
        # the real end of a loss corrects it, and takes back nothing that was told
        (["partial A@1", "lost B@5", "bad B@4", "bad C@6"], ["raises", "worsens", "corrects", "touches"]),
        (["partial A@1", "lost B@5", "partial B@4", "bad C@6"], ["raises", "worsens", "corrects", "touches"]),
        (["lost A@5", "partial A@4", "bad B@6"], ["raises", "corrects", "touches"]),
        (["lost A@5", "partial A@4", "acknowledge", "bad B@6"], ["raises", "corrects", "nothing", "worsens"]),
    ],
)  # fmt: skip
def test_a_story_that_gets_worse(story: list[str], does: list[str]) -> None:
    subject = Subject()
    assert [subject.tell(step) for step in story] == does


def test_what_is_known_of_an_alert_is_written_with_it() -> None:
    for word, partial in (("partial", True), ("bad", False), ("lost", False)):
        raised = judge(KEY, EMPTY, outcome(word, "A", 1), "fresh")
        (write,) = [write for write in raised.writes if isinstance(write, RaiseAlert)]
        assert write.known_partial is partial
        acknowledged = operators.acknowledge(KEY, raised.state, "anna", None, 0, AUDIT).writes[-1]
        assert isinstance(acknowledged, AcknowledgeAlert)
        assert acknowledged.known_partial is partial


@pytest.mark.parametrize(
    ("story", "does"),
    [
        (["partial A@1"], ["nothing"]),
        (["bad A@1", "partial B@2"], ["raises", "resolves"]),
        (["lost A@5", "partial A@3"], ["raises", "resolves"]),
        (["partial A@1", "bad B@2", "partial C@3"], ["nothing", "raises", "resolves"]),
    ],
)
def test_a_story_where_partial_is_ok(story: list[str], does: list[str]) -> None:
    subject = Subject("ok")
    assert [subject.tell(step) for step in story] == does


def test_a_recurrence_counts_and_a_corrected_loss_does_not() -> None:
    subject = Subject()
    for step in ("bad A@1", "bad B@2", "lost C@5", "bad C@4", "lost D@6", "lost E@7", "bad D@9"):
        subject.tell(step)
    assert subject.occurrences == {"alert1": 5}
    assert subject.resolved == {}


def test_rules_resolve_as_rule_and_operators_by_name() -> None:
    subject = Subject()
    for step in ("bad A@1", "good B@2", "bad C@3", "resolve"):
        subject.tell(step)
    assert subject.resolved == {"alert1": "rule", "alert2": "anna"}


def test_only_so_many_losses_in_a_row_are_remembered() -> None:
    subject = Subject()
    for n in range(LOSSES_KEPT + 5):
        subject.tell(f"lost J{n}@{10 + n}")
    depth, last = 0, subject.state.last
    while last is not None:
        depth, last = depth + 1, last.before
    assert depth == LOSSES_KEPT + 1


def test_a_raise_names_the_job_the_severity_and_the_reason() -> None:
    decision = judge(AlertKey("host", "check_failed", "plan:home"), EMPTY, outcome("bad", "A", 3), "fresh")
    raised = next(write for write in decision.writes if isinstance(write, RaiseAlert))
    assert (raised.alert_id, raised.severity, raised.job_id, raised.subject) == ("fresh", "critical", "A", "plan:home")
    assert "Nightly" in raised.message
    assert raised.at == 4 * MINUTE  # when it was judged


def test_a_failure_says_when_the_last_good_one_was() -> None:
    subject = Subject()
    subject.tell("good A@60")
    decision = judge(KEY, subject.state, outcome("bad", "B", 120), "fresh")
    raised = next(write for write in decision.writes if isinstance(write, RaiseAlert))
    assert "Last good one: Thursday 1970-01-01 01:00 UTC" in raised.message


@pytest.mark.parametrize(
    ("status", "on_partial", "verdict"),
    [
        ("succeeded", "alert", "good"),
        ("succeeded", "ok", "good"),
        ("partial", "alert", "bad"),
        ("partial", "ok", "good"),
        ("failed", "alert", "bad"),
        ("failed", "ok", "bad"),
        ("cancelled", "alert", None),
        ("cancelled", "ok", None),
        ("skipped", "alert", None),
        ("skipped", "ok", None),
    ],
)
def test_verdicts(status: JobEnd, on_partial: OnPartial, verdict: str | None) -> None:
    word = {status: word for word, status in STATUS.items() if word != "lost"}[status]
    assert verdict_of(outcome(word, "A", 1, on_partial=on_partial)) == verdict


def told(
    state: AlertState, job: str, minute: int, reason: JobReason, error: str | None = None
) -> tuple[AlertState, str]:
    what = structs.replace(outcome("bad", job, minute), reason=reason, error=error, zone="Europe/Berlin")
    decision = judge(KEY, state, what, "fresh")
    (message,) = [write.message for write in decision.writes if isinstance(write, RaiseAlert | TouchAlert)]
    return decision.state, message


def test_a_lock_that_follows_a_failure_keeps_telling_of_that_failure() -> None:
    state, _ = told(EMPTY, "A", 1, "error", "connection lost")
    for job, minute in (("B", 60), ("C", 120)):
        state, message = told(state, job, minute, "locked")
        assert "the repository's lock. It began on Thursday 1970-01-01 01:01 CET: connection lost." in message
    state, message = told(state, "D", 180, "wrong_password")
    assert "wrong password" in message
    assert "It began" not in message
    state, message = told(state, "E", 240, "locked")
    assert "It began on Thursday 1970-01-01 04:00 CET: wrong password." in message
    assert outcome_from_json(outcome_to_json(state.last)) == state.last


def test_a_lock_that_nothing_came_before_is_told_as_it_is() -> None:
    state, message = told(EMPTY, "A", 1, "locked")
    assert "It began" not in message
    _, message = told(state, "B", 2, "locked")
    assert "It began" not in message
    after_good = judge(KEY, told(EMPTY, "A", 1, "error", "gone")[0], outcome("good", "B", 2), "x").state
    _, message = told(after_good, "C", 3, "locked")
    assert "It began" not in message


def test_the_real_end_of_a_loss_does_not_begin_with_the_loss() -> None:
    lost = judge(KEY, EMPTY, outcome("lost", "A", 5), "fresh").state
    _, message = told(lost, "A", 4, "locked")
    assert "It began" not in message


def test_a_long_cause_is_cut() -> None:
    state, _ = told(EMPTY, "A", 1, "error", "x" * 5000)
    assert state.last is not None
    assert state.last.cause == "x" * CAUSE_KEPT


def test_a_missing_source_is_bad_even_where_partial_is_well() -> None:
    missing = structs.replace(outcome("partial", "A", 1, on_partial="ok"), reason="no_source")
    assert verdict_of(missing) == "bad"
    assert judge(KEY, EMPTY, missing, "fresh").reason is Reason.FAILED


@pytest.mark.parametrize(
    ("mine", "theirs", "newer"),
    [
        ((5, "s", 2), (9, "s", 1), True),  # one spool: its numbers, not the clock
        ((9, "s", 1), (5, "s", 2), False),
        ((5, "s", 2), (5, "s", 2), False),  # the very same report
        ((5, "s", 2), (9, "t", 1), False),  # another spool: the clock
        ((9, "s", 1), (5, "t", 2), True),
        ((5, None, None), (5, None, None), True),  # a tie counts
        ((5, "s", 1), (5, None, None), True),
        ((4, None, None), (5, "s", 1), False),
        ((5, "s", None), (6, "s", 1), False),  # a spool without a number: the clock
    ],
)
def test_what_is_newer(
    mine: tuple[int, str | None, int | None], theirs: tuple[int, str | None, int | None], newer: bool
) -> None:
    what = outcome("bad", "A", mine[0], spool=mine[1], seq=mine[2])
    assert is_newer(what, LastOutcome("B", "bad", theirs[0] * MINUTE, theirs[1], theirs[2])) is newer
