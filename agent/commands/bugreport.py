"""`opticd bugreport`: what somebody needs to find out what is wrong here, in one archive, without secrets."""

import argparse
import io
import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Final

from agent import maps
from agent.config import file as config
from agent.config.redaction import redacted_config, scrubbed, secrets_of
from agent.documents import images
from agent.errors import ConfigError, OpticError
from agent.polling import oneshot
from agent.progress import Progress
from agent.version import __version__

_LOG_LINES: Final = 2000
_COMMAND_S: Final = 20.0
_ANSWER_S: Final = 10.0
_MODULE_S: Final = 5.0
_MODULES_S: Final = 120.0
"""All modules together: a host full of dead buses is still reported."""
_LARGEST: Final = 8_000_000
"""Bytes of one answer of the daemon."""
_COMMANDS: Final = {
    "uname": ("uname", "-a"),
    "os-release": ("cat", "/etc/os-release"),
    "lsmod": ("lsmod",),
    "i2c-devices": ("sh", "-c", "ls -l /sys/bus/i2c/devices /dev/i2c-* 2>&1; cat /sys/bus/i2c/devices/*/name"),
    "i2c-clients": ("sh", "-c", "ls -ld /sys/bus/i2c/devices/*/driver"),
    "interfaces": ("ip", "-details", "link"),
    "usb-serial": ("sh", "-c", "ls -l /dev/serial/by-id /dev/ttyUSB* /dev/ttyACM*"),
    "self": ("sh", "-c", "id; grep -E '^(Cap|NoNewPrivs|Seccomp)' /proc/self/status; ulimit -a"),
    "unit": ("systemctl", "status", "--no-pager", "--lines=0", "opticd"),
    "unit-files": ("systemctl", "cat", "opticd"),
    "journal": ("journalctl", "--unit=opticd", f"--lines={_LOG_LINES}", "--no-pager", "--output=short-iso-precise"),
    "kernel-log": ("sh", "-c", "dmesg | grep -iE 'i2c|optoe|at24|sfp|qsfp|mlx5|module' | tail -n 300"),
}
_ANSWERS: Final = {
    "metrics.txt": "metrics", "summary.json": "api/v1/summary", "ports.json": "api/v1/ports",
    "alerts.json": "api/v1/alerts", "ready.txt": "-/ready",
}  # fmt: skip
_README: Final = """\
opticd bugreport, made {when} on {host} by opticd {version}.

versions.json   opticd, Python and the packages it uses
host/           what this host is: kernel, buses, interfaces, unit, the last {lines} lines of the log
config/         the config file without comments and possible secrets, and what `opticd check` says
scan.json       what `opticd scan` finds
modules/        memory of the modules as JSON images (`opticd decode FILE`), or why there is none
daemon/         what a running daemon says of itself, where one answered

Not in here: passwords, communities, keys and the files that hold them, and whatever looks like one (replaced
by "[removed]"). In here: names of hosts and interfaces, addresses, vendors and serial numbers of modules. Look
through it before you send it.
"""


