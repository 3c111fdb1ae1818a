"""Enrollment: a use of a token becomes a host, or a host's new credential, in one transaction."""

import json

from rmactors.server.messages.audit import Audit
from rmactors.server.messages.enrollment import Enrolled, EnrollHost
from rmactors.server.store import audit
from rmactors.server.store.database import Row
from rmactors.server.store.transaction import RefusedWrite, Transaction, handles


@handles
def enroll_host(tx: Transaction, write: EnrollHost) -> Enrolled:
    token = tx.row(  # a refusal below gives the use back
        "UPDATE enrollment_tokens SET used = used + 1, used_at = ? WHERE id = ? AND used < uses AND expires_at > ?"
        " RETURNING tags, prefix, for_host_id",
        (write.at, write.enrollment_id, write.at),
    )
    if token is None:
        raise RefusedWrite("token_spent", "the enrollment token was used or has expired")
    if token["for_host_id"] is not None:
        enrolled = _as_that_host(tx, write, token["for_host_id"])
    else:
        enrolled = _under_its_name(tx, write, json.loads(token["tags"]))
    tx.execute("UPDATE enrollment_tokens SET host_id = ? WHERE id = ?", (enrolled.host_id, write.enrollment_id))
    told = f"with enrollment token {token['prefix']}…" if token["prefix"] else "with an enrollment token"
    if token["for_host_id"] is not None:
        told += ", again as this host"
    row = Audit(
        write.at, enrolled.name, "agent", "host.enroll", "host", enrolled.host_id, address=write.address, detail=told
    )
    audit.append(tx, row)
    tx.wake.hosts.add(enrolled.host_id)
    tx.wake.tagged.add(enrolled.host_id)
    tx.wake.topics.add("hosts")
    return enrolled


def _as_that_host(tx: Transaction, write: EnrollHost, host_id: str) -> Enrolled:
    """All stays but its credential, and what the machine said of itself."""
    known = tx.row("SELECT name, name_key FROM hosts WHERE id = ? AND deleted_at IS NULL", (host_id,))
    if known is None:
        raise RefusedWrite("token_spent", "the host that this enrollment token is for was deleted")
    if write.name_given and write.name.casefold() != known["name_key"]:
        raise RefusedWrite("other_host", f"this token enrolls the host {known['name']!r}, not {write.name!r}")
    _renew(tx, write, host_id)
    return Enrolled(host_id, known["name"])


def _under_its_name(tx: Transaction, write: EnrollHost, tags: list[str]) -> Enrolled:
    name_key = write.name.casefold()
    known = tx.row(
        "SELECT id, tags, enrollment_id, last_hello_at, first_report_at FROM hosts"
        " WHERE name_key = ? AND deleted_at IS NULL",
        (name_key,),
    )
    if known is None:
        tx.execute(
            "INSERT INTO hosts (id, name, name_key, hostname, os, arch, token_hash, agent_version, enrolled_at,"
            " enrollment_id, tags) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                write.host_id, write.name, name_key, write.hostname, write.os, write.arch, write.token_hash,
                write.agent_version, write.at, write.enrollment_id, json.dumps(tags),
            ),
        )  # fmt: skip
        return Enrolled(write.host_id, write.name)
    _require_never_heard_of(known, write)
    _renew(tx, write, known["id"])
    both = list(dict.fromkeys([*json.loads(known["tags"]), *tags]))
    tx.execute("UPDATE hosts SET name = ?, tags = ? WHERE id = ?", (write.name, json.dumps(both), known["id"]))
    return Enrolled(known["id"], write.name)


def _require_never_heard_of(known: Row, write: EnrollHost) -> None:
    """Also of one token's hosts: forty machines that are all called `debian` must not take each other's credential."""
    was_heard = known["last_hello_at"] is not None or known["first_report_at"] is not None
    if was_heard or known["enrollment_id"] == write.enrollment_id:
        raise RefusedWrite("name_taken", f"a host named {write.name!r} is enrolled already; choose another name")


def _renew(tx: Transaction, write: EnrollHost, host_id: str) -> None:
    """Its earlier credential no longer works from here on."""
    tx.execute(
        "UPDATE hosts SET hostname = ?, os = ?, arch = ?, agent_version = ?, token_hash = ?, enrolled_at = ?,"
        " enrollment_id = ? WHERE id = ?",
        (
            write.hostname, write.os, write.arch, write.agent_version, write.token_hash, write.at,
            write.enrollment_id, host_id,
        ),
    )  # fmt: skip
