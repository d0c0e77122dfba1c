"""The settings of the pipelines that `config.toml` leads to, and the actions that the model does not know."""

from dataclasses import fields
from pathlib import Path

import pytest

from edge.config.config_file import load
from edge.config.schema import Config, LinkerConfig
from edge.default_linker import DefaultLinker, LinkerSettings
from edge.event_settings import ActionSettings, EventSettings
from edge.korsal_linker import KorsalLinker
from edge.service import settings
from edge.zones import Zone
from tests.support.config_files import SMALLEST, written


def test_settings_of_the_pure_files(tmp_path: Path) -> None:
    text = """
    [cameras.door]
    source = "/dev/video0"
    zones.entrance = [[0, 0], [1, 0], [0, 1]]
    [actions.default]
    start_score = 0.8
    [actions.Dunk]
    keep_score = 0.6
    [linker]
    max_missed_seconds = 0.12
    [device]
    name = "roof"
    """
    config = load(written(tmp_path, text))
    found = settings.pipeline_settings(config, "door")
    assert found.linker == DefaultLinker(LinkerSettings(max_missed_seconds=0.12))
    assert found.events == EventSettings(
        default=ActionSettings(start_score=0.8, keep_score=0.48),
        actions={"Dunk": ActionSettings(start_score=0.8, keep_score=0.6)},
        zones={"entrance": Zone(((0, 0), (1, 0), (0, 1)))},
    )
    assert settings.topics(config).available == "korsal/roof/available"


def test_a_cameras_thresholds_are_laid_over_those_of_all_cameras(tmp_path: Path) -> None:
    text = """
    [actions.default]
    start_score = 0.5
    cooldown = 3.0
    [actions.Dunk]
    start_score = 0.6
    [cameras.door]
    source = "/dev/video0"
    [cameras.door.actions.default]
    start_score = 0.7
    keep_score = 0.3
    [cameras.door.actions.Surfing]
    min_duration = 9.0
    [cameras.yard]
    source = "/dev/video1"
    """
    config = load(written(tmp_path, text))
    door, yard = (settings.pipeline_settings(config, name).events for name in ("door", "yard"))
    assert door.default == ActionSettings(start_score=0.7, keep_score=0.3, cooldown=3.0)
    assert door.actions == {
        "Dunk": ActionSettings(start_score=0.6, keep_score=0.3, cooldown=3.0),  # said of Dunk, before said of all
        "Surfing": ActionSettings(start_score=0.7, keep_score=0.3, cooldown=3.0, min_duration=9.0),
    }
    assert yard.default == ActionSettings(start_score=0.5, keep_score=0.3, cooldown=3.0)
    assert yard.actions == {"Dunk": ActionSettings(start_score=0.6, keep_score=0.36, cooldown=3.0)}


MODELS = {"Dunk": 0.3, "Surfing": 0.4}  # start scores


@pytest.mark.parametrize(
    ("text", "dunk", "surfing", "others"),
    [
        ("", 0.3, 0.4, 0.2),
        ("[actions.default]\nstart_score = 0.1", 0.1, 0.1, 0.1),  # what is said of all counts before the model
        ("[actions.Dunk]\nstart_score = 0.1", 0.1, 0.4, 0.2),
        ("[cameras.door.actions.Surfing]\nstart_score = 0.5", 0.3, 0.5, 0.2),
    ],
)
def test_the_models_start_scores_are_the_defaults(
    tmp_path: Path, text: str, dunk: float, surfing: float, others: float
) -> None:
    config = load(written(tmp_path, SMALLEST + text))
    events = settings.pipeline_settings(config, "door", MODELS).events
    found = [events.for_action(name) for name in ("Dunk", "Surfing", "Jump")]
    assert [one.start_score for one in found] == [dunk, surfing, others]
    assert [one.keep_score for one in found] == pytest.approx([0.6 * dunk, 0.6 * surfing, 0.6 * others])


def test_a_keep_score_takes_precedence_over_the_models_start_score(tmp_path: Path) -> None:
    config = load(written(tmp_path, f"{SMALLEST}[actions.default]\nkeep_score = 0.35"))
    events = settings.pipeline_settings(config, "door", MODELS).events
    assert events.for_action("Dunk") == ActionSettings(start_score=0.35, keep_score=0.35)
    assert events.for_action("Surfing") == ActionSettings(start_score=0.4, keep_score=0.35)


def test_actions_that_the_model_does_not_know_are_named(tmp_path: Path) -> None:
    of_a_camera = "[cameras.door.actions.default]\n[cameras.door.actions.surfin]\n"
    config = load(written(tmp_path, f"{SMALLEST}[actions.default]\n[actions.dunk]\n[actions.Surfing]\n{of_a_camera}"))
    assert settings.unknown_actions(config, ["Dunk", "Surfing"]) == (
        "actions.dunk: the model knows no such action; did you mean Dunk?",
        "cameras.door.actions.surfin: the model knows no such action; did you mean Surfing?",
    )


def test_kind_chooses_the_linker() -> None:
    assert settings.linker(LinkerConfig(kind="korsal")) == KorsalLinker()
    assert settings.linker(LinkerConfig(low_score=0.1)) == DefaultLinker(LinkerSettings(low_score=0.1))


def test_every_setting_of_the_default_linker_has_its_key() -> None:
    assert {field.name for field in fields(LinkerSettings)} | {"kind"} == set(LinkerConfig.model_fields)


def test_every_camera_has_settings_of_its_own() -> None:
    cameras = {"door": {"source": "/dev/video0", "motion_gap_seconds": 0.12}, "yard": {"source": "/dev/video1"}}
    found = settings.all_pipeline_settings(Config.model_validate({"cameras": cameras}), MODELS)
    assert {name: one.motion_gap for name, one in found.items()} == {"door": 0.12, "yard": None}  # None: the model's
    assert {one.events.for_action("Dunk").start_score for one in found.values()} == {0.3}


def test_zones_are_of_their_camera() -> None:
    zone = ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))
    cameras = {"door": {"source": "/dev/video0", "zones": {"entrance": zone}}, "yard": {"source": "/dev/video1"}}
    found = settings.all_pipeline_settings(Config.model_validate({"cameras": cameras}))
    assert found["door"].events.zones == {"entrance": Zone(zone)}
    assert found["yard"].events.zones == {}


def test_topics_start_with_base_and_device() -> None:
    config = Config.model_validate(
        {"cameras": {"door": {"source": "/dev/video0"}}, "device": {"name": "roof"}, "mqtt": {"base": "site/a"}}
    )
    assert settings.topics(config).root == "site/a/roof"
