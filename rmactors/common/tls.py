"""Whom we believe over TLS, the same for whatever connects: agents, commands and channels."""

import ssl


def verifying_context(ca_file: str | None = None) -> ssl.SSLContext:
    """TLS 1.2 or newer, certificates and host names verified: by `ca_file` alone where given, else by the system's
    certificates, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`. Raises OSError if the file cannot be used.
    """
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Python 3.13 began to refuse what OpenSSL, curl and older Pythons take: private authorities whose certificates
    # leave out identifiers. Which Python runs must not decide who can be reached.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context
