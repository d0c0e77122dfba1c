from pathlib import Path

import pytest

from edge.config.config_file import load
from edge.config.schema import Config
from edge.service.config_changes import MAX_NAMED, changes, describe

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
