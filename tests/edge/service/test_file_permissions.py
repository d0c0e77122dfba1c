"""Files that everybody may read or write: real ones, with the remedy carried out."""

import logging
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.config.config_file import load
from edge.doctor.doctor import permissions
from edge.service import daemon
from edge.service.file_permissions import UnsafePermission, unsafe_permissions
from tests.support.other_user import as_nobody, everybodys_folder

CONFIG = """
[model]
path = "any.onnx"
[cameras.door]
source = "rtsp://user:secret@192.0.2.1/live"
[mqtt]
username = "roof"
password_file = "password"
[mqtt.tls]
ca = "ca"
cert = "cert"
key = "key"
[outbox]
directory = "state"
"""
SAFE = {"config.toml": 0o640, "password": 0o600, "mqtt-password": 0o600, "key": 0o600, "any.onnx": 0o644, "ca": 0o644}
SAFE |= {"cert": 0o644, "state/engines/any/1.engine": 0o644, "state/engines/any/1.engine.json": 0o644}
SAFE |= {"state/engines/any": 0o755, "state/engines": 0o755, "state": 0o755, ".": 0o755}
READ = "can be read by every user of this machine"
WRITTEN = "can be written by every user of this machine, who could"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A whole configuration that nobody but us may change, in a folder that everybody gets to, unlike pytest's."""
    with everybodys_folder() as place:
        (place / "state/engines/any").mkdir(parents=True)
        for path, mode in SAFE.items():
            if not (place / path).is_dir():
                (place / path).write_text(CONFIG if path == "config.toml" else "x")
            (place / path).chmod(mode)
        yield place


def found(folder: Path) -> tuple[UnsafePermission, ...]:
    file = folder / "config.toml"
    return unsafe_permissions(load(file), file)


def carry_out(remedies: list[str]) -> None:
    """As root, or as the files' owner, who needs no sudo."""
    for remedy in remedies:
        subprocess.run(["sh", "-c", remedy.replace("sudo ", "")], check=True)


def test_a_safe_installation(folder: Path) -> None:
    assert found(folder) == ()
    (finding,) = permissions(load(folder / "config.toml"), folder / "config.toml")
    assert finding.level == "ok"


@pytest.mark.parametrize(
    ("path", "mode", "text"),
    [
        ("config.toml", 0o644, f"{READ}, and contains a camera's password"),
        ("password", 0o604, f"{READ}, and contains the broker's password"),
        ("mqtt-password", 0o644, f"{READ}, and contains the broker's password"),
        ("key", 0o644, f"{READ}, and contains the private key of the client certificate"),
        ("config.toml", 0o642, f"{WRITTEN} decide what is watched and who receives the events"),
        ("any.onnx", 0o646, f"{WRITTEN} decide what is detected"),
        ("state", 0o777, f"{WRITTEN} put machine code and events there"),
        ("state", 0o1777, f"{WRITTEN} put machine code and events there"),  # as /tmp is: new files are enough
        ("state/engines", 0o757, f"{WRITTEN} put machine code there, which the daemon runs"),
        ("state/engines/any", 0o777, f"{WRITTEN} put machine code there, which the daemon runs"),
        ("state/engines/any/1.engine", 0o666, f"{WRITTEN} put machine code there, which the daemon runs"),
        ("state/engines/any/1.engine.json", 0o666, f"{WRITTEN} put machine code there, which the daemon runs"),
    ],
)
def test_world_writable_files_are_reported_and_the_remedy_works(path: str, mode: int, text: str, folder: Path) -> None:
    (folder / path).chmod(mode)
    (one,) = found(folder)
    assert (one.path, one.text) == (folder / path, text)
    assert one.remedy == f"sudo chmod {'o-rwx' if READ in text else 'o-w'} {folder / path}"
    carry_out([one.remedy])
    assert found(folder) == ()


