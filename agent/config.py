"""The config file: its sections, defaults and checks. `load` turns every mistake into one line with its place."""

import difflib
import re
import socket
import tomllib
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from agent.errors import ConfigError
from agent.maps import load_quirks
from agent.rules_config import check_rule
from agent.slices import MOST_LANES, Lasers, Share
from agent.sources import SourceName, parse_source

DEFAULT_CONFIG = Path("/etc/opticd/opticd.toml")
DEFAULT_LISTEN = "127.0.0.1:10800"

PositiveSeconds = Annotated[float, Field(gt=0, le=86_400)]
Profile = Literal["basic", "standard", "full"]


class Section(BaseModel):
    """A table of the file: unknown keys are errors, values never change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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
    read_flags: bool = True
    """Read the clear-on-read flags; false where another daemon owns them."""
    quirks: Path | None = None
    """Your own rows of what single modules do otherwise than specified (TOML, see agent/maps/quirks.toml)."""
    peers: Path | None = None
    """A file that says which port is at the other end of each link (TOML, see agent/peers.py)."""
    sys_root: Path = Path("/sys")
    """Where interfaces and InfiniBand counters are looked for."""


class SourceSection(Section):
    """What every source has."""

    poll_interval: PositiveSeconds | None = None
    """Overrides [agent] poll_interval."""
    read_flags: bool | None = None
    """Overrides [agent] read_flags."""


class ModuleSource(SourceSection):
    """One cage, or several, read register by register."""

    port: str = ""
    """Name of the port; what the driver calls it when empty."""
    netdev: str = ""
    """Network interface of the port, for link state."""
    vdm_freeze: bool = False
    """Freeze the statistics of VDM (minimum, maximum, average) while they are read: a write, the only one there is
    (page 2Fh byte 144). Each read begins a new interval, so nobody else may do it. For i2c and serial sources."""
    own_flags: bool = False
    """Read the clear-on-read flags although another daemon (xcvrd, qsfp_service) reads them too."""

    @abstractmethod
    def source(self) -> SourceName:
        """The same as a source name."""


class I2cSource(ModuleSource):
    """A module on an I2C bus of this host."""

    type: Literal["i2c"]
    bus: str
    """`12` or `/dev/i2c-12`; with a mux that has no kernel driver `12:0x70.3` (bus, mux address, channel)."""
    shared_bus: bool = True
    """Others may select pages too: every select is read back."""
    exclusive: bool = False
    """Read although another daemon (xcvrd, qsfp_service) or a kernel driver seems to own the module."""
    chunk: int = Field(default=0, ge=0, le=256)
    """Bytes a read at most; 0 for what the adapter can."""
    settle: float = Field(default=0.0, ge=0, le=1)
    """Seconds to wait after a page select, for modules that do not say when they are ready."""
    mux: str = "pca9548"
    """Kind of the muxes on the way: pca9548, pca9546, pca9545, pca9543, pca9547, pca9544 or pca9542."""

    def source(self) -> SourceName:
        """The same as a source name."""
        options = {"shared": _yes(self.shared_bus), "exclusive": _yes(self.exclusive), "mux": self.mux}
        options |= {"chunk": str(self.chunk), "settle": str(self.settle), "freeze": _yes(self.vdm_freeze)}
        return SourceName("i2c", self.bus, options)


class SysfsSource(ModuleSource):
    """Kernel EEPROM files (optoe, at24)."""

    type: Literal["sysfs"]
    path: str
    """The file or its folder; `*` matches several, as in `/sys/bus/i2c/devices/*-0050/eeprom`."""
    ports: dict[str, str] = {}
    """Names of ports by file or device (`"31-0050" = "Ethernet0"`); the platform's `port_name` otherwise."""
    banks: int = Field(default=256, ge=1, le=256)
    """Pages a bank takes in the file: 256, or 240 with the first optoe that knew banks."""

    def source(self) -> SourceName:
        """The same as a source name."""
        return SourceName("sysfs", self.path, {"banks": str(self.banks)})


