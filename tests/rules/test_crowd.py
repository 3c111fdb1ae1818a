"""A host with too many open alerts: what it makes up raises no more of them, and one alert counts the others."""

from dataclasses import replace
from itertools import count

import pytest

from rmactors.common.clock import HOUR
from rmactors.server.actors.rules import crowd, wording
from rmactors.server.actors.rules.book import Decidable, decide
from rmactors.server.messages.alerts import ExpectOpen, ForgetTrack, RaiseAlert, ResolveAlert, SaveTrack, TouchAlert
from rmactors.server.messages.answers import no_reply
from rmactors.server.messages.jobs import SaveEnd
from rmactors.server.messages.requests import HostWentSilent, JudgeEnd, JudgeLoss
from rmactors.server.state.alert_state import Head, Key, Track, head_from_json, head_to_json
from rmactors.server.state.host_state import Book
from tests.rules.test_plans import FLOOR, NOON, a_book, lost, run, schedule
from tests.rules.test_suspicious import backup

NIGHTLY = schedule("nightly", "home")
NUMBERS = count()


def crowded(most: int, *failing: str) -> Book:
    """A host that may have so many open alerts, of which it has those plans'."""
    book = a_book(replace(NIGHTLY))
    book.most_open = most
    for plan in failing:
        told(book, run("failed", 0, plan=plan))
    return book


def told(book: Book, step: Decidable) -> list[str]:
    """What a step does to alerts, a word each; those of a kind of their own by that kind."""
    of = {track.alert.id: key for key, track in book.tracks.items() if track.alert is not None}
    did = []
    for write in decide(book, step, f"fresh {next(NUMBERS)}", FLOOR).writes:
        match write:
            case RaiseAlert():
                of[write.alert_id] = Key(write.host_id, write.kind, write.subject)
                did.append(f"raises {name(of[write.alert_id])}")
            case TouchAlert():
                did.append(f"{'touches' if write.again else 'corrects'} {name(of[write.alert_id])}")
            case ResolveAlert():
                did.append(f"resolves {name(of[write.alert_id])}")
            case _:
                pass
    return did


def name(key: Key) -> str:
    return key.subject if key.kind == "backup_failed" else key.kind


def message(book: Book, step: Decidable) -> str:
    """What is said of too many alerts."""
    writes = decide(book, step, "fresh", FLOOR).writes
    return next(write.message for write in writes if isinstance(write, RaiseAlert | TouchAlert))


def test_beyond_the_bound_one_alert_counts_the_others() -> None:
    book = crowded(2, "a", "b")
    assert told(book, run("failed", 1, plan="c")) == ["raises too_many_alerts"]
    assert told(book, run("failed", 1, plan="d")) == ["touches too_many_alerts"]
    assert message(book, run("failed", 2, plan="c")) == (
        "2 more failures of this host have no alert of their own, because too many of its alerts are open (2 at most)."
        " The newest: backup of c, backup of d. Does something on this host make up names of plans? Resolve what is"
        " over: what fails again then has its own."
    )


def test_the_outcome_itself_is_kept_like_any_other() -> None:
    book = crowded(1, "a")
    writes = decide(book, run("failed", 1, plan="b"), "fresh", FLOOR).writes
    assert isinstance(writes[0], SaveEnd)
    [own, crowd] = [write for write in writes if isinstance(write, SaveTrack)]
    assert (own.subject, crowd.kind) == ("plan:b", "too_many_alerts")
    head = head_from_json(own.head)
    assert head is not None
    assert (head.verdict, head.told_by) == ("bad", "fresh")
    assert head_from_json(head_to_json(head)) == head


def test_open_ones_go_on_to_be_touched_and_resolved() -> None:
    book = crowded(1, "a")
    told(book, run("failed", 1, plan="b"))
    assert told(book, run("failed", 2, plan="a")) == ["touches plan:a"]
    assert told(book, run("succeeded", 3, plan="a")) == ["resolves plan:a"]


