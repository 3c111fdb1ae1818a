"""What is said of channels above every page."""

import pytest

from rmactors.server.store.queries.channels import Glance
from rmactors.server.web.views.shell import channel_notice


def glance(*names: str, enabled: int = 5) -> Glance:
    return Glance(enabled, tuple((f"id of {name}", name) for name in names))


def test_nothing_is_said_while_all_deliver() -> None:
    assert channel_notice(glance(), may_act=True) is None


@pytest.mark.parametrize("may_act", [True, False])
def test_without_an_enabled_channel_everybody_is_told(may_act: bool) -> None:
    found = channel_notice(glance(enabled=0), may_act)
    assert found is not None
    assert found.sentence.startswith("No notification channel is enabled")
    assert found.href == "/settings/notifications"


@pytest.mark.parametrize(
    ("names", "said", "href"),
    [
        (["a"], "Notifications are not delivered by: a.", "/settings/notifications/id of a/log"),
        (["a", "b", "c"], "Notifications are not delivered by: a, b, c.", "/settings/notifications"),
        (["a", "b", "c", "d"], "Notifications are not delivered by: a, b, c and 1 more.", "/settings/notifications"),
    ],
)
def test_those_who_may_act_are_told_which_do_not_deliver(names: list[str], said: str, href: str) -> None:
    found = channel_notice(glance(*names), may_act=True)
    assert found is not None
    assert (found.sentence, found.href) == (said, href)


def test_others_are_told_that_something_is_wrong() -> None:
    found = channel_notice(glance("a"), may_act=False)
    assert found is not None
    assert found.sentence == "Some notifications are not delivered."
