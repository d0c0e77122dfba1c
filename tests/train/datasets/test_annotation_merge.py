"""Jobs and tasks of one video, exported one by one: together they are one annotation."""

from pathlib import Path

import pytest

from tests.support.annotation_files import box, spans, written
from tests.support.partial_annotations import task
from train.datasets import loader
from train.datasets.annotation_merge import MergeError, merged
from train.datasets.annotation_records import AnnotationError
from train.datasets.cvat import read_cvat
from train.datasets.tracks import NamedVideo


def part(folder: Path, name: str, *boxes: str, meta: str, label: str = "waves") -> Path:
    found = written(folder, (label, list(boxes)), meta=meta) if boxes else written(folder, meta=meta)
    return found.rename(folder / f"{name}.xml")


def together(folder: Path, *parts: tuple[str, list[str], str]) -> NamedVideo:
    return merged([read_cvat(part(folder, name, *boxes, meta=meta)) for name, boxes, meta in parts])


def run(first: int, end: int, x: float = 10, step: int = 1) -> list[str]:
    return [box(frame, x=x) for frame in range(first, end, step)]


def test_jobs_that_overlap(tmp_path: Path) -> None:
    """Frames 0 to 29 and 25 to 49: who waves in 20 to 34 is one, who waves elsewhere in the picture another."""
    video = together(
        tmp_path, ("b", [*run(25, 35)], task(25, 49)), ("a", [*run(20, 30)], task(0, 29)), ("c", [], task(60, 69))
    )
    assert video.annotated_frames is not None
    assert video.annotated_frames.tolist() == [*range(50), *range(60, 70)]
    assert (spans(video), video.frames) == ([("waves", 20, 15)], 70)
    apart = together(tmp_path, ("a", run(20, 30), task(0, 29)), ("b", run(25, 35, x=200), task(25, 49)))
    assert spans(apart) == [("waves", 20, 10), ("waves", 25, 10)]


def test_a_tube_continues_in_the_next_job(tmp_path: Path) -> None:
    assert spans(together(tmp_path, ("a", run(20, 30), task(0, 29)), ("b", run(30, 40), task(30, 49)))) == [
        ("waves", 20, 20)
    ]
    steps = ("a", run(20, 30, step=5), task(0, 29, "step=5")), ("b", run(30, 40, step=5), task(30, 49, "step=5"))
    assert spans(together(tmp_path, *steps)) == [("waves", 20, 16)]
    gap = together(tmp_path, ("a", run(20, 30), task(0, 29)), ("b", run(40, 45), task(40, 49)))
    assert spans(gap) == [("waves", 20, 10), ("waves", 40, 5)]
    far = together(tmp_path, ("a", run(20, 30), task(0, 29)), ("b", run(30, 40, x=300), task(30, 49)))
    assert spans(far) == [("waves", 20, 10), ("waves", 30, 10)]


def test_what_does_not_fit(tmp_path: Path) -> None:
    size = "<original_size><width>{}</width><height>360</height></original_size></meta>"
    first, second = (task(*frames).replace("</meta>", size.format(w)) for frames, w in (((0, 9), 640), ((10, 19), 320)))
    with pytest.raises(MergeError, match="one is annotated at 640x360 and 320x360"):
        together(tmp_path, ("a", [], first), ("b", [], second))
    with pytest.raises(MergeError, match=r"one is annotated twice in frames 6 to 10, in a.xml and b.xml; keep one"):
        together(tmp_path, ("a", [], task(0, 29)), ("b", [], task(5, 9)))


def test_a_part_without_actions_adds_nothing(tmp_path: Path) -> None:
    nothing: tuple[str, list[str], str] = ("b", [], "<meta><source>one.mp4</source></meta>")
    assert spans(together(tmp_path, ("a", run(20, 30), task(0, 29)), nothing)) == [("waves", 20, 10)]
    assert together(tmp_path, nothing, nothing).tubes == ()


def test_a_folder_of_jobs(tmp_path: Path) -> None:
    (tmp_path / "annotations").mkdir()
    part(tmp_path / "annotations", "a", *run(20, 30), meta=task(0, 29))
    part(tmp_path / "annotations", "b", *run(25, 35), meta=task(25, 49))
    for name in ("trainlist.txt", "testlist.txt"):
        (tmp_path / name).write_text("one\n")
    (video,) = loader.load(tmp_path).test
    assert (video.frames, len(video.tubes), len(video.tubes[0].boxes)) == (50, 1, 15)
    (tmp_path / "annotations" / "c.xml").write_text((tmp_path / "annotations" / "b.xml").read_text())
    with pytest.raises(AnnotationError, match=r"twice in frames 26 to 50, in a.xml, b.xml and c.xml; keep one"):
        loader.load(tmp_path)


def test_a_background_video_needs_no_annotation(tmp_path: Path) -> None:
    (tmp_path / "annotations").mkdir()
    part(tmp_path / "annotations", "a", *run(20, 30), meta=task(0, 29))
    (tmp_path / "trainlist.txt").write_text("one\nyard\n")
    (tmp_path / "testlist.txt").write_text("one\n")
    with pytest.raises(AnnotationError, match=r"yard is not annotated; annotate it, name it in quietlist\.txt if noth"):
        loader.load(tmp_path)
    (tmp_path / "quietlist.txt").write_text("yard.mp4\n")
    one, yard = loader.load(tmp_path).train
    assert (yard.name, yard.tubes, yard.annotated_frames, yard.frames) == ("yard", (), None, 0)
    (tmp_path / "quietlist.txt").write_text("yard.mp4\none\n")
    with pytest.raises(AnnotationError, match=r"quietlist\.txt: one is annotated with actions; take it off this list"):
        loader.load(tmp_path)
    assert len(one.tubes) == 1
