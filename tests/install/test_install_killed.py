"""install.sh, killed before any command that changes something, and run again: the machine is as after one clean run.

Before every fourth of them, or every one where KORSAL_EVERY_KILL is set. The machine is a folder; accounts, owners and
systemd are stand-ins that remember what they were told. With a real systemd: test_installation_nspawn.py.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.installed_programs import LOGS, PYTHON, program, replace
from tests.support.paths import ROOT
from tests.support.waiting import PATIENCE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

EVERY = "KORSAL_EVERY_KILL"  # set it to have install.sh killed before each command, and not before every fourth
CHANGING = ("chmod", "cp", "install", "ln", "mkdir", "mv", "rm", "rmdir", "sed", "touch")  # of coreutils and sed
# Counts; before the command of the given number everything is killed, as by SIGKILL from outside.
COUNTED = """#!/bin/bash
count=$(($(< "$COUNT") + 1))
echo $count > "$COUNT"
((count != KILL_AT)) || kill -KILL 0
"""
NO_GROUP = '[[ $3 != -g ]] || set -- "$1" "$2" "${@:5}"\n'  # the account is a stand-in
SYSTEMCTL = """
case "$*" in
    "--version") echo "systemd 252" ;;
    "show "*) [[ -f $KEPT/active ]] && echo active || echo inactive ;;
    "enable "*) touch "$KEPT/enabled" ;;
    "disable "*) rm -f "$KEPT/enabled" ;;
    "restart "*) readlink "$APP/current" > "$KEPT/active" ;;
