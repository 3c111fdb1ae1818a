"""Whatever the receiver answers, nothing is lost and order is kept. Times are microseconds from 0."""

from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from rmactors.common.clock import SECOND
from rmactors.server.actors.delivery.queue import Batch, ended_by
from rmactors.server.messages.notifications import Attempt
from tests.delivery.queues import AGAIN, NEVER, OK, PERHAPS, delivery, pick_all, queue

PARTLY = Attempt("retry", 452, 1.0, "full", recipients_left=("li@example.org",), others_have_it=True)


@dataclass
class Receiver:
    """Answers as it is told, and writes down what it got."""

    answers: list[str]
    got: list[str] = field(default_factory=list)
    ended: dict[str, str] = field(default_factory=dict)

    def answer(self, batch: Batch) -> Attempt:
        word = self.answers.pop(0) if self.answers else "ok"
        if word == "ok":
            self.got += [batch.main.id] if not batch.group else [each.id for each in batch.deliveries]
        quiet = replace(AGAIN, retry_at=7 * SECOND)
        return {"ok": OK, "later": AGAIN, "no": NEVER, "perhaps": PERHAPS, "wait": quiet, "partly": PARTLY}[word]


EVENTS = ["alert.raised", "alert.acknowledged", "alert.reminder", "alert.resolved"]


@settings(max_examples=300, deadline=None)
@given(
    lanes=st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=25),
    answers=st.lists(st.sampled_from(["ok", "later", "no", "perhaps", "wait", "partly"]), max_size=60),
    takes_resolved=st.booleans(),
    shuffle=st.randoms(use_true_random=False),
)
def test_nothing_is_lost_and_the_order_of_each_alert_is_kept(
    lanes: list[tuple[int, bool]], answers: list[str], takes_resolved: bool, shuffle: object
) -> None:
    """Deliveries arrive in between, sends end in any order, soon or late, answers are anything: every delivery ends
    once, in its order."""
    waiting, receiver = queue(takes_resolved=takes_resolved), Receiver(list(answers))
    step: dict[int, int] = {}
    arriving = []
    for seq, (alert, in_group) in enumerate(lanes):
        at = step.get(alert, 0)
        step[alert] = at + 1
        event = EVENTS[min(at, 3)]
        in_window = in_group and event == "alert.raised"
        due = 5 * SECOND if in_window else 0
        arriving.append(delivery(seq, f"a{alert}", event, due_at=due, grouped=in_window))
    everything = list(arriving)
    in_flight: list[Batch] = []
    now = 0
    for _ in range(2000):
        if arriving and shuffle.random() < 0.5:  # type: ignore[attr-defined]
            waiting.add([arriving.pop(0)])
        in_flight += pick_all(waiting, now)
        assert len({each.alert_id for batch in in_flight for each in batch.deliveries}) == sum(
            len({each.alert_id for each in batch.deliveries}) for batch in in_flight
        ), "one unfinished send an alert"
        if in_flight and shuffle.random() > 0.8:  # type: ignore[attr-defined]
            waiting.set_aside(shuffle.choice(in_flight))  # type: ignore[attr-defined]
        elif in_flight:
            batch = in_flight.pop(shuffle.randrange(len(in_flight)))  # type: ignore[attr-defined]
            result = waiting.settle(batch, receiver.answer(batch), now)
            if result.attempt.verdict != "retry":
                ends = dict(batch.carried)
                for each in ended_by(batch, result.attempt):
                    assert each.id not in receiver.ended, "ends once"
                    told = result.attempt.verdict if each is batch.main else ends.get(each, "?")
                    receiver.ended[each.id] = told
            waiting.release(batch, result)
            assert 0 <= waiting.places <= waiting.sending
        elif not arriving and not len(waiting):
            break
        else:
            now = max(now + SECOND // 10, waiting.next_at() or 0)
    assert {each.id for each in everything} == set(receiver.ended), "nothing is lost"
    assert (waiting.places, waiting.sending, len(waiting)) == (0, 0, 0)
    seq_of = {each.id: each for each in everything}
    for alert in {each.alert_id for each in everything}:
        got = [seq_of[id].seq for id in receiver.got if seq_of[id].alert_id == alert]
        assert got == sorted(got), "in order"