class Archive:
    """A .tar.gz that grows; every text passes through the scrubber."""

    def __init__(self, tar: tarfile.TarFile, folder: str) -> None:
        self._tar = tar
        self._folder = folder
        self.secrets: set[str] = set()

    def add(self, name: str, text: str, *, scrub: bool = True) -> None:
        """One file; `scrub` False for what cannot hold a secret and must not change."""
        data = (scrubbed(text, self.secrets) if scrub else text).encode("utf-8", "replace")
        entry = tarfile.TarInfo(f"{self._folder}/{name}")
        entry.size, entry.mtime, entry.mode = len(data), int(time.time()), 0o600
        self._tar.addfile(entry, io.BytesIO(data))

    def add_json(self, name: str, document: object) -> None:
        """One file of JSON."""
        self.add(name, json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def run(arguments: argparse.Namespace) -> int:
    """Collect, write, print the path. A part that cannot be had is told in the archive, and stops nothing."""
    host = socket.gethostname()
    # To the millisecond: two of one second are two archives.
    folder = f"opticd-bugreport-{host}-{datetime.now().astimezone():%Y%m%d-%H%M%S-%f}"[:-3]
    path: Path = arguments.output or Path(f"{folder}.tar.gz")
    if path.is_dir():
        path /= f"{folder}.tar.gz"
    try:
        # What is in it is for its owner's eyes until he sends it.
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as exc:
        raise OpticError(f"{path}: {exc.strerror}", hint="give another place with --output") from exc
    with (
        os.fdopen(handle, "wb") as stream,
        tarfile.open(fileobj=stream, mode="w:gz") as tar,
        Progress("collecting") as progress,
    ):
        _collect(Archive(tar, folder), arguments, progress, host)
    print(path)
    print("opticd: look through it before you send it: names and serial numbers are in it", file=sys.stderr)
    return 0


def _collect(archive: Archive, arguments: argparse.Namespace, progress: Progress, host: str) -> None:
    loaded = _config(archive, arguments.config)
    when = time.strftime("%Y-%m-%d %H:%M:%S %z")
    archive.add("README.txt", _README.format(when=when, host=host, version=__version__, lines=_LOG_LINES))
    archive.add_json("versions.json", _versions())
    for name, command in _COMMANDS.items():
        progress.step(name)
        archive.add(f"host/{name}.txt", _output(command))
    progress.step("the running daemon")
    answers = _daemon(archive, arguments.url or _address(loaded))
    owner = _reader(answers=answers)
    sources = dict.fromkeys((*_configured(loaded, archive), *_scanned(archive, progress)))
    _dump(archive, sources, progress, owner="" if arguments.modules == "all" else owner, wanted=arguments.modules)


# ---- config -----------------------------------------------------------------------------------------------


def _config(archive: Archive, path: Path | None) -> config.Config | None:
    """The config as far as it can be read; its secrets are known to the archive from here on."""
    path = path or config.DEFAULT_CONFIG
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as exc:
        archive.add("config/check.txt", f"{path}: {exc.strerror}\n")
        return None
    archive.secrets = secrets_of(text, _text_of)
    archive.add("config/opticd.toml", redacted_config(text))
    try:
        loaded = config.load(path)
    except ConfigError as exc:
        archive.add("config/check.txt", f"{exc}\n")
        return None
    archive.add("config/check.txt", f"{path}: valid\n")
    if loaded.agent.quirks is not None:
        archive.add("config/quirks.toml", redacted_config(_text_of(str(loaded.agent.quirks))))
    if loaded.agent.state_dir is not None:
        archive.add("config/state-dir.txt", _output(("ls", "-l", str(loaded.agent.state_dir))))
    return loaded


def _text_of(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except (OSError, ValueError):
        return ""


def _configured(loaded: config.Config | None, archive: Archive) -> Iterator[str]:
    """The sources of the config that are modules of this host."""
    from agent.config.sources import ModuleSource, PluginSource
    from drivers.registry import Registry

    registry = Registry()
    for section in loaded.source if loaded is not None else ():
        if isinstance(section, ModuleSource) and not isinstance(section, PluginSource):
            try:
                yield from (cage.source for cage in registry.open_section(section))
            except OpticError as exc:
                archive.add(f"modules/{_file_name(str(section.source()))}.txt", f"{exc}\n")


# ---- host -------------------------------------------------------------------------------------------------


def _versions() -> dict[str, object]:
    packages: dict[str, str] = {}
    for requirement in metadata.requires("opticd") or ():
        found = re.match(r"[\w.-]+", requirement)
        if found is None or re.search(r"extra\s*==\s*.test", requirement):
            continue
        name = found[0]
        try:
            packages[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            packages[name] = "not installed"
    return {
        "opticd": __version__,
        "python": sys.version,
        "executable": sys.executable,
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "packages": packages,
    }


def _output(command: tuple[str, ...]) -> str:
    """What a command says, or why it says nothing."""
    if shutil.which(command[0]) is None:
        return f"{command[0]} is not installed\n"
    try:
        done = subprocess.run(  # noqa: S603  # the commands above, no input of anybody
            command, capture_output=True, check=False, timeout=_COMMAND_S, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        return f"{' '.join(command)}: {exc}\n"
    return (done.stdout + done.stderr).decode("utf-8", "replace")


# ---- the daemon -------------------------------------------------------------------------------------------


def _address(loaded: config.Config | None) -> str:
    prometheus = loaded.exporter.prometheus if loaded is not None else config.Prometheus()
    if prometheus is None:
        return ""
    host, _, port = prometheus.listen.rpartition(":")
    scheme = "https" if prometheus.web_config is not None else "http"
    return f"{scheme}://{host if host not in ('', '0.0.0.0', '[::]') else '127.0.0.1'}:{port}"


def _daemon(archive: Archive, url: str) -> bool:
    """What a daemon on this host answers; False when none does."""
    if not url:
        archive.add("daemon/none.txt", "the HTTP exporter is switched off\n")
        return False
    from urllib.error import HTTPError
    from urllib.request import ProxyHandler, build_opener

    opener = build_opener(ProxyHandler({}))
    answered = False
    for name, path in _ANSWERS.items():
        try:
            with opener.open(f"{url.rstrip('/')}/{path}", timeout=_ANSWER_S) as response:
                archive.add(f"daemon/{name}", response.read(_LARGEST).decode("utf-8", "replace"))
        except HTTPError as exc:
            archive.add(f"daemon/{name}", f"HTTP status {exc.code}: {exc.read(1000).decode('utf-8', 'replace')}\n")
        except (OSError, ValueError) as exc:
            if not answered:
                archive.add("daemon/none.txt", f"{url}: {exc}\n")
                return False
            archive.add(f"daemon/{name}", f"{exc}\n")
        answered = True
    return answered


def _reader(*, answers: bool) -> str:
    """Who reads the modules of this host now, so that nobody else should select pages."""
    from drivers.coexistence import module_owner

    return module_owner() or ("opticd" if answers or _runs() else "")


def _runs(proc: Path = Path("/proc")) -> bool:
    """Whether another opticd reads modules here."""
    for folder in proc.glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        names = [word.rsplit(b"/", 1)[-1] for word in words[:3]]
        if b"opticd" in names and b"run" in words[1:5] and folder.name != str(os.getpid()):
            return True
    return False


# ---- modules ----------------------------------------------------------------------------------------------


def _scanned(archive: Archive, progress: Progress) -> list[str]:
    from drivers import discovery

    found: list[discovery.Found] = []
    searches: dict[str, Callable[[], Iterator[discovery.Found]]] = {
        "interfaces": discovery.interfaces,
        "EEPROM files": discovery.eeprom_files,
        "I2C buses": discovery.i2c_buses,
        "serial bridges": discovery.serial_bridges,
    }
    for what, search in searches.items():
        progress.step(what)
        try:
            found += search()
        except OpticError as exc:
            archive.add(f"scan-{what.replace(' ', '-')}.txt", f"{exc}\n")
    archive.add_json(
        "scan.json",
        [{"source": f.source, "port": f.port, "status": f.status, "detail": f.detail} for f in found],
    )
    return [each.source for each in found if each.status == "module"]


def _dump(archive: Archive, sources: dict[str, None], progress: Progress, *, owner: str, wanted: str) -> None:
    if wanted == "none":
        archive.add("modules/none.txt", "not wanted (--modules none)\n")
        return
    end = time.monotonic() + _MODULES_S
    for source in sources:
        name = _file_name(source)
        progress.step(source)
        # The kernel keeps readers apart; on a bare bus two who select pages read each other's.
        if owner and not source.startswith(("ethtool:", "sysfs:")):
            archive.add(
                f"modules/{name}.txt", f"left alone: {owner} reads it now (--modules all reads it all the same)\n"
            )
        elif time.monotonic() > end:
            archive.add(f"modules/{name}.txt", f"not read: {_MODULES_S:g} s were over\n")
        else:
            try:
                image = json.dumps(_image(source, whole=not owner), indent=1)
                archive.add(f"modules/{name}.json", image + "\n", scrub=False)
            except OpticError as exc:
                archive.add(f"modules/{name}.txt", f"{exc}\n{exc.hint}\n")
    if not sources:
        archive.add("modules/none.txt", "no module was found, and none is configured\n")


def _image(source: str, *, whole: bool) -> images.ImageDocument:
    """The memory of one module: whole pages, or (`whole` False) what can be read without clearing a flag."""
    from drivers.registry import Registry

    cage = Registry().open(source)
    recorder = oneshot.Recorder(cage.memory)
    try:
        reading = oneshot.read_once(
            recorder, identify=maps.identify, device="", port=cage.port, source=cage.source,
            flags=whole and not cage.owner, limit_s=_MODULE_S,
        )  # fmt: skip
        memory = recorder.complete() if whole and not cage.owner else recorder.memory
        return images.to_document(memory, family=reading.module.get("memory_map", ""))
    finally:
        recorder.close()


def _file_name(source: str) -> str:
    return "".join(char if char.isalnum() or char in "-." else "_" for char in source)
