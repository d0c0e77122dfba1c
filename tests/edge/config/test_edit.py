"""Changes to the text of config.toml, and to the file."""

import json
import os
import re
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import tomli as tomllib
from hypothesis import given
from hypothesis import strategies as st

from edge.config import schema
from edge.config.config_file import load
from edge.config.edit import EditError, edited, redacted, tunable_keys
from edge.config.store import can_store, store
from tests.support.other_user import NOBODY, as_nobody, everybodys_folder
from tests.support.paths import ROOT

SHIPPED = (ROOT / "config.toml").read_text()
SMALL = """# mine
[cameras.door]
source = "rtsp://user:secret@10.0.0.7/main"  # the roof
[cameras.door.zones]
# a zone
left = [[0.0, 0.0], [0.5, 0.0], [0.5, 1.0]]
# of all actions
[actions.default]
start_score = 0.5 # half
[mqtt]
username = "korsal"
"""


def comments(text: str) -> list[str]:
    return re.findall(r"#.*", text)


def test_a_value_changes_and_nothing_else() -> None:
    after = edited(SHIPPED, {"actions": {"default": {"min_duration": 0.35}}})
    changed = [(a, b) for a, b in zip(SHIPPED.splitlines(), after.splitlines(), strict=True) if a != b]
    assert [b.split("#")[0].strip() for _, b in changed] == ["min_duration = 0.35"]
    assert comments(after) == comments(SHIPPED)


def test_what_is_new_stands_in_its_table_and_all_comments_stay() -> None:
    triangle = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]
    changes = {
        "cameras": {"camera": {"zones": {"door": triangle}, "mask": [triangle]}},
        "actions": {"Basketball": {"cooldown": 5}},
        "linker": {"max_missed_seconds": 2.5},
        "telemetry": {"interval": 0.5},
        "log": {"level": "debug"},
    }
    after = edited(SHIPPED, changes)
    assert comments(after) == comments(SHIPPED)
    found = tomllib.loads(after)
    assert found["cameras"]["camera"]["zones"] == {"door": triangle}
    assert found["cameras"]["camera"]["mask"] == [triangle]
    assert found["actions"]["Basketball"] == {"cooldown": 5}
    assert (found["linker"]["max_missed_seconds"], found["telemetry"]["interval"], found["log"]["level"]) == (
        2.5,
        0.5,
        "debug",
    )
    lines = after.splitlines()
    assert lines[lines.index("[cameras.camera.zones]") + 1].startswith("door = ")


def test_null_takes_a_key_away_and_its_own_comment_with_it() -> None:
    after = edited(SMALL, {"actions": {"default": {"start_score": None}}, "cameras": {"door": {"zones": {"no": None}}}})
    assert tomllib.loads(after)["actions"] == {"default": {}}
    assert comments(after) == [comment for comment in comments(SMALL) if comment != "# half"]