class SerialSource(ModuleSource):
    """A module behind a serial I2C bridge."""

    type: Literal["serial"]
    device: str
    """`/dev/ttyUSB0`, or `serial=DO01JXYZ` for the USB adapter with that serial number."""
    adapter: Literal["auto", "i2cdriver", "buspirate", "sc18im700"] = "auto"
    baud: int = Field(default=0, ge=0, le=4_000_000)
    """0 for the speed that the adapter's document gives."""
    clock_khz: Literal[0, 100, 400] = 0
    """I2C clock; 0 leaves what the adapter is set to."""
    timeout: float = Field(default=1.0, gt=0, le=60)
    """Seconds to wait for an answer."""

    def source(self) -> SourceName:
        """The same as a source name."""
        options = {"adapter": self.adapter, "baud": str(self.baud), "clock": str(self.clock_khz)}
        options |= {"timeout": str(self.timeout), "freeze": _yes(self.vdm_freeze)}
        return SourceName("serial", self.device, options)


class EthtoolSource(ModuleSource):
    """Modules of network interfaces, read by the kernel; their links and counters come along."""

    type: Literal["ethtool"]
    netdev: str = Field(min_length=1)
    """`eth2`; `*` for every interface whose card can read modules, those that appear later included."""
    netns: str = ""
    """Network namespace of the interface, as `ip netns` names it."""
    timeout: float = Field(default=5.0, ge=0.05, le=60)
    """Seconds to wait for the kernel."""
    poll_interval: PositiveSeconds | None = 30.0
    """Slower than other sources: some drivers hold their card for 100 ms to read its module."""
    host_counters: bool = True
    """Read FEC, InfiniBand and link counters of the host's side too."""

    @model_validator(mode="after")
    def _one_namespace(self) -> Self:
        if self.netns and any(sign in self.netdev for sign in "*?["):
            raise ValueError("a pattern looks for interfaces of this network namespace only: leave netns out")
        return self

    def source(self) -> SourceName:
        """The same as a source name."""
        options = {"timeout": str(self.timeout)}
        if self.netns:
            options["netns"] = self.netns
        return SourceName("ethtool", self.netdev, options)


class PluginSource(ModuleSource):
    """A driver of another package, found by the entry-point group `opticd.drivers`."""

    type: Literal["plugin"]
    name: str
    """As on the command line: `acme:ADDRESS?OPTION=VALUE`."""

    def source(self) -> SourceName:
        """The same as a source name. Raises ConfigError."""
        return parse_source(self.name)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


class SnmpSource(SourceSection):
    """Switches that are asked over the network; each is a device of its own in readings and metrics."""

    type: Literal["snmp"]
    targets: list[str] | Path
    """`NAME=HOST[:PORT]` or `HOST[:PORT]` each; or a file with one a line, which is read again when it changes."""
    version: Literal["2c", "3"] = "2c"
    community_file: Path | None = None
    """A file with the community of SNMPv2c; `public` without."""
    user: str = ""
    """Name of the SNMPv3 user."""
    auth: Literal["", "md5", "sha1", "sha224", "sha256", "sha384", "sha512"] = ""
    auth_password_file: Path | None = None
    priv: Literal["", "des", "aes128", "aes192", "aes256", "aes192c", "aes256c"] = ""
    """`aes192c` and `aes256c` make their keys as Cisco does."""
    priv_password_file: Path | None = None
    context: str = ""
    """SNMPv3 context name."""
    poll_interval: PositiveSeconds | None = 60.0
    """Seconds between two polls of a device; [agent] poll_interval is for modules on buses."""
    discovery_interval: PositiveSeconds = 3600.0
    """Seconds after which names, scales and limits are read again (also whenever the device hints at a change)."""
    timeout: PositiveSeconds = 2.0
    retries: int = Field(default=2, ge=0, le=10)
    max_repetitions: int = Field(default=50, ge=1, le=200)
    """Most rows asked for in one GETBULK; fewer where a device does not answer so many."""
    interfaces: Literal["optics", "all"] = "optics"
    """`all`: links of every Ethernet port, not only of those with optics."""
    vendors: Path | None = None
    """Folder with own descriptions of MIBs (docs/snmp.md)."""
    shard: str = Field(default="", pattern=r"^(\d+/\d+)?$")
    """`2/8`: this is the second of eight agents that share the list of targets."""
    traps: str = Field(default="", pattern=r"^(.+:\d+)?$")
    """HOST:PORT to listen on for traps and informs of links."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.version == "3") != bool(self.user):
            raise ValueError("a user belongs to version 3, and version 3 needs one")
        if bool(self.auth) != bool(self.auth_password_file) or bool(self.priv) != bool(self.priv_password_file):
            raise ValueError("a protocol and the file of its password go together")
        if self.priv and not self.auth:
            raise ValueError("priv needs auth")
        return self


class SonicSource(SourceSection):
    """A SONiC switch by its own database: nothing on a bus is touched."""

    type: Literal["sonic"]
    redis: str = ""
    """`HOST:PORT` or the path of Redis' socket; where SONiC has it when empty."""


