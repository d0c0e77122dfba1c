"""The Ansible example of docs/fleet.md, as it is written there, on two daemons. Needs `ansible-playbook`."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.broker import Broker, Subscriber
from tests.support.paths import ROOT
from tests.support.started_daemon import running, write_config
from tests.support.waiting import wait_for

PLAYBOOK = os.environ.get("KORSAL_ANSIBLE", shutil.which("ansible-playbook") or "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PLAYBOOK, reason="no ansible-playbook here: pip install ansible-core, or KORSAL_ANSIBLE"),
]
INVENTORY = """[cameras]
roof ansible_connection=local ansible_python_interpreter={python} cameras='{good}'
yard ansible_connection=local ansible_python_interpreter={python} cameras='{bad}'
"""
SYSTEMCTL = """#!/bin/sh
# What Ansible asks systemd, answered for one unit.
case "$*" in
    *show*) printf 'LoadState=loaded\\nActiveState=active\\nUnitFileState=enabled\\n' ;;
    *reload*) kill -HUP "$(cat "$(dirname "$0")/pid")" ;;
esac
"""


def blocks(language: str) -> list[str]:
    page = (ROOT / "docs" / "fleet.md").read_text(encoding="utf-8")
    found: list[str] = re.findall(rf"^```{language}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    return found


def lay_out(folder: Path, port: int) -> None:
    """Playbook, template and inventory; what is of the machine, such as owners and folders, becomes the test's own."""
    (playbook,), (template, *_) = blocks("yaml"), blocks("toml")
    for there, here in (
        ("/etc/korsal-edge/config.toml", f"{folder}/{{{{ inventory_hostname }}}}/config.toml"),
        ("become: true", "become: false"),
        ("        owner: root\n        group: korsal-edge\n", ""),
        ("korsal-edge check", f"{sys.executable} -m edge check"),
    ):
        assert there in playbook
        playbook = playbook.replace(there, here)
    (folder / "site.yml").write_text(playbook)
    template = re.sub(r"\[mqtt\.tls\]\n(.*\n){3}", "", template)
    template = template.replace("broker.example.org", "127.0.0.1").replace("8883", str(port))
    model, state = folder / "roof" / "tiny.onnx", folder / "{{ inventory_hostname }}" / "state"
    (folder / "config.toml.j2").write_text(
        f'{template}[model]\npath = "{model}"\nruntime = "onnxruntime"\n[outbox]\ndirectory = "{state}"\n'
    )
    good = [{"name": "door", "source": "/dev/video41"}, {"name": "gate", "source": "/dev/video42"}]
    bad = [{"name": "door", "source": "rtps://camera"}]
    (folder / "hosts").write_text(INVENTORY.format(python=sys.executable, good=json.dumps(good), bad=json.dumps(bad)))
    programs = folder / "bin"
    programs.mkdir()
    (programs / "systemctl").write_text(SYSTEMCTL)
    (programs / "systemctl").chmod(0o755)


def test_the_example_rolls_out_what_is_right_and_reloads(
    tmp_path: Path, broker: Broker, subscriber: Subscriber
) -> None:
    for host in ("roof", "yard"):
        (tmp_path / host).mkdir()
    config = write_config(tmp_path / "roof", broker.port, {"door": "/dev/video41"})
    (tmp_path / "yard" / "config.toml").write_text(config.read_text())
    lay_out(tmp_path, broker.port)
    with running(config) as daemon:
        subscriber.wait_for_topic("korsal/roof/status")
        (tmp_path / "bin" / "pid").write_text(str(daemon.pid))
        search = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
        rolled = subprocess.run(
            [PLAYBOOK, "-i", str(tmp_path / "hosts"), str(tmp_path / "site.yml")],
            env={**os.environ, **search, "ANSIBLE_HOME": str(tmp_path / "ansible")},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert rolled.returncode == 2, rolled.stdout + rolled.stderr  # one host failed
        wait_for(lambda: "gate" in subscriber.json_on("korsal/roof/status")[-1]["cameras"], "the new camera")
    assert "rtps" in rolled.stdout
    assert "gate" in config.read_text()
    assert "gate" not in (tmp_path / "yard" / "config.toml").read_text()
    assert '"/dev/video41"' in (tmp_path / "yard" / "config.toml").read_text()
