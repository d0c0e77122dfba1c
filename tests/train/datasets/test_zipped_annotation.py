"""The ZIP in which CVAT delivers an export is read as it is."""

import zipfile
from pathlib import Path

import pytest

from tests.support.annotation_files import box, spans, written
from train.datasets import own_data
from train.datasets.annotation_records import AnnotationError
from train.datasets.cvat import read_cvat


def packed(folder: Path, *names: str, way: int = zipfile.ZIP_DEFLATED) -> Path:
    """An annotation under each of these names in a ZIP."""
    content = written(folder, ("waves", [box(4), box(5)])).read_bytes()
    with zipfile.ZipFile(folder / "Task 7.ZIP", "w", way) as archive:
        for name in names:
            archive.writestr(name, content)
    return folder / "Task 7.ZIP"


def test_the_annotation_in_a_zip(tmp_path: Path) -> None:
    video = read_cvat(packed(tmp_path, "annotations.xml", "images/one.png", "__MACOSX/._annotations.xml", "a.xml/"))
    assert (video.name, spans(video)) == ("door/one", [("waves", 4, 2)])
    assert video.tubes[0].origin == "Task 7.ZIP, track 0 from CVAT's frame 4"


def test_a_zip_of_another_name(tmp_path: Path) -> None:
    """Some unpack by renaming."""
    renamed = packed(tmp_path, "annotations.xml").rename(tmp_path / "one.xml")
    assert spans(read_cvat(renamed)) == [("waves", 4, 2)]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "the ZIP holds no XML file"),
        (("a.xml", "b/b.xml"), "the ZIP holds 2 XML files"),
    ],
)
def test_a_zip_of_something_else(names: tuple[str, ...], message: str, tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=rf"Task 7.ZIP: .*{message}\); export each task by itself"):
        read_cvat(packed(tmp_path, *names))


def test_a_zip_that_is_cut_short(tmp_path: Path) -> None:
    path = packed(tmp_path, "annotations.xml")
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(AnnotationError, match=r"Task 7.ZIP: .*the ZIP cannot be unpacked"):
        read_cvat(path)
    damaged = packed(tmp_path, "annotations.xml")
    content = bytearray(damaged.read_bytes())
    content[60:90] = bytes(30)
    damaged.write_bytes(content)
    with pytest.raises(AnnotationError, match=r"Task 7.ZIP: .*the ZIP cannot be unpacked"):
        read_cvat(damaged)


def test_the_same_export_packed_and_unpacked_is_named(tmp_path: Path) -> None:
    """Not read twice, and not silently once."""
    (tmp_path / "annotations").mkdir()
    packed(tmp_path / "annotations", "annotations.xml")
    files = own_data.cvat_files(tmp_path)
    assert [path.name for path in files] == ["Task 7.ZIP", "one.xml"]
    with pytest.raises(AnnotationError, match=r"door/one is annotated twice in .*, in Task 7.ZIP and one.xml; keep"):
        own_data.whole(tmp_path, map(read_cvat, files))


@pytest.mark.parametrize("way", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_that_is_packed_oddly(way: int, tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="the ZIP is packed otherwise than CVAT does; unpack it"):
        read_cvat(packed(tmp_path, "annotations.xml", way=way))
