"""The shared TLS context: what it trusts, and that it is clear about a trust that cannot be."""

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.certificates import Authority
from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.channels.net.tls import TrustError, shared_ssl_context
from rmactors.server.channels.registry import make_channel
from tests.channels.notifications import RAISE, spec
from tests.channels.receivers import receiving


async def test_ssl_cert_file_is_honoured(authority: Authority, environment: Callable[..., None]) -> None:
    environment(SSL_CERT_FILE=str(authority.file))
    async with receiving(tls=authority.server) as receiver:
        policy = OutboundPolicy.parse("loopback")
        hook = make_channel(spec("webhook", url=receiver.url()), policy, shared_ssl_context(), "https://rm.example.org")
        attempt = await hook.send(RAISE)
        await hook.aclose()
    assert attempt.verdict == "delivered"


def test_it_verifies_and_speaks_tls_1_2_or_newer() -> None:
    context = shared_ssl_context()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_a_file_that_is_not_there_is_a_clear_error(tmp_path: Path, environment: Callable[..., None]) -> None:
    environment(SSL_CERT_FILE=str(tmp_path / "none.pem"))
    with pytest.raises(TrustError, match=r"SSL_CERT_FILE: .*none\.pem cannot be read"):
        shared_ssl_context()


def test_a_file_without_certificates_is_a_clear_error(tmp_path: Path, environment: Callable[..., None]) -> None:
    (tmp_path / "empty.pem").write_text("nothing here\n")
    environment(SSL_CERT_FILE=str(tmp_path / "empty.pem"))
    with pytest.raises(TrustError, match="holds no certificates"):
        shared_ssl_context()
