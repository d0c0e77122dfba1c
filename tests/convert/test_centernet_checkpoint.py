"""Checkpoints of CenterNet and KORSAL → ours: made up here with their names and shapes, for no real one lies here."""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from convert import checkpoint_conversion, label_sets, published_file
from convert.__main__ import main
from convert.published_file import CheckpointOptions
from edge.motion_map import MotionSettings
from tests.support import centernet_weights
from tests.support.centernet_weights import file, image
from train import checkpoint as checkpoints
from train.checkpoint import CheckpointError

torch.set_num_threads(1)
PLACES = ((0, 0), (3, 5), (8, 11), (15, 23))  # row and column in the heads of a 64 × 96 image
TOLERANCE = {"res_18": 5e-4, "resdcn_18": 5e-3, "dla_34": 5e-4}
CHANNELS = {"res_18": 3, "resdcn_18": 6, "dla_34": 6}
WIDTH = {"res_18": 64, "resdcn_18": 64, "dla_34": 256}
CENTERNETS_ANSWERS: dict[str, dict[str, tuple[tuple[float, ...], ...]]] = {
    "res_18": {
        "heatmap": (
            (-0.28563, -0.41090, 0.55763),
            (0.17895, -0.14106, 0.89657),
            (-0.81430, -4.34908, 0.80883),
            (-0.50327, 0.59591, 0.27691),
        ),
        "size": ((-0.07788, 0.04368), (2.03774, -1.42500), (0.81168, 1.10912), (-0.04399, -0.70856)),
        "offset": ((0.32205, 0.87771), (4.45249, -0.99824), (0.49570, -2.76264), (-0.10070, 0.15519)),
    },
    "resdcn_18": {
        "heatmap": (
            (-0.05679, -0.25380, 0.10890),
            (-0.12707, -0.11719, -0.03075),
            (-0.00739, -0.19306, -0.15389),
            (-0.16401, -0.28333, -0.11650),
        ),
        "size": ((-0.03084, -0.01557), (-0.17987, 0.03611), (-0.10226, 0.08164), (-0.12319, 0.06465)),
        "offset": ((-0.02032, 0.13192), (0.17248, 0.15664), (0.03507, 0.16215), (0.08045, 0.14637)),
    },
    "dla_34": {
        "heatmap": (
            (-0.10742, -0.22885, 0.01330),
            (0.28627, -0.20892, 0.01196),
            (0.30033, -0.18193, 0.02923),
            (0.06106, -0.15365, 0.00146),
        ),
        "size": ((-0.46228, -0.11598), (-0.44426, -0.30758), (-0.48623, -0.27701), (-0.46686, -0.13523)),
        "offset": ((0.14775, 0.16467), (0.35304, -0.00713), (0.39548, -0.00198), (0.15683, 0.10341)),
    },
}


@pytest.fixture(scope="module")
def states() -> Mapping[str, dict[str, Tensor]]:
    return {name: getattr(centernet_weights, name)(3, CHANNELS[name], WIDTH[name]) for name in CENTERNETS_ANSWERS}


@pytest.fixture
def three(tmp_path: Path) -> str:
    path = tmp_path / "labels.txt"
    path.write_text("Run\n\n  Jump \nDive\n", encoding="utf-8")
    return str(path)


def saved(content: Any, path: Path, zipped: bool = True) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


