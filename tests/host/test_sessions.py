"""Who of one host is connected, and whom a hello replaces."""

from typing import Literal

import pytest

from rmactors.common import wire
from rmactors.server.actors.host.sessions import COUNTED_KEPT, REPLACED_KEPT, Greeted, Links
from rmactors.server.messages.links import Link


def link(number: int) -> Link:
    def nobody(*_: object) -> None:
        raise AssertionError("nothing is sent or closed in here")

    return Link(number, "192.0.2.7", nobody, nobody)


def greet(
    links: Links, number: int, instance: str = "instance", purpose: Literal["agent", "report"] = "agent"
) -> Greeted:
    return links.greet(link(number), wire.Hello(wire.ProtocolRange(1, 1), instance, purpose))


def agents(links: Links, *instances: str) -> list[tuple[int | None, bool]]:
    """One agent after the other says hello, on links 1, 2, …: which link each replaces, and whether it is a clone."""
    told = []
    for number, instance in enumerate(instances, 1):
        follows = links.take_over(greet(links, number, instance))
        told.append((follows.replaced.number if follows.replaced is not None else None, follows.cloned))
    return told


def test_a_link_is_known_from_its_hello_until_it_closes() -> None:
    links = Links()
    assert links.find(link(1)) is None
    greeted = greet(links, 1)
    assert links.find(greeted.link) is greeted
    links.remove(greeted)
    assert links.find(greeted.link) is None


def test_the_newer_agent_wins_and_the_older_is_not_known_any_more() -> None:
    links = Links()
    assert agents(links, "original", "copy") == [(None, False), (1, False)]
    assert links.agent is links.find(link(2)) is not None
    assert links.find(link(1)) is None
    assert [each.number for each in links.all()] == [2]


def test_an_agent_that_comes_back_after_another_had_replaced_it_is_a_clone_once() -> None:
    assert agents(Links(), "original", "copy", "original", "original") == [
        (None, False), (1, False), (2, True), (3, False),
    ]  # fmt: skip


def test_two_agents_that_take_turns_are_clones_each_time() -> None:
    cloned = [cloned for _, cloned in agents(Links(), "a", "b", "a", "b", "a")]
    assert cloned == [False, False, True, True, True]


def test_a_clone_is_known_although_the_other_has_gone() -> None:
    links = Links()
    agents(links, "original", "copy")
    assert links.agent is not None
    links.remove(links.agent)
    assert [(follows.replaced, follows.cloned) for follows in [links.take_over(greet(links, 3, "original"))]] == [
        (None, True)
    ]


def test_the_same_agent_replaces_its_older_connection_and_is_no_clone() -> None:
    assert agents(Links(), "the one", "the one", "the one") == [(None, False), (1, False), (2, False)]


def test_only_the_agents_that_were_replaced_last_are_remembered() -> None:
    crowd = [f"agent {n}" for n in range(REPLACED_KEPT + 2)]
    links = Links()
    assert not any(cloned for _, cloned in agents(links, *crowd))
    forgotten, kept = "agent 0", "agent 1"
    assert links.take_over(greet(links, 100, kept)).cloned
    assert not links.take_over(greet(links, 101, forgotten)).cloned


def test_a_second_hello_on_the_same_link_replaces_nobody() -> None:
    links = Links()
    links.take_over(greet(links, 1))
    assert links.take_over(greet(links, 1, "another")).replaced is None
    assert [each.number for each in links.all()] == [1]


def test_what_only_reports_is_connected_beside_the_agent() -> None:
    links = Links()
    agents(links, "instance")
    reporter = greet(links, 2, "exec", "report")
    assert not reporter.as_agent
    assert [each.number for each in links.all()] == [1, 2]
    assert not links.remove(reporter)
    assert links.agent is not None
    assert links.agent.as_agent


def test_the_agent_has_gone_when_its_own_link_has_closed() -> None:
    links = Links()
    agents(links, "instance")
    assert links.agent is not None
    assert links.remove(links.agent)
    assert links.agent is None
    assert links.all() == []


# ---- hellos that were long on their way

Said = tuple[str, int | None]
"""Instance and number of the connection."""


def said(instance: str, connection: int | None, purpose: Literal["agent", "report"] = "agent") -> wire.Hello:
    return wire.Hello(wire.ProtocolRange(1, 1), instance, purpose, connection=connection)


def arrive(links: Links, *hellos: Said) -> list[str]:
    """Hellos on links 1, 2, …: what becomes of each, and which link it replaces."""
    became = []
    for number, (instance, connection) in enumerate(hellos, 1):
        hello = said(instance, connection)
        if links.is_late(link(number), hello):
            became.append("late")
            continue
        follows = links.take_over(links.greet(link(number), hello))
        which = f" {follows.replaced.number}" if follows.replaced is not None else ""
        words = " of another" * follows.of_another + ", a clone" * follows.cloned
        became.append(f"replaces{which}{words}" if which else f"first{words}")
    return became


@pytest.mark.parametrize(
    ("hellos", "became"),
    [
        # one after the other, as an agent connects
        ([("a", 1), ("a", 2), ("a", 5)], ["first", "replaces 1", "replaces 2"]),
        # the first two were held up, the third was not
        ([("a", 3), ("a", 1), ("a", 2)], ["first", "late", "late"]),
        ([("a", 3), ("a", 1), ("a", 4), ("a", 2)], ["first", "late", "replaces 1", "late"]),
        # an agent that was restarted counts from 1 again, and what its predecessor said long ago is late
        ([("a", 7), ("b", 1)], ["first", "replaces 1 of another"]),
        ([("a", 7), ("b", 1), ("a", 6)], ["first", "replaces 1 of another", "late"]),
        # clones count too, each by itself
        ([("a", 1), ("b", 1), ("a", 2), ("b", 2)],
         ["first", "replaces 1 of another", "replaces 2 of another, a clone", "replaces 3 of another, a clone"]),
        # the same number again is no smaller one
        ([("a", 2), ("a", 2)], ["first", "replaces 1"]),
        # who does not count is never late, and hides nobody
        ([("a", None), ("a", None)], ["first", "replaces 1"]),
        ([("a", 2), ("a", None), ("a", 1), ("a", 3)], ["first", "replaces 1", "late", "replaces 2"]),
    ],
)  # fmt: skip
def test_within_an_instance_the_younger_connection_wins_and_not_the_later_hello(
    hellos: list[Said], became: list[str]
) -> None:
    assert arrive(Links(), *hellos) == became


def test_a_hello_is_late_also_when_the_younger_connection_has_ended() -> None:
    links = Links()
    arrive(links, ("a", 2))
    assert links.agent is not None
    links.remove(links.agent)
    assert links.is_late(link(9), said("a", 1))
    assert links.all() == []


def test_another_hello_on_a_link_is_never_late_nor_is_that_of_a_reporter() -> None:
    links = Links()
    arrive(links, ("a", 4))
    assert not links.is_late(link(1), said("a", 3))
    assert not links.is_late(link(2), said("a", 3, "report"))
    assert links.is_late(link(2), said("a", 3))


def test_only_the_instances_that_said_hello_last_are_counted() -> None:
    links = Links()
    arrive(links, ("forgotten", 2), ("kept", 2), *[(f"{n}", 2) for n in range(COUNTED_KEPT - 1)])
    assert not links.is_late(link(100), said("forgotten", 1))
    assert links.is_late(link(100), said("kept", 1))
