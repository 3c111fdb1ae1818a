"""A server that asks for a client certificate: the agent shows one, and says what is wrong with it."""

import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
import trio

from harness.certificates import Authority, make_authority
from rmactors.agent.agent_file import AgentFile, AgentFileError, parse
from rmactors.agent.client_certificate import ASKS_FOR_ONE, ClientCertificate, not_after
from rmactors.agent.connection import LinkDown, Timings, dial
from rmactors.agent.daemon import run_agent
from rmactors.agent.enrollment import enroll
from rmactors.agent.state_dir import HostCredential, StateDir

from .client_authority import ClientAuthority, make_client_authority
from .conftest import FAST
from .server_double import ServerDouble, eventually, listen

NOW = datetime.now(UTC).replace(microsecond=0)
LONG_AGO = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> ClientAuthority:
    return make_client_authority(tmp_path_factory.mktemp("clients"))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("server"))


@asynccontextmanager
async def asking(clients: ClientAuthority, authority: Authority, newest: ssl.TLSVersion) -> AsyncIterator[ServerDouble]:
    """A server that speaks with nobody who shows no certificate."""
    double = ServerDouble()
    context = tls(authority, newest)
    async with trio.open_nursery() as nursery:
        serve = partial(listen, double.serve, "127.0.0.1", 0, clients.asking(context))
        server = await nursery.start(serve)
        double.port = server.port
        yield double
        nursery.cancel_scope.cancel()


def tls(authority: Authority, newest: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority.folder / "here.pem")
    context.maximum_version = newest
    return context


def url(double: ServerDouble) -> str:
    return f"wss://localhost:{double.port}/ws/agent"


# ---- what is wrong with the files

Files = tuple[Path | str, Path | str | None]


def problems(clients: ClientAuthority) -> dict[str, tuple[Files, str]]:
    folder = clients.folder
    cert, key = clients.issue("nas")
    _, other_key = clients.issue("other")
    (folder / "text").write_text("hello")
    (folder / "broken.pem").write_text(cert.read_text().replace("MII", "!!!"))
    cannot_read = "cannot read the client certificate"
    return {
        "no such certificate": ((folder / "gone.pem", key), f"{cannot_read} {folder}/gone.pem: No such file"),
        "no such key": ((cert, folder / "gone.key"), f"{cannot_read}'s key {folder}/gone.key: No such file"),
        "a folder": ((folder, key), f"{cannot_read} {folder}: Is a directory"),
        "a text": ((folder / "text", key), f"the client certificate {folder}/text is none"),
        "a key in its place": ((key, key), f"the client certificate {key} is none"),
        "a certificate in the key's place": ((cert, cert), f"no private key for the client certificate in {cert}"),
        "no key": ((cert, None), f"no private key for the client certificate in {cert}"),
        "another's key": ((cert, other_key), f"{cert} and the key {other_key} do not belong together"),
        "an encrypted key": (clients.issue("locked", passphrase=b"secret"), "is encrypted"),
        "a damaged certificate": ((folder / "broken.pem", key), "cannot use the client certificate"),
    }  # fmt: skip


async def test_what_is_wrong_with_the_files_is_said(clients: ClientAuthority) -> None:
    for (cert, key), words in problems(clients).values():
        with pytest.raises(LinkDown) as caught:
            async with dial("wss://localhost:1", "t", None, Timings(), certificate=of(cert, key)):
                pass
        assert words in caught.value.reason
        assert caught.value.status is None


def of(cert: Path | str, key: Path | str | None) -> ClientCertificate:
    return ClientCertificate(str(cert), str(key) if key is not None else None)


@pytest.mark.parametrize(
    "ends",
    [
        LONG_AGO, NOW + timedelta(days=1), datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC),
        datetime(2050, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
    ],
)  # fmt: skip
def test_the_end_of_a_certificate_is_read(clients: ClientAuthority, ends: datetime) -> None:
    cert, _ = clients.issue("ends", ends)
    der = ssl.PEM_cert_to_DER_cert(cert.read_text())
    assert not_after(der) == ends
    for length in range(0, len(der), 7):
        not_after(der[:length])  # half of one is no error


@pytest.mark.parametrize(
    "der", [b"", b"0", b"\x30\x82\xff\xff", b"\xa0" * 40, b"\x30\x03\x30\x01\xa0", b"0\x000\x00" * 9]
)
def test_what_is_no_certificate_has_no_end(der: bytes) -> None:
    assert not_after(der) is None


