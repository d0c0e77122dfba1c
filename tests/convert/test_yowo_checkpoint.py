"""Checkpoints of the published YOWO → ours; what the network then answers is in tests/train/networks/yowo."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

from convert import label_sets, yowo_checkpoint
from convert.__main__ import main
from convert.published_file import CheckpointOptions, PublishedFile
from edge.clip import ClipInput
from edge.motion_map import MotionSettings
from train import checkpoint as checkpoints
from train.checkpoint import CheckpointError
from train.networks.yowo import original
from train.networks.yowo.original import BACKBONES, OriginalYowo

torch.set_num_threads(1)
UNSAID = CheckpointOptions()


def weights(backbone: str, classes: int = 24) -> dict[str, Tensor]:
    """The names and shapes of a file; every parameter repeats one number, which takes no room, but for the first."""
    with torch.device("meta"):
        shapes = dict(OriginalYowo(classes, backbone).state_dict())
    del shapes["priors"]
    made = {
        name: torch.full((1,) * value.ndim, 0.5).to(value.dtype).expand(value.shape) for name, value in shapes.items()
    }
    first = torch.arange(3.0).view(1, 3, 1, 1).expand(32, 3, 3, 3)  # red, green, blue
    return {**made, "backbone_2d.models.0.conv1.weight": first}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """What stands for a file whose content is made up here."""
    path = tmp_path / "a.pth"
    path.write_bytes(b"")
    return path


def refusal(state: Mapping[str, Tensor], source: Path, options: CheckpointOptions = UNSAID) -> str:
    with pytest.raises(CheckpointError) as caught:
        yowo_checkpoint.converted(PublishedFile(source, state, None), options)
    message = str(caught.value)
    assert "\n" not in message
    return message.removeprefix(f"{source}: ")


def test_a_published_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As YOWO's training saves it, on several GPUs; in half precision, to be smaller."""
    source, target = tmp_path / "yowo_ucf24_8f_best.pth", tmp_path / "out.pt"
    state = {f"module.{name}": value.half().contiguous() for name, value in weights("mobilenetv2_1x").items()}
    optimizer = {"state": {}, "param_groups": [{"lr": 1e-4, "params": [0]}]}
    torch.save({"epoch": 7, "state_dict": state, "optimizer": optimizer, "score": 0.8}, source)
    assert main(["checkpoint", str(source), "-o", str(target)]) == 0
    made, following = capsys.readouterr().out.splitlines()
    assert following == f"Next: korsal-convert export {target} -o {target.with_suffix('.onnx')}"
    assert made.endswith(
        " MB): yowo_ucf24_8f_best, yowo_original_mobilenetv2_1x, 24 labels (ucf24: Basketball … WalkingWithDog), "
        "224 × 224 pixels, clips of 8 frames"
    )
    read = checkpoints.load(target)
    manifest = read.manifest
    assert (manifest.clip, manifest.nms_iou, manifest.motion) == (ClipInput(8), 0.4, MotionSettings("none"))
    assert (manifest.mean, manifest.std, manifest.labels) == ((0.0,) * 3, (1.0,) * 3, label_sets.UCF24)
    assert (manifest.training["epoch"], manifest.training["converted_from"]) == (7, source.name)
    network = checkpoints.detector(read)
    assert isinstance(network, OriginalYowo)
    assert not network.training
    torch.testing.assert_close(network.get_buffer("priors"), original.priors_for(24))
    first = network.state_dict()["backbone_2d.models.0.conv1.weight"]
    assert first[0, :, 0, 0].tolist() == [2, 1, 0]  # frames here are BGR


@pytest.mark.parametrize(("name", "given", "frames"), [("a_16f_b", None, 16), ("a", None, 16), ("a_8f", 4, 4)])
def test_how_long_a_clip_is(name: str, given: int | None, frames: int, tmp_path: Path) -> None:
    source = tmp_path / f"{name}.pth"
    source.write_bytes(b"")
    found = PublishedFile(source, weights("mobilenetv2_1x", 21), None)
    made = yowo_checkpoint.converted(found, CheckpointOptions(frames=given, size=(64, 96))).manifest
    assert made.clip == ClipInput(frames)
    assert (made.height, made.width, made.labels) == (64, 96, label_sets.JHMDB21)
    assert made.architecture == "yowo_original_mobilenetv2_1x"


def test_every_backbone_is_known(source: Path) -> None:
    for backbone in BACKBONES:
        made = yowo_checkpoint.converted(PublishedFile(source, weights(backbone), 3), UNSAID)
        assert (made.manifest.architecture, made.manifest.training["epoch"]) == (f"yowo_original_{backbone}", 3)
        assert made.weights[yowo_checkpoint.FIRST_LAYERS[backbone]].shape[1] == 3


def without(state: dict[str, Tensor], sign: str) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if sign not in name}


def test_backbones_that_are_not_read_are_told_which_are(source: Path) -> None:
    state = without(weights("mobilenetv2_1x"), "backbone_3d.features.18")
    assert refusal(state, source) == (
        f"is no YOWO with a backbone that is known here, by the names of its {len(state)} "
        f"parameters; read are darknet19 in 2-D with {', '.join(BACKBONES)} in 3-D"
    )
    assert "read are darknet19 in 2-D" in refusal({"a": torch.zeros(1)}, source)
    assert "read are darknet19 in 2-D" in refusal(without(weights("resnet18"), "backbone_2d"), source)


