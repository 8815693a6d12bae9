"""The web config file of every Prometheus exporter (exporter-toolkit): TLS, users, headers."""

import ssl
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.errors import ConfigError

ClientAuth = Literal[
    "",
    "NoClientCert",
    "RequestClientCert",
    "RequireAnyClientCert",
    "VerifyClientCertIfGiven",
    "RequireAndVerifyClientCert",
]

_VERSIONS: Final = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_CIPHERS: Final = {  # Go's names of what TLS 1.2 has left, with OpenSSL's
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
}
_HEADERS: Final = frozenset(
    {
        "Strict-Transport-Security",
        "X-Frame-Options",
        "X-Content-Type-Options",
        "X-XSS-Protection",
        "Content-Security-Policy",
    }
)


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Tls(_Section):
    """`tls_server_config`. Paths are relative to the file."""

    cert_file: Path
    key_file: Path
    client_auth_type: ClientAuth = ""
    client_ca_file: Path | None = None
    client_allowed_sans: tuple[str, ...] = ()
    cipher_suites: tuple[str, ...] = ()
    curve_preferences: tuple[str, ...] = ()
    """Accepted; OpenSSL's own order of curves is kept."""
    min_version: Literal["TLS12", "TLS13"] = "TLS12"
    max_version: Literal["TLS12", "TLS13"] = "TLS13"
    prefer_server_cipher_suites: bool = True


class HttpServer(_Section):
    """`http_server_config`."""

    http2: bool = True
    """Accepted; HTTP/1.1 is what is spoken."""
    headers: dict[str, str] = {}


class WebConfig(_Section):
    """The whole file."""

    tls_server_config: Tls | None = None
    http_server_config: HttpServer = HttpServer()
    basic_auth_users: dict[str, Annotated[str, Field(pattern=r"^\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}$")]] = {}


def load(path: Path) -> WebConfig:
    """Read and check the file. Raises ConfigError; a hash is never in its message."""
    try:
        import yaml  # noqa: PLC0415  # only who has such a file needs it
    except ImportError as exc:
        raise ConfigError(f"{path}: a web config needs PyYAML", hint="pip install 'opticd[web-auth]'") from exc
    try:
        document: object = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError as exc:
        raise ConfigError(f"{path}: {exc.strerror}", hint="see [exporter.prometheus] web_config") from exc
    except (yaml.YAMLError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(exc).split())}") from exc
    try:
        config = WebConfig.model_validate(document)
    except ValidationError as exc:
        raise ConfigError("\n".join(_explain(exc, path))) from exc
    for name, value in config.http_server_config.headers.items():
        where = f"{path}: http_server_config.headers"
        if name not in _HEADERS:
            raise ConfigError(f"{where}: {name!r} cannot be set", hint=", ".join(_HEADERS))
        if not value.isascii() or not value.isprintable() or value != value.strip():
            raise ConfigError(f"{where}: {name}: {value!r} cannot be sent: printable ASCII without blanks around")
    if config.basic_auth_users and find_spec("bcrypt") is None:
        raise ConfigError(f"{path}: users need bcrypt", hint="pip install 'opticd[web-auth]'")
    return config


def _explain(error: ValidationError, path: Path) -> list[str]:
    return [
        f"{path}: {'.'.join(map(str, item['loc'])) or 'the file'}: "
        + ("not a bcrypt hash" if item["loc"][:1] == ("basic_auth_users",) else item["msg"])
        for item in error.errors(include_url=False, include_input=False)
    ]


