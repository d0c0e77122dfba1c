import pickle
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edge.clip import ClipInput
from edge.manifest import Manifest
from edge.motion_map import MotionSettings
from tests.support.full_disk import full_disk
from train import checkpoint as checkpoints
from train.checkpoint import Checkpoint, CheckpointError
from train.networks.decoder import Decoder
from train.networks.lite import LiteDetector
from train.networks.yowo.lite import YowoLite

torch.set_num_threads(1)
MANIFEST = Manifest("tiny", ("Run", "Jump"), 64, 64, MotionSettings("none"), top_k=5)
EMPTY: dict[str, Any] = {"korsal_edge": 1, "weights": {}, "settings": {}, "progress": {}}


@pytest.fixture(scope="module")
def network() -> LiteDetector:
    torch.manual_seed(0)
    return LiteDetector(2, 3).eval()


@pytest.fixture(scope="module")
def kept(network: LiteDetector) -> Checkpoint:
    settings = {"height": 64, "motion": {"kind": "none"}}
    return Checkpoint(MANIFEST, network.state_dict(), settings, {"samples": 12, "best": 3.5})


@pytest.fixture(scope="module")
def path(kept: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoint") / "new" / "folder" / "last.pt"
    checkpoints.save(kept, path)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        checkpoints.load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def test_round_trip(path: Path, kept: Checkpoint) -> None:
    read = checkpoints.load(path)
    assert (read.manifest, read.settings, read.progress) == (kept.manifest, kept.settings, kept.progress)
    assert read.weights.keys() == kept.weights.keys()
    assert all(torch.equal(read.weights[name], kept.weights[name]) for name in kept.weights)
    assert [file.name for file in path.parent.iterdir()] == ["last.pt"]


def test_torch_behind_the_engine_interface(path: Path, network: LiteDetector) -> None:
    engine = checkpoints.engine(checkpoints.load(path))
    image = np.random.default_rng(0).normal(size=(2, 3, 64, 64)).astype(np.float32)
    answer = engine.infer({"image": image})
    with torch.inference_mode():
        expected = Decoder(network, 5)(torch.from_numpy(image))
    for name, value in zip(("boxes", "scores", "labels", "class_scores"), expected, strict=True):
        np.testing.assert_array_equal(answer[name], value.numpy())
    assert engine.manifest == MANIFEST
    assert engine.runtime.startswith("torch 2.")


@pytest.mark.parametrize(
    "content",
    [b"", b"text\n", bytes(300), b"\x80\x02}q\x00.", b"\x80\x04\x95", pickle.dumps([1, 2]), pickle.dumps("x" * 300, 4)],
)
def test_what_is_no_checkpoint(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(content)
    assert "not a checkpoint" in refusal(tmp_path / "a.pt")


def test_no_file_or_a_folder(tmp_path: Path) -> None:
    assert refusal(tmp_path / "a.pt").endswith("no such file; give a .pt that korsal-train wrote")
    assert refusal(tmp_path).endswith("cannot be read (Is a directory); give one of korsal-train")


def test_a_zip_of_something_else(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        archive.writestr("notes.txt", "nothing")
    assert "not a checkpoint" in refusal(tmp_path / "a.pt")


def test_a_checkpoint_cut_short_anywhere(path: Path, tmp_path: Path) -> None:
    whole = path.read_bytes()
    for share in (0.001, 0.1, 0.5, 0.9, 0.999):
        (tmp_path / "a.pt").write_bytes(whole[: int(len(whole) * share)])
        assert "not a checkpoint" in refusal(tmp_path / "a.pt")


def test_nothing_in_a_file_is_executed(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
            return Path.touch, (tmp_path / "sprung",)  # type: ignore[return-value]

    torch.save({"korsal_edge": 1, "manifest": Trap()}, tmp_path / "a.pt")
    assert "not a checkpoint" in refusal(tmp_path / "a.pt")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"state_dict": {}}, "not a checkpoint of korsal-train, version 1"),
        ({"korsal_edge": 2}, "not a checkpoint of korsal-train, version 1"),
        ([1, 2], "not a checkpoint of korsal-train, version 1"),
        ({"korsal_edge": 1}, "a checkpoint without manifest and weights and settings and progress"),
        ({**EMPTY, "manifest": "{}"}, "the manifest is not of version 1"),
        ({**EMPTY, "manifest": 5}, "a checkpoint without manifest; give one of korsal-train"),
    ],
)
def test_a_file_of_torch_that_is_something_else(content: object, message: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "a.pt")
    assert message in refusal(tmp_path / "a.pt")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda weights: weights.update({"heatmap.3.bias": torch.zeros(7)}), "heatmap.3.bias is (7,) instead of (2,)"),
        (lambda weights: weights.pop("heatmap.3.bias"), "heatmap.3.bias is missing"),
        (lambda weights: weights.update({"extra": torch.zeros(7)}), "extra is too much"),
        (lambda weights: weights.update({"heatmap.3.bias": "text"}), "heatmap.3.bias is () instead of (2,)"),
    ],
)
def test_weights_of_another_network(
    spoil: Callable[[dict[str, Any]], Any], message: str, kept: Checkpoint, tmp_path: Path
) -> None:
    weights = dict(kept.weights)
    spoil(weights)
    checkpoints.save(replace(kept, weights=weights), tmp_path / "a.pt")
    with pytest.raises(CheckpointError) as caught:
        checkpoints.engine(checkpoints.load(tmp_path / "a.pt"))
    assert str(caught.value) == (
        f"{tmp_path / 'a.pt'}: the weights are of another network than its manifest says ({message}); "
        "give a checkpoint as korsal-train wrote it, or train again"
    )


