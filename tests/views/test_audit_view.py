"""The audit trail as people read it: words and names, with the date."""

import pytest

from rmactors.common import clock
from rmactors.server.store.queries.accounts import AuditRow
from rmactors.server.store.queries.audit_targets import Target
from rmactors.server.web.views.audit import AuditLine, audit_lines, said
from rmactors.server.web.views.times import Moment

NOW = clock.from_rfc3339("2026-11-23T12:00:00Z")
MOMENT = Moment(NOW)
HOST = ("host", "H")


def entry(action: str, kind: str = "host", target_id: str = "H", result: str = "ok") -> AuditRow:
    return AuditRow("A" * 26, 1, NOW, "dana", "user", action, kind, target_id, result, "127.0.0.1", "name, tags")


def line(row: AuditRow, *names: tuple[tuple[str, str], Target]) -> AuditLine:
    (found,) = audit_lines([row], dict(names), MOMENT)
    return found


def test_a_line_says_what_was_done_to_what_by_name_with_a_link() -> None:
    found = line(entry("host.update"), (HOST, Target("nas", there=True)))
    assert (found.said, found.target, found.href, found.detail) == ("Host changed", "nas", "/hosts/H", "name, tags")


def test_what_is_gone_is_named_by_its_id_and_has_no_page() -> None:
    found = line(entry("host.update"))
    assert (found.target, found.href) == ("host H", "")
    deleted = line(entry("host.delete"), (HOST, Target("nas", there=False)))
    assert (deleted.target, deleted.href) == ("nas", "")


def test_it_says_what_was_refused() -> None:
    assert line(entry("user.login", "user", "U", "failed")).state.word == "Failed"


def test_a_time_has_its_date() -> None:
    assert line(entry("host.update")).at.words.startswith(f"{MOMENT.local(NOW).day} ")


@pytest.mark.parametrize(
    ("action", "words"),
    [
        ("channel.create", "Channel created"),
        ("enrollment_token.delete", "Enrollment token deleted"),
        ("user.second_factor_off", "User turned off the second factor"),
        ("access.refuse", "Access refused"),
        ("host.rotate_token", "Host got a new credential"),
        ("something.new_here", "Something new here"),
        ("odd", "Odd"),
    ],
)
def test_an_action_in_words(action: str, words: str) -> None:
    assert said(action) == words
