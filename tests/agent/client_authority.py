"""An authority of our own for client certificates, made for each test run."""

import datetime
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOUR = datetime.timedelta(hours=1)


@dataclass(frozen=True)
class ClientAuthority:
    """`file` is what a server has to trust."""

    folder: Path
    file: Path
    key: ec.EllipticCurvePrivateKey

    def issue(
        self, stem: str, ends: datetime.datetime | None = None, passphrase: bytes | None = None
    ) -> tuple[Path, Path]:
        """Files of a certificate that ends in an hour or then, and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _builder(stem, "Clients", key, ends).sign(self.key, hashes.SHA256())
        files = self.folder / f"{stem}.pem", self.folder / f"{stem}.key"
        files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        encryption = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
        files[1].write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
        )
        return files

    def asking(self, context: ssl.SSLContext) -> ssl.SSLContext:
        """The same for a listener, which lets in nobody without one of these certificates."""
        context.load_verify_locations(cafile=str(self.file))
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # as nginx: the certificates here leave out identifiers
        return context


def make_client_authority(folder: Path, stem: str = "clients") -> ClientAuthority:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder("Clients", "Clients", key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{stem}-ca.pem"
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return ClientAuthority(folder, file, key)


def _builder(
    subject: str, issuer: str, key: ec.EllipticCurvePrivateKey, ends: datetime.datetime | None = None
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    ends = ends or now + HOUR
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(now, ends) - HOUR)
        .not_valid_after(ends)
    )
