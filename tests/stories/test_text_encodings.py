"""Text from any editor: with a byte order mark, of another encoding, of another Unicode form; wherever one is read."""

import json
import unicodedata
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert.export import scores
from convert.published_file import _names_in
from convert.torch_export import ExportError
from edge.broker.credentials import CredentialsError, password, tls_context
from edge.config.config_file import ConfigError, load
from edge.config.error_messages import suggestion
from edge.config.schema import MqttConfig, TlsConfig
from edge.config.store import store
from edge.text import TextError, decode_utf8, near_duplicates, sanitized, shortened, to_nfc
from tests.support.annotation_files import COCO, box, coco, written
from train.box_tables import Tube
from train.checkpoint import CheckpointError
from train.datasets import loader
from train.datasets.annotation_records import AnnotationError, DataSet
from train.datasets.coco import read_coco
from train.datasets.cvat import read_cvat
from train.datasets.split_lists import list_of_names
from train.evaluation import start_scores
from train.evaluation.detection_file import SavedDetections
from train.evaluation.external_formats import VideoIndex, read_yowo, write_yowo
from train.evaluation.moc_tubes import read_moc_tubes, write_moc_tubes
from train.evaluation.shared_labels import shared_labels
from train.evaluation.splits import EvaluationError
from train.evaluation.tube_file import SavedTube, SavedTubes
from train.evaluation.video_evaluation import label_indices

Form = Literal["NFC", "NFD"]
OTHER_FORM: dict[Form, Form] = {"NFC": "NFD", "NFD": "NFC"}

MARK = b"\xef\xbb\xbf"
CONFIG = '[cameras.door]\r\nsource = "rtsp://10.0.0.7/main"  # the roof\r\n'
UTF16 = ["utf-16", "utf-16-le", "utf-16-be", "utf-32"]


@given(st.text())
def test_a_byte_order_mark_changes_no_text(text: str) -> None:
    content = text.encode("utf-8", "replace")
    if b"\0" not in content[:2] and not content.startswith(MARK):
        assert decode_utf8(content) == decode_utf8(MARK + content) == content.decode()


@pytest.mark.parametrize("encoding", UTF16)
def test_another_encoding_is_named(encoding: str) -> None:
    with pytest.raises(TextError, match=r"^is saved as UTF-(16|32).*; save it as UTF-8$"):
        decode_utf8("word".encode(encoding))


def test_what_is_no_text() -> None:
    assert decode_utf8(b"") == decode_utf8(MARK) == decode_utf8(MARK + MARK) == ""
    with pytest.raises(TextError, match=r"^is not UTF-8 text \(byte 2\); save it as UTF-8$"):
        decode_utf8(b"gr\xfcn")
    with pytest.raises(TextError, match="Notepad"):
        decode_utf8("word".encode("utf-16"))


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        ((), []),
        (("run", "jump"), []),
        (("run", "jump", "run"), [("run", "run")]),
        (("Run", "run "), [("Run", "run ")]),
        (("café", unicodedata.normalize("NFD", "café")), [("café", "cafe\u0301")]),
        (("달리기", unicodedata.normalize("NFD", "달리기")), [("달리기", unicodedata.normalize("NFD", "달리기"))]),
    ],
)
def test_names_that_are_one(names: tuple[str, ...], pairs: list[tuple[str, str]]) -> None:
    assert near_duplicates(names) == pairs


@given(st.text())
def test_a_composed_name_stays(name: str) -> None:
    assert to_nfc(to_nfc(name)) == to_nfc(name)


def test_a_configuration_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(MARK + CONFIG.encode())
    assert list(load(path).cameras) == ["door"]
    assert store(path, {"actions": {"default": {"start_score": 0.4}}}) == ()
    assert load(path).actions["default"].start_score == 0.4
    assert b"# the roof\r\n" in path.read_bytes()
    path.write_bytes(CONFIG.encode("utf-16"))
    with pytest.raises(ConfigError, match=r"config\.toml: is saved as UTF-16"):
        load(path)
    (problem,) = store(path, {"actions": {"default": {"start_score": 0.4}}})
    assert "config.toml is saved as UTF-16" in problem


