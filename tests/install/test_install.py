"""install.sh, with stand-ins for Python, apt and sudo on the PATH: what it does, and what it says when it cannot.

The service is laid below DESTDIR here; on a machine with systemd: test_installation_nspawn.py.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.installed_programs import LOGS, PYTHON, program, replace
from tests.support.paths import ROOT
from tests.support.waiting import PATIENCE

FAILS = '#!/bin/bash\necho "stand-in: no" >&2\nexit 1\n'


PROGRAMS = (
    *(
        "awk",
        "bash",
        "basename",
        "cat",
        "chmod",
        "cmp",
        "cp",
        "cut",
        "df",
        "dirname",
        "env",
        "find",
        "flock",
        "grep",
        "id",
    ),
    *("install", "ln", "mkdir", "mktemp", "mv", "readlink", "rm", "rmdir", "sed", "sha256sum", "sort", "tail", "touch"),
    *("uname", "wc", "xargs"),
)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The least of a checkout that the installer reads, with stand-ins for what it starts; its path holds a space."""
    root = tmp_path / "my checkout"
    (root / "edge").mkdir(parents=True)
    for name in ("install.sh", "pyproject.toml", "edge/__init__.py", "config.toml"):
        shutil.copy(ROOT / name, root / name)
    shutil.copytree(ROOT / "scripts/install", root / "scripts/install")
    shutil.copytree(ROOT / "systemd", root / "systemd")
    for name in ("train", "convert", "models", "demo", "docs"):
        (root / name).mkdir()
    (root / "docs/event.schema.json").write_text("{}")
    program(root / "scripts" / "check", LOGS)
    program(root / "scripts" / "test", LOGS)
    (root / "bin").mkdir()
    for name in PROGRAMS:
        (root / "bin" / name).symlink_to(str(shutil.which(name)))
    replace(root / "scripts/install/preflight.sh", "/usr/bin/python3", '"$ROOT/bin/python3"')  # not the machine's own
    replace(root / "scripts/install/preflight.sh", "/usr/local/bin/python3", "")
    replace(root / "install.sh", "L4T=/etc/nv_tegra_release", "L4T=$ROOT/nv_tegra_release")
    for name in ("python3", "python3.10", "python3.11", "python3.12", "python3.13"):
        program(root / "bin" / name, FAILS)
    program(root / "bin" / "python3", PYTHON)
    for name in ("mosquitto", "chromium", "debootstrap", "systemd-nspawn", "systemctl", "useradd"):
        program(root / "bin" / name, LOGS)
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
        timeout=PATIENCE,
        check=False,
    )
    return done.returncode, done.stdout


def calls(checkout: Path) -> list[str]:
    log = checkout / "calls.log"
    return log.read_text().splitlines() if log.exists() else []


def test_help_and_wrong_options(checkout: Path) -> None:
    status, output = install(checkout, "--help")
    assert status == 0
    assert "--demo [SOURCE]" in output
    status, output = install(checkout, "--dmeo")
    assert status == 1
    assert "unknown option --dmeo" in output
    assert "Fix: ./install.sh --help" in output


def test_the_demo_installs_no_torch_and_gets_its_arguments(checkout: Path) -> None:
    status, output = install(checkout, "--demo", "a clip.mp4")
    assert status == 0, output
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
    status, output = install(checkout, "--test", "-k", "linker")
    assert status == 0, output
    assert calls(checkout)[1].endswith("-e .[cpu,demo,train,dev,rtx]")
    assert calls(checkout)[2:] == ["check ", "test -k linker"]


def test_tests_run_after_a_failed_check_and_the_status_is_kept(checkout: Path) -> None:
    program(checkout / "scripts" / "check", FAILS)
    assert install(checkout, "--test")[0] == 1
    assert calls(checkout)[-1] == "test "


def test_a_demo_that_fails_fails(checkout: Path) -> None:
    install(checkout, "--demo")
    program(checkout / ".venv" / "bin" / "korsal-edge", FAILS)
    assert install(checkout, "--demo")[0] == 1


def test_an_old_python_is_refused_with_the_remedy(checkout: Path) -> None:
    program(checkout / "bin" / "python3", FAILS)
    replace(checkout / "scripts/install/checkout.sh", "python3.10 /usr/bin/python3", "python3.10")  # the machine's own
    status, output = install(checkout, "--demo")
    assert status == 1
    assert "no Python between 3.10 and 3.13 found" in output
    assert "Fix: sudo apt-get install python3 python3-venv" in output


