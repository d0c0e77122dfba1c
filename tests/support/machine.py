"""A Debian machine with systemd of its own, in a folder, for the test that installs the service.

debootstrap makes the root, systemd-nspawn boots it with nothing but loopback for a network, nsenter runs commands in
it. Needs root. KORSAL_MACHINE=FOLDER keeps the fresh root there and takes it from there the next time.
"""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.waiting import PATIENCE, wait_for

SUITE = "bookworm"
PACKAGES = ("systemd", "systemd-sysv", "dbus", "udev", "ca-certificates", "python3", "mosquitto", "mosquitto-clients")
NSPAWN = ("systemd-nspawn", f"--machine=korsal-{os.getpid()}", "--register=no", "--keep-unit")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
HOSTS = "127.0.0.1 localhost korsal-test\n::1 localhost\n"
CERTIFICATES = Path("/etc/ssl/certs")
PASSED_ON = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_CERT", "SSL_CERT_FILE", "HTTPS_PROXY", "https_proxy")


def require_tools() -> None:
    """Skip where no machine can be made."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to make a machine with systemd in it")
    for tool, package in (("debootstrap", "debootstrap"), ("systemd-nspawn", "systemd-container")):
        if shutil.which(tool, path=PATH) is None:
            pytest.skip(f"{tool} is not installed: apt-get install {package}")


def call(*command: str | Path, patience: float = 600) -> str:
    """What a program prints; fails the test with it where the program fails."""
    done = subprocess.run(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=patience,
        check=False,
        env={**os.environ, "PATH": PATH, "LC_ALL": "C.UTF-8"},
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}"
    return done.stdout


def make_root(folder: Path) -> Path:
    """A fresh Debian below `folder`, from the copy that KORSAL_MACHINE keeps if there is one."""
    kept = Path(os.environ["KORSAL_MACHINE"]) if "KORSAL_MACHINE" in os.environ else None
    root = folder / "root"
    if kept is None or not kept.exists():
        fresh = kept or root
        call("debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, fresh)
        (fresh / "etc/hosts").write_text(HOSTS)
        (fresh / "etc/hostname").write_text("korsal-test\n")
    if kept is not None:
        call("cp", "-a", "--reflink=auto", kept, root)
    return root


def in_folder(root: Path, *command: str | Path, binds: dict[Path, str]) -> str:
    """Run one command in a root that is not booted, with this machine's network, certificates and settings of pip."""
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    settings = [f"--setenv={name}={os.environ[name]}" for name in PASSED_ON if name in os.environ]
    return call(
        *NSPAWN,
        "--quiet",
        "--pipe",
        f"--directory={root}",
        *settings,
        *_bound({CERTIFICATES: str(CERTIFICATES), **binds}),
        "--",
        *command,
    )


def _bound(binds: dict[Path, str]) -> list[str]:
    return [f"--bind{'' if inside.startswith('/out') else '-ro'}={path}:{inside}" for path, inside in binds.items()]


class Machine:
    """A booted machine. `leader` is its process 1, as this machine counts."""

    def __init__(self, root: Path, start: "Callable[[], subprocess.Popen[bytes]]") -> None:
        self.root = root
        self._start = start
        self._process = start()

    @property
    def leader(self) -> int:
        number = self._process.pid
        children = Path(f"/proc/{number}/task/{number}/children").read_text().split()
        return int(children[0]) if children else 0

    def run(self, *command: str | Path, patience: float = 900) -> str:
        """What a command prints in there; fails the test with it where the command fails."""
        return call(*self._entered(), *command, patience=patience)

    def status(self, *command: str | Path) -> tuple[int, str]:
        """Exit status and what is printed."""
        done = subprocess.run(
            [*self._entered(), *map(str, command)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return done.returncode, done.stdout

    def file(self, path: str) -> Path:
        """Where a file of the machine lies here. Absolute links in it point elsewhere."""
        return self.root / path.lstrip("/")

    def runs(self) -> bool:
        """Has it booted?"""
        if self._process.poll() is not None:
            pytest.fail("the machine did not boot")
        return self.leader != 0 and self.status("systemctl", "is-system-running")[1].strip() in ("running", "degraded")

    def reboot(self) -> None:
        """Boot again, and return when it is up."""
        self.status("systemctl", "reboot")
        self._process.wait(PATIENCE)  # with --keep-unit systemd-nspawn leaves the second boot to its caller
        self._process = self._start()
        wait_for(self.runs, "the second boot", patience=120)

    def end(self) -> None:
        """Shut it down; kill it where that takes too long."""
        self._process.terminate()  # which systemd-nspawn turns into an orderly end
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _entered(self) -> list[str]:
        flags = ("--mount", "--uts", "--ipc", "--net", "--pid")
        clean = ("env", "-i", f"PATH={PATH}", "HOME=/root", "LC_ALL=C.UTF-8")
        return ["nsenter", f"--target={self.leader}", *flags, *clean]


@contextlib.contextmanager
def booted(root: Path, binds: dict[Path, str]) -> Iterator[Machine]:
    """The machine of this root while it runs, without a network. `binds`: what of ours it sees, and where."""
    nspawn = (*NSPAWN, "--private-network", "--boot", f"--directory={root}", *_bound(binds))
    with (root.parent / "console.log").open("wb") as console:
        machine = Machine(
            root, lambda: subprocess.Popen(nspawn, stdin=subprocess.DEVNULL, stdout=console, stderr=console)
        )
        try:
            wait_for(machine.runs, f"the boot, see {console.name}", patience=120)
            yield machine
        finally:
            machine.end()
