"""Mailboxes, questions and signals, with several tasks at once. No sleeping: tasks are waited for."""

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from rmactors.server.messages.answers import Committed, Failed, Reply
from rmactors.server.messages.requests import Tick
from rmactors.server.messages.retention import Pruned
from rmactors.server.periodic import tick
from rmactors.server.runtime.mailbox import (
    LATE_MOST,
    LATE_SECONDS,
    Mailbox,
    Signal,
    WakeupSet,
    ask,
    receive_first,
    take_first,
)


async def test_messages_come_out_in_the_order_they_went_in() -> None:
    box: Mailbox[int] = Mailbox("box", 10)
    for n in range(5):
        await box.send(n)
    assert len(box) == 5
    assert await box.receive() == 0
    assert await box.receive_many(2) == [1, 2]
    assert await box.receive_many(10) == [3, 4]
    assert box.take(10) == []


async def test_a_sender_waits_while_the_box_is_full_and_goes_on_when_there_is_room() -> None:
    box: Mailbox[int] = Mailbox("box", 2)
    sent: list[int] = []

    async def send_all() -> None:
        for n in range(5):
            await box.send(n)
            sent.append(n)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send_all)
        await wait_all_tasks_blocked()
        assert sent == [0, 1]
        assert [await box.receive() for _ in range(5)] == [0, 1, 2, 3, 4]
    assert sent == [0, 1, 2, 3, 4]


async def test_many_senders_into_a_small_box_lose_nothing() -> None:
    box: Mailbox[tuple[int, int]] = Mailbox("box", 1)
    got: list[tuple[int, int]] = []

    async def send_all(sender: int) -> None:
        for n in range(20):
            await box.send((sender, n))

    async with trio.open_nursery() as nursery:
        for sender in range(10):
            nursery.start_soon(send_all, sender)
        while len(got) < 200:
            got += await box.receive_many(3)
    for sender in range(10):
        assert [n for who, n in got if who == sender] == list(range(20))


async def test_an_offer_to_a_full_box_is_dropped_and_counted() -> None:
    box: Mailbox[int] = Mailbox("box", 1)
    assert box.offer(1)
    assert not box.offer(2)
    assert not box.offer(3)
    assert box.dropped == 2
    assert await box.receive() == 1


async def test_one_of_a_kind_waits_and_goes_into_a_full_box_too() -> None:
    box: Mailbox[object] = Mailbox("box", 2)
    assert box.put_once(1)
    assert not box.put_once(2), "one that says the same waits already"
    await box.send("a")
    assert box.put_once(3.0), "a full box holds back what comes in crowds, not the one of its kind"
    assert box.take(10) == [1, "a", 3.0]
    assert box.put_once(2)
    assert box.dropped == 0


async def test_ticks_do_not_pile_up_before_rules_that_are_busy(autojump_clock: trio.testing.MockClock) -> None:
    to_rules: Mailbox[Tick] = Mailbox("rules", 1024)
    with trio.move_on_after(600):
        await tick(to_rules, 60, lambda: 0.0)
    assert len(to_rules) == 1
    to_rules.take(1)
    with trio.move_on_after(61):
        await tick(to_rules, 60, lambda: 0.0)
    assert len(to_rules) == 1


async def test_an_answer_always_goes_in() -> None:
    box: Mailbox[int] = Mailbox("box", 1)
    box.put_unbounded(1)
    box.put_unbounded(2)
    assert len(box) == 2
    assert box.dropped == 0


@pytest.mark.parametrize("at_a_stretch", [1, 3, 64])
@pytest.mark.parametrize("taken_before", [0, 1, 2])
async def test_a_cancelled_receiver_takes_nothing_with_it(at_a_stretch: int, taken_before: int) -> None:
    box: Mailbox[int] = Mailbox("box", 4)
    with trio.move_on_after(0):
        await box.receive(at_a_stretch)
    for n in range(4):
        box.put_unbounded(n)
    for n in range(taken_before):
        assert await box.receive(at_a_stretch) == n
    with trio.CancelScope() as scope:
        scope.cancel()
        await box.receive(at_a_stretch)
    assert scope.cancelled_caught
    assert [await box.receive(at_a_stretch) for _ in range(4 - taken_before)] == list(range(taken_before, 4))


