"""Files that mean harm: models, passwords, what lies in the state directory; docs/security.md names these tests."""

import io
import json
import os
import pickle
import sqlite3
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import manifest as manifests
from edge.broker import credentials, payload
from edge.broker.credentials import CredentialsError
from edge.broker.message import Message
from edge.broker.outbox import Outbox, OutboxLimits
from edge.config.schema import MqttConfig
from edge.engines import onnxruntime_engine
from edge.inference import EngineError
from tests.support.broker import Broker, Subscriber
from tests.support.paths import ROOT
from tests.support.ports import free_port
from tests.support.publishing import at, event, numbers, publishing
from tests.support.started_daemon import write_config, write_video
from tests.support.tiny_model import LABELS, MANIFEST, SIZE, write_tiny_model
from tests.support.waiting import PATIENCE, wait_for


class Trap:
    """Makes a folder when it is unpickled by anything that obeys."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.folder),)


def as_pickle(trap: Trap) -> bytes:
    return pickle.dumps(trap, protocol=2)


def as_torch_writes_it(trap: Trap) -> bytes:
    """The zip archive of a checkpoint, with the trap for its content."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("model/data.pkl", as_pickle(trap))
        archive.writestr("model/version", "3\n")
    return content.getvalue()


def behind_the_tag_of_an_engine(trap: Trap) -> bytes:
    return b"ftrt" + bytes(24) + as_pickle(trap)


@pytest.mark.parametrize("name", ["tiny.onnx", "tiny.engine"])
@pytest.mark.parametrize("write", [as_pickle, as_torch_writes_it, behind_the_tag_of_an_engine])
def test_a_model_that_is_a_pickle_is_refused_and_runs_nothing(
    write: Callable[[Trap], bytes], name: str, tmp_path: Path
) -> None:
    marker = tmp_path / "obeyed"
    content = write(Trap(marker))
    write_video(tmp_path / "video.avi", "#" * 3)
    config = write_config(tmp_path, free_port(), {"door": "video.avi"})
    config.write_text(config.read_text().replace('"tiny.onnx"', f'"{name}"').replace('"onnxruntime"', '"auto"'))
    (tmp_path / name).write_bytes(content)
    command = [sys.executable, "-m", "edge", "run", "--config", str(config)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == 1
    assert f"{name}: is " in done.stderr
    assert "Traceback" not in done.stderr
    assert not marker.exists()
    start = content.index(b"\x80\x02")
    pickle.loads(content[start:] if write is not as_torch_writes_it else as_pickle(Trap(marker)))
    assert marker.exists(), "so that this test could fail"


def test_a_model_that_asks_for_all_memory_is_refused(tmp_path: Path) -> None:
    """Some bytes that make 10^13 numbers."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'korsal-edge[train]'")
    helper, kinds = onnx.helper, onnx.TensorProto
    shape = helper.make_tensor("shape", kinds.INT64, [3], [100_000, 100_000, 1000])
    nodes = [
        helper.make_node("Constant", [], ["shape"], value=shape),
        helper.make_node("ConstantOfShape", ["shape"], ["giant"]),
        helper.make_node("ReduceMax", ["giant"], ["scores"], keepdims=0),
    ]
    image = helper.make_tensor_value_info("image", kinds.FLOAT, [1, 3, SIZE, SIZE])
    outputs = [helper.make_tensor_value_info("scores", kinds.FLOAT, [])]
    model = helper.make_model(
        helper.make_graph(nodes, "bomb", [image], outputs), opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    helper.set_model_props(model, {manifests.METADATA_KEY: manifests.to_json(MANIFEST)})
    onnx.save(model, str(tmp_path / "bomb.onnx"))
    with pytest.raises(EngineError, match=r"bomb\.onnx: "):
        onnxruntime_engine.load(tmp_path / "bomb.onnx")


def endless(path: Path) -> Path:
    """The tiny model with a Loop of 2^62 rounds before its answer."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'korsal-edge[train]'")
    helper, kinds = onnx.helper, onnx.TensorProto
    number, truth = helper.make_tensor_value_info, helper.make_tensor
    body = helper.make_graph(
        [helper.make_node("Identity", ["on"], ["still_on"]), helper.make_node("Add", ["x", "x"], ["y"])],
        "body",
        [number("round", kinds.INT64, []), number("on", kinds.BOOL, []), number("x", kinds.FLOAT, [1])],
        [number("still_on", kinds.BOOL, []), number("y", kinds.FLOAT, [1])],
    )
    constants = {
        "rounds": truth("rounds", kinds.INT64, [], [2**62]),
        "yes": truth("yes", kinds.BOOL, [], [True]),
        "zero": truth("zero", kinds.FLOAT, [1], [0.0]),
    }
    loop = [helper.make_node("Constant", [], [name], value=value) for name, value in constants.items()]
    loop.append(helper.make_node("Loop", ["rounds", "yes", "zero"], ["late"], body=body))
    return _delayed(path, loop)