class FakeSource(SourceSection):
    """Simulated modules."""

    type: Literal["fake"]
    ports: int = Field(default=32, ge=1, le=4096)
    scenario: str = "mixed"


Source = Annotated[
    I2cSource | SysfsSource | EthtoolSource | SerialSource | PluginSource | SnmpSource | SonicSource | FakeSource,
    Field(discriminator="type"),
]


class Prometheus(Section):
    """The HTTP exporter."""

    listen: str = DEFAULT_LISTEN
    web_config: Path | None = None
    power_units: list[Literal["watts", "dbm"]] = ["watts", "dbm"]
    enable_reload: bool = False


class Mqtt(Section):
    """The MQTT exporter."""

    url: str = Field(pattern=r"^(mqtts?|wss?)://.+")
    """`mqtt://HOST[:PORT]`, `mqtts://…`, `ws://…/PATH`, `wss://…/PATH`."""
    base: str = ""
    """Base topic, `opticd/<device>` when empty."""
    client_id: str = ""
    username: str = ""
    password_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    protocol: Literal["5", "3.1.1"] = "5"
    keepalive: int = Field(default=30, ge=5, le=3600)
    readings: bool = False
    """Publish every reading too, retained, QoS 0."""
    outbox_messages: int = Field(default=100_000, ge=100)
    """Most messages kept while the broker is away."""
    outbox_bytes: int = Field(default=100_000_000, ge=10_000_000)
    """Most bytes on disk that they may take."""
    outbox_age: float = Field(default=604_800, ge=60)
    """Seconds after which a message of severity info is given up; a warning lasts twice, a critical one 4 times."""


BoundNames = Literal["high_alarm", "high_warning", "low_warning", "low_alarm"]
GateNames = Literal["module_ready", "data_path_activated", "tx_enabled", "admin_up", "link_up", "direct_detect"]
EventNames = Literal["link_down", "link_flap", "module_absent", "module_unreadable", "module_swapped"]


class RuleSection(Section):
    """One alert rule. With the name of a built-in one (docs/alerts.md) only what is given here changes."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    enabled: bool = True
    """false switches a built-in rule off."""
    severity: Literal["info", "warning", "critical"] | None = None
    quantity: str = ""
    """What is watched, as in a reading: `temperature_celsius`, `rx_power_dbm`, `tx_bias_amperes`, …"""
    flag: str = ""
    """Or a flag: `rx_los`, `tx_fault`, …"""
    observable: str = ""
    """Or a VDM observable: `pre_fec_ber_current_media_input`, …"""
    event: EventNames | Literal[""] = ""
    """Or an event."""
    above: float | None = None
    below: float | None = None
    threshold: BoundNames | None = None
    """Beyond the module's own threshold; with `margin` already so much before it."""
    margin: float | None = Field(default=None, gt=0)
    """dB for optical power, else the quantity's unit."""
    change: float | None = None
    """Against the baseline: 0.1 is +10 % of bias, -1.0 is 1 dB less power."""
    clear: float | None = None
    """Level at which it resolves; default: a little inside the firing level."""
    for_s: float | None = Field(default=None, alias="for", ge=0, le=604_800)
    """Seconds that it must hold before it fires."""
    hold_off: float | None = Field(default=None, ge=0, le=604_800)
    """Seconds that it must be clear before it resolves."""
    count: int | None = Field(default=None, ge=1)
    """Of an event: so many times …"""
    within: float = Field(default=86_400, gt=0, le=86_400)
    """… within so many seconds."""
    lanes: list[Annotated[int, Field(ge=1, le=64)]] = []
    """Only these lanes; all when empty."""
    gate: list[GateNames] | None = None
    """What must hold before it judges."""
    summary: str = ""
    """The sentence of its message; `{value}` and `{threshold}` are filled in."""

    @model_validator(mode="after")
    def _is_a_rule(self) -> Self:
        check_rule(self)
        return self


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
        """The same for `agent.engines`. Raises ValueError."""
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
        raise ConfigError("\n".join(_explain(exc, text, name))) from exc


