from pathlib import Path

import pytest

from edge.config.config_file import load
from edge.config.schema import Config
from edge.service.reload_rules import MAX_NAMED, changes, describe, needs_restart, reloadable
from tests.support.config_files import SMALLEST, written

CAMERA = '[cameras.door]\nsource = "rtsp://user:hunter2@door/1"\nfps = 10\n'


def config(folder: Path, more: str = "", camera: str = CAMERA) -> Config:
    path = folder / "config.toml"
    path.write_text(f"{camera}{more}")
    return load(path)


@pytest.mark.parametrize(
    ("more", "camera", "changed"),
    [
        ("", CAMERA, ()),
        ("", CAMERA.replace("10", "5"), ("cameras.door.fps from 10.0 to 5.0",)),
        ("", CAMERA.replace("hunter2", "hunter3"), ("cameras.door.source",)),
        ('[mqtt]\nhost = "other"\nport = 1884\n', CAMERA, ("mqtt.host", "mqtt.port from 1883 to 1884")),
        ('[cameras.yard]\nsource = "/dev/video7"\n', CAMERA, ("cameras.yard is new",)),
        ("", CAMERA.replace("door", "yard", 1), ("cameras.door is removed", "cameras.yard is new")),
        ("[actions.default]\nstart_score = 0.4\n", CAMERA, ("actions.default is new",)),
        ('[log]\nlevel = "debug"\n', CAMERA, ("log.level",)),
        ("[telemetry]\ninterval = 2\n", CAMERA, ("telemetry.interval from 10.0 to 2.0",)),
    ],
)
def test_what_changed_is_named_by_its_path(more: str, camera: str, changed: tuple[str, ...], tmp_path: Path) -> None:
    before = config(tmp_path)
    found = changes(before, config(tmp_path, more, camera))
    assert set(found) == set(changed)
    assert "hunter" not in "".join(found)


def test_describe() -> None:
    assert describe((), ()) == "nothing has changed"
    assert describe(("a",), ("b", "c")) == "a; after a restart: b, c"
    many = tuple(str(number) for number in range(MAX_NAMED + 2))
    assert describe(many, ()).endswith(f"{MAX_NAMED - 1} and 2 more")


def test_a_reload_takes_cameras_and_thresholds_at_once_and_names_what_waits(tmp_path: Path) -> None:
    running = load(written(tmp_path, f"{SMALLEST}[cameras.yard]\nsource = '/dev/video1'\n"))
    text = """
    [cameras.door]
    source = "/dev/video2"
    zones.entrance = [[0, 0], [1, 0], [0, 1]]
    [cameras.hall]
    source = "/dev/video3"
    [actions.default]
    start_score = 0.8
    [mqtt]
    port = 1884
    [log]
    level = "debug"
    """
    wanted = load(written(tmp_path, text))
    found = reloadable(running, wanted)
    assert (found.actions, found.log, found.cameras) == (wanted.actions, wanted.log, wanted.cameras)
    assert found.mqtt == running.mqtt
    assert needs_restart(found, wanted) == ("mqtt",)
    assert needs_restart(running, running) == ()


def test_secrets_are_never_among_the_changes(tmp_path: Path) -> None:
    before = config(tmp_path, '[mqtt]\nusername = "hunter"\npassword_file = "config.toml"\n')
    after = config(tmp_path, '[mqtt]\nusername = "hunter2"\n')
    assert changes(before, after) == ("mqtt.username", "mqtt.password_file")


def test_what_waits_for_a_restart_is_not_lost_by_another_reload(tmp_path: Path) -> None:
    before = config(tmp_path)
    new = config(tmp_path, "[mqtt]\nport = 1884\n")
    running = reloadable(before, new)
    assert needs_restart(running, new) == ("mqtt",)
    assert needs_restart(reloadable(running, new), new) == ("mqtt",)
    assert needs_restart(reloadable(running, before), before) == ()


def test_whether_argus_may_be_restarted_is_reloaded(tmp_path: Path) -> None:
    before, after = config(tmp_path), config(tmp_path, "[cameras]\nrestart_argus = true\n")
    assert changes(before, after) == ("cameras.restart_argus from False to True",)
    assert needs_restart(reloadable(before, after), after) == ()
