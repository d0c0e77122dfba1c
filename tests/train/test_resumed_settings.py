from dataclasses import asdict, replace
from pathlib import Path

import pytest

from train.clips.settings import ClipTraining
from train.resumed_settings import changed
from train.train_settings import LossWeights, TrainSettings

BEGAN = TrainSettings(("data",), weights="w.pt")


def test_the_same_settings_spelt_another_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    now = replace(BEGAN, data=(str(tmp_path / "data"),), weights="./w.pt", precision="float32")
    assert changed(asdict(BEGAN), now) == []
    clips, same = (replace(BEGAN, clips=ClipTraining(weights=name)) for name in ("m.pt", str(tmp_path / "m.pt")))
    assert changed(asdict(clips), same) == []
    assert changed(asdict(clips), BEGAN) == ["clips"]


def test_what_was_moved_or_is_named_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with `korsal-train mine/data --out mine/run --resume` of what was begun in `mine`."""
    (tmp_path / "data").mkdir()
    before = asdict(replace(BEGAN, data=("data", "/old/disk/more"), weights="w.pt"))
    monkeypatch.chdir(tmp_path / "data")
    assert changed(before, replace(BEGAN, data=(".", "/new/more"), weights="../w.pt")) == []
    assert changed(before, replace(BEGAN, data=("/new/more", "."), weights="../v.pt")) == ["data", "weights"]


def test_a_memory_may_lie_elsewhere_now() -> None:
    """Which one it is, its hash tells."""
    before = replace(BEGAN, memory="m.pt")
    assert changed(asdict(before), replace(BEGAN, memory="elsewhere/m.pt")) == []
    assert changed(asdict(before), BEGAN) == ["memory"]


def test_a_checkpoint_from_before_there_was_a_loss_of_whole_boxes() -> None:
    before = asdict(BEGAN)
    del before["losses"]["box"]
    assert changed(before, BEGAN) == []
    assert changed(before, replace(BEGAN, losses=LossWeights(box=1.0))) == ["losses"]


def test_a_checkpoint_from_before_clips_had_a_choice_of_optimizers() -> None:
    before = asdict(BEGAN)
    del before["clips"]["optimizer"]
    assert changed(before, BEGAN) == []
    assert changed(before, replace(BEGAN, clips=ClipTraining(optimizer="adamw"))) == ["clips"]


def test_what_is_another_is_named() -> None:
    assert changed(asdict(BEGAN), replace(BEGAN, seed=3, weights="other.pt")) == ["weights", "seed"]
