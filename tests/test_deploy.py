"""What `deploy/` shows: the DaemonSet's config and rights, the maintainer scripts, the container's recipe."""

import re
import shutil
import subprocess
from typing import Any

import aiohttp
import pytest
import yaml

from agent.cli import build_parser
from agent.config import file as config
from agent.version import __version__
from tests.conftest import ROOT
from tests.http_helpers import serving

DEPLOY = ROOT / "deploy"
OBJECTS: list[dict[str, Any]] = list(yaml.safe_load_all((DEPLOY / "daemonset.yaml").read_text(encoding="utf-8")))
KINDS: dict[str, dict[str, Any]] = {each["kind"]: each for each in OBJECTS}
POD: dict[str, Any] = KINDS["DaemonSet"]["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]


def test_the_daemonset_reads_the_config_that_its_map_has() -> None:
    arguments = build_parser().parse_args(CONTAINER["args"])
    (mount,) = (each for each in CONTAINER["volumeMounts"] if each["name"] == "config")
    assert str(arguments.config.parent) == mount["mountPath"]
    parsed = config.parse(KINDS["ConfigMap"]["data"][arguments.config.name], name="daemonset.yaml")
    assert [section.type for section in parsed.source] == ["ethtool"]
    assert parsed.exporter.prometheus is not None
    (port,) = CONTAINER["ports"]
    assert parsed.exporter.prometheus.listen == f":{port['containerPort']}"
    (state,) = (each for each in CONTAINER["volumeMounts"] if each["name"] == "state")
    assert str(parsed.agent.state_dir) == state["mountPath"]
    assert CONTAINER["image"].endswith(f":{__version__}")


def test_the_daemonset_has_one_capability_and_the_hosts_network() -> None:
    rights = CONTAINER["securityContext"]
    assert rights["capabilities"] == {"drop": ["ALL"], "add": ["NET_ADMIN"]}
    assert (rights["readOnlyRootFilesystem"], rights["allowPrivilegeEscalation"]) == (True, False)
    assert "privileged" not in rights
    assert POD["hostNetwork"] is True
    assert POD["automountServiceAccountToken"] is False
    assert not {"hostPID", "hostIPC"} & POD.keys()


@pytest.mark.parametrize("probe", ["livenessProbe", "readinessProbe", "startupProbe"])
async def test_probes_ask_what_there_is(probe: str) -> None:
    async with serving() as served, aiohttp.ClientSession() as client:
        assert (await client.get(served.url(CONTAINER[probe]["httpGet"]["path"]))).status == 200
    assert CONTAINER[probe]["httpGet"]["port"] == CONTAINER["ports"][0]["name"]


def test_the_container_copies_what_there_is() -> None:
    recipe = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    sources = [word for line in re.findall(r"^COPY (?!--)(.*) \S+$", recipe, re.MULTILINE) for word in line.split()]
    assert {"agent", "drivers", "exporters", "fakes", "requirements.lock"} <= set(sources)
    assert [name for name in sources if not (ROOT / name).exists()] == []
    assert "--require-hashes" in recipe


@pytest.mark.skipif(not shutil.which("dash"), reason="dash is not installed")
@pytest.mark.parametrize("name", ["postinst", "prerm", "postrm"])
def test_maintainer_scripts_are_plain_shell(name: str) -> None:
    subprocess.run(["dash", "-n", DEPLOY / "debian" / name], check=True, timeout=10)