def load(path: Path) -> Config:
    """The config in a file; the quirk rows that it names are checked with it. Raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as exc:
        raise ConfigError(f"{path}: {exc.strerror}", hint="give another file with --config") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{path}: not UTF-8 text (byte {exc.start})") from exc
    loaded = parse(text, name=str(path))
    if loaded.agent.quirks is not None:
        load_quirks(loaded.agent.quirks)
    return loaded


def _explain(error: ValidationError, text: str, name: str) -> list[str]:
    lines: list[str] = []
    for item in error.errors(include_url=False):
        # pydantic puts the tag of a union (the source's type) into the path: no key of the file.
        loc = item["loc"]
        path = [part for at, part in enumerate(loc) if not (at and isinstance(loc[at - 1], int) and part in _TAGS)]
        where = ".".join(f"[{part}]" if isinstance(part, int) else str(part) for part in path).replace(".[", "[")
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            message = f"unknown key{_nearest(str(path[-1]), path[:-1])}"
        line = _line_of(path, text)
        lines.append(f"{name}{f':{line}' if line else ''}: {f'{where}: ' if where else ''}{message}")
    return lines


def _nearest(key: str, path: list[int | str]) -> str:
    known = [name for section in _sections(path) for name in section.model_fields]
    near = difflib.get_close_matches(key, known, n=1)
    return f", did you mean {near[0]!r}?" if near else ""


def _sections(path: list[int | str]) -> list[type[Section]]:
    """The models that the table at this path can be."""
    found: list[type[Section]] = [Config]
    for part in path:
        if not isinstance(part, int):
            fields = [section.model_fields[part] for section in found if part in section.model_fields]
            found = [model for field in fields for model in _models_in(field.annotation)]
    return found


def _models_in(annotation: Any) -> list[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [model for inner in get_args(annotation) for model in _models_in(inner)]


def _line_of(path: list[Any], text: str) -> int:
    """Line of the key in the file, 0 when it cannot be told (dotted or inline tables)."""
    while len(path) > 2 and isinstance(path[-1], int):  # an item of a list: the line of the list
        path = path[:-1]
    wanted = ".".join(str(part) for part in path[:-1] if not isinstance(part, int))
    index = next((part for part in path if isinstance(part, int)), 0)
    table, seen = "", -1
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[(\[?)\s*([\w.\"-]+)\s*\]?\]", line):
            table = header[2]
            whole = ".".join(str(part) for part in path if not isinstance(part, int))
            seen = seen + 1 if header[1] and table in {wanted, whole} else (0 if table == wanted else seen)
            if table == whole and (seen == index or not header[1]):
                return number
        elif table == wanted and (seen == index or not any(isinstance(part, int) for part in path)):
            key = re.match(r"\s*([\w-]+|\"[^\"]+\")\s*=", line)
            if key and path and key[1].strip('"') == str(path[-1]):
                return number
    return 0


_TAGS = {get_args(model.model_fields["type"].annotation)[0] for model in _models_in(Source)}
