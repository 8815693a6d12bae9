"""TLS and users of the web config file, with certificates made by openssl and other people's clients."""

import asyncio
import base64
import shutil
import ssl
import subprocess
from pathlib import Path

import aiohttp
import bcrypt
import pytest

from agent.errors import ConfigError
from benchmarks.synthetic import Switch
from exporters.web.users import Busy, Users
from exporters.web.webconfig import load
from tests.http_helpers import serving
from tests.test_http import ROUTES

if shutil.which("openssl") is None:
    pytest.skip("openssl is not installed", allow_module_level=True)

HASH = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
TOOLKIT_EXAMPLE = """
tls_server_config:
  cert_file: server.crt
  key_file: server.key
  min_version: TLS12
  prefer_server_cipher_suites: true
  cipher_suites:
  - TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
  - TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
http_server_config:
  http2: true
  headers:
    Strict-Transport-Security: max-age=63072000
basic_auth_users:
  alice: $2y$10$mDwo.lAisC94iLAyP81MCesa29IzH37oigHC/42V2pdJlUprsJPze
  bob: $2y$10$hLqFl9jSjoAAy95Z/zw8Ye8wkdMBM8c5Bn1ptYqP/AXyV0.oy0S8m
"""


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def certificate(folder: Path, name: str, *, issuer: str = "", san: str = "IP:127.0.0.1") -> None:
    """`name`.crt and `name`.key, signed by itself or by `issuer`."""
    signer = ["-CA", f"{issuer}.crt", "-CAkey", f"{issuer}.key"] if issuer else []
    openssl(
        folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
        "-keyout", f"{name}.key", "-out", f"{name}.crt", "-subj", f"/CN={name}",
        "-addext", f"subjectAltName={san}", *signer,
    )  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA, certificates of it, and one of nobody."""
    folder = tmp_path_factory.mktemp("certificates")
    certificate(folder, "ca", san="DNS:ca")
    certificate(folder, "server", issuer="ca")
    certificate(folder, "renewed", issuer="ca", san="IP:127.0.0.1,DNS:renewed")
    certificate(folder, "client", issuer="ca", san="DNS:prometheus.example")
    certificate(folder, "stranger", san="DNS:prometheus.example")
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    for file in made.iterdir():
        shutil.copy(file, tmp_path)
    return tmp_path


def web_config(folder: Path, text: str) -> Path:
    path = folder / "web.yml"
    path.write_text(text)
    return path


TLS = "tls_server_config: {cert_file: server.crt, key_file: server.key%s}\n"


def trusting(folder: Path, client: str = "") -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    if client:
        context.load_cert_chain(folder / f"{client}.crt", folder / f"{client}.key")
    return context


async def status(url: str, context: ssl.SSLContext | bool, auth: str = "") -> int:
    headers = {"Authorization": auth} if auth else {}
    async with (
        aiohttp.ClientSession() as session,
        session.get(url, ssl=context, headers=headers, timeout=aiohttp.ClientTimeout(5)) as response,
    ):
        return response.status


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


async def test_tls_is_spoken_and_plain_text_is_not(folder: Path) -> None:
    config = web_config(folder, TLS % "")
    async with serving(web_config=config, scheme="https") as server:
        assert await status(server.url("/metrics"), trusting(folder)) == 200
        with pytest.raises(aiohttp.ClientError):
            await status(server.url("/metrics").replace("https", "http"), context=True)
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await status(server.url("/metrics"), context=True)
        old = trusting(folder)
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_2
        assert await status(server.url("/metrics"), old) == 200


async def test_an_answer_larger_than_any_buffer_arrives_over_tls(folder: Path) -> None:
    async with serving(web_config=web_config(folder, TLS % ""), scheme="https") as server:
        for moment in Switch(ports=100).readings(1.0):
            server.hub.publish(moment)
        async with aiohttp.ClientSession() as session:
            for encoding in ("identity", "gzip"):
                headers = {"Accept-Encoding": encoding}
                for path in ("/metrics", "/api/v1/ports"):
                    async with session.get(server.url(path), ssl=trusting(folder), headers=headers) as response:
                        assert len(await response.read()) > 200_000  # as the length or the last chunk promises


async def test_min_version_is_kept(folder: Path) -> None:
    config = web_config(folder, TLS % ", min_version: TLS13")
    async with serving(web_config=config, scheme="https") as server:
        old = trusting(folder)
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(aiohttp.ClientError):
            await status(server.url("/metrics"), old)
        assert await status(server.url("/metrics"), trusting(folder)) == 200


async def test_mutual_tls_lets_nobody_else_in_on_any_path(folder: Path) -> None:
    config = web_config(folder, TLS % ", client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.crt")
    async with serving(web_config=config, scheme="https") as server:
        for path in ROUTES:
            for context in (trusting(folder), trusting(folder, "stranger")):
                with pytest.raises(aiohttp.ClientError):
                    await status(server.url(path), context)
        assert await status(server.url("/metrics"), trusting(folder, "client")) == 200


async def test_a_certificate_may_be_optional_but_not_wrong(folder: Path) -> None:
    config = web_config(folder, TLS % ", client_auth_type: VerifyClientCertIfGiven, client_ca_file: ca.crt")
    async with serving(web_config=config, scheme="https") as server:
        assert await status(server.url("/metrics"), trusting(folder)) == 200
        assert await status(server.url("/metrics"), trusting(folder, "client")) == 200
        with pytest.raises(aiohttp.ClientError):
            await status(server.url("/metrics"), trusting(folder, "stranger"))


async def test_only_allowed_names_come_in(folder: Path) -> None:
    text = ", client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.crt, client_allowed_sans: [%s]"
    for name, want in (("prometheus.example", 200), ("grafana.example", 403)):
        config = web_config(folder, TLS % (text % name))
        async with serving(web_config=config, scheme="https") as server:
            assert await status(server.url("/metrics"), trusting(folder, "client")) == want


async def test_a_renewed_certificate_is_used_without_a_restart(folder: Path) -> None:
    def names(address: tuple[str, int]) -> str:
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"{address[0]}:{address[1]}", "-showcerts"],
            input=b"", capture_output=True, check=False, timeout=5,
        )  # fmt: skip
        text = subprocess.run(
            ["openssl", "x509", "-noout", "-ext", "subjectAltName"],
            input=done.stdout,
            capture_output=True,
            check=True,
        )
        return text.stdout.decode()

    config = web_config(folder, TLS % "")
    async with serving(web_config=config, scheme="https") as server:
        loop = asyncio.get_running_loop()
        address = server.server.addresses[0]
        assert "renewed" not in await loop.run_in_executor(None, names, address)
        shutil.copy(folder / "renewed.key", folder / "server.key")
        shutil.copy(folder / "renewed.crt", folder / "server.crt")
        await asyncio.sleep(1.05)
        assert "renewed" in await loop.run_in_executor(None, names, address)
        # A renewal that goes wrong leaves the last good one in use.
        (folder / "server.crt").write_text("half a cert")
        await asyncio.sleep(1.05)
        assert "renewed" in await loop.run_in_executor(None, names, address)


async def test_basic_auth_on_every_path(folder: Path) -> None:
    config = web_config(folder, f"basic_auth_users: {{alice: '{HASH}'}}\n")
    async with serving(web_config=config) as server:
        wrong = [
            "", basic("alice", "guess"), basic("bob", "secret"), basic("", ""), "Basic !!!", "Bearer x",
            "Basic", basic("alice", "x" * 100), basic("alice", ""), "Basic " + base64.b64encode(b"alice").decode(),
        ]  # fmt: skip
        for path in (*ROUTES, "/nothing"):
            assert await status(server.url(path), context=True) == 401
        for auth in wrong:
            assert await status(server.url("/metrics"), context=True, auth=auth) == 401, auth
        for _ in range(2):
            assert await status(server.url("/metrics"), context=True, auth=basic("alice", "secret")) == 200


async def test_users_change_without_a_restart(folder: Path) -> None:
    config = web_config(folder, f"basic_auth_users: {{alice: '{HASH}'}}\n")
    async with serving(web_config=config) as server:
        assert await status(server.url("/metrics"), context=True, auth=basic("alice", "secret")) == 200
        web_config(folder, f"basic_auth_users: {{bob: '{HASH}'}}\n")
        await asyncio.sleep(1.05)
        assert await status(server.url("/metrics"), context=True, auth=basic("alice", "secret")) == 401
        assert await status(server.url("/metrics"), context=True, auth=basic("bob", "secret")) == 200


async def test_guessing_is_bounded() -> None:
    users = Users(lambda: {"alice": bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()})
    answers = await asyncio.gather(
        *(users.may(basic("alice", f"guess {number}")) for number in range(100)), return_exceptions=True
    )
    assert sum(answer is False for answer in answers) == 16
    assert sum(isinstance(answer, Busy) for answer in answers) == 84
    assert await users.may(basic("alice", "secret"))
    users.close()


def test_the_toolkit_s_own_example_is_understood(tmp_path: Path) -> None:
    found = load(web_config(tmp_path, TOOLKIT_EXAMPLE))
    assert set(found.basic_auth_users) == {"alice", "bob"}
    assert found.http_server_config.headers == {"Strict-Transport-Security": "max-age=63072000"}


async def test_headers_of_the_file_are_sent(folder: Path) -> None:
    text = "http_server_config: {headers: {Strict-Transport-Security: max-age=1, X-Frame-Options: SAMEORIGIN}}\n"
    async with (
        serving(web_config=web_config(folder, text)) as server,
        aiohttp.ClientSession() as session,
        session.get(server.url("/-/healthy")) as response,
    ):
        assert response.headers["Strict-Transport-Security"] == "max-age=1"
        assert response.headers.getall("X-Frame-Options") == ["SAMEORIGIN"]


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("tls_server_config: {cert_file: a.crt}", "tls_server_config.key_file"),
        ("nonsense: 1", "nonsense"),
        ("- a", "the file"),
        ("a: [", "not YAML"),
        ("basic_auth_users: {alice: plaintext}", "basic_auth_users.alice: not a bcrypt hash"),
        ("http_server_config: {headers: {Set-Cookie: x}}", "Set-Cookie"),
        ('http_server_config: {headers: {X-Frame-Options: "a\\nSet-Cookie: b"}}', "X-Frame-Options: 'a"),
        ("http_server_config: {headers: {X-Frame-Options: ü}}", "cannot be sent"),
        (TLS % ", min_version: TLS10", "min_version"),
        (TLS % ", client_auth_type: RequireAnyClientCert", "not supported"),
        (TLS % ", client_auth_type: RequireAndVerifyClientCert", "needs client_ca_file"),
        (TLS % ", client_ca_file: ca.crt", "without a client_auth_type"),
        (TLS % ", cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]", "TLS_RSA_WITH_RC4_128_SHA"),
        ("tls_server_config: {cert_file: none.crt, key_file: server.key}", "none.crt: No such file"),
        ("tls_server_config: {cert_file: server.crt, key_file: ca.key}", "no certificate with its key"),
        (TLS % ", client_auth_type: VerifyClientCertIfGiven, client_ca_file: web.yml", "no certificates"),
    ],
)
async def test_files_that_are_wrong(folder: Path, text: str, want: str) -> None:
    with pytest.raises(ConfigError) as found:
        async with serving(web_config=web_config(folder, text)):
            pass
    assert want in str(found.value)
    assert "plaintext" not in str(found.value)
    assert "\n" not in str(found.value)
