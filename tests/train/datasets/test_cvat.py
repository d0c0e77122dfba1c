"""One's own annotations: CVAT's XML and COCO-style JSON become tubes; whatever else comes is refused in a sentence."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.annotation_files import COCO, META, box, coco, spans, written
from tests.support.refusal import refusal
from train.datasets.annotation_records import AnnotationError
from train.datasets.coco import read_coco
from train.datasets.cvat import read_cvat


def test_a_track_becomes_a_tube(tmp_path: Path) -> None:
    video = read_cvat(written(tmp_path, ("waves", [box(4), box(5, x=12, occluded=1), box(6, outside=1)])))
    assert (video.name, video.frames, video.size) == ("door/one", 50, (640, 360))
    assert spans(video) == [("waves", 4, 2)]  # occluded is there, outside is not
    assert video.tubes[0].tube.boxes.tolist() == [[10, 20, 40, 80.5], [12, 20, 42, 80.5]]


def test_frames_between_are_interpolated_unless_outside(tmp_path: Path) -> None:
    boxes = [box(0, x=0), box(4, x=8), box(5, outside=1), box(9, x=50), box(10, x=51)]
    video = read_cvat(written(tmp_path, ("waves", boxes)))
    assert spans(video) == [("waves", 0, 5), ("waves", 9, 2)]
    assert video.tubes[0].tube.boxes[:, 0].tolist() == [0, 2, 4, 6, 8]


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ('<mask frame="3" rle="3, 4" left="10" top="20" width="30" height="60">', [10, 20, 40, 80]),
        ('<ellipse frame="3" cx="25" cy="50" rx="15" ry="30">', [10, 20, 40, 80]),
        ('<ellipse frame="3" cx="25" cy="50" rx="15" ry="30" rotation="90">', [-5, 35, 55, 65]),
        ('<ellipse frame="3" cx="25" cy="50" rx="10" ry="10" rotation="33">', [15, 40, 35, 60]),
        ('<box frame="3" xtl="10" ytl="20" xbr="40" ybr="80" rotation="90.0">', [-5, 35, 55, 65]),
        ('<box frame="3" xtl="0" ytl="0" xbr="6" ybr="2" rotation="30">', [-0.098076, -1.366025, 6.098076, 3.366025]),
    ],
)
def test_the_box_around_other_shapes(tmp_path: Path, shape: str, expected: list[float]) -> None:
    whole = f'{shape}<attribute name="action">waves</attribute></{shape.split()[0][1:]}>'
    (one,) = read_cvat(written(tmp_path, ("person", [whole]))).tubes
    assert (one.label, one.tube.first_frame) == ("waves", 3)
    assert one.tube.boxes[0] == pytest.approx(expected, abs=1e-4)


def test_each_data_attribute_has_its_effect(tmp_path: Path) -> None:
    actions = ["none", "waves", "waves", "sits", "", "sits"]
    video = read_cvat(written(tmp_path, ("person", [box(n, action=action) for n, action in enumerate(actions)])))
    assert spans(video) == [("waves", 1, 2), ("sits", 3, 1), ("sits", 5, 1)]


def test_an_action_holds_until_the_attribute_tells_another(tmp_path: Path) -> None:
    """As CVAT has it, whatever the order of the boxes in the file."""
    boxes = [box(6), box(0), box(2, action="waves"), box(4), box(8, action="none"), box(9)]
    assert spans(read_cvat(written(tmp_path, ("person", boxes)))) == [("person", 0, 2), ("waves", 2, 6)]


def test_the_attribute_with_other_capitals(tmp_path: Path) -> None:
    boxes = [box(n, action="waves").replace('"action"', '"Action "') for n in (4, 5)]
    assert spans(read_cvat(written(tmp_path, ("person", boxes)))) == [("waves", 4, 2)]


@pytest.mark.parametrize("word", ["1", "True", "true"])
def test_whoever_is_outside_is_gone(word: str, tmp_path: Path) -> None:
    gone = box(6).replace('outside="0"', f'outside="{word}"')
    assert spans(read_cvat(written(tmp_path, ("waves", [box(4), gone])))) == [("waves", 4, 2)]


def test_missing_attributes_of_the_file(tmp_path: Path) -> None:
    video = read_cvat(written(tmp_path, ("waves", [box(3)]), meta=""))
    assert (video.name, video.frames, video.size) == ("one", 0, None)
    assert spans(read_cvat(written(tmp_path))) == []


def test_the_export_of_a_job(tmp_path: Path) -> None:
    """Every frame is written, with white space inside the boxes; a job names no source and may begin late."""
    meta = (
        "<version>1.1</version><meta><job><id>4</id><size>10</size><mode>interpolation</mode><start_frame>100"
        "</start_frame><stop_frame>109</stop_frame><labels><label><name>person</name><attributes><attribute>"
        "<name>action</name><mutable>True</mutable></attribute></attributes></label></labels></job>"
        "<original_size><width>640</width><height>360</height></original_size></meta>"
    )
    spaced = [box(n, action="waves").replace("><", ">\n  <") for n in range(100, 104)]
    video = read_cvat(written(tmp_path, ("person", spaced), meta=meta))
    assert (video.name, video.frames, video.size) == ("one", 110, (640, 360))
    assert spans(video) == [("waves", 100, 4)]


def with_source(source: str) -> str:
    return META.replace("door/one.mp4", source)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("v0.MP4", "v0"),
        ("Door/One.Avi", "Door/One"),
        ("/home/me/v0.avi", "v0"),
        ("C:\\Users\\me\\v0.avi", "v0"),
        ("d:/films/v0.mkv", "v0"),
        ("\\\\server\\share\\v0.avi", "v0"),
        ("door\\v0.avi", "door/v0"),
        ("./v0.avi", "v0"),
        ("12:30.avi", "12:30"),
        ("v0.1", "v0.1"),
    ],
)
def test_the_name_of_a_source_that_is_a_path(tmp_path: Path, source: str, name: str) -> None:
    assert read_cvat(written(tmp_path, meta=with_source(source))).name == name


@pytest.mark.parametrize("source", ["../v0.avi", "door/../../v0.avi", "..\\v0.avi", "/", "C:\\.."])
def test_a_source_that_leads_out_of_the_folder(tmp_path: Path, source: str) -> None:
    with pytest.raises(AnnotationError, match=r"one\.xml: .*leads out of the folder of the videos"):
        read_cvat(written(tmp_path, meta=with_source(source)))


def test_a_file_of_large_letters(tmp_path: Path) -> None:
    path = written(tmp_path, ("waves", [box(4)]), meta="").rename(tmp_path / "V0.AVI.XML")
    assert read_cvat(path).name == "V0"


def project(*sources: str) -> str:
    tasks = "".join(f"<task><id>{n}</id><size>12</size><source>{one}</source></task>" for n, one in enumerate(sources))
    return f"<version>1.1</version><meta><project><id>1</id><tasks>{tasks}</tasks></project></meta>"


def test_a_project_of_one_task(tmp_path: Path) -> None:
    video = read_cvat(written(tmp_path, ("waves", [box(4), box(5)]), meta=project("v0.avi")))
    assert (video.name, video.frames, spans(video)) == ("v0", 12, [("waves", 4, 2)])


def test_a_project_of_several_tasks_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path = written(tmp_path, ("waves", [box(4)]), meta=project("v0.avi", "v1.avi"))
    with pytest.raises(
        AnnotationError, match=r"project of several tasks\); export each task by itself, as CVAT for video"
    ):
        read_cvat(path)


def test_cvat_for_images_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "images.xml"
    image = (
        '<image id="0" name="frame_000000" width="96" height="64"><box label="run" xtl="1" ytl="1" xbr="9" ybr="3"/>'
    )
    path.write_text(f"<annotations>{META}{image}</image></annotations>")
    with pytest.raises(AnnotationError, match=r"it is CVAT for images\); export .* as CVAT for video 1\.1"):
        read_cvat(path)


BOMB = '<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;&x;">]>'
FETCH = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]>'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f"{BOMB}<annotations>&y;</annotations>", "document type"),
        (f"{FETCH}<annotations>&x;</annotations>", "document type"),
        ("<annotations><meta>", "no element found"),
        ("", "it is empty"),
        ("<annotation><object><name>run</name></object></annotation>", "it begins with <annotation>"),
        ("<annotations><track id='1'/></annotations>", "track 0 has no label"),
        (
            "<annotations><track label='a'><box frame='7' xtl='1'/></track></annotations>",
            "track 0, a: the box in frame 7 .*: no 'ytl'",
        ),
        (
            f"<annotations><track label='a'>{box(1)}{box(1)}</track></annotations>",
            "track 0, a, has two boxes in frame 1",
        ),
        ("<annotations><version>2.0</version></annotations>", "it is of version '2.0', and 1.1 is read"),
        (
            "<annotations><track label='a'><polygon frame='7' points='1,2;3'/></track></annotations>",
            "bad.xml: track 0, a, is drawn as polygon in CVAT's frame 7 .*; draw that track anew as boxes, CVAT's "
            "rectangles, and export it again",
        ),
        ("<annotations><track label='a'><points frame='0' points='1,2'/></track></annotations>", "drawn as points"),
        (f"<annotations><track label='a'>{box(99_999_999)}</track></annotations>", "is no box"),
        (f"<annotations><track label='a'>{box(1, x=float('nan'))}</track></annotations>", "is no box"),
        (
            f"<annotations><track label='a'>{box(1).replace('20.00', '20,00')}</track></annotations>",
            "track 0, a: the box in frame 1 cannot be read: could not convert string to float: '20,00'",
        ),
        (f"<annotations><track label='a'>{box(1, outside=2)}</track></annotations>", "box in frame 1 .*read: no '2'"),
        (f"<annotations><track label='a'>{box(3)}{box(3, outside=1)}</track></annotations>", "two boxes in frame 3"),
        (
            f"<annotations><track label='a'>{box(1)}<hexagon frame='4'/></track></annotations>",
            "track 0, a: the hexagon in frame 4 is of a kind that is not known; draw that track as boxes",
        ),
        ("<annotations><meta><task><size>many</size></task></meta></annotations>", "its size is .many., which is no"),
        (
            f"<annotations><track label='a'>{box(1).replace('1', '9' * 5000, 1)}</track></annotations>",
            r"s of digits\);",
        ),
    ],
)
def test_a_file_of_another_format_is_reported(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "bad.xml"
    path.write_text(content)
    with pytest.raises(AnnotationError, match=message) as caught:
        read_cvat(path)
    assert str(path) in str(caught.value)


def test_a_message_stays_short_whatever_the_file_holds(tmp_path: Path) -> None:
    path = tmp_path / "one.xml"
    path.write_text(f"<{'a' * 1_000_000}/>")
    with pytest.raises(AnnotationError) as caught:
        read_cvat(path)
    message = str(caught.value)
    assert len(message) < 3000
    assert message.endswith("export each task by itself, as CVAT for video 1.1")


def test_a_polygon_of_endless_points(tmp_path: Path) -> None:
    polygon = f'<polygon frame="3" points="{"1,2;" * 100_000}3,4"/>'
    with pytest.raises(AnnotationError, match="is drawn as polygon in CVAT's frame 3") as caught:
        read_cvat(written(tmp_path, ("waves", [polygon])))
    assert len(str(caught.value)) < 2000


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    for read in (read_cvat, read_coco):
        with pytest.raises(AnnotationError, match="cannot be read"):
            read(tmp_path / "none")


def test_coco_becomes_tubes(tmp_path: Path) -> None:
    labels, (one, two) = read_coco(coco(tmp_path, COCO))
    assert labels == ("sits", "waves")
    assert (one.name, one.frames, one.size) == ("one", 6, (640, 360))
    assert sorted(spans(one)) == [("sits", 0, 1), ("waves", 0, 2), ("waves", 4, 1)]
    assert {tuple(t.tube.boxes[-1].tolist()) for t in one.tubes} == {(0, 2, 30, 42), (1, 2, 31, 42)}
    assert (two.name, two.frames, two.size, two.tubes) == ("two", 0, None, ())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"videos": 3}, "not iterable"),
        ({"images": []}, "annotation at place 0: image_id 4 is no image"),
        ({"categories": []}, "annotation at place 0: category_id 2 is no category"),
        ({"annotations": [{"image_id": 0, "category_id": 1, "bbox": [0, 2, 30], "track_id": 4}]}, "bbox is not the 4"),
        ({"annotations": [{"image_id": 0, "category_id": 1, "bbox": [0, 2, 30, 4]}]}, "instance_id"),
        ({"annotations": [{"image_id": 0, "category_id": 1, "bbox": [0, 0, 1e9, 4], "track_id": 4}]}, "is no box"),
        ({"annotations": [COCO["annotations"][0]] * 2}, "two boxes in frame 4"),
        ({"images": [{"id": 0, "video_id": 7, "frame_id": -1}]}, "frame -1"),
    ],
)
def test_a_json_file_of_another_format_is_reported(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(AnnotationError, match=message):
        read_coco(coco(tmp_path, {**COCO, **change}))


@pytest.mark.parametrize(
    ("content", "message"),
    [(f'{{"videos": {"9" * 5000}}}', "a number of thousands of digits"), ("[" * 1_000_000, "it is nested too deeply")],
    ids=["number", "lists"],
)
def test_json_that_python_refuses_is_reported(tmp_path: Path, content: str, message: str) -> None:
    path = coco(tmp_path, {})
    path.write_text(content)
    with pytest.raises(AnnotationError, match=rf"\({message}\)"):
        read_coco(path)


def test_json_that_begins_with_a_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="it begins with a list, not with an object"):
        read_coco(coco(tmp_path, [{}]))


# laws of parsers: whatever comes is read or refused in a sentence that names the file

MARKUP = st.text(st.sampled_from("<>/=\"' &;!?[]-annotationstrackboxframelabel0123456789"), max_size=120)


@given(st.binary(max_size=80) | MARKUP.map(str.encode))
def test_any_bytes_as_xml_or_json(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "any"
    path.write_bytes(content)
    for read in (read_cvat, read_coco):
        message = refusal(lambda read=read: read(path), AnnotationError)  # type: ignore[misc]
        assert message is None or str(path) in message


@given(st.data())
def test_damaged_xml(tmp_path: Path, data: st.DataObject) -> None:
    path = written(tmp_path, ("waves", [box(4, action="sits"), box(6, x=12), box(7, outside=1)]))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content))
    message = refusal(lambda: read_cvat(path), AnnotationError)
    assert message is None or str(path) in message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "name", "video_id", "frame_id", "bbox", "track_id", "image_id", "width", "height"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON | st.dictionaries(st.sampled_from([*COCO]), JSON, max_size=4).map(lambda change: {**COCO, **change}))
def test_any_json(tmp_path: Path, content: Any) -> None:
    path = coco(tmp_path, content)
    message = refusal(lambda: read_coco(path), AnnotationError)
    assert message is None or str(path) in message


@given(st.lists(st.tuples(st.integers(0, 30), st.booleans(), st.sampled_from(["waves", "sits", ""])), max_size=12))
def test_tubes_of_a_track_never_touch_unless_the_action_changes(tmp_path: Path, given_: list[Any]) -> None:
    rows = {frame: box(frame, outside=int(out), action=action) for frame, out, action in given_}
    video = read_cvat(written(tmp_path, ("person", list(rows.values()))))
    ends: dict[int, str] = {}
    for label, first, length in sorted(spans(video), key=lambda span: span[1]):
        assert length > 0
        assert ends.get(first) != label
        ends[first + length] = label
