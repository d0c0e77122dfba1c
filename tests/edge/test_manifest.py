import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from edge.clip import ClipInput
from edge.config.schema_types import ActionLabel
from edge.manifest import CENTERNET_MEAN, CENTERNET_STD, Manifest, ManifestError, from_json, input_shapes, to_json
from edge.motion_map import MotionSettings

PLAIN = Manifest("small", ("Run", "Jump"), 192, 256)
FULL = Manifest(
    name="größer",
    labels=("Run",),
    height=64,
    width=32,
    motion=MotionSettings("dsim", shifts=False, gap=3),
    mean=(0.1, 0.2, 0.3),
    std=(1.0, 2.0, 3.0),
    stride=8,
    top_k=20,
    precision="int8",
    licence="research only",
    training={"data": "UCF101-24", "scores": {"0.5": 70.5, "notes": [1, None]}},
    start_scores={"Run": 0.35},
    preprocessing="graph",
    nms_iou=0.4,
)
SEES_CLIPS = replace(PLAIN, motion=MotionSettings("none"), clip=ClipInput(frames=16, step=2, every=4, channels=480))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


def content(manifest: Manifest = PLAIN, **changes: Any) -> str:
    """The manifest's JSON with some values changed; a change to ... takes the key out."""
    changed = {**json.loads(to_json(manifest)), **changes}
    return json.dumps({key: value for key, value in changed.items() if value is not ...})


@pytest.mark.parametrize("manifest", [PLAIN, FULL, SEES_CLIPS, replace(PLAIN, motion=MotionSettings("none"))])
def test_round_trip(manifest: Manifest) -> None:
    assert from_json(to_json(manifest)) == manifest


def test_what_older_files_leave_out_is_as_it_was() -> None:
    assert from_json(content(architecture=..., start_scores=..., preprocessing=...)) == PLAIN
    assert PLAIN.architecture == "lite"
    assert PLAIN.preprocessing == "outside"
    assert PLAIN.start_scores == {}


def test_checkpoints_and_older_files_do_not_name_the_channels_of_a_clips_map() -> None:
    clip = {"frames": 16, "step": 2, "every": 4}
    assert from_json(content(SEES_CLIPS, clip=clip)).clip == ClipInput(16, 2, 4)


def test_what_models_do_not_have_they_do_not_mention() -> None:
    """So that earlier versions of this package read them."""
    assert {"clip", "nms_iou"} & json.loads(to_json(PLAIN)).keys() == set()
    assert (PLAIN.clip, PLAIN.nms_iou) == (None, 1)


@pytest.mark.parametrize(
    ("manifest", "shapes"),
    [
        (PLAIN, {"image": (2, 6, 192, 256)}),
        (SEES_CLIPS, {"image": (2, 3, 192, 256), "clip_map": (2, 480, 6, 8)}),
        (replace(PLAIN, preprocessing="graph"), {"frame": (2, 480, 640, 3), "previous": (2, 3, 192, 256)}),
        (replace(PLAIN, preprocessing="graph", motion=MotionSettings("none")), {"frame": (2, 480, 640, 3)}),
    ],
)
def test_the_inputs_are_the_prepared_image_or_frames(manifest: Manifest, shapes: dict[str, tuple[int, ...]]) -> None:
    assert input_shapes(manifest, 2, (640, 480)) == shapes


@pytest.mark.parametrize("score", [0, 1, 0.5])
def test_start_scores_lie_from_0_to_1(score: float) -> None:
    assert from_json(content(start_scores={"Run": score})).start_scores == {"Run": score}


def test_the_defaults_are_centernets() -> None:
    assert (PLAIN.mean, PLAIN.std) == (CENTERNET_MEAN, CENTERNET_STD)
    assert (PLAIN.stride, PLAIN.top_k, PLAIN.motion) == (4, 100, MotionSettings("ssim", True, 1))
    assert PLAIN.input_size == (256, 192)