async def test_a_cancelled_sender_leaves_the_way_to_the_next() -> None:
    box: Mailbox[int] = Mailbox("box", 1)
    await box.send(0)
    scope = trio.CancelScope()

    async def impatient() -> None:
        with scope:
            await box.send(1)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(impatient)
        await wait_all_tasks_blocked()
        nursery.start_soon(box.send, 2)
        await wait_all_tasks_blocked()
        scope.cancel()
        await wait_all_tasks_blocked()
        assert await box.receive() == 0
    assert await box.receive() == 2


@pytest.mark.parametrize("at_a_stretch", [1, 16, 64])
async def test_a_busy_receiver_lets_others_run_after_so_many_messages(at_a_stretch: int) -> None:
    box: Mailbox[int] = Mailbox("box", 1000)
    turns: list[str] = []

    async def other() -> None:
        while True:
            turns.append("other")
            await trio.lowlevel.checkpoint()

    for n in range(6 * at_a_stretch):
        box.put_unbounded(n)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)
        for _ in range(6 * at_a_stretch):
            await box.receive(at_a_stretch)
            turns.append("receiver")
        nursery.cancel_scope.cancel()
    stretches = "".join(turn[0] for turn in turns).split("o")
    # trio lets those that are ready run in any order: two stretches may follow one another
    assert max(map(len, stretches)) <= 2 * at_a_stretch
    assert turns.count("other") >= 4


