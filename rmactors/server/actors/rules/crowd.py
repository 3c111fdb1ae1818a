"""A host with too many open alerts: `too_many_alerts`.

A host may name as many plans as it likes, and each that fails would be an alert of its own: thousands of rows on a page
and of messages to people. So beyond a number of open alerts, a failure whose subject is only what the host says, a plan
or nothing, raises none. It counts like any other, and one alert tells how many such there are. What is about a schedule
or about the host itself is the server's own to know, and always has its alert: no invented plan can hide it.

A failure that was held back is over when a good end comes, and gets its own alert when it comes again and there is
room. When none is left, `too_many_alerts` is resolved.
"""

from collections.abc import Iterable
from itertools import islice

from rmactors.common.vocabulary import SEVERITY_OF
from rmactors.server.actors.rules import wording
from rmactors.server.messages.alerts import ExpectOpen, ForgetTrack, RaiseAlert, ResolveAlert, TouchAlert
from rmactors.server.messages.writes import Write
from rmactors.server.state.alert_state import EMPTY, Key, OpenAlert, remember
from rmactors.server.state.host_state import Book, Verdict

NAMED = 3
"""Of what was held back last, so many are named in the message."""
UNDER_WAY = 256
"""So near to the bound, a decision says how many it counts on: others may not be on disk yet, or fail to get there."""
REMEMBERED = 10_000
"""Of one host, so many (kind of alert, subject) are remembered: more plans than anybody has."""
FORGOTTEN_AT_ONCE = 8


def teller(book: Book, own: Key, fresh_id: str) -> str | None:
    """The alert that tells of a failure of `own`, because its host has no room for another; None: it has."""
    if own.subject in book.schedules or not _is_full(book):
        return None
    told = book.track(_key(own.host_id)).alert
    return told.id if told is not None else fresh_id


def counted_on(book: Book, writes: Iterable[Write], held_back: bool) -> tuple[Write, ...]:
    """What a decision that the book remembers already, and that leads to `writes`, expects of the number of open alerts
    on disk before it."""
    raises = any(isinstance(write, RaiseAlert) for write in writes)
    if held_back or (raises and book.most_open and book.open_alerts() - 1 + UNDER_WAY >= book.most_open):
        return (ExpectOpen(book.host_id, book.most_open, reached=held_back),)
    return ()


def told(book: Book, held_back: bool, changed: bool, now: int, fresh_id: str) -> Verdict:
    """Bring `too_many_alerts` up to date: a failure was `held_back`, for the first time or again, or what is held back
    `changed`."""
    key = _key(book.host_id)
    track = book.track(key)
    if not held_back and (not changed or track.alert is None):
        return Verdict((), False, "")
    if track.alert is None:
        severity = SEVERITY_OF[key.kind]
        after, saved = remember(key, track, alert=OpenAlert(fresh_id, severity, now))
        book.put(key, after)
        raised = RaiseAlert(fresh_id, key.host_id, key.kind, key.subject, severity, _message(book), now)
        return Verdict((saved, raised), True, "too many alerts: raises")
    if not book.held_back():
        after, saved = remember(key, track, alert=None)
        book.put(key, after)
        over = ResolveAlert(track.alert.id, now, "rule", None, wording.no_more_held_back())
        return Verdict((saved, over), True, "no failure is held back any more: resolves")
    # Saved although nothing of it changes: the number is right only if what led to it is on disk.
    after, saved = remember(key, track)
    book.put(key, after)
    touched = TouchAlert(track.alert.id, _message(book), now, again=held_back)
    return Verdict((saved, touched), True, "too many alerts: touches")


def forget(book: Book) -> tuple[Write, ...]:
    """Where a host has named more plans than anybody has, those that were not heard of for longest are remembered no
    more, unless they have an open alert: the memory of the server is everybody's."""
    if len(book.tracks) <= REMEMBERED:
        return ()
    made_up = (key for key, track in book.tracks.items() if key.subject.startswith("plan:") and track.alert is None)
    oldest = list(islice(made_up, FORGOTTEN_AT_ONCE))
    writes = tuple(ForgetTrack(key.host_id, key.kind, key.subject, book.track(key).version) for key in oldest)
    for key in oldest:
        book.put(key, EMPTY)
    return writes


def _is_full(book: Book) -> bool:
    return 0 < book.most_open <= book.open_alerts()


def _key(host_id: str) -> Key:
    return Key(host_id, "too_many_alerts", "")


def _message(book: Book) -> str:
    held = book.held_back()
    newest = [(key.kind, key.subject.removeprefix("plan:")) for key in islice(reversed(held), NAMED)]
    return wording.held_back(len(held), book.most_open, newest)
