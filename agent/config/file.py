"""The config file: its sections, defaults and checks. `load` turns every mistake into one line with its place."""

import re
import socket
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError, model_validator

from agent.alerts.configured import RuleSection
from agent.config.errors import explain
from agent.config.sources import PositiveSeconds, Source
from agent.errors import ConfigError
from agent.maps import load_quirks
from agent.modules.slices import MOST_LANES, Lasers, Share
from agent.section import Section

DEFAULT_CONFIG = Path("/etc/opticd/opticd.toml")
DEFAULT_LISTEN = "127.0.0.1:10800"

Profile = Literal["basic", "standard", "full"]


class Agent(Section):
    """What holds for the whole daemon."""

    device: str = Field(default_factory=socket.gethostname, min_length=1)
    """Name of this host or switch in readings, topics and alerts."""
    poll_interval: PositiveSeconds = 10.0
    """Seconds between two refreshes of a module."""
    slow_interval: PositiveSeconds = 60.0
    """Seconds between two reads of the slow families of values (VDM, coherent, tuning)."""
    identity_interval: PositiveSeconds = 10.0
    """Seconds between two checks of the serial number (also checked whenever something hints at a swap)."""
    state_dir: Path | None = None
    """Where counters and unsent messages survive a restart; systemd's $STATE_DIRECTORY by default."""
    profile: Profile = "standard"
    bus_share: float = Field(default=0.25, gt=0, le=1)
    """Most of the time of a bus that reads may take; the rest is the host's and other masters'."""
    pause_after_link_change: float = Field(default=0.0, ge=0, le=600)
    """Seconds in which a module is let alone after its link came up or went down, 0 for none: bring-up undisturbed.
    What a module shows in these seconds is not seen, nor what made the link fall. One whose link never rests for so
    long is read after five times the pause."""
    read_flags: bool = True
    """Read the clear-on-read flags; false where another daemon owns them."""
    quirks: Path | None = None
    """Your own rows of what single modules do otherwise than specified (TOML, see agent/maps/quirks.toml)."""
    peers: Path | None = None
    """A file that says which port is at the other end of each link (TOML, see agent/links/peers.py)."""
    lldpd_socket: Path = Path("/run/lldpd.socket")
    """Where lldpd listens, if it runs: it is asked who is at the other end of this host's links."""
    sys_root: Path = Path("/sys")
    """Where interfaces and InfiniBand counters are looked for."""


class Prometheus(Section):
    """The HTTP exporter."""

    listen: str = DEFAULT_LISTEN
    web_config: Path | None = None
    power_units: list[Literal["watts", "dbm"]] = ["watts", "dbm"]
    enable_reload: bool = False


class Mqtt(Section):
    """The MQTT exporter."""

    url: str = Field(pattern=r"^(mqtts?|wss?)://.+", examples=["mqtt://broker.example:1883"])
    """`mqtt://HOST[:PORT]`, `mqtts://…`, `ws://…/PATH`, `wss://…/PATH`."""
    base: str = ""
    """Base topic, `opticd/<device>` when empty."""
    client_id: str = ""
    username: str = ""
    password_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    """Version of MQTT; `auto` is 5, and 3.1.1 with a broker that does not know it."""
    keepalive: int = Field(default=30, ge=5, le=3600)
    readings: bool = False
    """Publish every reading too, retained, QoS 0."""
    outbox_messages: int = Field(default=100_000, ge=100)
    """Most messages kept while the broker is away."""
    outbox_bytes: int = Field(default=100_000_000, ge=10_000_000)
    """Most bytes on disk that they may take."""
    outbox_age: float = Field(default=604_800, ge=60)
    """Seconds after which a message of severity info is given up; a warning lasts twice, a critical one 4 times."""


class Group(Section):
    """Ports that share something: when all of them fail at once it is one alert."""

    kind: Literal["engine", "bus", "laser"]
    name: str = Field(min_length=1)
    ports: list[str] = Field(min_length=2)


def _numbers(value: object) -> object:
    """`"1-4,9"` as the numbers that it means; anything else as it is."""
    if not isinstance(value, str):
        return value
    numbers: list[int] = []
    for part in value.split(","):
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        if match is None or int(match[2] or match[1]) < int(match[1]):
            raise ValueError(f"{value!r} are no numbers: expected as in '1-4,9'")
        numbers += range(int(match[1]), int(match[2] or match[1]) + 1)
    return numbers


