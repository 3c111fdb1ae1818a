"""Certificates for listeners on loopback, made again for each test run; as plain as those that people make at home."""

import datetime
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from rmactors.server.channels.net.tls import shared_ssl_context


@dataclass(frozen=True)
class Authority:
    """Signs for `localhost` and 127.0.0.1. `file` is what a client has to trust."""

    folder: Path
    file: Path
    server: ssl.SSLContext
    """What a listener with a good certificate uses."""
    wrong_name: ssl.SSLContext
    """What one uses whose certificate is for another host."""

    def trusting(self) -> ssl.SSLContext:
        context = shared_ssl_context()
        context.load_verify_locations(cafile=str(self.file))
        return context


def make_authority(folder: Path) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("Test authority")
    certificate = _builder(name, name, key.public_key()).add_extension(
        x509.BasicConstraints(ca=True, path_length=None), critical=True
    )
    ca = certificate.sign(key, hashes.SHA256())
    file = folder / "ca.pem"
    file.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    here = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    return Authority(
        folder,
        file,
        _listener(folder, "here", name, key, here),
        _listener(folder, "elsewhere", name, key, [x509.DNSName("elsewhere.example")]),
    )


def _listener(
    folder: Path, stem: str, issuer: x509.Name, ca_key: ec.EllipticCurvePrivateKey, names: list[x509.GeneralName]
) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder(_name(stem), issuer, key.public_key())
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    path = folder / f"{stem}.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(path)
    return context


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