def test_what_was_held_back_and_fails_again_when_there_is_room_has_its_own_alert() -> None:
    book = crowded(1, "a")
    told(book, run("failed", 1, plan="b"))
    told(book, run("failed", 1, plan="c"))
    told(book, run("succeeded", 2, plan="a"))
    assert told(book, run("failed", 3, plan="b")) == ["raises plan:b", "corrects too_many_alerts"]
    assert told(book, run("failed", 4, plan="c")) == ["touches too_many_alerts"]


def test_when_none_is_held_back_any_more_it_is_resolved() -> None:
    book = crowded(1, "a")
    told(book, run("failed", 1, plan="b"))
    told(book, run("failed", 1, plan="c"))
    assert told(book, run("succeeded", 2, plan="b")) == ["corrects too_many_alerts"]
    assert told(book, run("succeeded", 2, plan="c")) == ["resolves too_many_alerts"]
    assert book.held_back() == {}


def test_what_neither_is_over_nor_new_changes_nothing_about_it() -> None:
    book = crowded(1, "a")
    told(book, run("failed", 5, plan="b"))
    assert told(book, run("cancelled", 6, plan="b")) == []
    assert told(book, run("failed", 1, plan="b", job="older")) == []


@pytest.mark.parametrize(
    ("step", "does"),
    [
        (run("failed", 1, of="nightly", plan="home"), ["raises nightly"]),
        (HostWentSilent("host", NOON, NOON + HOUR, no_reply), ["raises agent_offline"]),
    ],
)
def test_what_is_about_a_schedule_or_the_host_itself_always_has_its_alert(step: Decidable, does: list[str]) -> None:
    """Whatever the host makes up, it hides nothing of what the server knows by itself."""
    book = crowded(2, "a", "b")
    told(book, run("failed", 1, plan="c"))
    assert told(book, step) == does


def test_other_kinds_are_held_back_and_named_as_well() -> None:
    book = crowded(1, "a")
    told(book, run("failed", 1, plan="b", kind="check"))
    assert book.open_alerts() == 1
    assert "The newest: forget, check of b." in message(book, run("failed", 1, plan=None, kind="forget"))
    told(book, backup(0, 1, None, "c"))
    assert list(book.held_back())[-1].kind == "backup_suspicious"


def test_a_loss_that_was_held_back_is_over_with_its_real_end() -> None:
    book = crowded(1, "a")
    assert told(book, lost(1, "J", plan="b")) == ["raises too_many_alerts"]
    assert told(book, run("failed", 2, plan="b", job="J")) == [], "it is a failure still, and no new one"
    assert len(book.held_back()) == 1
    assert told(book, lost(3, "K", plan="c")) == ["touches too_many_alerts"]
    assert told(book, run("succeeded", 4, plan="c", job="K")) == ["corrects too_many_alerts"]


def test_the_real_end_of_an_earlier_loss_is_held_back_like_the_loss() -> None:
    book = crowded(1, "a")
    told(book, lost(1, "J", plan="b"))
    told(book, lost(2, "K", plan="b"))
    assert told(book, run("failed", 3, plan="b", job="J")) == []
    assert len(book.held_back()) == 1


def test_resolved_by_hand_it_comes_again_with_the_next_failure_and_counts_from_there() -> None:
    book = crowded(1, "a")
    told(book, run("failed", 1, plan="b"))
    told(book, run("failed", 1, plan="c"))
    key = Key("host", "too_many_alerts", "")
    book.put(key, replace(book.track(key), alert=None))
    assert book.held_back() == {}
    assert told(book, run("succeeded", 2, plan="b")) == []
    assert told(book, run("failed", 3, plan="c")) == ["raises too_many_alerts"]
    assert len(book.held_back()) == 1


def test_read_from_the_store_again_it_counts_the_same() -> None:
    book = crowded(2, "a", "b")
    for n, plan in enumerate("cdef"):
        told(book, run("failed", n, plan=plan))
    told(book, run("succeeded", 9, plan="c"))
    again = Book("host", True, False, dict(book.tracks), dict(book.schedules), most_open=2)
    assert (again.open_alerts(), list(again.held_back())) == (2, list(book.held_back()))
    assert message(again, run("failed", 10, plan="g")).startswith("4 more failures")


