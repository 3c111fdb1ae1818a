"""Passkeys and what is good once, in the database."""

import pytest

from rmactors.common import clock, ids
from rmactors.server.messages.accounts import CreateUser, DeleteUser, ResetUser, UserReset
from rmactors.server.messages.answers import Committed, Refused
from rmactors.server.messages.passkeys import AddPasskey, RemovePasskey, SpendOnce, UsePasskey
from rmactors.server.messages.provided_users import DismissProvidedUser, ProvidedUser, WelcomeProvidedUser
from rmactors.server.store.passkeys import went_back
from tests.store.ledger import NOON, Ledger, audit


@pytest.mark.parametrize(
    ("stored", "counted", "back"),
    [(0, 0, False), (0, 1, False), (5, 6, False), (5, 5, True), (5, 4, True), (5, 0, True)],
)
def test_a_counter_goes_on_or_is_never_moved(stored: int, counted: int, back: bool) -> None:
    assert went_back(stored, counted) is back


def user(ledger: Ledger, name: str = "anna") -> str:
    user_id = ids.new()
    ledger.commit(CreateUser(user_id, name, "hash", "admin", NOON, audit("user.create", user_id)))
    return user_id


def add(ledger: Ledger, user_id: str, codes: tuple[str, ...] = (), count: int = 0, credential: str = "") -> str:
    passkey_id = ids.new()
    ledger.commit(
        AddPasskey(
            passkey_id, user_id, credential or passkey_id, b"key", count, "a key", NOON, 20, codes, audit("user.add")
        )
    )
    return passkey_id


def test_of_two_answers_at_once_with_the_same_count_one_is_taken(ledger: Ledger) -> None:
    """Each was judged before the other was stored."""
    passkey_id = add(ledger, user(ledger), count=3)
    assert isinstance(ledger.apply(UsePasskey(passkey_id, 4, NOON + 1)), Committed)
    answer = ledger.apply(UsePasskey(passkey_id, 4, NOON + 2))
    assert isinstance(answer, Refused)
    assert (answer.code, answer.detail) == ("went_back", "its counter went from 4 to 4")
    assert ledger.rows("SELECT sign_count, last_used_at FROM passkeys") == [(4, NOON + 1)]


def test_a_passkey_that_was_removed_is_used_no_more(ledger: Ledger) -> None:
    user_id = user(ledger)
    passkey_id = add(ledger, user_id)
    ledger.commit(RemovePasskey(passkey_id, user_id, False, audit("user.remove")))
    answer = ledger.apply(UsePasskey(passkey_id, 1, NOON))
    assert isinstance(answer, Refused)
    assert answer.code == "not_found"


def test_of_two_removals_at_once_one_leaves_the_last_way_in(ledger: Ledger) -> None:
    user_id = user(ledger)
    first, second = add(ledger, user_id), add(ledger, user_id)
    ledger.commit(RemovePasskey(first, user_id, True, audit("user.remove")))
    answer = ledger.apply(RemovePasskey(second, user_id, True, audit("user.remove")))
    assert isinstance(answer, Refused)
    assert ledger.rows("SELECT id FROM passkeys") == [(second,)]


def test_an_administrator_on_the_machine_removes_them_all(ledger: Ledger) -> None:
    user_id, other = user(ledger), user(ledger, "bert")
    add(ledger, user_id, codes=("a", "b"))
    add(ledger, user_id)
    kept = add(ledger, other)
    [reset] = ledger.commit(ResetUser("anna", None, True, audit("user.reset")))
    assert isinstance(reset, UserReset)
    assert reset.passkeys == 2
    assert ledger.rows("SELECT id FROM passkeys") == [(kept,)]
    assert ledger.rows("SELECT code_hash FROM recovery_codes") == []


def test_passkeys_go_with_their_user(ledger: Ledger) -> None:
    user_id, _ = user(ledger), user(ledger, "bert")
    add(ledger, user_id)
    ledger.commit(DeleteUser(user_id, audit("user.delete", user_id)))
    assert ledger.rows("SELECT id FROM passkeys") == []


def test_what_is_good_once_is_remembered_until_it_would_have_ended(ledger: Ledger) -> None:
    end = NOON + clock.MINUTE
    ledger.commit(SpendOnce("a", NOON, end))
    answer = ledger.apply(SpendOnce("a", end, end))
    assert isinstance(answer, Refused)
    assert answer.code == "spent"
    ledger.commit(SpendOnce("b", end + 1, end + clock.MINUTE))
    assert ledger.rows("SELECT digest FROM spent_once") == [("b",)]


def test_a_provided_user_is_issuer_and_subject(ledger: Ledger) -> None:
    local = user(ledger, "Anna")

    def welcome(issuer: str, subject: str, name: str = "anna") -> ProvidedUser:
        write = WelcomeProvidedUser(issuer, subject, ids.new(), name, "viewer", NOON, audit())
        [found] = ledger.commit(write)
        assert isinstance(found, ProvidedUser)
        return found

    first = welcome("https://a", "1")
    assert first.username == "anna-2"
    assert welcome("https://a", "1", "another name") == first
    others = {welcome("https://b", "1").username, welcome("https://a", "2").username}
    assert others == {"anna-3", "anna-4"}
    assert local not in {first.user_id}
    ledger.commit(DismissProvidedUser("https://a", "nobody"))
    answer = ledger.apply(ResetUser("anna-2", "a new hash", True, audit("user.reset")))
    assert isinstance(answer, Refused)
    assert "'anna-2' signs in at https://a" in answer.detail