def test_a_weight_without_a_name(kept: Checkpoint, tmp_path: Path) -> None:
    nameless: dict[Any, Any] = {**kept.weights, 3: torch.zeros(1)}
    checkpoints.save(replace(kept, weights=nameless), tmp_path / "x.pt")
    assert "calls one of its weights 3, which is no name" in refusal(tmp_path / "x.pt")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers(value: float, kept: Checkpoint) -> None:
    broken = {**kept.weights, "box.3.bias": torch.full_like(kept.weights["box.3.bias"], value)}
    with pytest.raises(CheckpointError, match=r"tiny: the weights are broken \(box\.3\.bias holds nan or infinity\)"):
        checkpoints.detector(replace(kept, weights=broken))


def test_a_disk_that_fills_leaves_the_checkpoint_of_before(kept: Checkpoint, tmp_path: Path) -> None:
    checkpoints.save(kept, tmp_path / "last.pt")
    before = (tmp_path / "last.pt").read_bytes()
    sentence = r"last\.pt: cannot be written \(File too large\); free space on the disk or choose another --out$"
    with full_disk(len(before) // 2), pytest.raises(CheckpointError, match=sentence):
        checkpoints.save(kept, tmp_path / "last.pt")
    assert (tmp_path / "last.pt").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]


def test_a_folder_that_cannot_be(kept: Checkpoint, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match=r"cannot be written .* choose another --out"):
        checkpoints.save(kept, tmp_path / "file" / "last.pt")


@pytest.fixture(scope="module")
def clips() -> Checkpoint:
    manifest = replace(MANIFEST, architecture="yowo_lite", clip=ClipInput(2))
    return Checkpoint(manifest, YowoLite(2).state_dict(), {})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"clip": None}, "its network yowo_lite sees clips, and its manifest says otherwise"),
        ({"architecture": "lite"}, "its network lite sees no clips, and its manifest says otherwise"),
        ({"motion": MotionSettings("ssim")}, "its network yowo_lite reads no motion map, and its manifest names ssim"),
    ],
)
def test_a_manifest_of_other_inputs_than_the_networks(changes: dict[str, Any], message: str, clips: Checkpoint) -> None:
    with pytest.raises(CheckpointError, match=f"^tiny: {message}; give a checkpoint as korsal-train wrote it"):
        checkpoints.detector(replace(clips, manifest=replace(clips.manifest, **changes)))


def test_a_network_that_sees_clips_and_is_not_known(clips: Checkpoint) -> None:
    manifest = replace(clips.manifest, architecture="yowo_original_resnet50")
    with pytest.raises(CheckpointError, match="tiny: its network is yowo_original_resnet50, and known are lite, "):
        checkpoints.detector(replace(clips, manifest=manifest))


def test_weights_of_a_number_of_scales_that_no_network_has(clips: Checkpoint) -> None:
    weights = {name: value for name, value in clips.weights.items() if not name.startswith("fusion.join.1.")}
    with pytest.raises(CheckpointError, match="tiny: has weights for 2 scales, and networks here have 1 or 3; give"):
        checkpoints.detector(replace(clips, weights=weights))


@pytest.mark.parametrize("size", [float("nan"), float("inf"), 0.0, -8.0])
def test_priors_that_are_no_sizes(size: float, clips: Checkpoint) -> None:
    priors = clips.weights["priors"].clone()
    priors[2, 1, 0] = size
    with pytest.raises(CheckpointError, match="tiny: its priors are no widths and heights of boxes; give"):
        checkpoints.detector(replace(clips, weights={**clips.weights, "priors": priors}))
