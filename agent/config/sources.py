"""The `[[source]]` sections of the config file: where modules are read, one model a way."""

from abc import abstractmethod
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from agent.section import Section
from agent.sources import SourceName, parse_source

PositiveSeconds = Annotated[float, Field(gt=0, le=86_400)]


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
    """`12` or `/dev/i2c-12`; with a mux that has no kernel driver `12:0x70.3` (bus, mux address, channel). Numbers
    change when an adapter is removed and comes back: `adapter=CP2112 SMBus*` is the one with this name (as
    `i2cdetect -l` gives it), `adapter=*/usb1/1-4/*` the one at this place in /sys/devices."""
    shared_bus: bool = True
    """Others may select pages too: the select is read back behind every block."""
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


class KernelSource(ModuleSource):
    """Modules whose pages the kernel selects."""

    @field_validator("vdm_freeze")
    @classmethod
    def _never_written(cls, freeze: bool) -> bool:
        if freeze:
            raise ValueError(
                "nothing is written through the kernel, which does not tell whether the module is on page 2Fh: "
                "only i2c and serial sources freeze"
            )
        return freeze


class SysfsSource(KernelSource):
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


class EthtoolSource(KernelSource):
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
    shard: str = Field(default="", pattern=r"^(\d+/\d+)?$", examples=["2/8"])
    """`2/8`: this is the second of eight agents that share the list of targets."""
    traps: str = Field(default="", pattern=r"^(.+:\d+)?$", examples=[":162"])
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
