"""Where a host's agent gave no answer, the page says why, and what to do."""

import pytest

from rmactors.server.web.views.no_answer import allow_line, no_answer


@pytest.mark.parametrize(
    ("slug", "title", "again", "blind"),
    [
        ("not-connected", "nas1 is not connected", True, False),
        ("agent-slow", "nas1 did not answer in time", True, True),
        ("agent-too-old", "The agent of nas1 is too old", False, False),
        ("not-allowed", "nas1 does not let anybody look into its backups", False, True),
        ("not-found", "Not found", False, False),
        ("invalid", "nas1 cannot answer this", False, False),
        ("busy", "nas1 is busy", True, False),
        ("agent-failed", "nas1 could not read the repository", True, True),
        ("unavailable", "the agent's words", True, False),
    ],
)
def test_each_reason_has_its_words(slug: str, title: str, again: bool, blind: bool) -> None:
    found = no_answer(slug, "the agent's words", "nas1", ["backup"])
    assert (found.title, found.again, found.blind) == (title, again, blind)


@pytest.mark.parametrize("slug", ["not-found", "invalid", "busy", "agent-failed"])
def test_the_agents_own_words_are_shown(slug: str) -> None:
    assert no_answer(slug, "no such folder", "nas1", None).said == "no such folder"


def test_a_host_that_does_not_allow_it_says_which_line_is_missing() -> None:
    assert no_answer("not-allowed", "", "nas1", ["backup", "restore"]).line == 'allow = ["backup", "restore", "browse"]'


def test_the_line_is_never_doubled_and_begins_with_what_is_allowed_by_default() -> None:
    assert allow_line(["browse"], "browse") == 'allow = ["browse"]'
    assert allow_line(None, "browse") == 'allow = ["backup", "check", "browse"]'


def test_a_host_that_is_away_says_when_it_was_last_seen() -> None:
    assert no_answer("not-connected", "", "nas1", None, "3 h ago").sentence.endswith("Last seen 3 h ago.")
    assert "Last seen" not in no_answer("not-connected", "", "nas1", None).sentence


def test_a_silent_agent_that_tells_nothing_may_be_too_old() -> None:
    assert "too old" in no_answer("agent-slow", "", "nas1", None).sentence
    assert "too old" not in no_answer("agent-slow", "", "nas1", []).sentence


def test_a_host_that_allows_looking_and_not_at_this_says_why_itself() -> None:
    """To add what is there already would not help."""
    found = no_answer("not-allowed", "that snapshot was made by host db", "nas1", ["backup", "browse"])
    assert (found.title, found.said) == ("nas1 does not allow this", "that snapshot was made by host db")
    assert (found.line, found.again, found.blind) == ("", False, False)
