"""SIGKILL between ack and delivery: an ack is a promise, and the process that made it may be gone the next moment."""

import random
from collections import defaultdict
from functools import partial

import trio

from harness.accounts import AfterKill, look_after_kill
from harness.agents import ended, enroll_host, simulated
from harness.processes import Server, away
from harness.sink import Sink

KILLS = 8
"""Each costs a start of the server; the drill makes more of them, at random instants."""


async def test_every_acked_transition_arrives_though_the_server_is_killed_again_and_again(
    server: Server, sink: Sink
) -> None:
    await away(lambda: server.webhook(sink.url()))
    credential = await enroll_host(server, "nas")
    expected: dict[str, list[str]] = defaultdict(list)
    killed_before_delivery = 0
    kills: list[AfterKill] = []
    sink.feel("slow", seconds=0.3)  # long beside what a busy machine takes to send the signal
    async with simulated(server, credential) as [agent]:
        for kill in range(KILLS):
            plan = f"p{kill // 2}"  # each plan fails in one life of the server and succeeds in the next
            agent.report(ended(plan, "failed" if kill % 2 == 0 else "succeeded", error="disk on fire"))
            expected[plan].append("alert.raised" if kill % 2 == 0 else "alert.resolved")
            with trio.fail_after(30):
                await agent.settled()  # acked: from here on it is the server's to deliver
            told_before = len(sink.told())
            await trio.sleep(random.uniform(0, 0.4))
            await away(server.kill)
            killed_before_delivery += len(sink.told()) == told_before
            await sink.hear_out()
            kills.append(await away(partial(look_after_kill, server.data_dir / "rm.db", set(), list(sink.requests))))
            await away(server.start)
        sink.feel("up")

        def told() -> dict[str, list[str]]:
            events: dict[str, list[str]] = defaultdict(list)
            for request in sink.told():
                subject = request.body["subject"].removeprefix("plan:")
                if request.body["event"] not in events[subject]:
                    events[subject].append(request.body["event"])  # at least once: a repetition is no second event
            return events

        def all_told(_: Sink) -> bool:
            # A resolution that found its raise still unsent tells both in one message.
            return all(told()[plan] in (events, events[1:]) and told()[plan] for plan, events in expected.items())

        await sink.until(all_told)
    assert killed_before_delivery > 0, "no kill came before its delivery: the test has shown nothing"
    assert set(told()) == set(expected)
    for plan, events in told().items():
        assert events[-1] == "alert.resolved", f"{plan}: out of order"
    repeats = len(sink.told()) - len({request.body["delivery_id"] for request in sink.told()})
    assert [problem for kill in kills for problem in kill.problems] == []
    in_flight = sum(kill.in_flight for kill in kills)
    assert repeats <= in_flight, "only what was sent when its end was not yet on disk can come twice"