def tls_context(tls: Tls, folder: Path) -> ssl.SSLContext:
    """A server context of the files as they are now. Raises ConfigError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[tls.min_version]
    context.maximum_version = _VERSIONS[tls.max_version]
    if tls.cipher_suites:
        unknown = [name for name in tls.cipher_suites if name not in _CIPHERS]
        if unknown:
            raise ConfigError(f"tls_server_config.cipher_suites: unknown or insecure: {', '.join(unknown)}")
        context.set_ciphers(":".join(_CIPHERS[name] for name in tls.cipher_suites))
    cert, key = folder / tls.cert_file, folder / tls.key_file
    for name, file in (("cert_file", cert), ("key_file", key)):
        _readable(f"tls_server_config.{name}", file)
    try:
        context.load_cert_chain(cert, key, password=_no_password)
    except (ssl.SSLError, ValueError) as exc:
        raise ConfigError(f"{cert} and {key}: no certificate with its key: {exc}") from exc
    _ask_clients(context, tls, folder)
    return context


def _no_password() -> str:
    raise ValueError("the key is encrypted, opticd knows no password")


def _readable(name: str, file: Path) -> None:
    try:
        with file.open("rb"):
            pass
    except OSError as exc:
        raise ConfigError(f"{name}: {file}: {exc.strerror}") from exc


def _ask_clients(context: ssl.SSLContext, tls: Tls, folder: Path) -> None:
    policy = tls.client_auth_type
    if policy == "RequireAnyClientCert":
        raise ConfigError(
            "tls_server_config.client_auth_type: RequireAnyClientCert is not supported",
            hint="RequireAndVerifyClientCert with client_ca_file also checks who it is",
        )
    if policy in ("", "NoClientCert", "RequestClientCert"):  # a certificate nobody verifies decides nothing
        if tls.client_ca_file is not None and policy != "RequestClientCert":
            raise ConfigError("tls_server_config: client_ca_file without a client_auth_type that verifies")
        return
    if tls.client_ca_file is None:
        raise ConfigError(f"tls_server_config: {policy} needs client_ca_file")
    ca_file = folder / tls.client_ca_file
    _readable("tls_server_config.client_ca_file", ca_file)
    try:
        context.load_verify_locations(ca_file)
    except ssl.SSLError as exc:
        raise ConfigError(f"{ca_file}: no certificates: {exc}") from exc
    required = policy == "RequireAndVerifyClientCert"
    context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL


class Watched:
    """The web config as its files are now: read again when they change, kept when the new ones are wrong."""

    def __init__(self, path: Path, *, report: Callable[[str], None], clock: Callable[[], float]) -> None:
        """`report` is told in one line what is wrong with new files. `clock` gives monotonic seconds.

        Raises ConfigError.
        """
        self._path = path
        self._report = report
        self._clock = clock
        self._serving = False
        self.config = load(path)
        self._context = self._build()
        self._serving = True
        self._stamps = self._stamp()
        self._looked = clock()

    @property
    def tls(self) -> bool:
        """Whether TLS is spoken; this alone does not change while it runs."""
        return self._context is not None

    def server_context(self) -> ssl.SSLContext:
        """The context to listen with: each handshake goes on with the certificates as they are then."""
        assert self._context is not None
        self._context.sni_callback = self._handshake
        return self._context

    def _handshake(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        self.look()
        if self._context is not None and connection.context is not self._context:
            connection.context = self._context

    def look(self) -> None:
        """Read the files again if they changed; looks at them once a second at most."""
        now = self._clock()
        if now - self._looked < 1.0:
            return
        self._looked = now
        stamps = self._stamp()
        if stamps == self._stamps:
            return
        self._stamps = stamps
        before = self.config
        try:
            self.config = load(self._path)
            self._context = self._build()
        except ConfigError as exc:
            self.config = before
            self._report(f"{exc}; the web config goes on as it was")

    def _build(self) -> ssl.SSLContext | None:
        tls = self.config.tls_server_config
        if self._serving and (tls is None) != (self._context is None):
            raise ConfigError(f"{self._path}: TLS can be turned on and off by a restart alone")
        return tls_context(tls, self._path.parent) if tls else None

    def _stamp(self) -> Mapping[Path, tuple[int, int]]:
        tls = self.config.tls_server_config
        names = [tls.cert_file, tls.key_file, tls.client_ca_file] if tls else []
        files = [self._path, *(self._path.parent / name for name in names if name)]
        return {file: _stamp(file) for file in files}


def _stamp(file: Path) -> tuple[int, int]:
    try:
        status = file.stat()
    except OSError:
        return (0, 0)
    return (status.st_mtime_ns, status.st_ino)
