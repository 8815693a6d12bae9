"""The files that a config names, as `opticd check` looks at them: each is loaded as the daemon would load it."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from agent.config.file import Config, Mqtt
from agent.config.sources import SnmpSource
from agent.errors import ConfigError
from agent.links import peers

CREDENTIALS: Final = Path("/run/credentials")
"""Where systemd shows credentials to a unit while it runs (LoadCredential)."""


class Named(NamedTuple):
    """Files that are loaded together."""

    key: str
    """Where the config names them; "" when the message of `load` says so."""
    files: tuple[Path, ...]
    load: Callable[[], object]
    """Raises ConfigError for what is wrong with them; logs who else may read a secret."""


def check(loaded: Config) -> list[str]:
    """What could not be looked at here, a line each. Raises ConfigError with all that is wrong, a line each."""
    notes: list[str] = []
    wrong: list[str] = []
    for named in _named(loaded):
        hidden = [file for file in named.files if file.is_relative_to(CREDENTIALS) and not file.exists()]
        if hidden:
            notes += [f"{file} is there only while the unit runs: not looked at" for file in hidden]
            continue
        try:
            named.load()
        except ConfigError as exc:
            key = f"{named.key}: " if named.key else ""
            hint = f" ({exc.hint})" if exc.hint else ""
            wrong += [f"{key}{line}{hint}" for line in str(exc).splitlines()]
    if wrong:
        raise ConfigError("\n".join(wrong))
    return notes


def _named(loaded: Config) -> Iterator[Named]:
    if (path := loaded.agent.peers) is not None:
        yield Named("", (path,), lambda: peers.load(path))
    prometheus, mqtt = loaded.exporter.prometheus, loaded.exporter.mqtt
    if prometheus is not None and prometheus.web_config is not None:
        yield from _web(prometheus.web_config)
    if mqtt is not None:
        yield from _mqtt(mqtt)
    for number, section in enumerate(loaded.source):
        if isinstance(section, SnmpSource):
            yield from _snmp(section, f"source[{number}]")


def _web(path: Path) -> Iterator[Named]:
    from exporters.web import webconfig

    yield Named("", (path,), lambda: webconfig.load(path))
    try:
        tls = webconfig.load(path).tls_server_config
    except ConfigError:  # which was just told
        return
    if tls is not None:
        given = (tls.cert_file, tls.key_file, tls.client_ca_file)
        files = tuple(path.parent / file for file in given if file is not None)
        yield Named(str(path), files, lambda: webconfig.tls_context(tls, path.parent))


def _mqtt(section: Mqtt) -> Iterator[Named]:
    from exporters.mqtt import client as mqtt_client

    yield Named("", (), lambda: mqtt_client.parse_url(section.url))
    if (path := section.password_file) is not None:
        yield Named("", (path,), lambda: mqtt_client.read_password(path))
    files = tuple(file for file in (section.ca_file, section.cert_file, section.key_file) if file is not None)
    if files or section.url.startswith(("mqtts:", "wss:")):
        yield Named("", files, lambda: mqtt_client.tls_context(section))


def _secret(path: Path, *, least: int) -> None:
    from drivers.snmp import credentials

    if len(credentials.secret(path)) < least:
        raise ConfigError(f"{path}: a password of SNMPv3 has at least {least} characters")


def _snmp(section: SnmpSource, where: str) -> Iterator[Named]:
    from drivers.snmp import rules

    keys = ("community_file", "auth_password_file", "priv_password_file")
    files = {key: file for key in keys if isinstance(file := getattr(section, key), Path)}
    for key, file in files.items():
        yield Named(f"{where}.{key}", (file,), partial(_secret, file, least=8 if "password" in key else 1))
    if (vendors := section.vendors) is not None:
        yield Named(f"{where}.vendors", (vendors,), lambda: rules.load(vendors))
