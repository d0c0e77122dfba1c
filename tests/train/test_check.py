"""`korsal-train check` of several data sets: each by itself, and what concerns them all."""

from pathlib import Path

import pytest

from tests.support.tiny_videos import write_data_set, write_hmdb
from train import check


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("data")
    return str(write_data_set(folder / "ucf")), str(write_hmdb(folder / "hmdb", ("Surfing", "walk")))


def test_each_data_set_has_its_table_and_a_shared_action_is_named(
    folders: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check.main([*folders, "--fold", "1,3", "--no-videos", "--sheet", str(tmp_path / "sheet.png")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [
        "UCF101-24 split 1 + J-HMDB-21 split 3: 3 actions",
        "Surfing: annotated in UCF101-24 split 1 and in J-HMDB-21 split 3, and taken for one action",
        "",
    ]
    assert "UCF101-24 split 1: 6 videos for training, 0 for testing" in lines
    assert "J-HMDB-21 split 3: 10 videos for training, 0 for testing" in lines
    assert lines.count("note: no video for test") == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sheet-1.png", "sheet-2.png"]


def test_a_video_that_one_trains_on_and_the_other_tests_on(
    folders: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write_data_set(tmp_path / "other")
    (other / "testlist.txt").write_text("Surfing/v_Surfing_g08_c01\n")
    assert check.main([folders[0], str(other), "--no-videos"]) == 1
    assert (
        "wrong: Surfing/v_Surfing_g08_c01: for training in UCF101-24 split 1 (ucf) and for testing in UCF101-24 "
        "split 1 (other)\n1 thing is wrong\n"
    ) in capsys.readouterr().out


def test_quiet_videos_alone_are_nothing_wrong(
    folders: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "videos").mkdir()
    for name, content in (("quietlist.txt", "street"), ("trainlist.txt", "street"), ("testlist.txt", "")):
        (tmp_path / name).write_text(content)
    assert check.main([str(tmp_path), "--no-videos"]) == 0
    assert "note: no video for test\nnothing is wrong" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("A", "A"), "is given twice; give each data set once"),
        (("A", "B", "--fold", "1,2,3"), "--fold 1,2,3: give one number for each data set, 2 in all"),
        (
            ("A", "B", "--fold", "2"),
            "leave the number away; of several data sets give each its own, like --fold 1,2",
        ),
        (("A", "C"), "/nowhere: no such folder or file"),
    ],
)
def test_mistakes_are_one_sentence(
    words: tuple[str, ...], sentence: str, folders: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    given = [{"A": folders[0], "B": folders[1], "C": "/nowhere"}.get(word, word) for word in words]
    assert check.main(given) == 1
    output = capsys.readouterr().err.strip()
    assert sentence in output
    assert "\n" not in output