def test_a_password_with_a_byte_order_mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "password"
    file.write_bytes(MARK + b"secret1\r\n")
    settings = MqttConfig(username="korsal", password_file=file)
    assert password(settings) == "secret1"
    (tmp_path / "mqtt-password").write_bytes(MARK + b"secret2\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert password(MqttConfig(username="korsal")) == "secret2"
    for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
        file.write_bytes("secret1\r\n".encode(encoding))
        with pytest.raises(CredentialsError, match=r"password is saved as UTF-16.*; save it as UTF-8") as caught:
            password(settings)
        assert "secret" not in str(caught.value)


def test_a_certificate_with_a_byte_order_mark_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(MARK + b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n")
    with pytest.raises(CredentialsError, match=r"ca\.pem begins with a byte order mark, save it as UTF-8 without BOM"):
        tls_context(TlsConfig(ca=tmp_path / "ca.pem"))


def test_scores_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "start.json"
    text = json.dumps({"start_scores": {"run": 0.3}})
    path.write_bytes(MARK + text.encode())
    assert start_scores.load(path) == {"run": 0.3}
    path.write_bytes(text.encode("utf-16"))
    with pytest.raises(EvaluationError, match=r"start\.json: is saved as UTF-16"):
        start_scores.load(path)
    protocol = dict.fromkeys(("data", "videos", "rule", "frames", "linker"), "x")
    report = json.dumps({"protocol": protocol, "frame_map": {}, "video_map": {}})
    path.write_bytes(MARK + report.encode())
    assert scores(path)["protocol"] == protocol
    path.write_bytes(report.encode("utf-16"))
    with pytest.raises(ExportError, match=r"start\.json: is saved as UTF-16"):
        scores(path)


def own(folder: Path, name: str = "one") -> Path:
    """One video, annotated, in both lists."""
    (folder / "annotations").mkdir(parents=True, exist_ok=True)
    meta = f"<meta><task><size>50</size><source>{name}.mp4</source></task></meta>"
    written(folder / "annotations", ("run", [box(4), box(5)]), meta=meta)
    for part in ("trainlist.txt", "testlist.txt"):
        (folder / part).write_text(f"{name}\n", encoding="utf-8")
    return folder


def test_lists_and_labels_with_a_byte_order_mark(tmp_path: Path) -> None:
    data = own(tmp_path)
    for name, words in (("trainlist.txt", "one"), ("testlist.txt", "one"), ("labels.txt", "run\r\njump")):
        (data / name).write_bytes(MARK + words.encode() + b"\r\n")
    assert loader.load(data).labels == ("run", "jump")
    assert _names_in(data / "labels.txt") == ("run", "jump")
    (tmp_path / "twice.txt").write_text("caf\xe9\ncafe\u0301\n", encoding="utf-8")
    with pytest.raises(CheckpointError, match="names caf\xe9 more than once"):
        _names_in(tmp_path / "twice.txt")
    (data / "labels.txt").write_bytes("run\r\n".encode("utf-16"))
    with pytest.raises(AnnotationError, match=r"labels\.txt: is saved as UTF-16.*; save it as UTF-8, one name a line"):
        loader.load(data)


def test_annotations_with_a_byte_order_mark(tmp_path: Path) -> None:
    xml = written(tmp_path, ("waves", [box(3)]))
    text = xml.read_text()
    xml.write_bytes(MARK + text.encode())
    assert read_cvat(xml).frames == 50
    xml.write_bytes(text.replace('encoding="utf-8"', 'encoding="utf-16"').encode("utf-16"))
    assert read_cvat(xml).frames == 50
    xml.write_bytes(text.encode("utf-16"))  # as Notepad makes it of a file that says utf-8
    with pytest.raises(
        AnnotationError, match=r"one\.xml: not CVAT for video 1\.1 \(is saved as UTF-16.*; save it as UTF"
    ):
        read_cvat(xml)
    xml.write_bytes(text.replace("waves", "w\xe4ves").encode("cp1252"))
    with pytest.raises(AnnotationError, match=r"one\.xml: not CVAT for video 1\.1 \(is not UTF-8 text \(byte"):
        read_cvat(xml)


def test_coco_with_a_byte_order_mark_and_without_videos(tmp_path: Path) -> None:
    path = coco(tmp_path, COCO)
    text = path.read_text()
    for content in (MARK + text.encode(), text.encode("utf-16")):
        path.write_bytes(content)
        assert len(read_coco(path)[1]) == len(COCO["videos"])
    path.write_bytes(text.replace("sits", "s\xfcts").encode("cp1252"))
    with pytest.raises(AnnotationError, match=r"is not UTF-8 text \(byte"):
        read_coco(path)
    for without in ({name: COCO[name] for name in COCO if name != "videos"}, {**COCO, "videos": []}):
        with pytest.raises(AnnotationError, match=r"CocoVID is wanted.*export each task there as CVAT for video 1\.1"):
            read_coco(coco(tmp_path, without))


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_unicode_forms_of_names_in_data_sets(form: Form, tmp_path: Path) -> None:
    name = "T\xfcr/\xe9"
    cast = VideoIndex((name,), ("run",), np.array([9]), np.array([[320, 240]]))
    tube = SavedTube(Tube(0, 0, 0.5, 3, np.ones((2, 4), np.float32)), np.ones(2, np.float32))
    write_moc_tubes(SavedTubes((unicodedata.normalize(form, name),), ("run",), (tube,)), tmp_path / "tubes")
    assert len(read_moc_tubes(tmp_path / "tubes", cast).tubes) == 1
    one = np.array([0])
    found = SavedDetections(
        (unicodedata.normalize(form, name),),
        ("run",),
        np.array([9]),
        np.array([[320, 240]]),
        one,
        np.array([3]),
        np.array([[1, 2, 30, 40]], np.float32),
        np.array([0.5], np.float32),
        one,
    )
    write_yowo(found, tmp_path / "yowo")
    assert read_yowo(tmp_path / "yowo", cast).frames.tolist() == [3]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("run\njump\nrun\n", r"labels\.txt: names run twice; give every action one line"),
        ("run\njump\nRun\n", "the actions 'run' and 'Run' differ in capitals or blanks alone"),
        ("run\ncafé\ncafe\u0301\n", "names café twice"),
        ("run\nwa\u200blk\n", r"holds 'wa\\u200blk', which is not a line of up to 256 visible characters; name each"),
        (f"run\n{'x' * 257}\n", "which is not a line of up to 256"),
    ],
)
def test_labels_that_no_model_could_have(labels: str, message: str, tmp_path: Path) -> None:
    data = own(tmp_path)
    (data / "labels.txt").write_text(labels, encoding="utf-8")
    with pytest.raises(AnnotationError, match=message):
        loader.load(data)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("name", ["훈련 café", "Tür/é"])