def test_the_agents_file_names_the_certificate() -> None:
    assert parse('tls_cert_file = "/a.pem"\ntls_key_file = "/a.key"').certificate == of("/a.pem", "/a.key")
    assert parse('tls_cert_file = "/both.pem"').certificate == of("/both.pem", None)
    assert parse("").certificate is None
    for text, words in (
        ('tls_key_file = "/a.key"', "tls_key_file: give tls_cert_file too"),
        ('tls_cert_file = "a.pem"', "tls_cert_file: 'a.pem' must be an absolute path"),
    ):
        with pytest.raises(AgentFileError, match=words):
            parse(text)


# ---- over TLS


@asynccontextmanager
async def refusing(clients: ClientAuthority, authority: Authority, newest: ssl.TLSVersion) -> AsyncIterator[str]:
    """The same with OpenSSL's own sockets, for who will not be let in: trio sends no alert. Gives the URL."""
    context = clients.asking(tls(authority, newest))
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse() -> None:
            while True:
                peer, _ = listener.accept()
                with suppress(OSError), context.wrap_socket(peer, True, do_handshake_on_connect=False) as stream:
                    try:
                        stream.do_handshake()
                    except ssl.SSLError:
                        raw = socket.socket(fileno=stream.detach())
                        raw.shutdown(socket.SHUT_WR)
                        while raw.recv(4096):
                            pass
                        raw.close()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(trio.to_thread.run_sync, contained(refuse), abandon_on_cancel=True))
            yield f"wss://localhost:{listener.getsockname()[1]}/ws/agent"
            nursery.cancel_scope.cancel()
            listener.shutdown(socket.SHUT_RDWR)


def contained(work: Callable[[], None]) -> Callable[[], None]:
    def until_closed() -> None:
        with suppress(OSError):
            work()

    return until_closed


VERSIONS = pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])


@VERSIONS
async def test_an_agent_enrolls_and_connects_with_its_certificate(
    clients: ClientAuthority, authority: Authority, state: StateDir, newest: ssl.TLSVersion
) -> None:
    cert, key = clients.issue("enrolled")
    async with asking(clients, authority, newest) as double:
        enrolled = await enroll(
            url(double), "enroll-1", state.path, name="nas", ca_file=str(authority.file),
            tls_cert_file=str(cert), tls_key_file=str(key),
        )  # fmt: skip
        credential = state.credential()
        assert enrolled.credential == credential
        assert credential.certificate == of(cert, key)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: run_agent(AgentFile(allow=[]), state.path, timings=FAST))
            session = await double.an_agent()
            cert.write_text("between two certificates")
            await session.socket.aclose(1001)
            await eventually(lambda: not double.agents())
            clients.issue("enrolled")
            await eventually(double.agents)
            nursery.cancel_scope.cancel()


@VERSIONS
async def test_why_a_host_is_not_let_in(
    clients: ClientAuthority, authority: Authority, tmp_path: Path, newest: ssl.TLSVersion
) -> None:
    expired, stranger = clients.issue("expired", LONG_AGO), make_client_authority(tmp_path).issue("stranger")
    async with refusing(clients, authority, newest) as where:

        async def words(certificate: ClientCertificate | None) -> str:
            with pytest.raises(LinkDown) as caught:
                async with dial(where, "agent-1", str(authority.file), Timings(), certificate=certificate):
                    pass
            return caught.value.reason

        asked = ASKS_FOR_ONE if newest is ssl.TLSVersion.TLSv1_3 else "does it ask for a client certificate"
        assert asked in await words(None)
        assert "does not accept this host's client certificate" in await words(of(*stranger))
        said = await words(of(*expired))
        assert "does not accept this host's client certificate" in said
        assert said.endswith(f"the client certificate {expired[0]} expired at 2026-03-01 12:30 UTC")


async def test_that_of_the_agents_file_goes_before_that_of_the_enrollment(
    clients: ClientAuthority, authority: Authority, state: StateDir
) -> None:
    cert, key = clients.issue("good")
    async with asking(clients, authority, ssl.TLSVersion.TLSv1_3) as double:
        state.save_credential(
            HostCredential(url(double), double.host_id, "nas", "agent-1", str(authority.file), "/gone.pem", "/gone.key")
        )
        agent_file = AgentFile(allow=[], tls_cert_file=str(cert), tls_key_file=str(key))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: run_agent(agent_file, state.path, timings=FAST))
            await eventually(double.agents)
            nursery.cancel_scope.cancel()