async def test_a_question_gets_its_answer() -> None:
    box: Mailbox[Reply] = Mailbox("box", 1)

    async def answer() -> None:
        (await box.receive())(Committed((Pruned(7),)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer)
        assert await ask(box.send, lambda reply: reply) == Committed((Pruned(7),))


async def test_a_question_without_an_answer_fails_in_time(mock_clock: trio.testing.MockClock) -> None:
    mock_clock.autojump_threshold = 0
    box: Mailbox[Reply] = Mailbox("box", 1)
    assert await ask(box.send, lambda reply: reply, seconds=5) == Failed("no answer in time")
    assert trio.current_time() == pytest.approx(5)


async def test_a_question_is_asked_to_its_end_even_when_nobody_waits_any_more() -> None:
    box: Mailbox[Reply] = Mailbox("box", 1)
    told: list[object] = []
    scope = trio.CancelScope()

    async def browser() -> None:
        with scope:
            told.append(await ask(box.send, lambda reply: reply))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(browser)
        await wait_all_tasks_blocked()
        scope.cancel()
        await wait_all_tasks_blocked()
        assert told == []
        (await box.receive())(Committed())
    assert told == [Committed()]


async def test_a_signal_set_often_wakes_once() -> None:
    signal, woken = Signal(), 0

    async def wait() -> None:
        nonlocal woken
        while True:
            await signal.wait()
            woken += 1

    async with trio.open_nursery() as nursery:
        signal.set()  # before anyone waits
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        assert woken == 1
        signal.set()
        signal.set()
        await wait_all_tasks_blocked()
        assert woken == 2
        nursery.cancel_scope.cancel()


async def test_what_is_put_aside_waits_apart_and_is_dropped_where_there_is_no_room() -> None:
    box: Mailbox[int] = Mailbox("box", 1, aside=2)
    assert [box.put_aside(number) for number in (10, 11, 12)] == [True, True, False]
    assert (len(box), box.dropped) == (0, 1)
    await box.send(1)  # does not wait: what is aside takes no room
    assert box.take(5) == [1]
    assert box.take_aside(1) == [10]
    assert box.take_aside(5, lambda number: number < 11) == []
    assert box.take_aside(5) == [11]


async def test_who_waits_is_woken_by_either(autojump_clock: trio.testing.MockClock) -> None:
    box: Mailbox[int] = Mailbox("box", 1, aside=1)
    woken = 0

    async def wait() -> None:
        nonlocal woken
        for _ in range(2):
            await box.wait()
            woken += len(box.take(1) + box.take_aside(1))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.sleep(1)
        box.put_aside(1)
        await trio.sleep(1)
        assert woken == 1
        box.put_unbounded(2)
    assert woken == 2


async def test_of_mailboxes_beside_each_other_the_first_comes_first() -> None:
    frames: Mailbox[int] = Mailbox("frames", 4)
    answers: Mailbox[int] = Mailbox("answers", 0, beside=frames)
    frames.put_unbounded(1)
    answers.put_unbounded(2)
    assert await receive_first(answers, frames) == 2
    with trio.move_on_after(0.01) as waiting:
        await receive_first(answers)
    assert waiting.cancelled_caught, "only the answers were asked for"
    assert await receive_first(answers, frames) == 1
    async with trio.open_nursery() as nursery:
        nursery.start_soon(frames.send, 3)
        assert await receive_first(answers, frames) == 3


async def test_a_receiver_waits_until_its_deadline_and_what_came_before_that_is_taken(
    autojump_clock: trio.testing.MockClock,
) -> None:
    box: Mailbox[int] = Mailbox("box", 4)
    assert await receive_first(box, deadline=trio.current_time() + 10) is None
    box.put_unbounded(1)
    assert await receive_first(box, deadline=trio.current_time()) is None, "the deadline comes before what waits"
    assert await receive_first(box, deadline=trio.current_time() + 1) == 1

    async def put_at_the_deadline() -> None:
        await trio.sleep(1)
        box.put_unbounded(2)
        autojump_clock.jump(1)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(put_at_the_deadline)
        assert await receive_first(box, deadline=trio.current_time() + 1.5) == 2


async def test_only_what_fits_is_taken() -> None:
    box: Mailbox[int] = Mailbox("box", 9)
    for number in (1, 2, 30, 4):
        await box.send(number)
    assert box.take(9, lambda number: number < 10) == [1, 2]
    assert box.take(9) == [30, 4]


async def test_what_was_left_while_nobody_waited_is_taken_at_once() -> None:
    changed = WakeupSet()
    changed.add({"a"})
    changed.add({"b", "a"})
    changed.add(set())
    assert await changed.take() == {"a", "b"}
    changed.add(set())
    with trio.move_on_after(0.01) as waiting:
        await changed.take()
    assert waiting.cancelled_caught, "no id wakes nobody"
    changed.ring()
    assert await changed.take() == set()


# ---- what is late


async def test_what_is_late_goes_along_with_what_comes_next(mock_clock: trio.testing.MockClock) -> None:
    box: Mailbox[int] = Mailbox("box", 10)
    box.put_late(1)
    box.put_late(2)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(box.wait)
        await wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 1, "nothing came that they could go along with"
        await box.send(3)
    assert box.take(10) == [3]
    assert box.take_late(1) == [1]
    assert box.take_late(10) == [2]
    assert box.take_late(10) == []


async def test_what_is_late_and_alone_is_taken_after_a_moment(autojump_clock: trio.testing.MockClock) -> None:
    box: Mailbox[int] = Mailbox("box", 10)
    began = trio.current_time()
    box.put_late(1)
    await trio.sleep(LATE_SECONDS / 2)
    box.put_late(2)
    await box.wait()
    assert trio.current_time() - began == pytest.approx(LATE_SECONDS), "the first one's time counts"
    assert box.take_late(10) == [1, 2]
    box.put_late(3)
    began = trio.current_time()
    await box.wait()
    assert trio.current_time() - began == pytest.approx(LATE_SECONDS)


@pytest.mark.parametrize("waits_before", [True, False])
async def test_several_that_are_late_wait_for_nobody(mock_clock: trio.testing.MockClock, waits_before: bool) -> None:
    box: Mailbox[int] = Mailbox("box", 10)
    async with trio.open_nursery() as nursery:
        if waits_before:
            nursery.start_soon(box.wait)
            await wait_all_tasks_blocked()
        for number in range(LATE_MOST):
            box.put_late(number)
        if not waits_before:
            nursery.start_soon(box.wait)
    assert box.take_late(10, lambda number: number < 2) == [0, 1]
    assert box.take_late(10) == [2, 3]


async def test_what_is_there_is_taken_without_waiting() -> None:
    answers: Mailbox[int] = Mailbox("answers", 10)
    frames: Mailbox[int] = Mailbox("frames", 10, beside=answers)
    assert take_first(answers, frames) is None
    frames.put_unbounded(1)
    answers.put_unbounded(2)
    assert [take_first(answers, frames) for _ in range(3)] == [2, 1, None]


async def test_a_sender_goes_on_where_the_receiver_takes_without_waiting() -> None:
    box: Mailbox[int] = Mailbox("box", 1)
    await box.send(1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(box.send, 2)
        await wait_all_tasks_blocked()
        assert take_first(box) == 1
    assert take_first(box) == 2