def test_a_python_without_venv_is_refused_with_the_remedy(checkout: Path) -> None:
    text = PYTHON.replace(' | *"import ensurepip"* |', " |")
    program(
        checkout / "bin" / "python3", text.replace("    *platform*)", "    *ensurepip*) exit 1 ;;\n    *platform*)")
    )
    status, output = install(checkout, "--demo")
    assert status == 1
    assert "cannot create virtual environments" in output
    assert "Fix: sudo apt-get install python3.11-venv" in output


def test_a_missing_network_is_reported_with_the_remedy(checkout: Path) -> None:
    text = PYTHON.replace("    *platform*)", '    *"pip install"*) exit 1 ;;\n    *platform*)')
    program(checkout / "bin" / "python3", text)
    status, output = install(checkout, "--demo")
    assert status == 1
    assert "pip could not install the packages" in output
    assert "HTTPS_PROXY" in output


def no_mosquitto(checkout: Path) -> None:
    (checkout / "bin" / "mosquitto").unlink()
    replace(checkout / "scripts/install/checkout.sh", "PATH=$PATH:/usr/sbin ", "")  # the machine's own would do


def test_a_missing_broker_is_named_and_the_tests_run(checkout: Path) -> None:
    no_mosquitto(checkout)
    status, output = install(checkout, "--test")
    assert status == 0
    assert "sudo apt-get install mosquitto" in output
    assert calls(checkout)[-1] == "test "


