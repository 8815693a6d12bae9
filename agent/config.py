"""The config file: its sections, defaults and checks. `load` turns every mistake into one line with its place."""

import difflib
import re
import socket
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.errors import ConfigError

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


class SourceSection(Section):
    """What every source has."""

    poll_interval: PositiveSeconds | None = None
    """Overrides [agent] poll_interval."""
    read_flags: bool | None = None
    """Overrides [agent] read_flags."""


class I2cSource(SourceSection):
    """Modules on I2C buses of this host."""

    type: Literal["i2c"]
    bus: str
    """`12` or `/dev/i2c-12`; with a mux that has no kernel driver `12:0x70.3` (bus, mux address, channel)."""
    port: str = ""
    """Name of the port; `i2c-12` when empty."""
    netdev: str = ""
    """Network interface of the port, for link state."""
    shared_bus: bool = True
    """Others may select pages too: every select is read back."""
    exclusive: bool = False
    """Read although another daemon (xcvrd, qsfp_service) seems to own the modules."""


class FakeSource(SourceSection):
    """Simulated modules."""

    type: Literal["fake"]
    ports: int = Field(default=32, ge=1, le=4096)
    scenario: str = "mixed"


Source = Annotated[I2cSource | FakeSource, Field(discriminator="type")]


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
    outbox_bytes: int = Field(default=100_000_000, ge=1_000_000)


class Exporter(Section):
    """Where readings and alerts go."""

    prometheus: Prometheus | None = Prometheus()
    mqtt: Mqtt | None = None


class Config(Section):
    """The whole file."""

    agent: Agent = Field(default_factory=Agent)
    source: list[Source] = []
    exporter: Exporter = Exporter()


def parse(text: str, *, name: str) -> Config:
    """The config in `text`; `name` is what messages call it. Raises ConfigError with every mistake, a line each."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(f"{name}: {exc}") from exc
    try:
        return Config.model_validate(document)
    except ValidationError as exc:
        raise ConfigError("\n".join(_explain(exc, text, name))) from exc


def load(path: Path) -> Config:
    """The config in a file. Raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as exc:
        raise ConfigError(f"{path}: {exc.strerror}", hint="give another file with --config") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{path}: not UTF-8 text (byte {exc.start})") from exc
    return parse(text, name=str(path))


def _explain(error: ValidationError, text: str, name: str) -> list[str]:
    lines: list[str] = []
    for item in error.errors(include_url=False):
        # pydantic puts the tag of a union (the source's type) into the path: no key of the file.
        loc = item["loc"]
        path = [part for at, part in enumerate(loc) if not (at and isinstance(loc[at - 1], int) and part in _TAGS)]
        where = ".".join(f"[{part}]" if isinstance(part, int) else str(part) for part in path).replace(".[", "[")
        message = item["msg"]
        if item["type"] == "extra_forbidden":
            message = f"unknown key{_nearest(str(path[-1]), path[:-1])}"
        line = _line_of(path, text)
        lines.append(f"{name}{f':{line}' if line else ''}: {where}: {message}")
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
    wanted = ".".join(str(part) for part in path[:-1] if not isinstance(part, int))
    index = next((part for part in path if isinstance(part, int)), 0)
    table, seen = "", -1
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[(\[?)\s*([\w.\"-]+)\s*\]?\]", line):
            table = header[2]
            seen = seen + 1 if header[1] and table == wanted else (0 if table == wanted else seen)
            if table == ".".join(str(part) for part in path if not isinstance(part, int)):
                return number
        elif table == wanted and (seen == index or not any(isinstance(part, int) for part in path)):
            key = re.match(r"\s*([\w-]+|\"[^\"]+\")\s*=", line)
            if key and path and key[1].strip('"') == str(path[-1]):
                return number
    return 0


_TAGS = {get_args(model.model_fields["type"].annotation)[0] for model in _models_in(Source)}
