"""Passwords, throttles and one-time codes, as pure values."""

from typing import Literal

import pytest
import trio
from argon2 import Parameters, PasswordHasher, extract_parameters

from rmactors.common import clock
from rmactors.server.web.auth import totp
from rmactors.server.web.auth.names import username_problem
from rmactors.server.web.auth.passwords import Busy, Passwords, weakness
from rmactors.server.web.auth.throttle import Throttle
from tests.web.conftest import CHEAP

NOON = 1_700_000_000 * clock.SECOND


@pytest.mark.parametrize(
    "password",
    [
        "short",
        "x" * 257,
        "password1234",
        "Passw0rd!!!!",
        "Sunshine2024!",
        "123456789012",
        "qwertyuiopas",
        "aaaaaaaaaaaa",
        "abcabcabcabc",
        "letmeinletmein",
        "annaannaanna",
        "123anna-anna",
        "basketball12",
        "q1w2e3r4t5y6",
        "!qaz2wsx3edc",
        "jennifer1234",
        "mypassword123",
        "pleasechangeme",
        "restic123456",
        "password" * 32,
        "P@$$w0rd2024",
    ],
)
def test_a_password_that_is_guessed_first_is_refused(password: str) -> None:
    assert weakness(password, "anna") is not None


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery staple",
        "tr0ub4dor&3xyz",
        "Ünïcödé wörds here",
        "12345-purple-7",
        "kX9#mQ2$vL5p",
        "@({[<!|$+%4@",
    ],
)
def test_any_other_will_do_without_rules_about_its_composition(password: str) -> None:
    assert weakness(password, "anna") is None


async def test_a_password_matches_its_hash_however_its_accents_are_composed() -> None:
    stored = await CHEAP.hash("caf\u00e9 at the corner")
    assert stored.startswith("$argon2id$")
    assert await CHEAP.matches(stored, "cafe\u0301 at the corner")
    assert not await CHEAP.matches(stored, "cafe at the corner")
    assert not await CHEAP.matches(None, "nobody has this password")


async def test_for_an_unknown_user_a_hash_of_the_same_cost_is_checked_as_for_a_known_one() -> None:
    costs: list[Parameters] = []

    class Noting(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
            costs.append(extract_parameters(hash if isinstance(hash, str) else hash.decode()))
            return super().verify(hash, password)

    passwords = Passwords(Noting(time_cost=2, memory_cost=1_024, parallelism=1))
    stored = await passwords.hash("a long enough phrase")
    for account in (stored, None):
        assert not await passwords.matches(account, "not the right one")
    known, unknown = costs
    assert known == unknown


async def test_a_flood_of_passwords_is_refused_not_queued() -> None:
    passwords = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    ends: list[bool] = []

    async def one() -> None:
        try:
            await passwords.matches(None, "x")
            ends.append(True)
        except Busy:
            ends.append(False)

    async with trio.open_nursery() as nursery:
        for _ in range(40):
            nursery.start_soon(one)
    assert (ends.count(True), ends.count(False)) == (32, 8)


@pytest.mark.parametrize("name", ["", " anna", "a:b", "a\nb", "x" * 65, "rule", "\u202eanna"])
def test_some_names_are_refused(name: str) -> None:
    assert username_problem(name) is not None


@pytest.mark.parametrize("name", ["anna", "Anna B.", "anna@example.org", "jürgen"])
def test_other_names_will_do(name: str) -> None:
    assert username_problem(name) is None


def test_a_throttle_gives_a_burst_then_one_at_a_time_and_forgets() -> None:
    throttle = Throttle(3, 10.0)
    assert [throttle.wait("a", NOON) for _ in range(3)] == [0, 0, 0]
    assert throttle.wait("a", NOON) == 10 * clock.SECOND
    assert throttle.wait("b", NOON) == 0
    assert throttle.wait("a", NOON + 10 * clock.SECOND) == 0
    assert throttle.wait("a", NOON + 10 * clock.SECOND) > 0
    later = NOON + clock.HOUR
    assert [throttle.wait("a", later) for _ in range(4)] == [0, 0, 0, 10 * clock.SECOND]


def test_a_throttle_remembers_only_so_many() -> None:
    throttle = Throttle(1, 10.0, most_keys=2)
    for key in ("a", "b", "c"):
        throttle.wait(key, NOON)
    assert throttle.wait("a", NOON) == 0
    assert throttle.wait("c", NOON) > 0


@pytest.mark.parametrize(
    ("seconds", "code"),
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (2000000000, "279037")],
)
def test_codes_are_those_of_rfc_6238(seconds: int, code: str) -> None:
    assert totp.code(b"12345678901234567890", totp.step_at(seconds * clock.SECOND)) == code


def test_a_code_is_good_for_its_neighbours_in_time_and_no_further() -> None:
    secret, step = totp.new_secret(), totp.step_at(NOON)
    typed = totp.code(secret, step)
    for shift, expected in ((-60, None), (-30, step), (0, step), (30, step), (60, None)):
        found = totp.matching_step(secret, typed, NOON + shift * clock.SECOND)
        assert found == expected or totp.code(secret, found or 0) == typed
    assert totp.matching_step(secret, "12345", NOON) is None
    assert totp.matching_step(secret, "١٢٣٤٥٦", NOON) is None


def test_an_authenticator_can_read_the_secret() -> None:
    uri = totp.provisioning_uri(b"01234567890123456789", "anna b")
    assert uri == "otpauth://totp/restic-manager:anna%20b?secret=GAYTEMZUGU3DOOBZGAYTEMZUGU3DOOBZ&issuer=restic-manager"


def test_recovery_codes_are_ten_different_ones() -> None:
    codes = totp.new_recovery_codes()
    assert len(set(codes)) == 10
    assert all(len(code) == 19 for code in codes)