def test_names_in_any_unicode_form(form: Form, name: str, tmp_path: Path) -> None:
    """What the file system has, against what annotation and list say, each in another form."""
    data = own(tmp_path, unicodedata.normalize(OTHER_FORM[form], name))
    (data / "testlist.txt").write_text(unicodedata.normalize(form, name), encoding="utf-8")
    file = data / "videos" / unicodedata.normalize(form, f"{name}.Mp4")
    file.parent.mkdir(parents=True)
    file.touch()
    loaded = loader.load(data)
    assert loaded.test[0].name == loaded.train[0].name == unicodedata.normalize("NFC", name)
    assert loaded.video(loaded.test[0].name) == file
    assert list_of_names(data / "testlist.txt") == [unicodedata.normalize("NFC", name)]


def test_labels_of_a_model_in_another_unicode_form() -> None:
    model, data = (unicodedata.normalize("NFD", "달리기"), "jump"), ("jump", "달리기")
    assert label_indices(model, data).tolist() == [1, 0]
    assert shared_labels(model, DataSet(data, (), (), Path("videos")), Path("model.onnx")).labels == data
    assert (
        suggestion("달리기", model)
        == f"{model[0]} is known, which looks the same in another Unicode form: copy it from here"
    )


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_files_of_the_configuration_in_any_unicode_form(form: Form, tmp_path: Path) -> None:
    video = tmp_path / unicodedata.normalize(form, "Tür") / unicodedata.normalize(form, "é.mp4")
    video.parent.mkdir()
    video.touch()
    other = unicodedata.normalize(OTHER_FORM[form], "Tür/é.mp4")
    path = tmp_path / "config.toml"
    path.write_text(f'[cameras.door]\nsource = "{other}"\n', encoding="utf-8")
    assert load(path).cameras["door"].source == str(video)


def test_a_long_text_keeps_its_beginning_and_end() -> None:
    assert shortened("a" * 2000) == "a" * 2000
    assert shortened("a" + "b" * 9_000_000 + "c") == "a" + "b" * 999 + " […] " + "b" * 999 + "c"


def test_control_characters_are_shown_as_question_marks() -> None:
    assert sanitized("a\x1b[31mb\nc\x7f\x9b é\u3000ß") == "a?[31mb?c?? é\u3000ß"
