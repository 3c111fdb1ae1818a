"""What is left to be swept, and how far it is done."""

from rmactors.server.actors.policies.sweeps import Sweeps, Walk


def test_at_the_start_all_is_walked_over_and_then_nothing_is_left() -> None:
    sweeps = Sweeps()
    sweeps.begin_again()
    walk = sweeps.next_walk()
    assert walk == Walk(None, 0)
    assert not sweeps.is_idle()
    sweeps.went_on(walk, "h2")
    assert sweeps.next_walk() == Walk(None, 0, "h2")
    sweeps.went_on(walk, None)
    assert sweeps.next_walk() is None
    assert sweeps.is_idle()


def test_policies_that_change_during_a_walk_are_walked_for_after_it() -> None:
    sweeps = Sweeps()
    sweeps.policies.add({"p"})
    first = sweeps.next_walk()
    assert first == Walk(frozenset({"p"}), 1)
    sweeps.policies.add({"q"})
    assert sweeps.next_walk() is first
    sweeps.went_on(first, None)
    assert (sweeps.policies.asked, sweeps.policies.done) == (2, 1)
    second = sweeps.next_walk()
    assert second == Walk(frozenset({"q"}), 2)
    sweeps.went_on(second, None)
    assert sweeps.policies.done == 2


def test_hosts_count_as_done_when_those_that_were_taken_are_swept() -> None:
    sweeps = Sweeps()
    sweeps.hosts.add({"a"})
    sweeps.hosts.add({"a", "b"})
    taken, until = sweeps.hosts.take()
    sweeps.hosts.add({"c"})
    assert (taken, until) == (frozenset({"a", "b"}), 2)
    sweeps.hosts.swept(until)
    assert (sweeps.hosts.asked, sweeps.hosts.done, sweeps.hosts.ids) == (3, 2, {"c"})
    assert not sweeps.is_idle()


def test_what_was_taken_and_not_done_is_taken_again_after_a_crash() -> None:
    sweeps = Sweeps()
    sweeps.hosts.add({"a"})
    sweeps.policies.add({"p"})
    sweeps.hosts.take()
    sweeps.next_walk()
    sweeps.begin_again()
    taken, until = sweeps.hosts.take()
    assert (taken, until) == (frozenset({"a"}), 1)
    walk = sweeps.next_walk()
    assert walk == Walk(None, 1)
    sweeps.went_on(walk, None)
    assert sweeps.policies.done == 1