def test_which_files_are_taken_for_yowo(source: Path) -> None:
    ours, others = (PublishedFile(source, state, None) for state in (weights("resnet18"), {"a": torch.zeros(1)}))
    assert yowo_checkpoint.is_yowo(ours, UNSAID)
    assert not yowo_checkpoint.is_yowo(others, UNSAID)
    assert yowo_checkpoint.is_yowo(others, CheckpointOptions(architecture="yowo_original"))
    assert not yowo_checkpoint.is_yowo(ours, CheckpointOptions(architecture="res_18"))


def test_a_file_without_the_attentions_weight_is_still_taken_for_yowo(source: Path) -> None:
    state = without(weights("mobilenetv2_1x"), "cfam.sc.gamma")
    assert yowo_checkpoint.is_yowo(PublishedFile(source, state, None), UNSAID)
    assert refusal(state, source).startswith(
        "does not fit yowo_original with mobilenetv2_1x; missing: cfam.sc.gamma; give a checkpoint"
    )


def test_resnet_101_is_not_taken_for_resnext_101(source: Path) -> None:
    """Its layers have the same names and outputs, but no groups."""
    state = {**weights("resnext101"), "backbone_3d.layer1.0.conv2.weight": torch.zeros(64, 64, 3, 3, 3)}
    assert refusal(state, source).startswith("is no YOWO with a backbone that is known here")


def test_weights_that_are_no_floating_point_numbers(source: Path) -> None:
    """Those of eight bits have scales elsewhere, which nothing here reads."""
    state = weights("mobilenetv2_1x")
    state["cfam.conv_out.1.bias"] = torch.zeros(1024, dtype=torch.int8)
    state["conv_final.weight"] = state["conv_final.weight"].to(torch.complex64)
    message = refusal(state, source)
    assert "; not of floating-point numbers: cfam.conv_out.1.bias, conv_final.weight; give a checkpoint" in message


def test_counters_that_an_old_file_lacks_are_zero(source: Path) -> None:
    """As those of PyTorch before 0.4.1 do."""
    state = without(weights("mobilenetv2_1x"), "num_batches_tracked")
    made = yowo_checkpoint.converted(PublishedFile(source, state, None), UNSAID).weights
    counters = [value for name, value in made.items() if name.endswith("num_batches_tracked")]
    assert len(counters) == 77
    assert not any(counters)


def test_what_does_not_fit_is_listed(source: Path) -> None:
    state = weights("shufflenetv2_2x")
    state["cfam.sc.gamma"] = torch.tensor([float("nan")])
    state["cfam.conv_out.1.bias"] = torch.zeros(7)
    state["strange"] = torch.zeros(1)
    message = refusal(without(state, "conv23.bias"), source)
    assert "does not fit yowo_original with shufflenetv2_2x; missing: backbone_2d.models.30.conv23.bias; " in message
    assert "surplus: strange; of another shape: cfam.conv_out.1.bias (7,) instead of (1024,); " in message
    assert "not finite: cfam.sc.gamma; give a checkpoint" in message


@pytest.mark.parametrize(
    ("classes", "options", "message"),
    [
        (80, CheckpointOptions(), "has 80 classes, as AVA, whose boxes YOWO decodes in another way"),
        (3, CheckpointOptions(), "has 3 classes, as no known set has; name them with --labels FILE"),
        (24, CheckpointOptions(motion="ssim"), "YOWO sees a clip and no motion map; leave --motion and --gap out"),
        (24, CheckpointOptions(gap=2), "YOWO sees a clip and no motion map; leave --motion and --gap out"),
        (24, CheckpointOptions(frames=32, size=(1024, 1024)), "a device keeps up to 71 frames of 1024x1024 for each"),
        (24, CheckpointOptions(frames=33), "a clip has 1 to 32 frames; give as many by --frames"),
    ],
)
def test_what_is_refused(classes: int, options: CheckpointOptions, message: str, source: Path) -> None:
    assert refusal(weights("mobilenetv2_1x", classes), source, options).startswith(message)


def test_a_last_layer_of_no_boxes(source: Path) -> None:
    state = {**weights("mobilenetv2_1x"), "conv_final.weight": torch.zeros(147, 1024, 1, 1)}
    assert "its last layer has 147 outputs, which are no 5 boxes" in refusal(state, source)


@pytest.mark.parametrize("name", ["cfam.conv_bn_relu1.0.weight", "conv_final.weight"])
def test_a_layer_that_tells_what_the_file_is(name: str, source: Path) -> None:
    state = weights("mobilenetv2_1x")
    said = f"its {name} is missing, or no weights of a convolution; give a checkpoint as YOWO's training writes it"
    assert refusal({**state, name: torch.tensor(1.0)}, source) == said
    assert refusal({one: value for one, value in state.items() if one != name}, source) == said


def test_a_file_that_holds_a_name_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One of both would be taken, whichever comes last."""
    path = tmp_path / "a.pth"
    torch.save({"state_dict": {"cfam.sc.gamma": torch.zeros(1), "module.cfam.sc.gamma": torch.ones(1)}}, path)
    assert main(["checkpoint", str(path), "-o", str(tmp_path / "out.pt")]) == 1
    assert f"{path}: holds cfam.sc.gamma twice, with module. before it and without; give" in capsys.readouterr().err


def test_own_actions_take_the_priors_of_ucf101(source: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("Run\nJump\n")
    options = CheckpointOptions(str(tmp_path / "labels.txt"))
    made = yowo_checkpoint.converted(PublishedFile(source, weights("mobilenetv2_1x", 2), None), options).manifest
    assert made.labels == ("Run", "Jump")
    assert made.training["priors"] == "UCF101-24's, which the file does not tell"
