"""What /healthz says: the check that fails is named as what it is."""

from rmactors.server.health import health


def checks(failing: str | None = None, commit: float = 0, tick: float = 0, **down: str) -> dict[str, str]:
    names = {name.replace("__", ":"): why for name, why in down.items()}
    return health(failing, commit, tick, 60, names, {"host": "hosts"}).checks


def test_all_is_well_in_three_words() -> None:
    assert checks() == {"store": "ok", "rules": "ok", "delivery": "ok"}
    assert health(None, 0, 0, 60, {}, {}).ok


def test_a_store_that_cannot_commit_and_one_that_is_stuck_are_the_store() -> None:
    assert checks("database or disk is full")["store"] == "cannot commit: database or disk is full"
    assert checks(commit=31)["store"] == "no commit for 31 s"
    assert checks(commit=29)["store"] == "ok"
    assert not health("x", 0, 0, 60, {}, {}).ok


def test_rules_without_a_tick_are_the_rules() -> None:
    assert checks(tick=186)["rules"] == "no tick for 186 s"
    assert checks(tick=184)["rules"] == "ok"


def test_what_is_down_and_belongs_to_none_of_them_is_named_beside_them() -> None:
    assert checks(gateway="it crashed") == {"store": "ok", "rules": "ok", "delivery": "ok", "gateway": "it crashed"}


def test_what_crashed_does_not_hide_what_is_known_more_precisely() -> None:
    assert checks("disk full", store="store crashed")["store"] == "cannot commit: disk full; store crashed"
    assert checks(tick=186, rules="rules crashed")["rules"] == "no tick for 186 s; rules crashed"


def test_many_that_are_down_are_one_check() -> None:
    assert checks(host__a="a crashed", host__b="b crashed")["hosts"] == "a crashed and 1 more"
