"""What the settings point to: the certificate, and where notifications may go."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import trio
from cryptography import x509

from rmactors.common.clock import DAY, from_datetime
from rmactors.common.findings import Finding
from rmactors.server.channels.net.egress import OutboundPolicy, PolicyError
from rmactors.server.channels.net.tls import TrustError, shared_ssl_context
from rmactors.server.config.settings import Settings
from rmactors.server.openid.provider import provider_of
from rmactors.server.openid.trouble import ProviderTrouble

_SOON = 14 * DAY


def look(settings: Settings, now: int) -> Iterator[Finding]:
    """Faults of values that can be read but not used, and a certificate that ends."""
    try:
        OutboundPolicy.parse(settings.outbound_allow)
    except PolicyError as error:
        yield Finding(False, str(error))
    if settings.tls:
        yield _certificate(settings, now)
    if settings.oidc_issuer:
        yield _provider(settings)
    for text in settings.warnings:
        yield Finding(None, text.rstrip("."))


def _provider(settings: Settings) -> Finding:
    """Whether it is there, and is what the settings say."""
    try:
        provider = provider_of(settings, shared_ssl_context())
        assert provider is not None
        trio.run(provider.metadata)
    except TrustError as error:
        return Finding(False, str(error))
    except ProviderTrouble as trouble:
        return Finding(False, f"RM_OIDC_ISSUER, {settings.oidc_issuer}: {trouble.why}")
    return Finding(True, f"the identity provider {settings.oidc_issuer} answers, and calls itself so")


def _certificate(settings: Settings, now: int) -> Finding:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(settings.tls_cert_file, settings.tls_key_file)
        certificate = x509.load_pem_x509_certificate(Path(settings.tls_cert_file).read_bytes())
    except (OSError, ssl.SSLError, ValueError) as error:
        return Finding(False, f"RM_TLS_CERT_FILE and RM_TLS_KEY_FILE cannot be used: {error}")
    ends = certificate.not_valid_after_utc
    left = from_datetime(ends) - now
    if left <= 0:
        return Finding(False, f"the certificate {settings.tls_cert_file} ended on {ends:%Y-%m-%d}: agents are refused")
    if left < _SOON:
        return Finding(None, f"the certificate {settings.tls_cert_file} ends on {ends:%Y-%m-%d}")
    return Finding(True, f"the certificate is good until {ends:%Y-%m-%d}")