def test_without_a_bound_every_failure_has_its_alert() -> None:
    book = crowded(0, *"abcdef")
    assert told(book, run("failed", 1, plan="g")) == ["raises plan:g"]


def test_where_the_bound_was_taken_away_what_fails_again_has_its_alert_and_the_last_ends_it() -> None:
    book = crowded(1, "a")
    told(book, run("failed", 1, plan="b"))
    told(book, run("failed", 1, plan="c"))
    book.most_open = 0
    assert told(book, run("failed", 2, plan="b")) == ["raises plan:b", "corrects too_many_alerts"]
    assert told(book, run("failed", 2, plan="c")) == ["raises plan:c", "resolves too_many_alerts"]


def test_a_failure_that_an_alert_of_its_schedule_tells_of_by_now_is_held_back_no_more() -> None:
    book = crowded(1, "a")
    told(book, run("failed", 1, plan="home"))
    assert told(book, run("failed", 2, of="nightly", plan="home")) == ["raises nightly"]
    assert told(book, run("failed", 3, plan="home")) == ["touches nightly", "resolves too_many_alerts"]


# ---- what it expects of the disk


def counted_on(book: Book, step: JudgeEnd | JudgeLoss) -> list[ExpectOpen]:
    return [write for write in decide(book, step, "fresh", FLOOR).writes if isinstance(write, ExpectOpen)]


def test_near_the_bound_a_decision_says_how_many_open_alerts_it_counts_on() -> None:
    book = crowded(2, "a")
    assert counted_on(book, run("failed", 1, plan="b")) == [ExpectOpen("host", 2, reached=False)]
    assert counted_on(book, run("failed", 1, plan="c")) == [ExpectOpen("host", 2, reached=True)]
    assert counted_on(book, run("failed", 2, plan="b")) == []
    assert counted_on(book, run("succeeded", 3, plan="b")) == []


def test_far_from_it_nothing_is_asked() -> None:
    book = crowded(1000, "a")
    assert counted_on(book, run("failed", 1, plan="b")) == []


# ---- what is remembered


def test_of_a_host_that_names_plans_without_end_the_oldest_are_forgotten_but_for_open_alerts() -> None:
    book = crowded(2, "a", "b")
    told(book, run("failed", 0, of="nightly", plan="home"))
    head = Head("J", "good", NOON, None, None)
    for n in range(crowd.REMEMBERED - len(book.tracks)):
        book.put(Key("host", "backup_failed", f"plan:{n}"), Track(head=head, version=3))
    kept, forgotten = (Key("host", "backup_failed", f"plan:{n}") for n in (0, 1))
    told(book, run("succeeded", 1, plan="0"))
    assert kept in book.tracks
    writes = decide(book, run("failed", 1, plan="new"), "fresh", FLOOR).writes
    gone = [write for write in writes if isinstance(write, ForgetTrack)]
    assert gone[0] == ForgetTrack("host", "backup_failed", "plan:1", 3)
    assert len(gone) == crowd.FORGOTTEN_AT_ONCE
    assert forgotten not in book.tracks
    open_ones = {Key("host", "backup_failed", subject) for subject in ("plan:a", "plan:b", "nightly")}
    assert open_ones | {kept} <= book.tracks.keys()
    assert len(book.tracks) <= crowd.REMEMBERED


# ---- wording


def test_one_failure_is_said_as_one_and_long_names_are_cut() -> None:
    said = wording.held_back(1, 0, [("prune_failed", "x" * 200)])
    assert said.startswith("1 more failure of this host has no alert of its own, because too many of its alerts are")
    assert " are open. The newest" in said
    assert f"The newest: prune of {'x' * 59}…." in said


def test_numbers_are_readable() -> None:
    assert "1,234 more failures" in (said := wording.held_back(1234, 1000, []))
    assert "(1,000 at most)" in said