def folded(path: Path) -> Path:
    """The tiny model with products of constants that ONNX Runtime reckons for minutes while it opens the file."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'korsal-edge[train]'")
    helper, kinds = onnx.helper, onnx.TensorProto
    shape = helper.make_tensor("shape", kinds.INT64, [2], [5000, 5000])
    nodes = [
        helper.make_node("Constant", [], ["shape"], value=shape),
        helper.make_node("ConstantOfShape", ["shape"], ["product0"]),
        *(helper.make_node("MatMul", [f"product{i}"] * 2, [f"product{i + 1}"]) for i in range(200)),
        helper.make_node("ReduceMax", ["product200"], ["late"], keepdims=0),
    ]
    return _delayed(path, nodes)


def _delayed(path: Path, before: list[Any]) -> Path:
    """The tiny model, whose answer waits for `late`, which these nodes give."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'korsal-edge[train]'")
    model = onnx.load(write_tiny_model(path))
    nodes = list(model.graph.node)
    place = next(index for index, node in enumerate(nodes) if node.op_type == "Mul")
    nodes[place].output[0] = "early"
    added = onnx.helper.make_node("Add", ["early", "late"], ["logit"])
    del model.graph.node[:]
    model.graph.node.extend([*before, *nodes[: place + 1], added, *nodes[place + 1 :]])
    onnx.save(model, str(path))
    return path


