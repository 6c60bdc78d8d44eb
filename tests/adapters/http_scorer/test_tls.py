"""A scorer behind HTTPS is asked where its certificate is trusted and for its name, and nothing is sent where it is not."""

import asyncio
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from .asking import failure, verdict
from .scorer import Scorer, running


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for `localhost` that signs itself, with its key, in one file."""
    key, name = (
        ec.generate_private_key(ec.SECP256R1()),
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]),
    )
    day = timedelta(days=1)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - day)
        .not_valid_after(datetime.now(UTC) + day)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = tmp_path_factory.mktemp("certificate") / "localhost.pem"
    path.write_bytes(signed.public_bytes(serialization.Encoding.PEM) + key.private_bytes(*form))
    return path


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    """What the scorer shows who it is with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


async def test_a_trusted_certificate_will_do(
    certificate: Path, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with running(tls=tls, called="localhost") as scorer:
        assert (await verdict(scorer)).scores == (1, 2, 3, 4)


async def test_one_that_nobody_knows_will_not(tls: ssl.SSLContext) -> None:
    async with running(tls=tls, called="localhost") as scorer:
        error = await failure(scorer)
        assert (error.code, scorer.received) == ("judge_misconfigured", [])
        assert "certificate of its scorer is not trusted: set SSL_CERT_FILE" in str(error)


async def test_nor_one_for_another_name(
    certificate: Path, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with running(tls=tls) as scorer:
        error = await failure(scorer)
        assert (error.code, scorer.received) == ("judge_misconfigured", [])
        assert "MAXWELL_JUDGE_HTTP_URL to the name it is for" in str(error)


async def test_a_scorer_that_wants_to_know_its_client_is_unavailable(
    certificate: Path, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By TLS 1.3 it says so only once the client thinks itself connected: as an ssl.SSLError in the middle of the answer."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_verify_locations(certificate)
    over = threading.Event()

    def refuse(server: socket.socket) -> None:
        with tls.wrap_socket(server.accept()[0], server_side=True, do_handshake_on_connect=False) as connection:
            with pytest.raises(ssl.SSLError):
                connection.do_handshake()
            over.wait(30)  # hanging up at once might overtake what it said

    with socket.create_server(("127.0.0.1", 0)) as server:
        refusing = asyncio.create_task(asyncio.to_thread(refuse, server))
        try:
            error = await failure(Scorer(url=f"https://localhost:{server.getsockname()[1]}/score"))
        finally:
            over.set()
            await refusing
    assert error.code == "judge_unavailable"
    assert "cannot be reached, or hung up (SSLError)" in str(error)


async def test_a_server_without_tls_is_unavailable() -> None:
    async with running() as scorer:
        error = await failure(scorer, url=scorer.url.replace("http:", "https:"), timeout="0.4")
        assert (error.code, scorer.received) == ("judge_unavailable", [])
        assert "cannot be reached, or hung up (ConnectTimeout)" in str(error)