def test_a_new_zone_stands_before_what_introduces_the_next_table() -> None:
    after = edited(SMALL, {"cameras": {"door": {"zones": {"right": [[0.5, 0.0], [1.0, 0.0], [1.0, 1.0]]}}}})
    lines = after.splitlines()
    assert lines.index("# of all actions") + 1 == lines.index("[actions.default]")
    assert lines.index("# of all actions") - 1 == next(i for i, line in enumerate(lines) if line.startswith("right"))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"mqtt": {"host": "elsewhere"}}, "mqtt: cannot be changed by request; edit the file"),
        ({"mqtt": {"allow_remote_config": True}}, "mqtt: cannot be changed by request; edit the file"),
        ({"cameras": {"door": {"source": "x"}}}, "cameras.door.source: cannot be changed by request; edit the file"),
        ({"cameras": {"door": None}}, "cameras.door: cannot be changed by request; edit the file"),
        ({"cameras": None}, "cameras: cannot be changed by request; edit the file"),
        ({"telemetry": 3}, "telemetry: cannot be changed by request; edit the file"),
        ({"telemetry": {}}, "telemetry: cannot be changed by request; edit the file"),
        ({"*": {"*": 1}}, "*: cannot be changed by request; edit the file"),
        ({"": 1}, ": cannot be changed by request; edit the file"),
    ],
)
def test_what_is_not_tunable_is_refused_by_name(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(EditError) as caught:
        edited(SMALL, changes)
    assert caught.value.problems == (problem,)


def test_all_that_is_refused_is_named_at_once() -> None:
    with pytest.raises(EditError) as caught:
        edited(SMALL, {"model": {"path": "x"}, "log": {"level": "debug", "file": "/etc/passwd"}})
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["model", "log.file"]


def test_tunable_are_thresholds_zones_masks_intervals_and_the_log() -> None:
    keys = {".".join(key) for key in tunable_keys()}
    assert {"linker", "actions", "cameras.*.zones", "cameras.*.mask", "telemetry.interval", "log.level"} <= keys
    closed = {"mqtt", "outbox", "device", "model", "cameras.*.source", "cameras"}
    assert not keys & closed
    assert not {key.split(".")[0] for key in keys} & {"mqtt", "outbox", "device", "model"}


def test_displayed_sources_contain_no_secrets() -> None:
    config = schema.Config.model_validate_json(json.dumps({**tomllib.loads(SMALL)}))
    text = json.dumps(redacted(config))
    assert "secret" not in text
    assert "username" not in text
    assert redacted(config)["cameras"]["door"]["zones"]["left"][1] == [0.5, 0.0]
    assert edited(SMALL, {"actions": redacted(config)["actions"]}) == SMALL  # it can be sent back as it came


names = st.text(st.sampled_from("abcXYZ .\"'\\#[]é"), min_size=1, max_size=6)
scores = st.floats(0, 1).map(lambda score: round(score, 3)) | st.none() | st.integers(0, 1)
thresholds = st.dictionaries(st.sampled_from(["start_score", "keep_score", "cooldown"]), scores, max_size=3)
changes_of_actions = st.dictionaries(names | st.just("default"), thresholds, max_size=4)


def merged(old: Any, new: Any) -> Any:
    """JSON Merge Patch, as its RFC says it."""
    if not isinstance(new, dict):
        return new
    base = old if isinstance(old, dict) else {}
    values = {**base, **{key: merged(base.get(key), value) for key, value in new.items()}}
    return {key: value for key, value in values.items() if value is not None}


@given(changes_of_actions, st.sampled_from([SMALL, "[actions]\na = {cooldown = 1}\n[log]\n", ""]))
def test_any_change_is_the_merge_and_loses_no_comment_line(changes: dict[str, Any], text: str) -> None:
    after = edited(text, {"actions": changes})
    expected = merged(tomllib.loads(text), {"actions": changes})
    assert tomllib.loads(after) == expected
    own_lines = [line for line in text.splitlines() if line.startswith("#")]
    assert [line for line in after.splitlines() if line.startswith("#")] == own_lines


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["actions", "linker", "cameras", "log", "x"]), values, max_size=3))
def test_any_requested_change_is_made_or_refused(changes: dict[str, Any]) -> None:
    try:
        after = edited(SMALL, changes)
    except EditError:
        return
    tomllib.loads(after)


def file(folder: Path, text: str = SMALL) -> Path:
    path = folder / "config.toml"
    path.write_text(text)
    return path


def test_a_stored_change_is_in_the_file_and_mode_and_link_stay(tmp_path: Path) -> None:
    path = file(tmp_path)
    path.chmod(0o640)
    link = tmp_path / "link.toml"
    link.symlink_to(path)
    assert store(link, {"log": {"level": "debug"}}) == ()
    assert link.is_symlink()
    assert load(path).log.level == "debug"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["config.toml", "link.toml"]


def test_the_owner_stays(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    path = file(tmp_path)
    os.chown(path, 12345, 23456)
    assert store(path, {"log": {"level": "debug"}}) == ()
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 23456)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"actions": {"default": {"start_score": 2}}}, "actions.default.start_score: should be less than or equal"),
        ({"actions": {"default": {"strat_score": 0.2}}}, "did you mean start_score"),
        ({"cameras": {"roof": {"zones": {"a": [[0, 0], [1, 0], [1, 1]]}}}}, "cameras.roof.source: missing"),
        ({"log": {"level": "loud"}}, "log.level: should be"),
        ({"mqtt": {"port": 1}}, "mqtt: cannot be changed by request"),
        ({"linker": {"fade": [None]}}, "edit it by hand"),
    ],
)
def test_a_wrong_change_leaves_the_file_as_it_was(tmp_path: Path, changes: dict[str, Any], problem: str) -> None:
    path = file(tmp_path)
    assert problem in "; ".join(store(path, changes))
    assert path.read_text() == SMALL
    assert [entry.name for entry in tmp_path.iterdir()] == ["config.toml"]


def test_what_only_the_caller_knows_is_asked_as_well(tmp_path: Path) -> None:
    path = file(tmp_path)
    assert store(path, {"log": {"level": "debug"}}, lambda config: [f"no {config.log.level}"]) == ("no debug",)
    assert path.read_text() == SMALL


