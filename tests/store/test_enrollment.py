"""A use of an enrollment token becomes a host, with its tags, or a host's new credential: all of it or nothing."""

import json
from dataclasses import replace
from typing import Any

import pytest

from rmactors.common import clock, ids
from rmactors.server.messages.answers import Answer, Refused
from rmactors.server.messages.enrollment import Enrolled, EnrollHost
from rmactors.server.messages.hosts import DeleteHost, RecordHello
from rmactors.server.messages.made_tokens import CreateEnrollmentToken
from rmactors.server.store.database import IntegrityError
from rmactors.server.store.queries.credentials import Credential, find_credential
from tests.store.ledger import NOON, Ledger, audit


def a_token(ledger: Ledger, **changes: Any) -> str:
    token = ids.new()
    write = CreateEnrollmentToken(token, f"hash of {token}", NOON, NOON + clock.HOUR, audit(), "rme_12345678")
    ledger.commit(replace(write, **changes))
    return token


def enroll(ledger: Ledger, token: str, name: str, **changes: Any) -> Answer:
    host_id = ids.new()
    write = EnrollHost(token, host_id, name, f"{name}.lan", "linux", "x86_64", "0.2", f"hash of {host_id}", NOON, "")
    return ledger.apply(replace(write, **changes))


def enrolled(ledger: Ledger, token: str, name: str, **changes: Any) -> str:
    answer = enroll(ledger, token, name, **changes)
    (result,) = answer.results  # type: ignore[union-attr]
    assert isinstance(result, Enrolled)
    return result.host_id


def refused(answer: Answer) -> str:
    assert isinstance(answer, Refused), answer
    return answer.code


def uses_left(ledger: Ledger, token: str) -> int:
    left: int = ledger.value("SELECT uses - used FROM enrollment_tokens WHERE id = ?", token)
    return left


def test_a_token_enrolls_as_many_hosts_as_it_has_uses_and_none_more(ledger: Ledger) -> None:
    token = a_token(ledger, uses=3, tags=("db", "berlin"))
    hosts = [enrolled(ledger, token, f"db-{n}") for n in range(3)]
    assert ledger.woken.hosts == {hosts[-1]}
    assert refused(enroll(ledger, token, "db-3")) == "token_spent"
    assert uses_left(ledger, token) == 0
    found = ledger.rows("SELECT id, tags, enrollment_id FROM hosts ORDER BY name")
    assert found == [(host, '["db", "berlin"]', token) for host in hosts]
    rows = ledger.rows("SELECT target_id, detail FROM audit WHERE action = 'host.enroll' ORDER BY n")
    assert rows == [(host, "with enrollment token rme_12345678…") for host in hosts]


def test_a_use_that_leads_to_no_host_is_not_spent(ledger: Ledger) -> None:
    ledger.host("taken")
    token = a_token(ledger, uses=2)
    assert refused(enroll(ledger, token, "TAKEN")) == "name_taken"
    assert uses_left(ledger, token) == 2


def test_hosts_of_one_token_do_not_take_each_others_name(ledger: Ledger) -> None:
    """Forty machines from one image are all called `debian`, and none of them has said hello yet."""
    token = a_token(ledger, uses=5)
    first = enrolled(ledger, token, "debian")
    assert refused(enroll(ledger, token, "debian")) == "name_taken"
    assert uses_left(ledger, token) == 4
    another = a_token(ledger, tags=("new",))
    ledger.connection.execute("UPDATE hosts SET tags = '[\"old\"]'")
    assert enrolled(ledger, another, "Debian") == first, "with another token, as a host that was never heard of"
    assert ledger.rows("SELECT name, tags FROM hosts") == [("Debian", '["old", "new"]')]


def test_a_machine_becomes_a_host_that_there_is_and_all_else_of_it_stays(ledger: Ledger) -> None:
    host = ledger.host("db-03", tags='["db"]')
    schedule, alert = ledger.schedule(host), ledger.raise_(host)
    token = a_token(ledger, for_host_id=host, tags=())
    old = Credential(host, None)
    assert find_credential(ledger.connection, f"hash of {host}", NOON) == old, "the old one works until then"
    assert enrolled(ledger, token, "debian", token_hash="new hash") == host
    assert find_credential(ledger.connection, f"hash of {host}", NOON) is None
    assert find_credential(ledger.connection, "new hash", NOON) == old
    assert ledger.woken.hosts == {host}
    row = ledger.row("SELECT * FROM hosts")
    assert (row["id"], row["name"], row["tags"], row["hostname"]) == (host, "db-03", '["db"]', "debian.lan")
    assert row["last_hello_at"] == NOON
    assert ledger.value("SELECT host_id FROM schedules WHERE id = ? AND deleted_at IS NULL", schedule) == host
    assert ledger.value("SELECT host_id FROM alerts WHERE id = ? AND resolved_at IS NULL", alert) == host
    detail = ledger.value("SELECT detail FROM audit WHERE action = 'host.enroll' ORDER BY n DESC LIMIT 1")
    assert detail == "with enrollment token rme_12345678…, again as this host"
    assert refused(enroll(ledger, token, "debian")) == "token_spent"


@pytest.mark.parametrize(
    ("name", "given", "taken"), [("db-04", True, False), ("DB-03", True, True), ("db-04", False, True)]
)
def test_a_name_that_somebody_typed_has_to_be_the_hosts(ledger: Ledger, name: str, given: bool, taken: bool) -> None:
    host = ledger.host("db-03")
    token = a_token(ledger, for_host_id=host)
    answer = enroll(ledger, token, name, name_given=given)
    assert isinstance(answer, Refused) is not taken
    if not taken:
        assert (refused(answer), uses_left(ledger, token)) == ("other_host", 1)


def test_a_token_for_a_host_ends_with_it(ledger: Ledger) -> None:
    host = ledger.host("db-03")
    token = a_token(ledger, for_host_id=host)
    ledger.commit(DeleteHost(host, NOON, audit()))
    assert refused(enroll(ledger, token, "db-03")) == "token_spent"
    assert (
        refused(ledger.apply(CreateEnrollmentToken("t", "h", NOON, NOON + 1, audit(), for_host_id=host))) == "not_found"
    )


def test_a_token_that_has_expired_enrolls_nobody(ledger: Ledger) -> None:
    token = a_token(ledger, uses=2)
    assert refused(enroll(ledger, token, "late", at=NOON + clock.HOUR)) == "token_spent"
    assert ledger.rows("SELECT 1 FROM hosts") == []


def test_the_database_holds_the_number_of_uses(ledger: Ledger) -> None:
    token = a_token(ledger)
    for wrong in ("uses = 0", "uses = 10001", "used = 2", "used = -1"):
        with pytest.raises(IntegrityError):
            ledger.connection.execute(f"UPDATE enrollment_tokens SET {wrong} WHERE id = ?", (token,))


def test_a_host_that_was_heard_of_is_not_taken_by_its_name(ledger: Ledger) -> None:
    token = a_token(ledger, uses=2)
    host = enrolled(ledger, token, "nas")
    ledger.commit(RecordHello(host, NOON, False, "0.1", "nas.lan", "linux", "x86_64", "UTC", "0.14.0", "[]"))
    assert refused(enroll(ledger, a_token(ledger), "nas")) == "name_taken"
    assert json.loads(ledger.value("SELECT tags FROM hosts")) == []
