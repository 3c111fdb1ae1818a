"""What /healthz says: the check that fails is named as what it is."""

import pytest

from rmactors.server.health import health


def checks(failing: str | None = None, commit: float = 0, tick: float = 0, **down: str) -> dict[str, str]:
    return health(failing, commit, tick, 60, {name.replace("__", ":"): why for name, why in down.items()}).checks


def test_all_is_well_in_three_words() -> None:
    assert checks() == {"store": "ok", "rules": "ok", "delivery": "ok"}
    assert health(None, 0, 0, 60, {}).ok


def test_a_store_that_cannot_commit_and_one_that_is_stuck_are_the_store() -> None:
    assert checks("database or disk is full")["store"] == "cannot commit: database or disk is full"
    assert checks(commit=31)["store"] == "no commit for 31 s"
    assert checks(commit=29)["store"] == "ok"
    assert not health("x", 0, 0, 60, {}).ok


def test_rules_without_a_tick_are_the_rules() -> None:
    assert checks(tick=186)["rules"] == "no tick for 186 s"
    assert checks(tick=184)["rules"] == "ok"


@pytest.mark.parametrize(
    ("actor", "check"),
    [
        ("store", "store"), ("pulse", "store"), ("rules", "rules"), ("post", "delivery"), ("delivery__01X", "delivery"),
        # What is none of the three is never called one of them.
        ("gateway", "gateway"), ("web", "web"), ("janitor", "janitor"), ("ticker", "ticker"), ("watchdog", "watchdog"),
        ("fleet", "hosts"), ("host__01X", "hosts"), ("keepalive", "keepalive"), ("lag", "lag"),
    ],
)  # fmt: skip
def test_what_is_down_is_named_truly(actor: str, check: str) -> None:
    said = checks(**{actor: "it crashed"})
    assert said == {"store": "ok", "rules": "ok", "delivery": "ok"} | {check: "it crashed"}


def test_many_that_are_down_are_one_check() -> None:
    assert checks(host__a="a crashed", host__b="b crashed")["hosts"] == "a crashed and 1 more"