def test_a_read_only_folder_is_reported_with_the_remedy(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can mount a read-only file system")
    path = file(tmp_path)
    mounted = subprocess.run(["mount", "--bind", str(tmp_path), str(tmp_path)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(tmp_path)], check=True)
        (problem,) = store(path, {"log": {"level": "debug"}})
    finally:
        subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)
    assert "cannot be written (Read-only file system)" in problem
    assert "where install.sh set this service up, run it again" in problem
    assert store(tmp_path / "none.toml", {"log": {"level": "debug"}})[0].endswith("or edit it by hand")


@pytest.mark.parametrize("ours", [False, True])
def test_only_a_file_of_our_own_can_be_written(ours: bool) -> None:
    """Since its owner stays, and only root can give a file away; a folder that we may write is not enough."""
    with everybodys_folder() as folder:
        path = file(folder)
        folder.chmod(0o777)
        if ours:
            os.chown(path, NOBODY, NOBODY)
        with as_nobody():
            assert can_store(path) == ours
            output = store(path, {"log": {"level": "debug"}})
        assert can_store(path)  # as root, whose file it need not be
        assert [entry.name for entry in folder.iterdir()] == ["config.toml"]
        assert (load(path).log.level == "debug") == ours
        assert ours == (output == ())
        assert ours or output[0].startswith(f"{path} cannot be written (Operation not permitted): where install.sh")


def test_paths_start_where_the_link_lies(tmp_path: Path) -> None:
    """As they do when it is read."""
    (tmp_path / "any.onnx").touch()
    (tmp_path / "remote").mkdir()
    file(tmp_path / "remote", f'{SMALL}[model]\npath = "any.onnx"\n')
    link = tmp_path / "config.toml"
    link.symlink_to("remote/config.toml")
    assert store(link, {"log": {"level": "debug"}}) == ()
    assert (load(link).log.level, load(link).model.path) == ("debug", tmp_path / "any.onnx")


def nested(depth: int) -> dict[str, Any]:
    inner: dict[str, Any] = {"start_score": 0.5}
    for _ in range(depth):
        inner = {"a": inner}
    return inner


@pytest.mark.parametrize("depth", [20, 300, 900, 5000])
def test_changes_however_deep_are_refused(depth: int, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(SMALL)
    assert store(tmp_path / "config.toml", {"actions": nested(depth)})
    assert (tmp_path / "config.toml").read_text() == SMALL


def test_a_file_of_endless_keys_is_not_read(tmp_path: Path) -> None:
    """TOML's reader took a minute, and the cameras wait."""
    path = file(tmp_path, f"{SMALL}a{'.a' * 30_000} = 1\n")
    (problem,) = store(path, {"log": {"level": "debug"}})
    assert problem == "the file cannot be changed this way (a key has too many parts): edit it by hand"


def test_at_most_a_hundred_keys_at_once() -> None:
    def zones(count: int) -> dict[str, Any]:
        return {"cameras": {"door": {"zones": {f"z{number}": [[0, 0], [1, 0], [1, 1]] for number in range(count)}}}}

    assert edited(SMALL, zones(100)).count("\nz") == 100
    with pytest.raises(EditError, match=r"^101 keys at once, and 100 are the most"):
        edited(SMALL, zones(101))


def test_in_a_long_file_fewer() -> None:
    long = SMALL + "# a line of comment\n" * 10_000
    few = {"actions": {f"a{number}": {"start_score": 0.5} for number in range(4)}}
    assert edited(long, few).count("start_score = 0.5\n") == 4
    with pytest.raises(EditError, match=r"^5 keys at once, and 4 are the most: change them in several requests"):
        edited(long, {"actions": {**few["actions"], "b": {"start_score": 0.5}}})
    with pytest.raises(EditError, match=r"^the file is longer than 1,000,000 characters: edit it by hand"):
        edited(long * 6, few)


@pytest.mark.parametrize(
    "name", ['a"]\n[mqtt]\nhost = "evil', "a]\n[mqtt", "a\r\nb", "\0", "#", '"', "'''", "a.b", "\u2028", "x" * 65_000]
)
def test_a_name_never_becomes_another_table(name: str, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(SMALL)
    before = load(file)
    reported = store(file, {"actions": {name: {"start_score": 0.4}}})
    assert reported or load(file).actions[name].start_score == 0.4
    assert load(file).model_copy(update={"actions": before.actions}) == before
