"""Trading an enrollment token for the host's credential. Owns that one exchange, and what becomes of the credential and
the reports that were here before."""

import logging
import os
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import trio

from rmactors import __version__
from rmactors.agent import this_host
from rmactors.agent.client_certificate import ClientCertificate, of_files
from rmactors.agent.connection import Connection, LinkDown, Timings, dial
from rmactors.agent.server_url import agent_url
from rmactors.agent.spool import Spool, SpoolError
from rmactors.agent.state_dir import HostCredential, StateDir, StateError
from rmactors.common import wire

log = logging.getLogger(__name__)


ENROLLMENT_PREFIX: Final = "rme_"
BUSY_SECONDS: Final = 120.0
"""A fleet may be enrolled with one token, and a server takes so many at once."""
_BUSY: Final = {429, 503}
_TURN_SECONDS: Final = (0.2, 2.0)


class EnrollmentFailed(Exception):
    """The host is not enrolled. The message says why, and what can still be done with the token."""


@dataclass(frozen=True, slots=True)
class Enrolled:
    """`others` unsent reports are of hosts that this machine was before, and wait until it is that host again."""

    credential: HostCredential
    others: int = 0


async def enroll(
    server: str,
    token: str,
    state_dir: Path,
    *,
    name: str | None = None,
    ca_file: str | None = None,
    tls_cert_file: str | None = None,
    tls_key_file: str | None = None,
    timings: Timings | None = None,
    again: bool = False,
) -> Enrolled:
    """Enroll this host under `name` (its host name where None) and keep the credential in `state_dir`. A token that is
    for one host makes this machine that host.

    `server` is a URL as a person types it. A credential that is there is replaced only with `again`. Raises
    EnrollmentFailed, BadServerUrl, StateError, SpoolError.
    """
    url = agent_url(server)
    state = StateDir(state_dir)
    state.make()  # before the token is spent
    before = credential_before(state, again=again)
    wanted = name or this_host.hostname()
    if not 1 <= len(wanted) <= 100:
        raise EnrollmentFailed("a host's name has 1 to 100 characters")
    token = token.strip()
    if not _looks_like_a_token(token):
        raise EnrollmentFailed("this is no enrollment token: expected one line of letters and digits")
    ca_file, cert_file, key_file = (
        os.path.abspath(file) if file else None  # noqa: ASYNC240 - touches no disk
        for file in (ca_file, tls_cert_file, tls_key_file)
    )
    if key_file is not None and cert_file is None:
        raise EnrollmentFailed("there is a key of a client certificate, and no certificate: give --tls-cert-file too")
    certificate = of_files(cert_file, key_file)
    try:
        async with _dial_in_turn(url, token, ca_file, timings or Timings(), certificate) as connection:
            enrolled = await _exchange(connection, wanted, timings or Timings(), given=name is not None)
            credential = HostCredential(
                url, enrolled.host_id, enrolled.name or wanted, enrolled.agent_token, ca_file, cert_file, key_file
            )
            if before is not None:  # a report that is added from here on is that host's
                _belong_to(state, before.host_id)
            state.save_credential(credential)
    except LinkDown as down:
        raise EnrollmentFailed(down.reason) from None
    others = _belong_to(state, credential.host_id)
    state.wake_agent()  # one that runs takes this credential now
    return Enrolled(credential, others)


@asynccontextmanager
async def _dial_in_turn(
    url: str, token: str, ca_file: str | None, timings: Timings, certificate: ClientCertificate | None
) -> AsyncIterator[Connection]:
    """A connection, after a while where many machines use the same token at once. Raises LinkDown."""
    until = trio.current_time() + BUSY_SECONDS
    while True:
        async with AsyncExitStack() as stack:
            try:
                dialed = dial(url, token, ca_file, timings, certificate=certificate)
                connection = await stack.enter_async_context(dialed)
            except LinkDown as down:
                if down.status not in _BUSY or trio.current_time() > until:
                    raise
            else:
                yield connection
                return
        await trio.sleep(random.uniform(*_TURN_SECONDS))  # noqa: S311 - no secret


def set_credential(state_dir: Path, token: str) -> HostCredential:
    """Put a new credential of the same host in the place of the one that no longer works. Raises EnrollmentFailed,
    StateError."""
    state, token = StateDir(state_dir), token.strip()
    if not _looks_like_a_token(token):
        raise EnrollmentFailed("this is no credential: expected one line of letters and digits")
    if token.startswith(ENROLLMENT_PREFIX):
        raise EnrollmentFailed("this is an enrollment token, not a credential: use `rmactors agent enroll --again`")
    credential = replace(state.credential(), token=token)
    state.save_credential(credential)
    state.wake_agent()
    return credential


def _looks_like_a_token(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable() and " " not in text


def credential_before(state: StateDir, *, again: bool) -> HostCredential | None:
    """None if there is none, or none that can be read. Raises EnrollmentFailed if it must not be replaced."""
    try:
        found = state.credential()
    except StateError:
        return None
    if not again:
        raise EnrollmentFailed(
            f"this machine is enrolled already, as {found.name!r} (host {found.host_id}) on {found.server_url}; its"
            f" credential is in {state.credential_file}. To replace it, type the same command with --again:"
            f" rmactors agent enroll --again …"
        )
    return found


def _belong_to(state: StateDir, host_id: str) -> int:
    """Whose reports those in the spool are. How many of other hosts wait there. An agent that runs does the same when
    it connects, so that no trouble here is worth the credential."""
    if not state.spool_file.exists():
        return 0
    try:
        spool = Spool(state.spool_file)
        try:
            return spool.belong_to(host_id)
        finally:
            spool.close()
    except SpoolError as error:
        log.warning("%s", error)
        return 0


async def _exchange(connection: Connection, name: str, timings: Timings, *, given: bool) -> wire.Enrolled:
    await connection.send(
        wire.Enroll(
            name=name,
            hostname=this_host.hostname(),
            os=this_host.os_name(),
            arch=this_host.arch(),
            agent_version=__version__,
            name_given=given,
        )
    )
    with trio.move_on_after(timings.welcome):
        while True:
            match await connection.receive():
                case wire.Enrolled() as enrolled:
                    return enrolled
                case wire.Error(code="name_taken"):
                    raise EnrollmentFailed(
                        f"the name {name!r} is taken by another host: choose another with --name; "
                        "the token can still be used"
                    )
                case wire.Error(code="other_host", detail=detail):
                    raise EnrollmentFailed(f"{detail}: leave out --name; the token can still be used")
                case wire.Error(code=code, detail=detail):
                    raise EnrollmentFailed(f"the server refuses: {detail} ({code})")
                case _:
                    pass  # nothing else is part of this exchange
    raise EnrollmentFailed("the server does not answer the enrollment")
