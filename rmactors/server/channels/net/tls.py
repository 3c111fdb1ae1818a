"""The one TLS context that all channels share: made once, because making one costs 24 ms and half a megabyte."""

import os
import ssl
from pathlib import Path

import certifi

from rmactors.common.tls import verifying_context


class TrustError(Exception):
    """The certificates to trust cannot be read. The message names the file. Raised at start-up."""


def shared_ssl_context() -> ssl.SSLContext:
    """As `common.tls.verifying_context`, with the certificates of certifi if the system has none. Raises TrustError."""
    if (file := os.environ.get("SSL_CERT_FILE")) and not os.access(file, os.R_OK):
        raise TrustError(f"SSL_CERT_FILE: {file} cannot be read")
    context = verifying_context()
    try:
        if file:
            context.load_verify_locations(cafile=file)  # OpenSSL ignores a file that holds no certificate
    except ssl.SSLError as error:
        raise TrustError(f"SSL_CERT_FILE: {file} holds no certificates in PEM form ({error.reason})") from None
    if not file and not os.environ.get("SSL_CERT_DIR") and not _system_has_certificates():
        context.load_verify_locations(cafile=certifi.where())
    return context


def _system_has_certificates() -> bool:
    paths = ssl.get_default_verify_paths()
    folder = Path(paths.capath) if paths.capath else None
    return bool(paths.cafile) or (folder is not None and folder.is_dir() and any(folder.iterdir()))
