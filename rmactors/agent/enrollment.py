"""Trading an enrollment token for the host's credential. Owns that one exchange."""

import os
from pathlib import Path

import trio

from rmactors import __version__
from rmactors.agent import this_host
from rmactors.agent.client_certificate import of_files
from rmactors.agent.connection import Connection, LinkDown, Timings, dial
from rmactors.agent.server_url import agent_url
from rmactors.agent.state_dir import HostCredential, StateDir
from rmactors.common import wire


class EnrollmentFailed(Exception):
    """The host is not enrolled. The message says why, and what can still be done with the token."""


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
) -> HostCredential:
    """Enroll this host under `name` (its host name where None) and keep the credential in `state_dir`.

    `server` is a URL as a person types it. Raises EnrollmentFailed, BadServerUrl, StateError.
    """
    url = agent_url(server)
    state = StateDir(state_dir)
    state.make()  # before the token is spent
    wanted = name or this_host.hostname()
    if not 1 <= len(wanted) <= 100:
        raise EnrollmentFailed("a host's name has 1 to 100 characters")
    token = token.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise EnrollmentFailed("this is no enrollment token: expected one line of letters and digits")
    ca_file, cert_file, key_file = (
        os.path.abspath(file) if file else None  # noqa: ASYNC240 - touches no disk
        for file in (ca_file, tls_cert_file, tls_key_file)
    )
    if key_file is not None and cert_file is None:
        raise EnrollmentFailed("there is a key of a client certificate, and no certificate: give --tls-cert-file too")
    certificate = of_files(cert_file, key_file)
    try:
        async with dial(url, token, ca_file, timings or Timings(), certificate=certificate) as connection:
            enrolled = await _exchange(connection, wanted, timings or Timings())
            credential = HostCredential(
                url, enrolled.host_id, wanted, enrolled.agent_token, ca_file, cert_file, key_file
            )
            state.save_credential(credential)
    except LinkDown as down:
        raise EnrollmentFailed(down.reason) from None
    state.wake_agent()  # an agent that waits because its old credential was refused tries this one now
    return credential


async def _exchange(connection: Connection, name: str, timings: Timings) -> wire.Enrolled:
    await connection.send(
        wire.Enroll(
            name=name,
            hostname=this_host.hostname(),
            os=this_host.os_name(),
            arch=this_host.arch(),
            agent_version=__version__,
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
                case wire.Error(code=code, detail=detail):
                    raise EnrollmentFailed(f"the server refuses: {detail} ({code})")
                case _:
                    pass  # nothing else is part of this exchange
    raise EnrollmentFailed("the server does not answer the enrollment")