def refusal(source: Path, options: CheckpointOptions | None = None, output: str = "out.pt") -> str:
    with pytest.raises(CheckpointError) as caught:
        checkpoint_conversion.convert(source, source.with_name(output), options or CheckpointOptions())
    assert not source.with_name("out.pt").exists()
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", CENTERNETS_ANSWERS)
def test_our_network_answers_as_centernets(
    name: str, states: Mapping[str, dict[str, Tensor]], three: str, tmp_path: Path
) -> None:
    """CENTERNETS_ANSWERS: those of CenterNet's own code, once, of these very weights and this image.

    Its networks (`msra_resnet.py`, `resnet_dcn.py`, `pose_dla_dcn.py`, the last with KORSAL's first layer of six
    channels) ran in float32; its deformable convolution, for which there is only CUDA, was a float64 loop over that
    kernel's formula. Noted are all channels at four places; names, shapes and the order of all operations enter them.
    Real, trained weights were not at hand.
    """
    source = saved(file(states[name], "module." if name == "dla_34" else ""), tmp_path / "a.pth", name != "res_18")
    manifest = checkpoint_conversion.convert(source, tmp_path / "a.pt", CheckpointOptions(three))
    assert (manifest.architecture, manifest.labels) == (name, ("Run", "Jump", "Dive"))
    with torch.inference_mode():
        heads = checkpoints.detector(checkpoints.load(tmp_path / "a.pt"))(image(CHANNELS[name], 64, 96))
    for head, expected in CENTERNETS_ANSWERS[name].items():
        values = getattr(heads, head)[0]
        got = torch.stack([values[:, row, column] for row, column in PLACES])
        torch.testing.assert_close(got, torch.tensor(expected), atol=TOLERANCE[name], rtol=0)


def test_what_the_manifest_says(states: Mapping[str, dict[str, Tensor]], three: str, tmp_path: Path) -> None:
    source = saved(file(states["res_18"]), tmp_path / "model_best.pth")
    made = checkpoint_conversion.convert(
        source, tmp_path / "a.pt", CheckpointOptions(three, size=(192, 256), licence="MIT")
    )
    assert made == checkpoints.load(tmp_path / "a.pt").manifest
    assert (made.name, made.height, made.width, made.licence) == ("model_best", 192, 256, "MIT")
    assert made.motion == MotionSettings("none")
    assert made.training["converted_from"] == "model_best.pth"
    assert made.training["epoch"] == 7


def test_six_channels_are_a_frame_and_its_map(
    states: Mapping[str, dict[str, Tensor]], three: str, tmp_path: Path
) -> None:
    source = saved(states["resdcn_18"], tmp_path / "bare.pth")  # a state_dict alone
    assert checkpoint_conversion.convert(source, tmp_path / "a.pt", CheckpointOptions(three)).motion == MotionSettings(
        "ssim"
    )
    made = checkpoint_conversion.convert(source, tmp_path / "b.pt", CheckpointOptions(three, motion="previous", gap=4))
    assert made.motion == MotionSettings("previous", gap=4)
    assert "reads 6 channels, which does not go with --motion none" in refusal(
        source, CheckpointOptions(three, motion="none")
    )


@pytest.mark.parametrize(("classes", "name", "side"), [(24, "ucf24", 256), (21, "jhmdb21", 256), (80, "coco", 512)])
def test_known_labels_are_known_by_their_number(classes: int, name: str, side: int, tmp_path: Path) -> None:
    source = saved(file(centernet_weights.res_18(classes, 3, 64)), tmp_path / "a.pth")
    for given in (None, name):
        made = checkpoint_conversion.convert(source, tmp_path / "a.pt", CheckpointOptions(given))
        assert made.labels == label_sets.KNOWN[name]
        assert (made.height, made.width, made.training["labels"]) == (side, side, name)


def test_the_known_sets() -> None:
    assert {name: (len(known), len(set(known))) for name, known in label_sets.KNOWN.items()} == {
        "ucf24": (24, 24),
        "jhmdb21": (21, 21),
        "coco": (80, 80),
    }


