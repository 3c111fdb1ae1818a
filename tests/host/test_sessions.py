"""Who of one host is connected, and whom a hello replaces."""

from typing import Literal

import pytest

from rmactors.common import wire
from rmactors.server.actors.host.sessions import COUNTED_KEPT, REPLACED_KEPT, REVOKED_KEPT, Accepted, AgentSessions
from rmactors.server.messages.connections import AgentConnection


def connection(number: int) -> AgentConnection:
    def never(*_: object) -> None:
        raise AssertionError("nothing is sent or closed in here")

    return AgentConnection(number, "192.0.2.7", never, never, "hash")


def accept(
    sessions: AgentSessions, number: int, instance: str = "instance", purpose: Literal["agent", "report"] = "agent"
) -> Accepted:
    accepted = sessions.accept(connection(number), wire.Hello(wire.ProtocolRange(1, 1), instance, purpose))
    assert accepted is not None
    return accepted


def agents(sessions: AgentSessions, *instances: str) -> list[tuple[int | None, bool]]:
    """One agent after the other says hello, on connections 1, 2, …: which each replaces, and whether it is a clone."""
    became = []
    for number, instance in enumerate(instances, 1):
        follows = accept(sessions, number, instance)
        became.append((follows.replaced.number if follows.replaced is not None else None, follows.cloned))
    return became


def test_a_connection_is_known_from_its_hello_until_it_closes() -> None:
    sessions = AgentSessions()
    assert sessions.find(connection(1)) is None
    session = accept(sessions, 1).session
    assert sessions.find(session.connection) is session
    sessions.remove(session)
    assert sessions.find(session.connection) is None


def test_the_newer_agent_wins_and_the_older_is_not_known_any_more() -> None:
    sessions = AgentSessions()
    assert agents(sessions, "original", "copy") == [(None, False), (1, False)]
    assert sessions.agent is sessions.find(connection(2)) is not None
    assert sessions.find(connection(1)) is None
    assert [each.number for each in sessions.connections()] == [2]


def test_an_agent_that_comes_back_after_another_had_replaced_it_is_a_clone_once() -> None:
    assert agents(AgentSessions(), "original", "copy", "original", "original") == [
        (None, False), (1, False), (2, True), (3, False),
    ]  # fmt: skip


def test_two_agents_that_take_turns_are_clones_each_time() -> None:
    cloned = [cloned for _, cloned in agents(AgentSessions(), "a", "b", "a", "b", "a")]
    assert cloned == [False, False, True, True, True]


def test_a_clone_is_known_although_the_other_has_gone() -> None:
    sessions = AgentSessions()
    agents(sessions, "original", "copy")
    assert sessions.agent is not None
    sessions.remove(sessions.agent)
    back = accept(sessions, 3, "original")
    assert (back.replaced, back.cloned) == (None, True)


def test_the_same_agent_replaces_its_older_connection_and_is_no_clone() -> None:
    assert agents(AgentSessions(), "the one", "the one", "the one") == [(None, False), (1, False), (2, False)]


def test_only_the_agents_that_were_replaced_last_are_remembered() -> None:
    crowd = [f"agent {n}" for n in range(REPLACED_KEPT + 2)]
    sessions = AgentSessions()
    assert not any(cloned for _, cloned in agents(sessions, *crowd))
    forgotten, kept = "agent 0", "agent 1"
    assert accept(sessions, 100, kept).cloned
    assert not accept(sessions, 101, forgotten).cloned


def test_a_second_hello_on_the_same_connection_replaces_none() -> None:
    sessions = AgentSessions()
    accept(sessions, 1)
    assert accept(sessions, 1, "another").replaced is None
    assert [each.number for each in sessions.connections()] == [1]


def test_what_only_reports_is_connected_beside_the_agent() -> None:
    sessions = AgentSessions()
    agents(sessions, "instance")
    reporter = accept(sessions, 2, "exec", "report").session
    assert not reporter.is_agent
    assert [each.number for each in sessions.connections()] == [1, 2]
    assert not sessions.remove(reporter)
    assert sessions.agent is not None
    assert sessions.agent.is_agent


def test_the_agent_has_gone_when_its_own_link_has_closed() -> None:
    sessions = AgentSessions()
    agents(sessions, "instance")
    assert sessions.agent is not None
    assert sessions.remove(sessions.agent)
    assert sessions.agent is None
    assert sessions.connections() == []


# ---- hellos that were long delayed

Said = tuple[str, int | None]
"""Instance and number of the connection."""


def said(instance: str, connection: int | None, purpose: Literal["agent", "report"] = "agent") -> wire.Hello:
    return wire.Hello(wire.ProtocolRange(1, 1), instance, purpose, connection=connection)


def arrive(sessions: AgentSessions, *hellos: Said) -> list[str]:
    """Hellos on connections 1, 2, …: what becomes of each, and which connection it replaces."""
    became = []
    for number, (instance, counted) in enumerate(hellos, 1):
        follows = sessions.accept(connection(number), said(instance, counted))
        if follows is None:
            became.append("late")
            continue
        which = f" {follows.replaced.number}" if follows.replaced is not None else ""
        words = " of another" * follows.another_instance + ", a clone" * follows.cloned
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
        # an agent that does not count is never late, and makes no other late
        ([("a", None), ("a", None)], ["first", "replaces 1"]),
        ([("a", 2), ("a", None), ("a", 1), ("a", 3)], ["first", "replaces 1", "late", "replaces 2"]),
    ],
)  # fmt: skip
def test_within_an_instance_the_younger_connection_wins_and_not_the_later_hello(
    hellos: list[Said], became: list[str]
) -> None:
    assert arrive(AgentSessions(), *hellos) == became


def test_a_hello_is_late_also_when_the_younger_connection_has_ended() -> None:
    sessions = AgentSessions()
    arrive(sessions, ("a", 2))
    assert sessions.agent is not None
    sessions.remove(sessions.agent)
    assert sessions.accept(connection(9), said("a", 1)) is None
    assert sessions.connections() == []


def test_another_hello_on_a_connection_is_never_late_nor_is_that_of_a_reporter() -> None:
    sessions = AgentSessions()
    arrive(sessions, ("a", 4))
    assert sessions.accept(connection(1), said("a", 3)) is not None
    assert sessions.accept(connection(2), said("a", 3, "report")) is not None
    assert sessions.accept(connection(3), said("a", 3)) is None


def test_only_the_instances_that_said_hello_last_are_counted() -> None:
    sessions = AgentSessions()
    arrive(sessions, ("forgotten", 2), ("kept", 2), *[(f"{n}", 2) for n in range(COUNTED_KEPT - 1)])
    assert sessions.accept(connection(100), said("kept", 1)) is None
    assert sessions.accept(connection(101), said("forgotten", 1)) is not None


def test_only_the_credentials_that_were_revoked_last_are_remembered() -> None:
    sessions = AgentSessions()
    accept(sessions, 1, "agent")
    assert [each.number for each in sessions.revoke("hash", "0")] == [1]
    for number in range(REVOKED_KEPT - 1):
        assert sessions.is_revoked(connection(2))
        sessions.revoke(str(number), str(number + 1))
    assert sessions.is_revoked(connection(2))
    sessions.revoke("one more", "hash again")
    assert not sessions.is_revoked(connection(2))