def test_apt_is_asked_without_prompts(checkout: Path) -> None:
    no_mosquitto(checkout)
    program(checkout / "bin" / "sudo", '#!/bin/bash\n[[ $1 == -n ]] && "${@:2}"\n')
    program(checkout / "bin" / "apt-get", '#!/bin/bash\necho "$DEBIAN_FRONTEND apt-get $*" >> "$LOG"\n')
    assert install(checkout, "--test")[0] == 0
    update, installs = (call for call in calls(checkout) if "apt-get" in call)
    assert update.startswith("noninteractive")
    assert update.endswith("update")
    assert installs.endswith("install --no-install-recommends mosquitto")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_checkout_of_another_user_is_refused(checkout: Path) -> None:
    checkout.chmod(0o555)
    try:
        status, output = install(checkout, "--demo")
    finally:
        checkout.chmod(0o755)
    assert status == 1
    assert "is not writable" in output


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where the service is laid."""
    return tmp_path / "target"


def lay(checkout: Path, target: Path, *arguments: str) -> tuple[int, str]:
    """Install the service below a folder."""
    return install(checkout, *arguments, more={"DESTDIR": str(target)})


def laid(target: Path) -> set[str]:
    """All files and links there."""
    return {str(path.relative_to(target)) for path in target.rglob("*") if path.is_symlink() or not path.is_dir()}


def release(target: Path) -> Path:
    return target / "opt/korsal-edge" / (target / "opt/korsal-edge/current").readlink()


def test_the_service_is_laid_below_destdir(checkout: Path, target: Path) -> None:
    status, output = lay(checkout, target)
    assert status == 0, output
    made, pip, *rest = calls(checkout)
    assert made == "venv"
    assert pip.endswith("pip install --no-input --disable-pip-version-check --quiet .[cpu]")
    assert not [call for call in rest if call.startswith(("systemctl", "useradd", "pip"))]
    unit = "etc/systemd/system/korsal-edge.service"
    assert (target / unit).read_text() == (ROOT / unit.replace("etc/systemd/system", "systemd")).read_text()
    config = target / "etc/korsal-edge/config.toml"
    assert config.read_text() == (ROOT / "config.toml").read_text()
    assert config.stat().st_mode & 0o777 == 0o640  # it may hold the cameras' passwords
    assert {path.name: os.readlink(path) for path in (target / "usr/local/bin").iterdir()} == {
        name: f"/opt/korsal-edge/current/bin/{name}" for name in ("korsal-edge", "korsal-convert", "korsal-evaluate")
    }
    assert os.access(release(target) / "machine-dropin", os.X_OK)
    command = (release(target) / "bin/korsal-edge").read_text().splitlines()[0]
    assert command == f"#!/opt/korsal-edge/releases/{release(target).name}/bin/python"


def test_the_second_time_changes_nothing(checkout: Path, target: Path) -> None:
    lay(checkout, target)
    before, first = laid(target), calls(checkout)
    status, output = lay(checkout, target)
    assert status == 0, output
    assert "there already" in output
    assert laid(target) == before
    assert [call for call in calls(checkout)[len(first) :] if "pip" in call or "venv" in call] == []


def test_a_dry_run_lists_every_step_and_changes_nothing(checkout: Path, target: Path) -> None:
    status, output = lay(checkout, target, "--dry-run")
    assert status == 0, output
    assert not target.exists()
    assert calls(checkout) == []
    for step in (
        "-m venv --clear",
        "pip install",
        "config.toml",
        "korsal-edge.service",
        "current",
        "Nothing was changed",
    ):
        assert step in output


def test_an_upgrade_keeps_one_release_to_go_back_to(checkout: Path, target: Path) -> None:
    releases = []
    for version in ("1.0", "1.1", "1.2"):
        (checkout / "edge/__init__.py").write_text(f'__version__ = "{version}"\n')
        assert lay(checkout, target)[0] == 0
        releases.append(release(target).name)
    assert [name.partition("-")[0] for name in releases] == ["1.0", "1.1", "1.2"]
    assert sorted(path.name for path in (target / "opt/korsal-edge/releases").iterdir()) == releases[1:]


def test_what_fails_half_way_leaves_nothing(checkout: Path, target: Path) -> None:
    text = PYTHON.replace("    *platform*)", '    *"pip install"*) exit 1 ;;\n    *platform*)')
    program(checkout / "bin" / "python3", text)
    status, output = lay(checkout, target)
    assert status == 1
    assert "pip could not install the packages" in output
    assert not target.exists()


def test_an_upgrade_that_fails_leaves_what_was(checkout: Path, target: Path) -> None:
    lay(checkout, target)
    before, current = laid(target), release(target)
    (checkout / "edge/__init__.py").write_text('__version__ = "9.9"\n')
    (checkout / "systemd/korsal-edge.service").write_text("[Unit]\n")
    refused = PYTHON.replace("    *platform*)", '    "- "*) echo "cameras: missing" >&2; exit 1 ;;\n    *platform*)')
    program(checkout / "bin" / "python3", refused.replace('    "-VV" | "- "*) ;;\n', '    "-VV") ;;\n'))
    status, output = lay(checkout, target)
    assert status == 1
    assert "cameras: missing" in output
    assert "config.toml is not valid for this version" in output
    assert "Undoing the changes" in output
    assert laid(target) == before
    assert release(target) == current
    assert (target / "etc/systemd/system/korsal-edge.service").read_text() != "[Unit]\n"


def test_an_unchanged_configuration_is_replaced(checkout: Path, target: Path) -> None:
    lay(checkout, target)
    (checkout / "config.toml").write_text("# new\n")
    assert lay(checkout, target)[0] == 0
    assert (target / "etc/korsal-edge/config.toml").read_text() == "# new\n"
    assert not (target / "etc/korsal-edge/config.toml.new").exists()


def test_a_changed_configuration_is_kept(checkout: Path, target: Path) -> None:
    lay(checkout, target)
    own, new = (target / "etc/korsal-edge" / name for name in ("config.toml", "config.toml.new"))
    own.write_text("# mine\n")
    assert "config.toml (kept)" in lay(checkout, target)[1]
    assert not new.exists()  # ours has not changed
    (checkout / "config.toml").write_text("# new\n")
    status, output = lay(checkout, target)
    assert status == 0
    assert "config.toml was edited and is kept" in output
    assert (own.read_text(), new.read_text()) == ("# mine\n", "# new\n")


def test_uninstalling(checkout: Path, target: Path) -> None:
    lay(checkout, target)
    (target / "var/lib/korsal-edge").mkdir(parents=True)
    (target / "var/lib/korsal-edge/outbox").write_text("")
    assert lay(checkout, target, "--uninstall")[0] == 0
    assert laid(target) == {"etc/korsal-edge/config.toml", "var/lib/korsal-edge/outbox"}
    assert lay(checkout, target, "--uninstall", "--purge")[0] == 0
    assert laid(target) == set()
    assert lay(checkout, target, "--uninstall", "--purge")[0] == 0  # nothing there: nothing to do


ORIN = "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64\n"


def on_a_jetson(checkout: Path, release: str = ORIN) -> None:
    (checkout / "nv_tegra_release").write_text(release)


def test_on_a_jetson_opencv_and_tensorrt_are_those_of_jetpack(checkout: Path, target: Path) -> None:
    on_a_jetson(checkout)
    status, output = lay(checkout, target)
    assert status == 0, output
    assert "Jetson Linux 36.4.3 (JetPack 6)" in output
    assert "OpenCV: 4.8.0, GStreamer: yes, CUDA: no" in output
    assert "venv --system-site-packages" in calls(checkout)
    (pip,) = (call for call in calls(checkout) if "pip install" in call)
    assert pip.endswith(".[jetson]")
    assert " -c " in pip  # the file that forbids every OpenCV


def test_an_opencv_of_pip_over_that_of_jetpack_is_refused(checkout: Path, target: Path) -> None:
    on_a_jetson(checkout)
    text = PYTHON.replace("    *platform*)", "    *cv2.__file__*) exit 1 ;;\n    *platform*)")
    program(checkout / "bin" / "python3", text)
    status, output = lay(checkout, target)
    assert status == 1
    assert "pip has installed an OpenCV that hides JetPack's" in output
    assert not target.exists()


@pytest.mark.parametrize(
    ("module", "status", "words"),
    [
        ("tensorrt", 0, "Fix: sudo apt-get install python3-libnvinfer"),
        ("cv2", 1, "Fix: sudo apt-get install libopencv-python (of JetPack), or python3-opencv"),
    ],
)
def test_a_jetson_that_lacks_something(checkout: Path, target: Path, module: str, status: int, words: str) -> None:
    on_a_jetson(checkout)
    text = PYTHON.replace("    *platform*)", f'    "-c import {module}") exit 1 ;;\n    *platform*)')
    program(checkout / "bin" / "python3", text)
    done, output = lay(checkout, target)
    assert done == status, output
    assert words in output


@pytest.mark.parametrize(
    ("release", "words"),
    [
        ("# R35 (release), REVISION: 4.1, GCID: 33958178\n", "Fix: flash JetPack 6 or 7"),
        ("what?\n", "names no Jetson Linux release"),
    ],
)
def test_jetsons_that_are_refused(checkout: Path, target: Path, release: str, words: str) -> None:
    on_a_jetson(checkout, release)
    status, output = lay(checkout, target)
    assert status == 1
    assert words in output
    assert not target.exists()


def test_machines_that_are_refused(checkout: Path, target: Path) -> None:
    replace(checkout / "install.sh", "NEEDED_MIB=1500", "NEEDED_MIB=1500000000")
    assert "1500000000 are needed" in lay(checkout, target)[1]
    program(checkout / "bin" / "uname", "#!/bin/bash\n[[ $1 == -m ]] && echo riscv64 || echo Linux\n")
    assert "there are no packages for riscv64" in lay(checkout, target)[1]
    program(checkout / "bin" / "id", "#!/bin/bash\necho 1000\n")
    assert "Fix: sudo ./install.sh" in install(checkout)[1]
    (checkout / "bin" / "systemctl").unlink()
    assert "there is no systemd here" in install(checkout, "--dry-run")[1]
    assert not target.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--offline"], "--offline needs a folder"),
        (["--offline", "/nowhere"], "/nowhere is not a folder"),
        (["--purge"], "--purge needs --uninstall"),
        (["--wheels"], "--wheels needs a folder"),
    ],
)
def test_options_that_do_not_fit(checkout: Path, target: Path, arguments: list[str], words: str) -> None:
    status, output = lay(checkout, target, *arguments)
    assert status == 1
    assert words in output


def test_offline_nothing_is_fetched(checkout: Path, target: Path) -> None:
    (checkout / "wheels").mkdir()
    assert lay(checkout, target, "--offline", str(checkout / "wheels"))[0] == 0
    assert f"--no-index --find-links {checkout}/wheels .[cpu]" in calls(checkout)[1]


ROOTS_CODE = {"PYTHONPATH": "/evil", "PYTHONHOME": "/evil", "PYTHONSTARTUP": "/evil/x.py", "PYTHONUSERBASE": "/evil"}
ELSEWHERE = {
    "PIP_TARGET": "/evil",
    "PIP_PREFIX": "/evil",
    "PIP_USER": "1",
    "PIP_ROOT": "/evil",
    "PIP_REQUIREMENT": "/x",
}
FROM_WHERE = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_CERT": "/ca.pem", "HTTPS_PROXY": "http://127.0.0.1:9"}


@pytest.mark.parametrize("arguments", [[], ["--demo"]])
def test_python_and_pip_are_left_alone_by_the_environment(checkout: Path, target: Path, arguments: list[str]) -> None:
    """They run what install.sh names, and fill what it names, wherever the packages come from."""
    replace(checkout / "bin/python3", "#!/bin/bash\n", '#!/bin/bash\nenv >> "$LOG.env"\necho "$1" >> "$LOG.first"\n')
    more = {**ROOTS_CODE, **ELSEWHERE, **FROM_WHERE, "DESTDIR": str(target), "BASH_ENV": ""}
    status, output = install(checkout, *arguments, more=more)
    assert status == 0, output
    seen = (checkout / "calls.log.env").read_text().splitlines()
    names = {line.split("=")[0] for line in seen}
    assert not names & {*ROOTS_CODE, *ELSEWHERE}
    assert names >= set(FROM_WHERE)
    assert set((checkout / "calls.log.first").read_text().split()) <= {"-I", "-VV"}


def test_a_removed_folder_is_no_problem(checkout: Path, target: Path, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    environment = {"PATH": str(checkout / "bin"), "LOG": str(checkout / "calls.log"), "DESTDIR": str(target)}
    command = ["bash", "-c", '/bin/rmdir "$0" && exec "$1/install.sh"', str(gone), str(checkout)]
    done = subprocess.run(
        command, cwd=gone, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (target / "opt/korsal-edge/current").is_symlink()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"DESTDIR": "image"}, "DESTDIR=image is relative\n  Fix: give an absolute path, as DESTDIR=/"),
        (
            {"TMPDIR": "/nowhere"},
            "TMPDIR=/nowhere is not a writable folder\n  Fix: create it, or",
        ),
        ({"TMPDIR": "tmp"}, "TMPDIR=tmp is not a writable folder"),
    ],
)
def test_surroundings_that_are_refused(checkout: Path, more: dict[str, str], words: str) -> None:
    status, output = install(checkout, more={"DESTDIR": "/tmp/image", **more})
    assert status == 1
    assert words in output
    assert not calls(checkout)


def as_root(checkout: Path) -> None:
    program(checkout / "bin" / "id", "#!/bin/bash\necho 0\n")


def test_root_runs_nothing_that_everybody_can_change(checkout: Path, target: Path) -> None:
    as_root(checkout)
    assert lay(checkout, target)[0] == 0
    for name in ("scripts/install/common.sh", "models", "."):
        mode = (checkout / name).stat().st_mode
        (checkout / name).chmod(0o777)
        status, output = lay(checkout, target)
        assert status == 1
        assert f"every user of this machine can change {(checkout / name).resolve()}" in output
        assert "Fix: make sure that nothing in" in output
        (checkout / name).chmod(mode)
    (checkout / ".venv").mkdir()
    (checkout / ".venv").chmod(0o777)  # which is no part of what is installed
    assert lay(checkout, target)[0] == 0


@pytest.mark.parametrize(("mode", "refused"), [(0o777, True), (0o1777, False), (0o775, False)])
def test_root_takes_nothing_that_could_be_replaced(checkout: Path, target: Path, mode: int, refused: bool) -> None:
    """As in a folder like /tmp nobody can."""
    as_root(checkout)
    checkout.parent.chmod(mode)
    status, output = lay(checkout, target)
    assert (status == 1) == refused
    assert (f"could replace {checkout}, by way of {checkout.parent}" in output) == refused


def test_root_takes_no_wheels_that_everybody_can_change(checkout: Path, target: Path) -> None:
    as_root(checkout)
    (checkout.parent / "wheels").mkdir(mode=0o755)
    (checkout.parent / "wheels").chmod(0o777)
    status, output = lay(checkout, target, "--offline", str(checkout.parent / "wheels"))
    assert status == 1
    assert f"every user of this machine can change {checkout.parent}/wheels" in output


@pytest.mark.parametrize("entry", ["", ".", "bin"])
def test_root_searches_no_program_in_the_current_folder(checkout: Path, target: Path, entry: str) -> None:
    as_root(checkout)
    more = {"PATH": f"{checkout / 'bin'}:{entry}", "DESTDIR": str(target)}
    status, output = install(checkout, more=more)
    assert status == 1
    assert "PATH has a relative entry" in output
