from dataclasses import replace
from typing import Any

import pytest

from train.train_settings import LossWeights, TrainSettings, faults

SETTINGS = TrainSettings(data=("data",))


def test_the_defaults_are_good() -> None:
    assert faults(SETTINGS, processes=1) == []
    assert faults(SETTINGS, processes=8) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"height": 100}, "--height 100 is no multiple of 32: give 96 or 128"),
        ({"width": 33}, "--width 33: give 64 to 4096 pixels"),
        ({"width": -32}, "--width -32: give 64 to 4096 pixels"),
        ({"height": 8192}, "--height 8192: give 64 to 4096 pixels"),
        ({"batch": 0}, "--batch 0: give at least 1"),
        ({"samples": 31}, "--samples 31: one step takes 32, give at least that"),  # two processes of 16
        ({"learning_rate": 0.0}, "--learning-rate 0: give a number above 0, like 0.001"),
        ({"learning_rate": float("nan")}, "--learning-rate nan: give a number above 0, like 0.001"),
        ({"learning_rate": float("inf")}, "--learning-rate inf: give a number above 0, like 0.001"),
        ({"validate_every": 0}, "--validate-every 0: give at least 1 sample"),
        ({"seed": -1}, "--seed -1: give 0 to 9223372036854775807"),
        ({"seed": 2**63}, "--seed 9223372036854775808: give 0 to 9223372036854775807"),
        (
            {"data": ("a", "b"), "shares": (1e308, 1e308)},
            "--share: give numbers above 0, like 1,2; leave a data set away to take nothing of it",
        ),
        ({"patience": -1}, "--patience -1: give 0 or more"),
        ({"backbone_rate": -0.5}, "--backbone-rate -0.5: give 0 to 10"),
        ({"backbone_rate": float("nan")}, "--backbone-rate nan: give 0 to 10"),
        ({"losses": LossWeights(box=-1.0)}, "--box-loss -1: give 0 or more, like 1"),
        ({"losses": LossWeights(box=float("nan"))}, "--box-loss nan: give 0 or more, like 1"),
        (
            {"losses": LossWeights(box=1.0), "architecture": "res_18"},
            "--box-loss: only --arch lite has it, not res_18; leave one of them out",
        ),
    ],
)
def test_what_may_not_be(changes: dict[str, Any], message: str) -> None:
    assert faults(replace(SETTINGS, **changes), processes=2) == [message]


def test_all_faults_at_once() -> None:
    assert len(faults(replace(SETTINGS, height=1, width=1, batch=0, seed=-1), processes=1)) == 4
