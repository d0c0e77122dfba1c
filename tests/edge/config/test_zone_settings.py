"""What config.toml says about zones: in both forms, as required ones, and what is said where that is wrong."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from edge.config.config_file import ConfigError, load
from edge.config.edit import edited, redacted
from edge.config.validation import validate
from edge.service.settings import pipeline_settings
from edge.zones import Zone
from tests.support.config_files import SMALLEST, written

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TRIANGLE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0))
POINTS = json.dumps(TRIANGLE)
TWO_CAMERAS = f'{SMALLEST}zones.gate = {POINTS}\n[cameras.yard]\nsource = "/dev/video1"\n'


def problems(folder: Path, text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load(written(folder, text))
    return caught.value.problems


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"zones.gate = {POINTS}", Zone(TRIANGLE)),
        (f"zones.gate = {{points = {POINTS}}}", Zone(TRIANGLE)),
        (f"zones.gate = {{points = {POINTS}, min_duration = 5}}", Zone(TRIANGLE, 5.0)),
        (f"[cameras.door.zones.gate]\npoints = {POINTS}\nmin_duration = 5.5", Zone(TRIANGLE, 5.5)),
    ],
)
def test_a_zone_in_each_of_its_forms(tmp_path: Path, text: str, expected: Zone) -> None:
    config = load(written(tmp_path, f"{SMALLEST}{text}\n"))
    assert pipeline_settings(config, "door").events.zones == {"gate": expected}
    assert json.loads(json.dumps(redacted(config)))["cameras"]["door"]["zones"].keys() == {"gate"}


@pytest.mark.parametrize(
    ("zone", "problem"),
    [
        ("3", "cameras.door.zones.gate: should be an array, is 3"),
        ("[[0, 0], [1, 1]]", "cameras.door.zones.gate: should have at least 3 entries, is [[0, 0], [1, 1]]"),
        ("{}", "cameras.door.zones.gate.points: missing; add points = [[0.0, 0.5], [0.5, 0.5], [0.5, 1.0]]"),
        (f"{{point = {POINTS}}}", "cameras.door.zones.gate.point: unknown key; did you mean points?"),
        (
            f"{{points = {POINTS}, min_duration = -1}}",
            "cameras.door.zones.gate.min_duration: should be greater than or ",
        ),
        (
            f"{{points = {POINTS}, min_duration = '5 s'}}",
            "cameras.door.zones.gate.min_duration: should be a number",
        ),
        (
            "{points = [[0, 0], [640, 0], [0, 480]]}",
            "cameras.door.zones.gate.points: its points should be fractions of the frame's width and height, from 0 to "
            "1, and one is 640: divide pixels by the size of the frame",
        ),
    ],
)
def test_what_is_wrong_with_a_zone_is_named_by_the_path_in_the_file(tmp_path: Path, zone: str, problem: str) -> None:
    found = problems(tmp_path, f"{SMALLEST}zones.gate = {zone}\n")
    assert [one for one in found if one.startswith(problem)], found
    assert not [one for one in found if "[table]" in one or "[points]" in one]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '[actions.default]\nrequired_zones = ["gate"]',
            "actions.default.required_zones: camera yard has no zone gate, it has no zones: name one of its own, or "
            "draw gate in [cameras.yard.zones]",
        ),
        (
            '[cameras.door.actions.Dunk]\nrequired_zones = ["gate", "gata"]',
            "cameras.door.actions.Dunk.required_zones: camera door has no zone gata, its zones are gate: name one of "
            "its own, or draw gata in [cameras.door.zones]",
        ),
        (
            "[actions.default]\nmin_area = 0.5\n[cameras.door.actions.default]\nmax_area = 0.1",
            "cameras.door.actions.default.max_area: max_area 0.1 is below min_area 0.5: raise it",
        ),
        (
            "[actions.Dunk]\nmin_area = 0.5\nmax_area = 0.1",
            "actions.Dunk.max_area: max_area 0.1 is below min_area 0.5: raise it",
        ),
        ("[actions.Dunk]\nmin_area = 2", "actions.Dunk.min_area: should be less than or equal to 1, is 2"),
        ('[actions.Dunk]\nrequired_zones = "gate"', "actions.Dunk.required_zones: should be an array, is 'gate'"),
    ],
)
def test_what_cannot_be_required_is_named_once_with_the_remedy(tmp_path: Path, text: str, expected: str) -> None:
    assert problems(tmp_path, f"{TWO_CAMERAS}{text}\n") == (expected,)


def test_a_camera_without_the_zone_may_require_none(tmp_path: Path) -> None:
    text = '[actions.default]\nrequired_zones = ["gate"]\n[cameras.yard.actions.default]\nrequired_zones = []\n'
    config = load(written(tmp_path, TWO_CAMERAS + text))
    assert pipeline_settings(config, "door").events.for_action("Dunk").required_zones == ("gate",)
    assert pipeline_settings(config, "yard").events.for_action("Dunk").required_zones == ()


def test_an_action_s_own_zones_take_precedence_over_those_of_all_actions(tmp_path: Path) -> None:
    text = '[actions.Dunk]\nrequired_zones = []\n[cameras.door.actions.default]\nrequired_zones = ["gate"]\n'
    events = pipeline_settings(load(written(tmp_path, TWO_CAMERAS + text)), "door").events
    assert (events.for_action("Dunk").required_zones, events.for_action("Jump").required_zones) == ((), ("gate",))


def document(**door: Any) -> dict[str, Any]:
    required = {"default": {"required_zones": ["gate"]}}
    return {"cameras": {"door": {"source": "/dev/video0", "actions": required, **door}}}


@pytest.mark.parametrize(
    ("door", "keys"),
    [
        ({"zones": {"gate": [[0, 0]]}}, ["cameras.door.zones.gate"]),
        ({"zones": {"gate": {"points": 3}}}, ["cameras.door.zones.gate.points"]),
        ({"zones": {"gate": TRIANGLE}, "width": 640}, ["cameras.door.width"]),
        ({"zones": 3}, ["cameras.door.zones"]),
    ],
)
def test_a_required_zone_that_is_wrong_is_not_called_missing_too(door: Any, keys: list[str]) -> None:
    assert [problem.partition(":")[0] for problem in validate(document(**door)).problems] == keys


SMALLER = [[0.5, 0.5], [1.0, 0.5], [1.0, 1.0]]
LIST = f"[cameras.door]\n# the gate\nzones.gate = {POINTS}\nzones.yard = {POINTS}\n"
TABLE = f"[cameras.door.zones]\nyard = {POINTS}\n[cameras.door.zones.gate]\npoints = {POINTS}\nmin_duration = 5\n"
INLINE = f"[cameras.door]\nzones = {{gate = {{points = {POINTS}}}, yard = {POINTS}}}\n"


@pytest.mark.parametrize("text", [LIST, TABLE, INLINE])
@pytest.mark.parametrize(
    "zone", [[[0.5, 0.5], [1.0, 0.5], [1.0, 1.0]], {"points": json.loads(POINTS), "min_duration": 2}, None]
)
def test_a_request_changes_a_zone_s_form(text: str, zone: Any) -> None:
    after = tomllib.loads(edited(text, {"cameras": {"door": {"zones": {"gate": zone}}}}))["cameras"]["door"]["zones"]
    before = tomllib.loads(text)["cameras"]["door"]["zones"]["gate"]
    kept = before if isinstance(zone, dict) and isinstance(before, dict) else {}
    expected = {**kept, **zone} if isinstance(zone, dict) else zone
    assert after.get("gate") == expected
    assert after["yard"] == json.loads(POINTS)