Spoil = Callable[[dict[str, Tensor]], Any]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda s: s.pop("wh.2.bias"), "does not fit res_18; missing: wh.2.bias; give a checkpoint of res_18, resdcn_"),
        (lambda s: s.update({"hps.0.weight": torch.zeros(2)}), "surplus: hps.0.weight; give"),
        (
            lambda s: s.update({"wh.2.weight": torch.zeros(6, 64, 1, 1)}),
            "shape: wh.2.weight (6, 64, 1, 1) instead of (",
        ),
        (lambda s: s.update({"bn1.bias": torch.full((64,), float("nan"))}), "not finite: bn1.bias; give"),
        (
            lambda s: s.update({"conv1.weight": torch.zeros(())}),
            "shape: conv1.weight () instead of (64, 3, 7, 7); give",
        ),
        (
            lambda s: (s.pop("reg.2.bias"), s.update({"x": torch.zeros(1)})),
            "missing: reg.2.bias; surplus: x; give",
        ),
        (
            lambda s: [s.pop(name) for name in list(s) if name.startswith("layer4.") and "tracked" not in name],
            "and 5 more; give",  # of 25 parameters of the last stage, 20 are listed
        ),
        (
            lambda s: [s.pop(name) for name in list(s) if name.startswith("deconv_layers.")],
            "is none of res_18, resdcn_18, dla_34 by the names of its ",
        ),
    ],
)
def test_what_does_not_fit_is_listed(
    spoil: Spoil, message: str, states: Mapping[str, dict[str, Tensor]], three: str, tmp_path: Path
) -> None:
    spoilt = dict(states["res_18"])
    spoil(spoilt)
    refused = refusal(saved(file(spoilt), tmp_path / "a.pth"), CheckpointOptions(three))
    assert refused.startswith(f"{tmp_path / 'a.pth'}: ")
    assert message in refused


def test_another_architecture_than_the_file_holds(
    states: Mapping[str, dict[str, Tensor]], three: str, tmp_path: Path
) -> None:
    message = refusal(
        saved(file(states["res_18"]), tmp_path / "a.pth"), CheckpointOptions(three, architecture="resdcn_18")
    )
    assert "does not fit resdcn_18; missing: deconv_layers.0.bias, deconv_layers.0.conv_offset_mask.weight" in message
    assert "deconv_layers.0.weight (512, 256, 4, 4) instead of (256, 512, 3, 3)" in message


def test_counters_of_batches_may_be_absent(states: Mapping[str, dict[str, Tensor]], three: str, tmp_path: Path) -> None:
    """PyTorch before 0.4.1 did not keep them."""
    old = {name: value for name, value in states["res_18"].items() if "tracked" not in name}
    checkpoint_conversion.convert(saved(file(old), tmp_path / "a.pth"), tmp_path / "a.pt", CheckpointOptions(three))
    checkpoints.detector(checkpoints.load(tmp_path / "a.pt"))


def test_frames_are_of_networks_that_see_clips(
    states: Mapping[str, dict[str, Tensor]], three: str, tmp_path: Path
) -> None:
    source = saved(file(states["res_18"]), tmp_path / "a.pth")
    told = refusal(source, CheckpointOptions(three, frames=8))
    assert told == f"{source}: is of res_18, which sees no clip; leave --frames out"


def test_labels_that_do_not_match(states: Mapping[str, dict[str, Tensor]], tmp_path: Path) -> None:
    source = saved(file(states["res_18"]), tmp_path / "a.pth")
    (tmp_path / "two.txt").write_text("Run\nJump\n")
    (tmp_path / "twice.txt").write_text("Run\nJump\nRun\n")
    assert "has 3 classes, as no known set has; name them with --labels FILE" in refusal(source)
    assert "has 3 classes, and ucf24 names 24; give its own --labels" in refusal(source, CheckpointOptions("ucf24"))
    assert "has 3 classes, and " in refusal(source, CheckpointOptions(str(tmp_path / "two.txt")))
    assert "names Run more than once" in refusal(source, CheckpointOptions(str(tmp_path / "twice.txt")))
    assert "cannot be read" in refusal(source, CheckpointOptions(str(tmp_path / "none.txt")))


class Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Path]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("zipped", [True, False])
def test_nothing_in_a_file_is_executed(zipped: bool, tmp_path: Path) -> None:
    source = saved({"state_dict": {"conv1.weight": Trap(tmp_path / "sprung")}}, tmp_path / "a.pth", zipped)
    assert "not a checkpoint of tensors alone" in refusal(source)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    "content", [{}, {"state_dict": {}}, {"state_dict": {"a": 1}}, {"epoch": 1}, [torch.zeros(1)], torch.zeros(1)]
)
def test_what_holds_no_weights(content: Any, tmp_path: Path) -> None:
    assert "holds no state_dict of tensors" in refusal(saved(content, tmp_path / "a.pth"))


