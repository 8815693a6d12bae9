"""A network namespace of the test's own, with veth pairs in it: links that really go up and down."""

import itertools
import os
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager

import pytest

_numbers = itertools.count()

needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("ip") is None,
    reason="makes network namespaces: needs root and iproute2",
)


class Namespace:
    """One namespace; `ip` changes it through iproute2, `carrier` asks the kernel's own files."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._batch: subprocess.Popen[str] | None = None

    def ip(self, command: str) -> None:
        """Run one `ip` command inside and wait for it."""
        subprocess.run(["ip", "-n", self.name, *command.split()], check=True, capture_output=True)

    def stream(self, command: str) -> None:
        """Hand a command to one long-lived `ip`: some hundred a second, not waited for."""
        if self._batch is None:
            self._batch = subprocess.Popen(["ip", "-n", self.name, "-batch", "-"], stdin=subprocess.PIPE, text=True)
        assert self._batch.stdin is not None
        self._batch.stdin.write(command + "\n")
        self._batch.stdin.flush()

    def finish(self) -> None:
        """Wait until everything given to `stream` is done."""
        if self._batch is not None:
            assert self._batch.stdin is not None
            self._batch.stdin.close()
            assert self._batch.wait(60) == 0
            self._batch = None

    def pair(self, name: str, peer: str) -> None:
        """A veth pair, both ends up."""
        self.ip(f"link add {name} type veth peer name {peer}")
        self.ip(f"link set {peer} up")
        self.ip(f"link set {name} up")

    def carrier(self, name: str) -> tuple[int, int]:
        """Up and down count of an interface by sysfs."""
        files = [f"/sys/class/net/{name}/carrier_{edge}_count" for edge in ("up", "down")]
        done = subprocess.run(
            ["ip", "netns", "exec", self.name, "cat", *files], check=True, capture_output=True, text=True
        )
        up, down = done.stdout.split()
        return int(up), int(down)

    def make(self) -> None:
        subprocess.run(["ip", "netns", "add", self.name], check=True, capture_output=True)

    def delete(self) -> None:
        subprocess.run(["ip", "netns", "del", self.name], check=False, capture_output=True)


@contextmanager
def namespace() -> Generator[Namespace]:
    """A fresh namespace, deleted by name at the end."""
    made = Namespace(f"opticd-test-{os.getpid()}-{next(_numbers)}")
    made.make()
    try:
        yield made
    finally:
        made.finish()
        made.delete()
