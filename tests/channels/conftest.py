"""What the channels' tests share: an authority that signs for localhost, a policy that allows loopback."""

import os
import ssl
from collections.abc import Callable, Iterator

import pytest

from harness.certificates import Authority, make_authority
from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.channels.net.tls import shared_ssl_context


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def system_trust() -> ssl.SSLContext:
    """The context of a server that trusts nobody in these tests."""
    return shared_ssl_context()


@pytest.fixture
def policy() -> OutboundPolicy:
    return OutboundPolicy.parse("external,private,loopback")


@pytest.fixture
def environment() -> Iterator[Callable[..., None]]:
    """Sets variables for the time of a test."""
    before = dict(os.environ)

    def set_variables(**values: str) -> None:
        os.environ.update(values)

    yield set_variables
    os.environ.clear()
    os.environ.update(before)
