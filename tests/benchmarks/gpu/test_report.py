"""docs/gpu.md from results: whole, cut, failed, rehearsed."""

from typing import Any

import pytest

from benchmarks.gpu import report

MACHINE = {
    "gpu": "NVIDIA H200",
    "date": "2026-12-24",
    "cores": 16,
    "torch": "2.11.0",
    "cuda": "13.0",
    "opencv": "4.14.0",
}


def page(**steps: Any) -> str:
    return report.page({"machine": MACHINE, **steps})


def test_device_and_date_come_first() -> None:
    lines = page().splitlines()
    assert lines[2].startswith("Measured on NVIDIA H200, 16 processor cores, on 2026-12-24: PyTorch 2.11.0, CUDA 13.0")
    assert "Not run: Training samples on the GPU" in page()


def test_a_rehearsal_says_so() -> None:
    assert "none of these figures is one of a GPU" in report.page({"machine": {**MACHINE, "rehearsal": True}})


@pytest.mark.parametrize(("difference", "verdict"), [(0.0009, "is held"), (0.002, "is **not** held")])
def test_whether_the_gpu_equals_the_cpu(difference: float, verdict: str) -> None:
    rows = [{"motion": "ssim", "image": difference, "targets": 0.0}]
    assert f"Equality within 0.001 {verdict}" in page(samples={"equality": rows})


def test_the_goal_of_the_pipeline() -> None:
    rows = [
        {"preparation": "cpu", "cameras": 1, "fps": 90.0, "outside_network": 0.8, "ms_per_frame": {"motion": 7.5}},
        {"preparation": "torch", "cameras": 1, "fps": 900.0, "outside_network": 0.2, "ms_per_frame": {"motion": 0.5}},
    ]
    text = page(daemon={"pipeline": rows})
    assert "| cpu | 1 | 90 | 0.8 | motion 7.5 |" in text
    assert "Outside the network: 20% to 80%; 1 of 2 reach the goal." in text


def test_what_did_not_end_well() -> None:
    text = page(
        latency={"latency": [], "cut": "time was up before batch 16"},
        preprocess={"failed": "it was stopped after 55 seconds"},
        candidates={"skipped": "9 seconds were left"},
        bundle={"left_out": ["dla.pt"]},
    )
    for sentence in (
        "Cut short: time was up before batch 16.",
        "**Not whole: it was stopped after 55 seconds.**",
        "Skipped: 9 seconds were left.",
        "Too large to come back: dla.pt.",
    ):
        assert sentence in text
