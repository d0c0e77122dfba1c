from pathlib import Path

import pytest

from train.log import EVERY, LogError, TrainingLog

LABELS = ("Run", "Jump")
HEADER = "samples,learning_rate,heatmap_loss,size_loss,offset_loss,frame_map_50,Run,Jump"


def terms(value: float) -> dict[str, float]:
    return {"heatmap": value, "size": 2 * value, "offset": 0.5}


@pytest.fixture
def log(tmp_path: Path) -> TrainingLog:
    log = TrainingLog(tmp_path / "run" / "log.csv", LABELS)
    log.start()
    return log


def lines(log: TrainingLog) -> list[str]:
    return log.path.read_text().splitlines()


def steps(log: TrainingLog, first: int, end: int) -> None:
    for number in range(first, end):
        log.add(16 * (number + 1), terms(number), 1e-3)


def test_it_begins_with_its_columns(log: TrainingLog) -> None:
    assert lines(log) == [HEADER]


def test_some_steps_are_one_row_of_means(log: TrainingLog) -> None:
    steps(log, 0, EVERY - 1)
    assert lines(log) == [HEADER]
    steps(log, EVERY - 1, EVERY + 3)
    # the mean of 0 … 19 is 9.5, after 20 steps of 16 samples
    assert lines(log) == [HEADER, "320,0.001,9.5000,19.0000,0.5000,,,"]


def test_a_validation_is_a_row(log: TrainingLog) -> None:
    log.validated(320, [50.0, float("nan")], 50.0)
    assert lines(log)[1] == "320,,,,,50.00,50.00,nan"


def test_it_continues_where_the_checkpoint_was(log: TrainingLog) -> None:
    """Three more steps after a row; then a crash after a second row that no checkpoint knows of."""
    steps(log, 0, EVERY + 3)
    unwritten = [dict(step) for step in log.unwritten]
    steps(log, EVERY + 3, 2 * EVERY)
    whole = lines(log)
    again = TrainingLog(log.path, LABELS)
    again.resume(16 * (EVERY + 3), unwritten)
    assert lines(again) == whole[:2]
    steps(again, EVERY + 3, 2 * EVERY)
    assert lines(again) == whole


def test_a_removed_log_is_started_again(tmp_path: Path) -> None:
    log = TrainingLog(tmp_path / "log.csv", LABELS)
    log.resume(320, [])
    assert lines(log) == [HEADER]


@pytest.mark.parametrize(
    "content",
    [b"", b"a,b\n1,2\n", b"\xff\xfe\x00", HEADER.encode() + b"\nmany,0.1\n", HEADER.encode() + b"\n\n"],
)
def test_another_file_in_its_place_is_left_alone(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(content)
    with pytest.raises(LogError, match=r"log\.csv: .*move it away, --resume then begins a new one"):
        TrainingLog(path, LABELS).resume(10, [])
    assert path.read_bytes() == content


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LogError, match=r"log\.csv: cannot be written .* choose another --out"):
        TrainingLog(tmp_path / "file" / "log.csv", LABELS).start()


def test_curves_are_drawn(log: TrainingLog) -> None:
    steps(log, 0, 2 * EVERY)
    log.validated(640, [50.0, 20.0], 35.0)
    log.plot()
    assert log.path.with_name("curves.png").read_bytes().startswith(b"\x89PNG")
