"""install.sh, with stand-ins for Python, apt and sudo on the PATH: what it does, and what it says when it cannot."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# Says that it is Python 3.11; makes environments whose Python writes its arguments to calls.log and whose korsal-edge
# and scripts do the same.
PYTHON = """#!/bin/bash
case "$*" in
    *"3, 10"* | *"import ensurepip"* | "-m pip --version") ;;
    *platform*) echo 3.11.0 ;;
    *'"%d.%d"'*) echo 3.11 ;;
    "-m venv --clear "*)
        mkdir -p "$4/bin"
        cp "$0" "$4/bin/python"
        printf '#!/bin/bash\\necho "korsal-edge $*" >> "$LOG"\\n' > "$4/bin/korsal-edge"
        chmod +x "$4/bin/korsal-edge"
        echo "$4" > "$4/bin/activate"
        echo venv >> "$LOG" ;;
    *) echo "$*" >> "$LOG" ;;
esac
"""
LOGS = '#!/bin/bash\necho "$(basename "$0") $*" >> "$LOG"\n'
FAILS = '#!/bin/bash\necho "stand-in: no" >&2\nexit 1\n'


def program(path: Path, text: str) -> None:
    """An executable file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The least of a checkout that the installer reads, with stand-ins for what it starts; its path holds a space."""
    root = tmp_path / "my checkout"
    (root / "edge").mkdir(parents=True)
    for name in ("install.sh", "pyproject.toml", "edge/__init__.py"):
        shutil.copy(ROOT / name, root / name)
    program(root / "scripts" / "check", LOGS)
    program(root / "scripts" / "test", LOGS)
    for name in ("bash", "basename", "cat", "chmod", "cp", "dirname", "env", "grep", "id", "mkdir", "readlink"):
        (root / "bin").mkdir(exist_ok=True)
        (root / "bin" / name).symlink_to(str(shutil.which(name)))
    for name in ("sha256sum", "uname"):
        (root / "bin" / name).symlink_to(str(shutil.which(name)))
    for name in ("python3", "python3.10", "python3.11", "python3.12", "python3.13"):
        program(root / "bin" / name, FAILS)
    program(root / "bin" / "python3", PYTHON)
    program(root / "bin" / "mosquitto", LOGS)
    program(root / "bin" / "sudo", FAILS)
    program(root / "bin" / "apt-get", FAILS)
    return root


def install(checkout: Path, *arguments: str, more: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Exit status and everything printed."""
    environment = {"PATH": str(checkout / "bin"), "LOG": str(checkout / "calls.log"), **(more or {})}
    done = subprocess.run(
        [str(checkout / "install.sh"), *arguments],
        env=environment,
        cwd=checkout.parent,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout


def calls(checkout: Path) -> list[str]:
    log = checkout / "calls.log"
    return log.read_text().splitlines() if log.exists() else []


def test_help_and_wrong_options(checkout: Path) -> None:
    status, said = install(checkout, "--help")
    assert status == 0
    assert "--demo [SOURCE]" in said
    assert install(checkout) == (2, said)
    status, said = install(checkout, "--dmeo")
    assert status == 1
    assert "unknown option --dmeo" in said
    assert "Cure: ./install.sh --help" in said


def test_the_demo_installs_no_torch_and_gets_its_arguments(checkout: Path) -> None:
    status, said = install(checkout, "--demo", "a clip.mp4")
    assert status == 0, said
    made, pip, demo = calls(checkout)
    assert made == "venv"
    assert pip.endswith("-e .[cpu,demo]")
    assert demo == "korsal-edge demo a clip.mp4"


def test_the_second_run_installs_nothing(checkout: Path) -> None:
    install(checkout, "--demo")
    first = len(calls(checkout))
    assert install(checkout, "--demo")[0] == 0
    assert calls(checkout)[first:] == ["korsal-edge demo"]


def test_what_changed_is_installed_again(checkout: Path) -> None:
    install(checkout, "--demo")
    with (checkout / "pyproject.toml").open("a") as file:
        file.write("# changed\n")
    install(checkout, "--demo")
    assert sum("pip install" in call for call in calls(checkout)) == 2


def test_a_moved_checkout_gets_a_new_environment(checkout: Path) -> None:
    install(checkout, "--demo")
    moved = checkout.rename(checkout.with_name("moved"))
    assert install(moved, "--demo")[0] == 0
    assert calls(moved).count("venv") == 2


def test_the_tests_install_everything_and_get_their_arguments(checkout: Path) -> None:
    status, said = install(checkout, "--test", "-k", "linker")
    assert status == 0, said
    assert calls(checkout)[1].endswith("-e .[cpu,demo,train,dev,rtx]")
    assert calls(checkout)[2:] == ["check ", "test -k linker"]


def test_tests_run_after_a_failed_check_and_the_status_tells(checkout: Path) -> None:
    program(checkout / "scripts" / "check", FAILS)
    assert install(checkout, "--test")[0] == 1
    assert calls(checkout)[-1] == "test "


def test_a_demo_that_fails_fails(checkout: Path) -> None:
    install(checkout, "--demo")
    program(checkout / ".venv" / "bin" / "korsal-edge", FAILS)
    assert install(checkout, "--demo")[0] == 1


def test_an_old_python_is_refused_with_the_cure(checkout: Path) -> None:
    program(checkout / "bin" / "python3", FAILS)
    script = checkout / "install.sh"
    script.write_text(script.read_text().replace(" /usr/bin/python3;", ";"))  # the machine's own would do
    status, said = install(checkout, "--demo")
    assert status == 1
    assert "no Python between 3.10 and 3.13 found" in said
    assert "Cure: sudo apt-get install python3 python3-venv" in said


def test_a_python_without_venv_is_refused_with_the_cure(checkout: Path) -> None:
    text = PYTHON.replace(' | *"import ensurepip"* |', " |")
    program(
        checkout / "bin" / "python3", text.replace("    *platform*)", "    *ensurepip*) exit 1 ;;\n    *platform*)")
    )
    status, said = install(checkout, "--demo")
    assert status == 1
    assert "cannot make virtual environments" in said
    assert "Cure: sudo apt-get install python3.11-venv" in said


def test_no_network_is_told_with_the_cure(checkout: Path) -> None:
    text = PYTHON.replace("    *platform*)", '    *"pip install"*) exit 1 ;;\n    *platform*)')
    program(checkout / "bin" / "python3", text)
    status, said = install(checkout, "--demo")
    assert status == 1
    assert "pip could not install the packages" in said
    assert "HTTPS_PROXY" in said


def test_a_missing_broker_is_named_and_the_tests_run(checkout: Path) -> None:
    (checkout / "bin" / "mosquitto").unlink()
    script = checkout / "install.sh"
    script.write_text(script.read_text().replace("PATH=$PATH:/usr/sbin ", ""))  # the machine's own would do
    status, said = install(checkout, "--test")
    assert status == 0
    assert "sudo apt-get install mosquitto" in said
    assert calls(checkout)[-1] == "test "


def test_apt_is_asked_without_prompts(checkout: Path) -> None:
    (checkout / "bin" / "mosquitto").unlink()
    script = checkout / "install.sh"
    script.write_text(script.read_text().replace("PATH=$PATH:/usr/sbin ", ""))
    program(checkout / "bin" / "sudo", '#!/bin/bash\n[[ $1 == -n ]] && "${@:2}"\n')
    program(checkout / "bin" / "apt-get", '#!/bin/bash\necho "$DEBIAN_FRONTEND apt-get $*" >> "$LOG"\n')
    assert install(checkout, "--test")[0] == 0
    update, installs = (call for call in calls(checkout) if "apt-get" in call)
    assert update.startswith("noninteractive")
    assert update.endswith("update")
    assert installs.endswith("install --no-install-recommends mosquitto")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_checkout_of_somebody_else_is_refused(checkout: Path) -> None:
    checkout.chmod(0o555)
    try:
        status, said = install(checkout, "--demo")
    finally:
        checkout.chmod(0o755)
    assert status == 1
    assert "is not writable" in said
