"""The shipped model with its preprocessing inside sees in the demo clip what it sees with the CPU's preparation."""

from itertools import islice

import numpy as np
import pytest

from edge import pipeline
from edge.cameras.video_file import read_file
from edge.engines import onnxruntime_engine
from edge.inference import Engine
from edge.pipeline import PipelineSettings
from tests.support.paths import ROOT

SHIPPED, DEMO = ROOT / "models" / "korsal-lite-ucf24x5-jhmdb21.onnx", ROOT / "demo" / "basketball.mp4"
FRAMES = 90


def seen(engine: Engine) -> tuple[list[tuple[str, str, int]], list[float]]:
    """Type, action and frame of each message, and its score."""
    frames = islice(read_file(DEMO, "demo"), FRAMES)
    steps = pipeline.run(frames, engine, PipelineSettings(), pipeline.initial("demo", "seed"))
    events = [(frame.index, event) for frame, result, _ in steps for event in result.events]
    return [(event.type, event.action, index) for index, event in events], [event.score for _, event in events]


@pytest.mark.slow
def test_the_same_events() -> None:
    inside = onnxruntime_engine.load(SHIPPED, 1, preprocessing="graph")
    (ours, our_scores), (theirs, their_scores) = seen(inside), seen(onnxruntime_engine.load(SHIPPED, 1))
    assert inside.preprocessor == "graph"
    assert ours == theirs
    assert ours
    np.testing.assert_allclose(our_scores, their_scores, atol=1e-4)