@pytest.mark.parametrize("make", [endless, folded])
def test_a_model_that_never_answers_is_given_up(make: Callable[[Path], Path], tmp_path: Path) -> None:
    """In a process of its own, whose end shows that nothing of it goes on, and which can still print."""
    program = """
import sys
from pathlib import Path
from edge.engines import deadline, onnxruntime_engine, onnxruntime_opening
from edge.inference import EngineError
onnxruntime_opening.LOAD_SECONDS, deadline.STOP_SECONDS = 2.0, 1.0
try:
    onnxruntime_engine.load(Path(sys.argv[1]), threads=1)
except EngineError as error:
    print(error)
"""
    command = [sys.executable, "-c", program, str(make(tmp_path / "endless.onnx"))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    assert "endless.onnx: did not open and answer within 2 s; it computes without end" in done.stdout


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"height": 10**9}, "height must be less than or equal to 4096"),
        ({"top_k": 10**9}, "top_k must be less than or equal to 4096"),
        ({"labels": [f"label {number}" for number in range(100_000)]}, "has 100000 names, and 4096 are the most"),
        ({"labels": [*LABELS, "Third"]}, "but its manifest says"),
        ({"height": 96}, "but its manifest says"),
        ({"top_k": 7}, "but its manifest says"),
        ({"motion": {"kind": "ssim", "shifts": True, "gap": 1}}, "but its manifest says"),
    ],
)
def test_a_manifest_that_lies_is_caught(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'korsal-edge[train]'")
    write_config(tmp_path, 1883, {"door": "video.avi"})
    model = onnx.load(str(tmp_path / "tiny.onnx"))
    text = {**json.loads(manifests.to_json(MANIFEST)), **changes}
    onnx.helper.set_model_props(model, {manifests.METADATA_KEY: json.dumps(text)})
    onnx.save(model, str(tmp_path / "lies.onnx"))
    with pytest.raises(EngineError, match=message):
        onnxruntime_engine.load(tmp_path / "lies.onnx")


def stored(outbox: Outbox) -> list[int]:
    return [row.message.seq for row in outbox.pending(0, 100)]


@pytest.mark.parametrize("content", [b"root:x:0:0\n" * 1000, b"", bytes(100_000)])
def test_a_link_in_the_place_of_the_outbox_does_not_spoil_a_file_that_is_none(content: bytes, tmp_path: Path) -> None:
    precious, place = tmp_path / "precious", tmp_path / "state" / "roof.outbox.sqlite"
    place.parent.mkdir()
    precious.write_bytes(content)
    place.symlink_to(precious)
    outbox = Outbox(place, OutboxLimits())
    outbox.put([event(0)], time.time())
    assert stored(outbox) == [0]
    outbox.close()
    if content:
        assert precious.read_bytes() == content
        assert [path.readlink() for path in place.parent.glob("*.damaged-*")] == [precious]


@pytest.mark.parametrize("kind", ["folder", "pipe", "dangling", "loop", "device"])
def test_what_is_no_file_in_the_place_of_the_outbox_costs_no_event(kind: str, tmp_path: Path) -> None:
    place = tmp_path / "roof.outbox.sqlite"
    make: dict[str, Callable[[], object]] = {
        "folder": place.mkdir,
        "pipe": lambda: os.mkfifo(place),
        "dangling": lambda: place.symlink_to(tmp_path / "none" / "none"),
        "loop": lambda: place.symlink_to(place),
        "device": lambda: place.symlink_to("/dev/null"),
    }
    make[kind]()
    outbox = Outbox(place, OutboxLimits())
    outbox.put([event(0), event(1)], time.time())
    assert stored(outbox) == [0, 1]
    outbox.close()


@pytest.mark.parametrize("table", ["messages (id INTEGER PRIMARY KEY, other TEXT)", "theirs (number INTEGER)"])
def test_a_foreign_database_keeps_its_tables(table: str, tmp_path: Path) -> None:
    place = tmp_path / "roof.outbox.sqlite"
    with sqlite3.connect(place) as theirs:
        theirs.execute(f"CREATE TABLE {table}")
    theirs.close()
    outbox = Outbox(place, OutboxLimits())
    outbox.put([event(0)], time.time())
    assert stored(outbox) == [0]
    outbox.close()
    found = [path for path in tmp_path.glob("roof.outbox.sqlite*") if path.suffix not in (".sqlite-wal", ".sqlite-shm")]
    names = {row[0] for path in found for row in sqlite3.connect(path).execute("SELECT name FROM sqlite_master")}
    assert table.partition(" ")[0] in names


@pytest.mark.parametrize("kind", ["folder", "pipe", "none", "giant", "no text", "NUL"])
def test_an_invalid_password_file_gives_a_one_sentence_error(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "password"
    make: dict[str, Callable[[], object]] = {
        "folder": file.mkdir,
        "pipe": lambda: os.mkfifo(file),
        "none": lambda: None,
        "giant": lambda: os.truncate(_touched(file), 1 << 40),
        "no text": lambda: file.write_bytes(b"\xff\xfe"),
        "NUL": lambda: None,
    }
    make[kind]()
    settings = MqttConfig(username="korsal").model_copy(
        update={"password_file": Path("a\0b") if kind == "NUL" else file}
    )
    with pytest.raises(CredentialsError, match="check"):
        credentials.password(settings)


def _touched(file: Path) -> Path:
    file.touch()
    return file


def test_a_password_is_the_first_line(tmp_path: Path) -> None:
    (tmp_path / "password").write_bytes(b"correct horse \r\nbattery")
    settings = MqttConfig(username="korsal", password_file=tmp_path / "password")
    assert credentials.password(settings) == "correct horse "


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
EVENT = {"type": "new", "seq": 0, "started": "2026-01-31T12:00:00.000Z", "duration": 1.5, "event_id": "a"}


@given(st.dictionaries(st.sampled_from(sorted(EVENT)), JSON, max_size=3), st.binary(max_size=20))
def test_any_open_event_is_ended_or_forgotten(changes: dict[str, Any], junk: bytes) -> None:
    texts = [json.dumps({**EVENT, **changes}).encode(), junk]
    steps = [Message("korsal/roof/door/actions/Run", text, str(n), 0, "new", 1e12) for n, text in enumerate(texts)]
    found = payload.end_interrupted(steps, 1_800_000_000.0, 1e12)
    assert len(found.ends) + len(found.unreadable) == 2
    for end in found.ends:
        assert json.loads(end.payload)["type"] == "end"


STRANGE_ROWS = {
    "topic": b"\xff",
    "payload": "text",
    "event_id": b"\xff",
    "seq": "many",
    "type": b"new",
    "expires": "never",
}


@pytest.mark.parametrize("column", STRANGE_ROWS)
def test_a_row_of_another_kind_costs_itself_alone(column: str, tmp_path: Path) -> None:
    """SQLite itself finds nothing wrong with it; the publisher would end by it at every start."""
    place = tmp_path / "roof.outbox.sqlite"
    outbox = Outbox(place, OutboxLimits())
    outbox.put([event(0, "a"), event(0, "b"), event(1, "b")], time.time())
    outbox.close()
    with sqlite3.connect(place) as spoiling:
        for table in ("messages", "open_events"):
            spoiling.execute(f"UPDATE {table} SET {column} = ? WHERE event_id = 'a'", (STRANGE_ROWS[column],))
    spoiling.close()
    outbox = Outbox(place, OutboxLimits())
    assert [(row.message.event_id, row.message.seq) for row in outbox.pending(0, 10)] == [("b", 0), ("b", 1)]
    assert [message.event_id for message in outbox.open_events()] == ["b"]
    assert outbox.statistics().damaged == 1
    assert outbox.statistics().rows == 2
    outbox.close()
    again = Outbox(place, OutboxLimits())
    assert again.statistics().damaged == 1
    again.close()


@pytest.mark.parametrize("expires", [1e10, 1e300, float("inf")])
def test_what_a_clock_of_another_century_has_stamped_is_sent(expires: float, tmp_path: Path) -> None:
    with Broker(tmp_path) as broker, Subscriber(broker.port) as subscriber, publishing(at(broker)) as publisher:
        publisher.publish_event(replace(event(0), expires=expires))
        wait_for(lambda: numbers(subscriber) == [0], "the event")
