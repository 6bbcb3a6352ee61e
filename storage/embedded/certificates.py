"""Make the certificate by which the parts of an embedded engine know each other."""

import ssl
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from storage.embedded.data_folder import DataFolder, write_private

NAME = "mingcha embedded engine"
# A clock that is wrong at the first start must not make the certificate unusable. RFC 5280 (4.1.2.5) has the latter time
# for certificates without an end. The private key never leaves the data folder, so that nothing is gained by renewal.
VALID_FROM, VALID_UNTIL = datetime(2020, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


def certificate(folder: DataFolder) -> Path:
    """Return the path of a file with a private key and its certificate, in PEM. It is created if it is missing.

    The certificate signs itself, and is valid for servers and clients on 127.0.0.1. A server that trusts only this
    certificate accepts only processes that can read the file.
    """
    path = folder.root / "engines" / "certificate.pem"
    if not _is_usable(path):  # with a damaged file, the engine would serve without certificates
        write_private(path, _create())
    return path


def _is_usable(path: Path) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path)
    except (OSError, ssl.SSLError):  # missing or damaged
        return False
    return True


def _create() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(VALID_FROM)
        .not_valid_after(VALID_UNTIL)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .sign(key, SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return (private + made.public_bytes(Encoding.PEM)).decode()