def test_files_that_are_none(tmp_path: Path) -> None:
    assert "no such file; give a .pth" in refusal(tmp_path / "a.pth")
    (tmp_path / "b.pth").write_text("\x1b[31mtext")
    assert refusal(tmp_path / "b.pth") == (
        f"{tmp_path / 'b.pth'}: not a checkpoint of tensors alone (it is no file of torch.save); "
        "give a .pth of CenterNet, KORSAL or YOWO"
    )


@pytest.mark.parametrize("zipped", [True, False])
def test_other_contents_of_a_checkpoint_are_named_in_one_sentence(zipped: bool, tmp_path: Path) -> None:
    """In our words: PyTorch's own are coloured, and advise to execute what lies there."""
    source = saved({"opt": argparse.Namespace(lr=1), "state_dict": {}}, tmp_path / "a.pth", zipped)
    assert refusal(source) == (
        f"{source}: not a checkpoint of tensors alone (it asks for argparse.Namespace, which weights never need); what "
        "else it holds would have to be executed: save its state_dict alone, where you trust it"
    )


def test_where_it_may_be_written(states: Mapping[str, dict[str, Tensor]], three: str, tmp_path: Path) -> None:
    source = saved(file(states["res_18"]), tmp_path / "a.pt")
    before = source.read_bytes()
    assert "is the file to convert itself" in refusal(source, CheckpointOptions(three), "a.pt")
    assert "ends with .pt" in refusal(source, CheckpointOptions(three), "a.onnx")
    assert "no such file" in refusal(tmp_path / "none.pth", CheckpointOptions(three), "a.pt")
    assert source.read_bytes() == before


@pytest.mark.parametrize(("text", "size"), [("256", (256, 256)), ("192x320", (192, 320)), ("192X320", (192, 320))])
def test_sizes(text: str, size: tuple[int, int]) -> None:
    assert published_file.size(text) == size


@pytest.mark.parametrize("text", ["", "100", "64x", "0", "-32", "32x32x32", "8192", "a"])
def test_no_sizes(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not HEIGHTxWIDTH|invalid literal"):
        published_file.size(text)


def test_the_command(
    states: Mapping[str, dict[str, Tensor]], three: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = saved(file(states["dla_34"]), tmp_path / "model_last.pth"), tmp_path / "out.pt"
    options = ("--labels", three, "--size", "192x256", "--motion", "dsim", "--name", "mine", "--arch", "dla_34")
    assert main(["checkpoint", str(source), "-o", str(target), *options]) == 0
    made, following = capsys.readouterr().out.splitlines()
    assert made.startswith(f"{target} (")
    assert made.endswith(f" MB): mine, dla_34, 3 labels ({three}: Run … Dive), 192 × 256 pixels, motion dsim")
    assert following == f"Next: korsal-convert export {target} -o {tmp_path / 'out.onnx'}"
    assert checkpoints.load(target).manifest.motion == MotionSettings("dsim")


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        ((), 1, "has 3 classes, as no known set has; name them with --labels FILE"),
        (("--size", "100"), 2, "100 is not HEIGHTxWIDTH in multiples of 32"),
        (("--arch", "hourglass"), 2, "invalid choice: 'hourglass'"),
        (("--gap", "0"), 2, "0: give a whole number, 1 or more"),
    ],
)
def test_a_command_that_is_refused(
    options: tuple[str, ...],
    status: int,
    message: str,
    states: Mapping[str, dict[str, Tensor]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = saved(file(states["res_18"]), tmp_path / "a.pth")
    try:
        got = main(["checkpoint", str(source), "-o", str(tmp_path / "out.pt"), *options])
    except SystemExit as left:
        got = int(str(left.code))
    assert got == status
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out.pt").exists()
