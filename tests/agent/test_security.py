"""What must never happen: an unverified server, a secret where others can read it, an argument with a password."""

import datetime
import ipaddress
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from rmactors.agent.agent_file import AgentFile, Repository
from rmactors.agent.daemon import run_agent
from rmactors.agent.enrollment import EnrollmentFailed, enroll
from rmactors.agent.environment import environment_for
from rmactors.agent.state_dir import StateDir

from .conftest import FAST
from .repositories import ResticRepository, restic_processes
from .server_double import ServerDouble, eventually, listen

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class TlsServer:
    double: ServerDouble
    ca_file: Path


@pytest.fixture
async def tls_server(tmp_path: Path) -> AsyncIterator[TlsServer]:
    """A server behind TLS with a certificate of its own making."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    (tmp_path / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    double = ServerDouble()
    async with trio.open_nursery() as nursery:
        server = await nursery.start(
            lambda task_status: listen(double.serve, "127.0.0.1", 0, context, task_status=task_status)
        )
        double.port = server.port
        yield TlsServer(double, tmp_path / "cert.pem")
        nursery.cancel_scope.cancel()


async def test_a_server_that_nobody_vouches_for_gets_no_token(tls_server: TlsServer, state: StateDir) -> None:
    url = f"https://127.0.0.1:{tls_server.double.port}"
    with pytest.raises(EnrollmentFailed, match=r"certificate of .* cannot be verified"):
        await enroll(url, "enroll-1", state.path, timings=FAST)
    assert "enroll-1" in tls_server.double.tokens


async def test_a_ca_of_ones_own_is_trusted_where_it_is_named_and_from_then_on(
    tls_server: TlsServer, state: StateDir
) -> None:
    url = f"https://127.0.0.1:{tls_server.double.port}"
    await enroll(url, "enroll-1", state.path, name="nas", ca_file=str(tls_server.ca_file), timings=FAST)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: run_agent(AgentFile(allow=[]), state.path, timings=FAST))
        await tls_server.double.an_agent()
        nursery.cancel_scope.cancel()
    assert state.credential().ca_file == str(tls_server.ca_file)


async def test_ssl_cert_file_is_honoured(
    tls_server: TlsServer, state: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tls_server.ca_file))
    credential = (
        await enroll(f"https://127.0.0.1:{tls_server.double.port}", "enroll-1", state.path, timings=FAST)
    ).credential
    assert credential.ca_file is None


async def test_no_secret_is_in_the_arguments_of_a_process_or_in_the_log(
    server: ServerDouble, enrolled: StateDir, repository: ResticRepository, tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """A stand-in for restic writes down how it was called: everybody on the machine could read that."""
    spy = tmp_path / "spy"
    spy.write_text(f'#!/bin/sh\ntr "\\0" " " < /proc/$$/cmdline > {tmp_path}/called\nexec restic "$@"\n')
    spy.chmod(0o755)
    async with trio.open_nursery() as nursery:
        agent_file = repository.agent_file(restic=str(spy))
        nursery.start_soon(lambda: run_agent(agent_file, enrolled.path, timings=FAST))
        end = await server.an_end(await server.run_job("backup"))
        nursery.cancel_scope.cancel()
    assert end.status == "succeeded"
    called = (tmp_path / "called").read_text()
    assert "backup" in called
    assert str(repository.path) not in called
    assert str(repository.password_file) not in called
    assert "agent-1" not in caplog.text


def test_restics_environment_is_the_files_and_not_the_callers() -> None:
    inherited = {"PATH": "/bin", "RESTIC_PASSWORD": "other", "RESTIC_REPOSITORY": "other", "RM_PASSWORD": "secret"}
    found = environment_for(Repository("/srv/restic", password_file="/p"), inherited)
    assert "RESTIC_PASSWORD" not in found
    assert "RM_PASSWORD" not in found
    assert (found["RESTIC_REPOSITORY"], found["RESTIC_PASSWORD_FILE"], found["PATH"]) == ("/srv/restic", "/p", "/bin")
    assert found["HOME"]


async def test_the_child_gets_sigint_when_the_agent_is_killed_without_a_word(
    state: StateDir, repository: ResticRepository, tmp_path: Path
) -> None:
    """A real agent process, SIGKILL in mid-backup: restic ends as well, and takes its lock along."""
    import os
    import subprocess
    import sys

    from rmactors.agent.state_dir import HostCredential

    from .server_double import serving

    (repository.source / "big").write_bytes(os.urandom(60_000_000))
    config = tmp_path / "agent.toml"
    config.write_text(
        f'allow = ["backup"]\n[repositories.main]\nrepository = "{repository.path}"\nlimit_upload = 4000\n'
        f'password_file = "{repository.password_file}"\ncache_dir = "{repository.cache}"\n'
        f'[plans.home]\nrepository = "main"\nsources = ["{repository.source}"]\n'
    )
    double = ServerDouble()
    async with serving(double):
        state.save_credential(HostCredential(double.url, double.host_id, "nas", "agent-1"))
        process = await trio.lowlevel.open_process(
            [sys.executable, "-m", "rmactors", "agent", "run", "--state-dir", str(state.path), "--config", str(config)],
            cwd=ROOT, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        await double.run_job("backup")
        # well begun: packs are being written
        await eventually(lambda: [p for p in (repository.path / "data").rglob("*") if p.is_file()])
        assert restic_processes(repository)
        process.kill()
        await process.wait()
        await eventually(lambda: not restic_processes(repository), seconds=60)  # it finishes the packs it has begun
    assert not repository.locks()
