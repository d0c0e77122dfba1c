"""Files that count frames are read as before, and what is meant is said in one sentence."""

from pathlib import Path

import pytest

from edge.config.config_file import ConfigError, load
from edge.config.old_keys import replace_old_keys
from edge.default_linker import LinkerSettings
from tests.support.config_files import SMALLEST, written

OLD = """
[linker]
min_hits = 3
max_missed = 30
[cameras.door]
source = "/dev/video0"
frame_gap = 2
"""


def test_an_old_file_means_what_it_meant(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = load(written(tmp_path, OLD))
    assert config.linker.confirm_seconds == LinkerSettings.confirm_seconds
    assert config.linker.max_missed_seconds == LinkerSettings.max_missed_seconds
    assert config.cameras["door"].motion_gap_seconds == 0.08
    (line,) = caplog.messages
    assert line.endswith(
        "linker.min_hits = 3 is read as confirm_seconds = 0.08, linker.max_missed = 30 is read as "
        "max_missed_seconds = 1.2, cameras.door.frame_gap = 2 is read as motion_gap_seconds = 0.08: "
        "write the new keys, which count seconds, not frames"
    )


def test_a_new_file_is_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    load(written(tmp_path, SMALLEST))
    assert caplog.messages == []


def test_the_new_key_holds_where_both_stand() -> None:
    document = {"linker": {"max_missed": 5, "max_missed_seconds": 2.0}}
    assert "linker.max_missed is ignored beside max_missed_seconds" in replace_old_keys(document)
    assert document == {"linker": {"max_missed_seconds": 2.0}}


@pytest.mark.parametrize(("old", "seconds"), [(1, 0.0), (2, 0.04)])
def test_one_hit_is_no_time(old: int, seconds: float) -> None:
    document = {"linker": {"min_hits": old}}
    replace_old_keys(document)
    assert document == {"linker": {"confirm_seconds": seconds}}


@pytest.mark.parametrize("document", [{"linker": 3}, {"cameras": [1]}, {"cameras": {"door": "x"}}, {}])
def test_tables_of_another_type_are_left_to_the_schema(document: dict[str, object]) -> None:
    assert replace_old_keys(document) == ""


@pytest.mark.parametrize("value", ["0", "true", '"3"', "2.5"])
def test_what_was_wrong_before_is_still_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(ConfigError, match=r"cameras\.door\.frame_gap"):
        load(written(tmp_path, OLD.replace("frame_gap = 2", f"frame_gap = {value}")))
