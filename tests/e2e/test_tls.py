"""Both ports over TLS without a proxy: the agent verifies the certificate; who speaks something else is let go."""

import ipaddress
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from harness.agents import AgentProcess
from harness.processes import Server, away, running_server
from harness.sink import Sink
from rmactors.agent.connection import LinkDown
from rmactors.simulate.agent import enroll


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1, signed by itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "end-to-end")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = tmp_path / "certificate.pem", tmp_path / "key.pem"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


@pytest.fixture
def tls_server(tmp_path: Path, certificate: tuple[Path, Path]) -> Iterator[Server]:
    with running_server(
        tmp_path / "server", tls_cert_file=certificate[0], tls_key_file=certificate[1], cookie_secure="true"
    ) as running:
        yield running


async def test_the_main_way_over_tls(tls_server: Server, sink: Sink, tmp_path: Path, restic: str) -> None:
    await away(lambda: tls_server.webhook(sink.url()))
    agent = AgentProcess(tls_server, tmp_path / "nas", "nas")
    host_id = await away(agent.enroll)
    try:
        await away(lambda: agent.start(host_id))
        agent.wrong_password()
        await away(lambda: agent.run_backup(host_id))
        [raised] = await sink.until_told(1)
    finally:
        agent.end()
    assert raised.body["kind"] == "backup_failed"
    assert raised.body["link"].startswith("https://")


async def test_over_tls_the_session_is_bound_to_this_host_and_to_tls(tls_server: Server) -> None:
    def log_in() -> httpx.Response:
        tls_server.admin("create-user", "--username", "anna", "--role", "viewer", RM_PASSWORD="a long enough phrase")
        form = {"username": "anna", "password": "a long enough phrase"}
        return httpx.post(f"{tls_server.url}/login", data=form, verify=tls_server.verify, trust_env=False, timeout=120)

    answer = await away(log_in)
    name, *attributes = answer.headers["set-cookie"].split("; ")
    assert name.startswith("__Host-rm=rms_")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(attributes)
    assert not any(attribute.startswith("Domain") for attribute in attributes)
    assert "max-age=" in answer.headers["strict-transport-security"]
    assert "RM_COOKIE_SECURE" not in tls_server.log


def test_without_it_the_log_and_every_page_warn(server: Server) -> None:
    assert "RM_COOKIE_SECURE is false" in server.log
    for path in ("/setup", "/no/such/page"):
        page = httpx.get(f"{server.url}{path}", trust_env=False, follow_redirects=True, timeout=120)
        assert "RM_COOKIE_SECURE=false" in page.text


async def test_a_certificate_that_cannot_be_verified_is_refused_by_the_agent(tls_server: Server) -> None:
    token = await away(tls_server.enrollment_token)
    with pytest.raises(LinkDown, match="certificate"):
        await enroll(tls_server.agent_url, token, "trusting")


@pytest.mark.parametrize(
    "data", [b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x00\x05hello", b"\x00" * 600]
)
async def test_who_speaks_no_tls_is_let_go_and_nobody_else_notices(tls_server: Server, data: bytes) -> None:
    for port in (tls_server.port, tls_server.agent_port):
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        async with stream:
            with trio.move_on_after(0.5):
                try:
                    await stream.send_all(data)
                    await stream.receive_some(1000)
                except trio.BrokenResourceError:
                    pass  # that is an answer too
    async with tls_server.client() as client:
        assert (await client.get("/healthz")).status_code == 200
    tls_server.must_live()
    assert "Traceback" not in tls_server.log
