"""The experiments of teaching: which scenes are drawn, what a project has of them, and what is not run again."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import teach_curves, teach_plot, teach_selection
from benchmarks.teach_curves import Cell, cells, selection
from benchmarks.teaching import ALL, Results, make_project
from tests.support.tiny_videos import write_data_set
from train.datasets import loader, split_lists
from train.datasets.annotation_records import DataSet

ACTIONS = ("Basketball",)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    """Two actions in six scenes to learn from and one to test on."""
    folder = write_data_set(tmp_path_factory.mktemp("data"), (1, *range(8, 14)))
    names = (folder / "trainlist.txt").read_text().split()
    for file, tested in (("trainlist.txt", False), ("testlist.txt", True)):
        (folder / file).write_text("".join(f"{name}\n" for name in names if ("_g01" in name) is tested))
    return loader.load(folder)


def test_scenes_are_drawn_once_and_held_out_ones_are_never_learned_from(data: DataSet) -> None:
    few, every = (selection(data, ACTIONS, Cell(scenes, 0, ""), 0) for scenes in (2, ALL))
    assert (len(few.training), len(every.training)) == (2, 4)
    assert set(few.training) < set(every.training)  # the curve grows, it does not change its scenes
    assert few.validation == every.validation
    assert not set(every.training) & set(every.validation)
    assert few.test == every.test == ("Basketball/v_Basketball_g01_c01",)
    assert all(name.startswith("Surfing/") for name in few.quiet)
    assert len(few.quiet) == len(few.training)
    assert selection(data, ACTIONS, Cell(2, 0, "", negatives=False), 0).quiet == ()
    assert selection(data, ACTIONS, Cell(2, 1, ""), 0).training != few.training


def test_a_project_has_what_was_selected(data: DataSet, tmp_path: Path) -> None:
    chosen = selection(data, ACTIONS, Cell(2, 0, ""), 0)
    for _ in range(2):  # again, as when it is gone on with
        make_project(tmp_path, data, ACTIONS, chosen, "")
    made = loader.load(tmp_path)
    training, held = split_lists.held_out(made.train)
    assert made.labels == ACTIONS
    assert sorted(video.quiet for video in training) == [False, False, True, True]
    assert len(held) == 2
    assert [len(video.tubes) for video in made.test] == [1]
    assert len({video.scene for video in held}) == 2


def test_somebody_who_is_annotated_twice_is_taken_once(data: DataSet, tmp_path: Path) -> None:
    twice = replace(
        data, train=tuple(replace(video, tubes=(*video.tubes, *map(replace, video.tubes))) for video in data.train)
    )
    make_project(tmp_path, twice, ACTIONS, selection(data, ACTIONS, Cell(2, 0, ""), 0), "")
    shown = [len(video.tubes) for video in loader.load(tmp_path).train if not video.quiet]
    assert shown == [len(video.tubes) for video in data.train[: len(shown)]] == [1] * 4


@pytest.mark.parametrize(
    ("vary", "count"),
    [("scenes", 2), ("start", 4), ("backbone", 4), ("negatives", 4), ("samples", 6), ("rate", 6)],
)
def test_each_setting_is_another_folder_and_another_result(vary: str, count: int) -> None:
    found = list(cells(vary, (2, ALL), (0,), "shipped"))
    assert len(found) == count
    assert len({cell.folder for cell in found}) == len({str(cell.key) for cell in found}) == count
    assert {cell.key["scenes"] for cell in found} == {2, "all"}


def test_what_has_a_result_is_known_after_a_restart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = Results(tmp_path / "new" / "results.jsonl")
    for seed, value in ((0, 40.0), (1, 50.0)):
        results.add(Cell(2, seed, "").key, {"frame_map": value, "precision": None})
    again = Results(tmp_path / "new" / "results.jsonl")
    assert again.has(Cell(2, 1, "").key)
    assert not again.has(Cell(2, 2, "").key)
    again.print_means(("frame_map", "precision"))
    assert "negatives True (2 seeds): frame_map 45.00 ± 5.00; precision -" in capsys.readouterr().out


def test_half_of_the_scenes_can_be_chosen_and_chance_takes_each_once(data: DataSet) -> None:
    pool = teach_selection.pool(data, ACTIONS, 0, 0)
    assert len(pool.held) == teach_curves.HELD_OUT
    assert len(pool.open) == 2
    assert not pool.open.keys() & pool.held.keys()
    drawn = teach_selection.next_scenes("chance", Path("none"), data, pool.open, 1, 0)
    assert set(drawn) < pool.open.keys()


def test_the_curves_have_a_panel_for_each_figure_that_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figure = pytest.importorskip("matplotlib.figure", reason="matplotlib is not installed: pip install '.[evaluate]'")
    drawn: list[Any] = []
    monkeypatch.setattr(figure.Figure, "savefig", lambda self, *_, **__: drawn.append(self))
    counted = {"recall": 40.0, "precision": None, "alarms_per_hour": None}
    results = Results(tmp_path / "results.jsonl")
    for cell, found in [
        (Cell(8, 0, ""), 20.0),
        (Cell(ALL, 0, "shipped"), 60.0),
        (Cell(2, 0, "shipped"), 10.0),
        (Cell(2, 1, "shipped"), 30.0),
        (Cell(8, 0, "shipped", rate=0.003), 70.0),
    ]:
        results.add(cell.key, {"frame_map": found, "memory": cell.scenes == ALL, **counted})
    teach_plot.draw(results.lines, tmp_path / "curves.png")
    precise, told = drawn[0].axes
    assert [label.get_text() for label in precise.get_xticklabels()] == ["2", "8", "all"]
    lines = {line.get_label(): line for line in precise.get_lines() if not line.get_label().startswith("_")}
    assert {name: line.get_xydata().tolist() for name, line in lines.items()} == {
        "ImageNet's weights": [[1, 20]],
        "weights that know other actions, a memory": [[2, 60]],
        "weights that know other actions": [[0, 20]],  # of 10 and 30
        "weights that know other actions, rate 0.003": [[1, 70]],
    }
    assert told.get_title() == "actions reported"
