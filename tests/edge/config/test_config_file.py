import dataclasses
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from edge.config.actions import action_settings
from edge.config.config_file import ConfigError, fingerprint, load
from edge.config.error_messages import messages
from edge.config.schema import Config, LinkerConfig
from edge.default_linker import LinkerSettings
from edge.event_settings import ActionSettings
from edge.sensors.thermal import ThermalSettings
from tests.support.config_files import SMALLEST, written
from tests.support.paths import ROOT

SHIPPED = ROOT / "config.toml"


def problems(folder: Path, text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load(written(folder, text))
    return caught.value.problems


def uncommented(text: str) -> str:
    """The shipped file with everything set that it only names."""
    return re.sub(r"^#(?=\[|[a-z_]+ = )", "", text, flags=re.MULTILINE)


def test_the_shipped_file_holds_exactly_the_defaults(tmp_path: Path) -> None:
    shipped, smallest = load(SHIPPED), load(written(tmp_path, SMALLEST))
    camera = smallest.cameras["door"]
    assert {name: camera.model_dump() for name, camera in shipped.cameras.items()} == {"camera": camera.model_dump()}
    assert action_settings(shipped.actions, "Dunk") == ActionSettings()
    rest = {"cameras", "actions"}
    assert shipped.model_dump(exclude=rest) == smallest.model_dump(exclude=rest)


def test_every_key_is_documented_in_the_shipped_file(tmp_path: Path) -> None:
    for name in ("model.onnx", "password", "ca.crt", "client.crt", "client.key", "web-password", "web.crt", "web.key"):
        (tmp_path / name).touch()
    everything = load(written(tmp_path, uncommented(SHIPPED.read_text())))
    assert unset(everything) == []


def unset(table: BaseModel, path: str = "") -> list[str]:
    """Keys of the schema that the file has not set."""
    missing = [f"{path}{key}" for key in type(table).model_fields if key not in table.model_fields_set]
    for key in type(table).model_fields:
        value = getattr(table, key)
        inner = value.items() if isinstance(value, dict) else [(key, value)]
        for name, part in inner:
            if isinstance(part, BaseModel):
                missing += unset(part, f"{path}{name}.")
    return missing


def test_every_documented_key_has_a_comment() -> None:
    keys = [line for line in SHIPPED.read_text().splitlines() if re.match(r"#?[a-z_]+ = ", line)]
    assert len(keys) > 40
    assert [line for line in keys if not re.search(r"\s# ", line) and not line.startswith("#entrance")] == []


def test_the_thermal_table_is_what_leaves_frames_out(tmp_path: Path) -> None:
    assert load(SHIPPED).thermal.settings() == ThermalSettings()
    config = load(written(tmp_path, SMALLEST + "[thermal]\nlimit = 80.0\nmost_skipped = 0.5\n"))
    assert config.thermal.settings() == ThermalSettings(80.0, None, 0.5)
    assert problems(tmp_path, SMALLEST + "[thermal]\nlimit = 80.0\nresume = 81.0\n") == (
        "thermal.resume: resume 81.0 is above limit 80.0: lower it",
    )


@pytest.mark.parametrize("address", ["localhost", "", "10.0.0", "127.0.0.1:80", "::1%eth0/8"])
def test_the_page_s_address_is_one(tmp_path: Path, address: str) -> None:
    (problem,) = problems(tmp_path, f'{SMALLEST}[metrics]\naddress = "{address}"\n')
    assert problem == "metrics.address: should be an IP address of this machine, such as 127.0.0.1"


def test_the_linkers_table_is_what_the_linker_takes() -> None:
    fields = {field.name: field.default for field in dataclasses.fields(LinkerSettings)}
    assert {name: field.default for name, field in LinkerConfig.model_fields.items()} == {"kind": "default", **fields}


def test_all_problems_are_reported_at_once_each_with_its_key(tmp_path: Path) -> None:
    text = """
    [device]
    nam = "roof"
    [cameras.door]
    fps = "3"
    width = 0
    zones.entrance = [[0, 0], [2, 0], [0, 1]]
    zones.line = [[0, 0], [1, 1]]
    [cameras."a/b"]
    source = 3
    [cameras.file]
    source = "video.mp4"
    fps = 3
    [actions.Jump]
    start_score = nan
    cooldown = "2 s"
    [linker]
    kind = "korsl"
    [mqtt]
    port = 99999
    version = 4
    hosst = "a"
    password_file = "none"
    [mqtt.tls]
    cert = "none"
    [log]
    level = 2020-01-01
    [outbox]
    max_rows = 1.5
    [telemetry]
    interval = true
    """
    assert problems(tmp_path, text) == (
        "device.nam: unknown key; did you mean name?",
        'cameras.door.source: missing; add source = "/dev/video0"',
        "cameras.door.width: should be greater than or equal to 1, is 0",
        "cameras.door.fps: should be a number, is '3'",
        "cameras.door.zones.entrance: its points should be fractions of the frame's width and height, from 0 to 1, "
        "and one is 2: divide pixels by the size of the frame",
        "cameras.door.zones.line: should have at least 3 entries, is [[0, 0], [1, 1]]",
        "cameras.a/b: name it with 1 to 64 of the characters A-Z a-z 0-9 _ - (it becomes part of a topic)",
        'cameras.a/b.source: should be a string ("...")',
        "cameras.file.fps: is not for a file, which has its own: remove it, or set loop = true",
        "linker.kind: should be 'default' or 'korsal', is 'korsl'",
        "actions.Jump.start_score: should be a finite number, is nan",
        "actions.Jump.cooldown: should be a number, is '2 s'",
        "mqtt.port: should be less than or equal to 65535, is 99999",
        "mqtt.version: should be 5 or 3, is 4",
        "mqtt.tls.key: missing, although cert is given; give both or neither",
        "mqtt.hosst: unknown key; did you mean host?",
        "outbox.max_rows: should be a whole number, is 1.5",
        "telemetry.interval: should be a number, is true",
        "log.level: should be 'debug', 'info', 'warning' or 'error', is '2020-01-01'",
        "mqtt.username: missing, although password_file is given; add it",
        f"mqtt.password_file: no such file: {tmp_path}/none; correct the path or leave the key out",
        f"mqtt.tls.cert: no such file: {tmp_path}/none; correct the path or leave the key out",
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", 'cameras: missing; add a table [cameras.door] with source = "/dev/video0" in it'),
        ("[cameras]", "cameras: should have at least 1 entries"),
        ("cameras = 3", "cameras: should be a table, is 3"),
        (f"mqtt = 3\n{SMALLEST}", "mqtt: should be a table, is 3"),
        (f"{SMALLEST}[mqtt]\npassword_file = 'config.toml'", "mqtt.username: missing, although password_file is given"),
        (
            f"{SMALLEST}[actions.default]\nstart_score = 0.1\n[actions.Dunk]\nkeep_score = 0.9",
            "actions.Dunk.keep_score: keep_score 0.9 is above start_score 0.1",
        ),
        (f"{SMALLEST}[device]\nname = 'roof/+'", "device.name: name it with 1 to 64 of the characters"),
        (f"{SMALLEST}[mqtt]\nbase = 'a//b'", "mqtt.base: should be levels of A-Z a-z 0-9 _ - joined by /"),
        (f"{SMALLEST}[mqtt]\nhost = ' '", "mqtt.host: should be a line of printable characters, not empty"),
        (
            f"{SMALLEST}[mqtt]\nhost = 'broker:1883'",
            "mqtt.host: should be a name or an address alone: write the port as",
        ),
        (f"{SMALLEST}[mqtt]\nhost = '[::1]'", "mqtt.host: should be a name or an address alone: write the port as"),
        (f"{SMALLEST}[model]\npath = 'none.onnx'", "model.path: no such file: "),
        (
            f"{SMALLEST}[model]\nruntime = 'cuda'",
            "model.runtime: should be 'auto', 'tensorrt' or 'onnxruntime', is 'cuda'",
        ),
        (
            f"{SMALLEST}[model]\nprecision = 'int4'",
            "model.precision: should be 'auto', 'fp32', 'fp16' or 'int8', is 'int4'",
        ),
        (f"{SMALLEST}[model]\nmax_batch = 0", "model.max_batch: should be greater than or equal to 1, is 0"),
        (f"{SMALLEST}[model]\nworkspace = '1 GiB'", "model.workspace: should be a whole number, is '1 GiB'"),
        (f"{SMALLEST}width = 640", "cameras.door.width: is given without height: give both or neither"),
        ('[cameras.door]\nsource = "gopher://x"', "cameras.door.source: gopher://x: unknown kind of source 'gopher'"),
        ("[cameras.door\n", "is not TOML: Expected ']' at the end of a table declaration (at line 1, column 14)"),
        (f"{SMALLEST}[other]\n{'a.' * 5000}b = 1", "is nested too deeply"),
        (f"{SMALLEST}[{'.'.join('a' * 3000)}]", "is nested too deeply"),
        (f"{SMALLEST}[other]\nb = {'[' * 3000}{']' * 3000}", "is nested too deeply"),
        (f"{SMALLEST}[mqtt]\nport = {'9' * 5000}", "holds a number of thousands of digits"),
        (f"{SMALLEST}[mqtt]\nport = 0x{'f' * 5000}", "holds a number of thousands of digits"),
        (f"{SMALLEST}[model]\npath = '{'a' * 9999}'", "model.path: no such file: "),
        (f'{SMALLEST}[model]\npath = "a\\u0000b"', "model.path: a path cannot contain a NUL character: remove it"),
        (f'{SMALLEST}[outbox]\ndirectory = "a\\u0000b"', "outbox.directory: a path cannot contain a NUL character"),
        (SMALLEST * 2, "is not TOML: Cannot declare ('cameras', 'door') twice (at line 3, column 14)"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, problem: str) -> None:
    assert [line for line in problems(tmp_path, text) if line.startswith(problem)]


SHARES = "its points should be fractions of the frame's width and height, from 0 to 1, and one is"
PIXELS = "divide pixels by the size of the frame"


@pytest.mark.parametrize("key", ["zones.entrance", "mask"])
def test_a_zone_in_pixels_gives_a_one_sentence_error(tmp_path: Path, key: str) -> None:
    drawn = "[[0, 0], [320, 0], [320, 240]]"
    text = f"{SMALLEST}{key} = {drawn if key != 'mask' else f'[{drawn}]'}\n"
    place = "zones.entrance" if key != "mask" else "mask.0"
    assert problems(tmp_path, text) == (f"cameras.door.{place}: {SHARES} 320: {PIXELS}",)


def test_contradictions_between_values_are_reported_beside_all_other_problems(tmp_path: Path) -> None:
    text = """
    hello = 1
    [cameras.door]
    fps = 0.1
    width = "wide"
    actions.Dunk.keep_score = 0.9
    actions.Dunk.start_score = 0.2
    zones.all = [[0, 0], [640, 0], [0, 480]]
    [cameras."a b"]
    source = "/dev/video1"
    actions.Dunk.keep_score = 0.8
    actions.Dunk.start_score = 0.3
    [actions.default]
    start_score = 0.1
    [actions.Jump]
    keep_score = 0.9
    cooldown = "long"
    [actions.Run]
    start_score = "high"
    keep_score = 0.9
    [mqtt]
    port = "x"
    password_file = "config.toml"
    [mqtt.tls]
    key = "config.toml"
    [thermal]
    limit = 70.0
    resume = 80.0
    most_skipped = 2
    """
    found = problems(tmp_path, text)
    assert {problem.split(":")[0] for problem in found} == {
        "hello",
        "cameras.door.source",
        "cameras.door.width",
        "cameras.door.zones.all",
        "cameras.door.stall_seconds",
        "cameras.door.actions.Dunk.keep_score",
        "cameras.a b",
        "cameras.a b.actions.Dunk.keep_score",
        "actions.Jump.cooldown",
        "actions.Jump.keep_score",
        "actions.Run.start_score",  # and no word of its keep_score, which may be right beside another start_score
        "mqtt.port",
        "mqtt.username",
        "mqtt.tls.cert",
        "thermal.most_skipped",
        "thermal.resume",
    }
    assert len(found) == 16


def test_thousands_of_problems_are_not_all_reported(tmp_path: Path) -> None:
    found = problems(tmp_path, SMALLEST + "".join(f"k{number} = 1\n" for number in range(5000)))
    assert (len(found), found[-1]) == (201, "and more problems; fix these first")


def test_a_file_that_would_take_seconds_to_read_is_refused_at_once(tmp_path: Path) -> None:
    """A reload reads it between two frames: a key of 100,000 parts took TOML's reader two minutes."""
    long = f"a{'.a' * 100_000} = 1\n"
    for text in (
        long,
        f"[{long.partition(' ')[0]}]\n",
        long.replace("a", '"a"', 1),
        long.replace(".", " . ")[:200_000],
    ):
        assert problems(tmp_path, SMALLEST + text) == (
            "is nested too deeply; write flat tables as the shipped config.toml does",
        )
    assert problems(tmp_path, SMALLEST + "# a comment\n" * 30_000) == (
        "is larger than 256 KiB; draw zones and masks with fewer points",
    )
    dots = "".join(f"z{n} = [{', '.join('[0.5, 0.25]' for _ in range(60))}]\n" for n in range(99))
    load(written(tmp_path, f"{SMALLEST}# 1.2.3.4.5.6\n[cameras.door.zones]\n{dots}"))


def test_a_file_that_cannot_be_read_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no such file; copy the shipped config\.toml there"):
        load(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b"# gr\xfc\xdfe")
    with pytest.raises(ConfigError, match=r"is not UTF-8 text \(byte 4\)"):
        load(tmp_path / "latin.toml")
    with pytest.raises(ConfigError, match="nested too deeply"):
        load(written(tmp_path, "a = " + "[" * 100_000))


def test_relative_paths_start_at_the_files_folder(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").touch()
    text = '[model]\npath = "model.onnx"\n[cameras.a]\nsource = "clip.mp4"\n[cameras.b]\nsource = "rtsp://host/x"\n'
    config = load(written(tmp_path, f'{text}[outbox]\ndirectory = "state"\n'))
    assert config.model.path == tmp_path / "model.onnx"
    assert config.cameras["a"].source == str(tmp_path / "clip.mp4")
    assert config.cameras["b"].source == "rtsp://host/x"
    assert config.outbox.directory == tmp_path / "state"


def test_credentials_are_never_shown(tmp_path: Path) -> None:
    text = '[cameras.a]\nsource = "rtsp://me:horse@host/x"\n[mqtt]\nusername = "horse"\n'
    config = load(written(tmp_path, text))
    assert "horse" not in repr(config)
    assert "horse" not in str(config)
    wrong = '[cameras.a]\nsource = "rtsp://me:horse@host:x/y"\n[mqtt]\nusername = ["horse"]\npassword_file = "horse"'
    reported = problems(tmp_path, wrong)
    assert len(reported) == 3
    assert [line for line in reported if "horse" in line and "password_file" not in line] == []


@pytest.mark.parametrize(
    "text",
    [
        "[cameras]\ndoor = 'rtsp://admin:hunter2@roof/live'",
        "cameras = ['rtsp://admin:hunter2@roof/live']",
        "[[cameras]]\nsource = 'rtsp://admin:hunter2@roof/live'",
        "[cameras.door]\nsource = ['rtsp://admin:hunter2@roof/live']",
        "[cameras.door.source]\nurl = 'rtsp://admin:hunter2@roof/live'",
        "[cameras.door]\nsource = 'x'\nwidth = 'rtsp://admin:hunter2@roof/live'",
        f"[cameras.door]\nsource = 'rtsp://admin:hunter2@roof/live'\n[x]\ny = {'{a = ' * 300}1{'}' * 300}",
        "[cameras.door]\nsource = 'rtsp://admin:hunter2@'",
        "[cameras.door]\nsource = 'rtsp:/admin:hunter2@roof/live'",
        "[cameras.door]\nsource = 'RTSP:admin:hunter2@roof/live'",
        "[cameras.door]\nsource = 'gopher://admin:hunter2@roof'",
        "[cameras.door]\nsource = 'rtsp://admin:hunter2@roof:port/'",
        "mqtt = 'mqtt://admin:hunter2@roof'\n[cameras.door]\nsource = 'x'",
    ],
)
def test_problems_around_a_credential_never_repeat_it(tmp_path: Path, text: str) -> None:
    reported = problems(tmp_path, text)
    assert reported
    assert "hunter2" not in "".join(reported)


def test_the_fingerprint_follows_the_settings_but_not_the_credentials(tmp_path: Path) -> None:
    prints = [
        fingerprint(load(written(tmp_path, f'[cameras.a]\nsource = "{source}"\n[telemetry]\ninterval = {interval}')))
        for source, interval in [("rtsp://a:b@h/x", 1), ("rtsp://a:c@h/x", 1), ("rtsp://a:b@h/x", 2)]
    ]
    assert prints[0] == prints[1] != prints[2]
    assert re.fullmatch(r"[0-9a-f]{12}", prints[0])


def test_thresholds_that_contradict_each_other_after_merging_are_named_by_path(tmp_path: Path) -> None:
    text = """
    [actions.Dunk]
    start_score = 0.3
    [cameras.door]
    source = "/dev/video0"
    [cameras.door.actions.default]
    start_score = 0.9
    keep_score = 0.5
    [cameras.door.actions.Surfing]
    start_score = 0.4
    """
    assert problems(tmp_path, text) == (
        "cameras.door.actions.Surfing.keep_score: keep_score 0.5 is above start_score 0.4: lower it",
        "cameras.door.actions.default.keep_score: keep_score 0.5 is above start_score 0.3: lower it",
    )


def test_where_a_keep_score_is_above_several_the_lowest_start_score_is_named(tmp_path: Path) -> None:
    general = "[actions.Dunk]\nstart_score = 0.2\n[actions.Surfing]\nstart_score = 0.25\n"
    camera = "[cameras.door.actions.default]\nstart_score = 0.1\nkeep_score = 0.3\n"
    assert problems(tmp_path, f"{SMALLEST}{general}{camera}") == (
        "cameras.door.actions.default.keep_score: keep_score 0.3 is above start_score 0.1: lower it",
    )


def test_the_options_of_a_camera(tmp_path: Path) -> None:
    text = """
    [cameras.door]
    source = "video.mp4"
    loop = true
    width = 640
    height = 480
    fps = 5
    flip = "vertical"
    rotation = 270
    stall_seconds = 60
    motion_gap_seconds = 0.12
    mask = [[[0, 0], [0.5, 0], [0, 0.5]]]
    """
    camera = load(written(tmp_path, text)).cameras["door"]
    source = camera.to_source()
    assert (source.live, source.size, source.fps) == (True, (640, 480), 5.0)
    assert (source.flip, source.rotation, source.mask) == ("vertical", 270, (((0, 0), (0.5, 0), (0, 0.5)),))
    assert (camera.stall_seconds, camera.motion_gap_seconds) == (60, 0.12)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("rotation = 45", "rotation: should be 0, 90, 180 or 270, is 45"),
        ("motion_gap_seconds = 0", "motion_gap_seconds: should be greater than or equal to 0.001, is 0"),
        ("stall_seconds = 0", "stall_seconds: should be greater than or equal to 1, is 0"),
        ("fps = 0.2", "stall_seconds: is too short for 0.2 frames per second: give 10"),
        ("mask = [[[0, 0], [1, 1]]]", "mask.0: should have at least 3 entries, is [[0, 0], [1, 1]]"),
        ("mask = [[0, 0], [1, 1]]", "mask.0.0: should be an array, is 0"),
        ("actions.Dunk.start = 1", "actions.Dunk.start: unknown key; did you mean start_score?"),
        ("loop = true", "loop: is for files: remove it"),
        ('tiles = "0x1"', "tiles: should be 1 to 8 columns and 1 to 8 rows, is 0x1"),
        ("tiles = 2", 'tiles: should be a string ("..."), is 2'),
        ("region = [0, 0, 0, 1]", "region: has no area: its third and fourth number are its width and height, above 0"),
        (
            "region = [0.5, 0, 1, 1]",
            "region: ends at 1.5, beyond the right edge of the frame: it is x, y, width, height, not two corners",
        ),
        ("region = [0, 0, 1]", "region: should be four fractions of the frame, [x, y, width, height], and has 3"),
        ("tile_overlap = 0.6", "tile_overlap: should be less than or equal to 0.5, is 0.6"),
    ],
)
def test_a_wrong_option_of_a_camera_is_named_by_path(tmp_path: Path, line: str, problem: str) -> None:
    assert problems(tmp_path, f"{SMALLEST}{line}\n")[0] == f"cameras.door.{problem}"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*Config.model_fields, "other"]), VALUES, max_size=4))
def test_any_document_is_either_a_config_or_a_list_of_sentences(document: dict[str, object]) -> None:
    try:
        Config.model_validate_json(json.dumps(document))
    except ValidationError as error:
        reported = messages(error, Config)
        assert reported
        assert all(": " in sentence for sentence in reported)
