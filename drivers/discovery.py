"""What a host has to read modules through: interfaces, kernel EEPROM files, I2C buses, serial bridges.

Nothing is ever written, and nothing is read from what may be something else: EEPROMs of memory modules (the
SMBus of a mainboard), monitors (buses of graphics cards), addresses of kernel drivers, unknown serial ports.

Documents: Linux Documentation/i2c/i2c-sysfs.rst and instantiating-devices.rst.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from agent import maps
from agent.errors import BusGone, DecodeError, DriverError, ModuleAbsent
from agent.maps import sff8024
from agent.memory import Memory, ModuleMemory, Span
from drivers import coexistence
from drivers.host import netdevs
from drivers.i2c.bus import LinuxI2cBus, SystemCalls
from drivers.i2c.paged import PagedMemory
from drivers.registry import Registry
from drivers.sysfs import SPD_NAMES, FileCalls, SysfsMemory

Status = Literal["module", "empty", "left alone", "failed"]

_SYS: Final = Path("/sys")
_FIRST: Final = Span(0, 3)
_EEPROM_ADDRESSES: Final = range(0x50, 0x58)
_MONITORS: Final = re.compile(r"DDC|AUX|i915|nvidia|nouveau|amdgpu|radeon|mgag200|\bast\b", re.IGNORECASE)
_BRIDGES: Final = re.compile(r"I2CDriver|I2CMini|Bus ?Pirate|SC18IM", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Found:
    """One way in. `detail` says who the module is, or why nothing was read."""

    source: str
    port: str
    status: Status
    detail: str

    @property
    def kind(self) -> str:
        """The word before the colon."""
        return self.source.partition(":")[0]


def eeprom_files(*, sys: Path = _SYS, files: FileCalls | None = None) -> Iterator[Found]:
    """EEPROM files of transceivers: optoe's, and at24's where a module is behind it."""
    for device in _devices(sys, r"\d+-0050"):
        file = device / "eeprom"
        name, driver = _text(device / "name"), _driver(device)
        if not file.exists() or name in SPD_NAMES:
            continue
        port = _text(device / "port_name") or device.name
        try:
            found = probe(SysfsMemory(str(file), files=files), source=f"sysfs:{file}", port=port)
        except BusGone:
            continue  # it went meanwhile
        if driver == "optoe" or name.startswith("optoe") or found.status == "module":
            yield found


def i2c_buses(
    *,
    everything: bool = False,
    sys: Path = _SYS,
    calls: SystemCalls | None = None,
    owner: Callable[[], str] = coexistence.module_owner,
) -> Iterator[Found]:
    """I2C buses with a module at 50h. `everything`: also those whose 50h a kernel driver or the mainboard has."""
    daemon = owner()
    for device in _devices(sys, r"i2c-\d+"):
        number = device.name.removeprefix("i2c-")
        source, port = f"i2c:{number}", device.name
        reason, firm = _reason_to_leave(device)
        if daemon and not everything:
            reason = f"{daemon} owns the modules"
        if reason and (firm or not everything):
            yield Found(source, port, "left alone", reason)
            continue
        try:
            found = probe(PagedMemory(LinuxI2cBus(number, calls=calls)), source=source, port=port)
        except BusGone:
            continue  # no device node: i2c-dev is not loaded, or it went meanwhile
        if found.status != "empty":
            yield found


def interfaces(*, sys: Path = _SYS, registry: Registry | None = None) -> Iterator[Found]:
    """Interfaces of hardware whose driver can read a module."""
    drivers = registry or Registry()
    for candidate in netdevs.candidates(sys_root=sys):
        memory = drivers.open(candidate.source).memory
        found = probe(memory, source=candidate.source, port=candidate.netdev)
        yield found


def serial_bridges(ports: Iterable["ListedPort"] | None = None) -> Iterator[Found]:
    """Serial ports whose USB name is that of a bridge. Others are not opened: who knows what listens there."""
    if ports is None:
        from serial.tools import list_ports  # noqa: PLC0415 - pyserial only where bridges are looked for

        ports = [
            ListedPort(port.device, port.description or "", port.product or "", port.serial_number or "")
            for port in list_ports.comports()
        ]
    for port in ports:
        name = port.product or port.description
        if _BRIDGES.search(name):
            number = f"serial={port.serial_number}" if port.serial_number else port.device
            yield Found(f"serial:{number}", Path(port.device).name, "empty", f"{name} on {port.device}, not asked")


@dataclass(frozen=True, slots=True)
class ListedPort:
    """What the host says of a serial port."""

    device: str
    description: str = ""
    product: str = ""
    serial_number: str = ""


def probe(memory: ModuleMemory, *, source: str, port: str) -> Found:
    """Who is there, from lower memory and page 00h alone. Raises BusGone, Unsupported."""
    try:
        known = Memory()
        known.put(_FIRST, memory.read(_FIRST))
        # Of a paged module bytes 3-25 hold the flags, which a read clears: they belong to whoever monitors it.
        sfp = sff8024.identifier(known.byte(0) or 0).memory_map == sff8024.SFF8472
        for span in (Span(3, 125) if sfp else Span(26, 102), Span(128, 128)):
            known.put(span, memory.read(span))
        return Found(source, port, *_who(known))
    except ModuleAbsent:
        return Found(source, port, "empty", "no module")
    except BusGone:
        raise
    except DriverError as exc:
        return Found(source, port, "failed", str(exc))
    finally:
        memory.close()


def _who(known: Memory) -> tuple[Status, str]:
    head = known.get(_FIRST) or b""
    try:
        found = maps.identify(known)
        module = found.describe(known).module
    except DecodeError:
        return "empty", f"what answers is no module ({head.hex(' ')} …)"
    if not _plausible(found.name, known):
        return "empty", f"what answers is no module ({head.hex(' ')} …)"
    names = (module.get("vendor_name", ""), module.get("part_number", ""), module.get("serial_number", ""))
    return "module", " ".join(name for name in (module.get("form_factor", found.name), *names) if name)


def _plausible(name: str, known: Memory) -> bool:
    """An EEPROM of a board may begin with any byte: a module says the same thing twice, or adds up."""
    upper = known.get(Span(128, 128)) or b""
    if name == sff8024.SFF8472:
        head = known.get(Span(0, 128)) or b""
        printable = all(0x20 <= byte < 0x7F for byte in head[20:36])
        return sum(head[:63]) & 0xFF == head[63] or printable
    return upper[0] == known.byte(0)


def _reason_to_leave(bus: Path) -> tuple[str, bool]:
    """Why a bus is left alone, and whether that holds even when everything is to be probed."""
    name = _text(bus / "name")
    if _MONITORS.search(name) or _class(bus).startswith("0x03"):
        return "a graphics card's: monitors answer at 50h", True
    if any(re.match(r"\d+-00[0-9a-f]{2}$", path.parent.name) for path in bus.resolve().glob("*/channel-*")):
        return "its modules are behind a mux: see the buses of its channels", True
    for client in sorted(bus.resolve().glob("*-00*")):
        match = re.fullmatch(r"\d+-00([0-9a-f]{2})", client.name)
        if match is None or int(match[1], 16) not in _EEPROM_ADDRESSES:
            continue
        if _text(client / "name") in SPD_NAMES:
            return "memory modules (SPD) are on it", True
        if driver := _driver(client):
            return f"the kernel's driver {driver} has address {match[1]}h", False
    if name.startswith("SMBus"):
        return "the mainboard's SMBus: memory modules may answer at 50h", False
    return "", False


def _devices(sys: Path, pattern: str) -> list[Path]:
    """Entries of the I2C bus in the order of their numbers."""
    folder = sys / "bus/i2c/devices"
    entries = [path for path in folder.iterdir() if re.fullmatch(pattern, path.name)] if folder.is_dir() else []
    return sorted(entries, key=lambda path: [int(n) for n in re.findall(r"\d+", path.name)])


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _driver(device: Path) -> str:
    link = device / "driver"
    return link.resolve().name if link.exists() else ""


def _class(bus: Path) -> str:
    """The PCI class of the nearest device that has one."""
    here = bus.resolve()
    return next((text for path in (here, *here.parents[:6]) if (text := _text(path / "class"))), "")


def eeprom_devices(sys: Path = _SYS) -> frozenset[str]:
    """The devices at 50h that have or may get an EEPROM file: nothing is read, so this may be asked often."""
    return frozenset(device.name for device in _devices(sys, r"\d+-0050"))


def default_config(*, sys: Path = _SYS, files: FileCalls | None = None) -> str:
    """What the daemon reads when nobody configured it: every interface, now and later, and optoe's files."""
    return '[[source]]\ntype = "ethtool"\nnetdev = "*"\n\n' + as_config(eeprom_files(sys=sys, files=files))


def as_config(found: Iterable[Found]) -> str:
    """A config file for everything that can be read, ready to save."""
    lines = ["# What `opticd scan` found on this host.", ""]
    ways = [way for way in found if way.status in {"module", "empty"}]
    interfaces = [way for way in ways if way.kind == "ethtool"]
    if interfaces:
        lines += [f"# {way.port}: {way.detail}" for way in interfaces]
        lines += ["[[source]]", 'type = "ethtool"', 'netdev = "*"', ""]
    for way in ways:
        address = way.source.partition(":")[2]
        key = {"i2c": "bus", "sysfs": "path", "serial": "device"}.get(way.kind)
        if key is not None:
            lines += [f"# {way.detail}", "[[source]]", f'type = "{way.kind}"', f"{key} = {_quoted(address)}"]
            lines += [f"port = {_quoted(way.port)}", ""]
    return "\n".join(lines)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