Lanes = Annotated[list[Annotated[int, Field(ge=1, le=MOST_LANES)]], BeforeValidator(_numbers)]


class PortSection(Section):
    """A port that is a part of a co-packaged or near-packaged engine, which is a source of its own."""

    name: str = Field(min_length=1)
    """Its name. Without `lanes`: that of the engine, of which it is all; or a name with `{lane}` or `{path}`, for
    one port a data path, named by its first lane or its number."""
    engine: str
    """Name of the port that reads the engine."""
    lanes: Lanes = []
    """The engine's lanes that are this port's, as in `"1-4"` or `[1, 2, 3, 4]`; the port counts them from 1."""
    media_lanes: Lanes = []
    """The same on the media side, where they are numbered otherwise."""
    els: list[str] = []
    """The lasers that feed it: `"els0:1-2"` are lasers 1 and 2 of the module that port `els0` reads, `"els0"` all
    of them. For ports by data path: all lasers of the engine, each of which lights as many lanes as any other."""
    netdev: str = ""
    """Network interface of the port, for link state."""

    def share(self) -> Share:
        """The same for `agent.modules.engines`. Raises ValueError."""
        return Share(self.name, self.engine, tuple(self.lanes), tuple(self.media_lanes), self._lasers())

    def _lasers(self) -> tuple[Lasers, ...]:
        found: list[Lasers] = []
        for text in self.els:
            source, colon, numbers = text.rpartition(":")
            chosen = Lasers(source, tuple(LASERS.validate_python(numbers))) if colon else Lasers(text)
            found.append(chosen)
        return tuple(found)

    @model_validator(mode="after")
    def _is_a_port(self) -> Self:
        share = self.share()
        if not share.lanes and not share.derived and self.name != self.engine:
            raise ValueError("give its lanes, or a name with {lane} or {path} for one port a data path")
        if len(set(self.lanes)) < len(self.lanes):
            raise ValueError("a lane is there twice")
        return self


LASERS: Final = TypeAdapter(Lanes)


class Exporter(Section):
    """Where readings and alerts go."""

    prometheus: Prometheus | None = Prometheus()
    mqtt: Mqtt | None = None


class Config(Section):
    """The whole file."""

    agent: Agent = Field(default_factory=Agent)
    source: list[Source] = []
    exporter: Exporter = Exporter()
    rule: list[RuleSection] = []
    group: list[Group] = []
    port: list[PortSection] = []

    @model_validator(mode="after")
    def _rule_names_differ(self) -> Self:
        names = [rule.name for rule in self.rule]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"rule {twice!r} is there twice")
        return self

    @model_validator(mode="after")
    def _lanes_are_shared_out_once(self) -> Self:
        taken: dict[tuple[str, int], str] = {}
        for port in self.port:
            for lane in port.lanes:
                other = taken.setdefault((port.engine, lane), port.name)
                if other != port.name:
                    raise ValueError(f"lane {lane} of engine {port.engine!r}: in ports {other!r} and {port.name!r}")
        return self


def parse(text: str, *, name: str) -> Config:
    """The config in `text`; `name` is what messages call it. Raises ConfigError with every mistake, a line each."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(f"{name}: {exc}") from exc
    return of_document(document, name=name, text=text)


def of_document(document: Mapping[str, object], *, name: str, text: str = "") -> Config:
    """The config in a parsed file, whose `text` serves for line numbers. Raises ConfigError."""
    try:
        return Config.model_validate(document)
    except ValidationError as exc:
        raise ConfigError("\n".join(explain(exc, Config, text, name))) from exc


def load(path: Path) -> Config:
    """The config in a file; the quirk rows that it names are checked with it. Raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as exc:
        hint = (
            "run as root or as its owner" if isinstance(exc, PermissionError) else "give the path of another file"
        )
        raise ConfigError(f"{path}: {exc.strerror}", hint=hint) from exc
    except UnicodeDecodeError as exc:
        hint = f"`iconv -f latin1 -t utf8 {path}` turns older text into it"
        raise ConfigError(f"{path}: not UTF-8 text (byte {exc.start})", hint=hint) from exc
    loaded = parse(text, name=str(path))
    if loaded.agent.quirks is not None:
        load_quirks(loaded.agent.quirks)
    return loaded