def test_a_folder_in_which_everybody_may_rename(folder: Path) -> None:
    """The configuration and the model can be replaced; in a folder like /tmp they cannot."""
    folder.chmod(0o777)
    reported = {one.text for one in found(folder)}
    assert reported == {
        f"{WRITTEN} replace any.onnx and decide what is detected",
        f"{WRITTEN} replace config.toml and decide what is watched and who receives the events",
    }
    folder.chmod(0o1777)
    assert found(folder) == ()


@pytest.mark.parametrize("where", [".", "remote"])
def test_of_a_link_its_own_folder_and_that_of_the_file_count(where: str, folder: Path) -> None:
    """As install.sh makes one of config.toml."""
    (folder / "remote").mkdir(mode=0o755)
    (folder / "config.toml").rename(folder / "remote/config.toml")
    (folder / "config.toml").symlink_to("remote/config.toml")
    assert found(folder) == ()
    (folder / where).chmod(0o777)
    reported = [one for one in found(folder) if "replace config.toml" in one.text]
    assert [one.path for one in reported] == [folder / where]
    carry_out([one.remedy for one in reported])
    assert found(folder) == ()


def test_a_folder_with_two_paths_is_reported_once(folder: Path) -> None:
    (folder / "way").symlink_to(".")
    folder.chmod(0o777)
    reported = [
        one
        for one in unsafe_permissions(load(folder / "config.toml"), folder / "way/config.toml")
        if "config" in one.text
    ]
    assert [one.path for one in reported] == [folder / "way"]


@pytest.mark.parametrize("closed", ["state", "state/engines", "state/engines/any"])
def test_unreadable_folders_are_skipped(closed: str, folder: Path) -> None:
    """As for whoever is in the service's group alone and asks its doctor."""
    (folder / "state/engines/any/1.engine").chmod(0o666)
    (folder / closed).chmod(0o700)
    loaded = load(folder / "config.toml")
    with as_nobody():
        assert unsafe_permissions(loaded, None) == ()


def test_files_below_a_closed_folder_are_not_reported(folder: Path) -> None:
    for path in SAFE:
        (folder / path).chmod(0o777)
    assert len(found(folder)) > 8
    folder.chmod(0o770)
    assert found(folder) == ()


def test_a_configuration_without_secrets_may_be_read(folder: Path) -> None:
    (folder / "config.toml").write_text(CONFIG.replace("user:secret@", ""))
    (folder / "config.toml").chmod(0o644)
    assert found(folder) == ()


def test_absent_files_are_no_problem(folder: Path) -> None:
    loaded = load(folder / "config.toml")
    (folder / "mqtt-password").unlink()
    (folder / "any.onnx").unlink()
    (folder / "password").unlink()
    (folder / "password").symlink_to("password")
    assert unsafe_permissions(loaded, folder / "config.toml") == ()
    assert unsafe_permissions(loaded, None) == ()


def test_the_remedy_keeps_the_permissions_of_the_daemon(folder: Path) -> None:
    """Root's files, which the daemon's user could use only because everybody could."""
    for path in SAFE:
        (folder / path).chmod(0o777)
    with as_nobody():
        remedies = [one.remedy for one in found(folder)]
    carry_out(remedies)
    with as_nobody():
        assert found(folder) == ()
        for path in ("config.toml", "password", "key", "any.onnx"):
            assert (folder / path).read_text()
        for place in ("state", "state/engines", "state/engines/any"):
            (folder / place / "new").write_text("x")
        with pytest.raises(PermissionError):
            (folder / "config.toml").write_text("")


def test_the_doctor_and_the_daemon_report_it(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The daemon at its start, once, whatever becomes of it then: this model is none."""
    caplog.set_level(logging.INFO)  # which puts the root's level back at the end
    file = folder / "config.toml"
    (folder / "state").chmod(0o777)
    sentence = f"{WRITTEN} put machine code and events there"
    (finding,) = permissions(load(file), file)
    assert (finding.level, finding.subject, finding.text) == ("warning", str(folder / "state"), sentence)
    assert finding.remedy == f"sudo chmod o-w {folder / 'state'}"
    assert daemon.run(load(file), file) == 1
    logged = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert logged == [f"{folder / 'state'} {sentence}: {finding.remedy}"]
