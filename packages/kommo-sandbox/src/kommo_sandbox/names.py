"""Kommo's own names: the certificate for clients that know nothing but `https://<name>.kommo.com`.

Most public clients write that address themselves. They come here by HTTPS_PROXY, or by a name that leads here, and
trust the authority made here, new with each start and asked for at `/_sandbox/ca.pem`. Needs `cryptography`, which
`kommo-sandbox[https]` brings.
"""

from __future__ import annotations

import functools
import ipaddress
import ssl
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.x509 import CertificateBuilder

DOMAINS = ("kommo.com", "amocrm.ru", "amocrm.com")
LASTS = timedelta(days=30)
WITHOUT = "https needs cryptography: pip install 'kommo-sandbox[https]'"
_lock = threading.Lock()


class NoCertificates(Exception):
    """`cryptography` is not installed; the text says what to do."""


def is_kommos(host: str) -> bool:
    return host in ("localhost", "127.0.0.1") or any(
        host == domain or host.endswith(f".{domain}") for domain in DOMAINS
    )


def environment(proxy: str, certificate: Path) -> dict[str, str]:
    """Return the variables by which programs take a proxy and trust an authority, in the words of each language."""
    trust = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
    # Node asks for it to be said (24.5 or newer).
    ways = {"HTTPS_PROXY": proxy, "https_proxy": proxy, "NODE_USE_ENV_PROXY": "1"}
    return (
        ways
        | {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}
        | dict.fromkeys(trust, str(certificate))
    )


def context() -> ssl.SSLContext:
    """Return what ends TLS for all of Kommo's names. Raises NoCertificates."""
    return _made()[0]


def authority() -> bytes:
    """Return the authority's certificate, for who has to trust it. Raises NoCertificates."""
    return _made()[1]


def _made() -> tuple[ssl.SSLContext, bytes]:
    # Of many first calls at once one makes it.
    with _lock:
        return _make()


@functools.cache
def _make() -> tuple[ssl.SSLContext, bytes]:
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import ExtendedKeyUsageOID
    except ImportError as error:
        raise NoCertificates(WITHOUT) from error

    def named(name: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])

    def begun(name: str, key: ec.EllipticCurvePrivateKey) -> CertificateBuilder:
        now = datetime.now(UTC)
        built = x509.CertificateBuilder().subject_name(named(name)).issuer_name(named("kommo-sandbox"))
        built = built.public_key(key.public_key()).serial_number(x509.random_serial_number())
        # Clocks of containers may be a little behind.
        return built.not_valid_before(now - timedelta(days=1)).not_valid_after(now + LASTS)

    own, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    sign = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    known = x509.SubjectKeyIdentifier.from_public_key(own.public_key())
    ca = begun("kommo-sandbox", own).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    ca = ca.add_extension(sign, critical=True).add_extension(known, critical=False)
    authority = ca.sign(own, hashes.SHA256())

    names: list[x509.GeneralName] = [x509.DNSName(name) for domain in DOMAINS for name in (domain, f"*.{domain}")]
    names += [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    issuer = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(known)
    shown = begun("kommo-sandbox here", key).add_extension(x509.SubjectAlternativeName(names), critical=False)
    shown = shown.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    certificate = shown.add_extension(issuer, critical=False).sign(own, hashes.SHA256())

    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        # The module reads files alone.
        file = Path(folder) / "certificate.pem"
        file.touch(mode=0o600)
        file.write_bytes(secret + certificate.public_bytes(pem))
        made.load_cert_chain(file)
    return made, authority.public_bytes(pem)