@pytest.mark.parametrize(("kind", "channels"), [("ssim", 6), ("dsim", 6), ("flow", 6), ("previous", 6), ("none", 3)])
def test_channels(kind: Any, channels: int) -> None:
    assert replace(PLAIN, motion=MotionSettings(kind)).channels == channels


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (content(clip={"frames": 8, "step": 1}), "clip.every is missing"),
        (content(clip={"frames": 8, "step": 1, "every": 1, "gap": 1}), "clip.gap is unknown"),
        (content(clip={"frames": 0, "step": 1, "every": 1}), "clip.frames must be greater than or equal to 1"),
        (content(clip={"frames": 65, "step": 1, "every": 1}), "clip.frames must be less than or equal to 64"),
        (content(SEES_CLIPS, clip={"frames": 8, "step": 1, "every": 1, "channels": -1}), "clip.channels must be"),
        (content(clip={"frames": 8, "step": 1, "every": 1}), "clip is beside a motion map, a memory or"),
        (content(SEES_CLIPS, preprocessing="graph"), "clip is beside a motion map, a memory or preprocessing inside"),
        (
            content(SEES_CLIPS, clip={"frames": 64, "step": 40, "every": 1}),
            "for clip a device keeps up to 5603 frames of 256x192 for each camera, 3151 MiB, and 256 MiB are the most; "
            "train it with fewer --frames or a smaller --frame-step",
        ),
        (content(nms_iou=1.5), "nms_iou must be less than or equal to 1"),
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("1" * 10_000, "is not JSON"),  # more digits than Python reads
        ("[]", "is not a JSON object"),
        ("{}", "is not of version 1"),
        (content(version=2), "is not of version 1"),
        (content(version=True), "is not of version 1"),  # True == 1
        (content(version=...), "is not of version 1"),
        (content(labels=...), "labels is missing"),
        (content(colour=1), "colour is unknown"),
        (content(name=1), "name must be a valid string"),
        (content(labels=[]), "labels is not a list of distinct names"),
        (content(labels=["Run", "Run"]), "labels is not a list of distinct names"),
        (content(labels=["Run", ""]), "labels is not a list of distinct names"),
        (content(labels="Run"), "labels must be a valid array"),
        (
            content(labels=["Run\nERROR"]),
            r"labels holds 'Run\nERROR', which is not a line of up to 256 visible",
        ),
        (content(labels=["Run\0"]), "which is not a line"),
        (content(labels=["x" * 257]), f"labels holds '{'x' * 40}', which is not a line"),
        (content(labels=["Run\u202enuR"]), "which is not a line"),
        (content(labels=[str(number) for number in range(4097)]), "labels has 4097 names, and 4096 are the most"),
        (content(labels=["\ud800"]), "is not JSON"),
        (content(training={"\udc00": 1}), "is not JSON"),
        (content(name="a\rb"), "name is not a line of up to 256 visible characters"),
        (content(height=100), "height must be a multiple of 32"),
        (content(height=0), "height must be greater than or equal to 1"),
        (content(width=8192), "width must be less than or equal to 4096"),
        (content(width=64.0), "width must be a valid integer"),
        (content(stride=True), "stride must be a valid integer"),
        (content(top_k=-1), "top_k must be greater than or equal to 1"),
        (content(mean=[0, 0]), "mean.2 is missing"),
        (content(mean=[0, 0, float("nan")]), "mean.2 must be a finite number"),
        (content(mean=[0, 0, 10**400]), "mean.2 must be a finite number"),
        (content(std=[1, 1, 0]), "std.2 must be greater than or equal to 0.000001"),
        (content(std=[1, 1, 5e-324]), "std.2 must be greater than or equal to 0.000001"),
        (content(motion="ssim"), "motion must be an object"),
        (content(motion={"kind": "ssim"}), "motion.gap is missing; motion.shifts is missing"),
        (
            content(motion={"kind": "heat", "shifts": True, "gap": 1}),
            "motion.kind must be 'ssim', 'dsim', 'flow', 'previous' or 'none'",
        ),
        (content(motion={"kind": [], "shifts": True, "gap": 1}), "motion.kind must be"),
        (content(motion={"kind": "ssim", "shifts": True, "gap": 4097}), "motion gap 4097: "),
        (content(motion={"kind": "ssim", "shifts": True, "gap": 1, "x": 1}), "motion.x is unknown"),
        (content(motion={"kind": "ssim", "shifts": 1, "gap": 1}), "motion.shifts must be a valid boolean"),
        (
            content(motion={"kind": "ssim", "shifts": True, "gap": 0}),
            "motion gap 0: the previous frame lies at least 1 frame back",
        ),
        (content(start_scores={"Run\nERROR": 2}), "start_scores.Run?ERROR must be"),
        (content(start_scores={str(number): 2 for number in range(1000)}), "start_scores.0 must be"),
        (content(training=[]), "training must be an object"),
        (content(start_scores=[0.5]), "start_scores must be an object"),
        (content(start_scores={"Run": 1.5}), "start_scores.Run must be less than or equal to 1"),
        (content(start_scores={"Run": float("nan")}), "start_scores.Run must be a finite number"),
        (content(start_scores={"Run": True}), "start_scores.Run must be a valid number"),
        (content(start_scores={"Fly": 0.5}), "start_scores has Fly, which is no label"),
    ],
)
def test_every_fault_is_named_with_the_remedy(text: str, message: str) -> None:
    with pytest.raises(ManifestError) as caught:
        from_json(text)
    assert message in str(caught.value)
    assert "export the model again" in str(caught.value)
    assert len(str(caught.value)) < 2500


@pytest.mark.parametrize("label", ["می\u200cرود", "走る\u3000人", "à\u00a0pied", "👨\u200d👩\u200d👧", "\U0001fae8"])
def test_labels_as_people_write_them(label: str) -> None:
    """With joiners, wide and unbreakable spaces, and letters younger than Python 3.10."""
    assert from_json(content(labels=[label])).labels == (label,)
    assert TypeAdapter(ActionLabel).validate_python(label) == label  # in config.toml


def test_all_problems_are_listed_at_once() -> None:
    with pytest.raises(
        ManifestError,
        match=r"name must be a valid string; width must be a multiple of 32; top_k must be a valid integer",
    ):
        from_json(content(name=None, width=33, top_k="many"))


@given(st.text(max_size=40) | JSON.map(json.dumps))
def test_any_text_is_read_or_refused(text: str) -> None:
    with pytest.raises(ManifestError):
        from_json(text)


@given(st.dictionaries(st.sampled_from(sorted(json.loads(to_json(PLAIN)))), JSON, max_size=3))
def test_any_values_are_read_or_refused(changes: dict[str, Any]) -> None:
    try:
        manifest = from_json(content(PLAIN, **changes))
    except ManifestError:
        return
    assert from_json(to_json(manifest)) == manifest or "training" in changes  # nan is unlike itself