esac
"""
USERS = {
    "id": 'case "$*" in -u) echo 0 ;; -nG*) echo korsal-edge ;; korsal-edge) [[ -f $KEPT/user ]] ;; esac',
    "useradd": 'touch "$KEPT/user"',
    "userdel": 'rm -f "$KEPT/user"',
    "getent": "exit 1",
    "chown": 'while [[ $1 == -* ]]; do shift; done; [[ -e $2 || -L $2 ]] && touch "$KEPT/owner-$(basename "$2")"',
    "runuser": '"${@:4}"',
    "journalctl": "",
}
MINE = "# mine\n[mqtt]\nallow_remote_config = false\n"
LENT = "# mine\n[mqtt]\nallow_remote_config = true\n"


@dataclass(frozen=True)
class Made:
    """A machine and a checkout, in one folder."""

    root: Path

    @property
    def machine(self) -> Path:
        return self.root / "machine"

    def run(self, kill_at: int = 0, *arguments: str) -> int:
        """Run install.sh, killed before the counted command of that number; how many were counted."""
        kept, count = self.root / "kept", self.root / "count"
        count.write_text("0")
        done = subprocess.run(
            [str(self.root / "checkout/install.sh"), *arguments],
            env={
                "PATH": str(self.root / "bin"),
                "LOG": str(self.root / "calls.log"),
                "COUNT": str(count),
                "KILL_AT": str(kill_at),
                "KEPT": str(kept),
                "APP": str(self.machine / "opt/korsal-edge"),
            },
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            start_new_session=True,
        )
        assert done.returncode == (-signal.SIGKILL if kill_at else 0), done.stdout + done.stderr
        return int(count.read_text())

    def version(self, number: str) -> None:
        """Let the checkout be of another version, with another configuration and unit."""
        checkout = self.root / "checkout"
        (checkout / "edge/__init__.py").write_text(f'__version__ = "{number}"\n')
        (checkout / "config.toml").write_text(f"# as it came with {number}\n")
        (checkout / "systemd/korsal-edge.service").write_text(f"# of {number}\n[Service]\n")

    def state(self) -> dict[str, str]:
        """Everything that lies there, with its mode, and what the stand-ins remember."""
        found = {}
        for top in (self.machine, self.root / "kept"):
            for path in sorted(top.rglob("*")):
                name = str(path.relative_to(self.root))
                if path.is_symlink():
                    found[name] = f"-> {os.readlink(path)}"
                elif path.is_dir():
                    found[name] = f"folder {path.stat().st_mode & 0o777:o}"
                else:
                    found[name] = f"{path.stat().st_mode & 0o777:o} {path.read_text().replace(str(self.root), '')}"
        return {name: text for name, text in found.items() if "install.lock" not in name}


def make(root: Path) -> Made:
    """A checkout and the programs it needs, with nothing installed."""
    checkout, machine, programs = root / "checkout", root / "machine", root / "bin"
    for name in ("edge", "train", "convert", "models", "demo", "docs"):
        (checkout / name).mkdir(parents=True)
    (checkout / "docs/event.schema.json").write_text("{}")
    for name in ("install.sh", "pyproject.toml"):
        shutil.copy(ROOT / name, checkout / name)
    shutil.copytree(ROOT / "scripts/install", checkout / "scripts/install")
    (checkout / "systemd").mkdir()
    (checkout / "systemd/korsal-edge-machine.service").write_text("# lists devices\n[Service]\n")
    for name in ("opt", "etc/systemd/system", "var/lib", "usr/local/bin", "run"):
        (machine / name).mkdir(parents=True)
    for old in ("/opt/korsal-edge", "/etc/korsal-edge", "/var/lib/korsal-edge", "/etc/systemd/system"):
        replace(checkout / "install.sh", f"={old} ", f"={machine}{old} ")
    replace(checkout / "install.sh", "=/usr/local/bin ", f"={machine}/usr/local/bin ")
    replace(checkout / "install.sh", "=/run/korsal-edge-install", f"={machine}/run/korsal-edge-install")
    replace(checkout / "install.sh", "=/run/systemd/system", f"={machine}/run")
    replace(checkout / "scripts/install/preflight.sh", "/usr/bin/python3", f"{programs}/python3")
    programs.mkdir()
    (root / "kept").mkdir()
    for name in ("awk", "bash", "basename", "cat", "cmp", "cut", "df", "dirname", "env", "find", "flock", "grep"):
        (programs / name).symlink_to(str(shutil.which(name)))
    for name in ("mktemp", "readlink", "sha256sum", "sort", "stat", "tail", "uname", "wc", "xargs"):
        (programs / name).symlink_to(str(shutil.which(name)))
    for name in CHANGING:
        program(programs / name, f'{COUNTED}{NO_GROUP if name == "install" else ""}exec {shutil.which(name)} "$@"\n')
    for name, text in USERS.items():
        program(programs / name, f"{COUNTED if name in ('useradd', 'userdel', 'chown') else LOGS}{text}\n")
    program(programs / "systemctl", COUNTED + SYSTEMCTL)
    program(programs / "python3", PYTHON)
    made = Made(root)
    made.version("1.0")
    return made


def fresh(made: Made) -> None:
    """Nothing is installed."""


def upgraded(made: Made, text: str | None = None) -> None:
    """A running service of an older version; `text`: what its user has written into the configuration."""
    made.run()
    made.run()  # as somebody does who changes the configuration
    if text is not None:
        (made.machine / "etc/korsal-edge/config.toml").write_text(text)
        made.run()
    (made.root / "kept/active").write_text((made.machine / "opt/korsal-edge/current").readlink().as_posix() + "\n")
    made.version("2.0")


def changed(made: Made) -> None:
    """Running, with a configuration of its user's."""
    upgraded(made, MINE)


def lent(made: Made) -> None:
    """Running, and its user has just allowed changes from afar."""
    upgraded(made)
    (made.machine / "etc/korsal-edge/config.toml").write_text(LENT)


def taken_back(made: Made) -> None:
    """Running, with a configuration that was lent and is to be taken back."""
    upgraded(made, LENT)
    assert (made.machine / "etc/korsal-edge/config.toml").is_symlink()
    (made.machine / "etc/korsal-edge/config.toml").write_text(MINE)


STORIES: tuple[Callable[[Made], None], ...] = (fresh, upgraded, changed, lent, taken_back)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_killed_anywhere_and_run_again_it_is_as_after_one_clean_run(
    story: Callable[[Made], None], tmp_path: Path
) -> None:
    made = make(tmp_path / "made")
    story(made)
    shutil.copytree(made.root, tmp_path / "before", symlinks=True)
    config = made.machine / "etc/korsal-edge/config.toml"
    written = config.read_text() if config.exists() else ""
    commands = made.run()
    assert commands > 15
    wanted = made.state()
    assert "unfinished" not in str(wanted)
    for number in range(1, commands + 1, 1 if os.environ.get(EVERY) else 4):
        shutil.rmtree(made.root)
        shutil.copytree(tmp_path / "before", made.root, symlinks=True)
        made.run(number)
        if written.startswith("# mine"):
            assert config.read_text() == written, f"lost before {number}"
        made.run()
        assert made.state() == wanted, f"killed before command {number} of {commands}"
