"""Deformable convolution against its formula, written slowly, and against ONNX Runtime's."""

import io
import warnings

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from train.networks.deformable import OPSET, DeformableConvolution, deformable_convolution

torch.set_num_threads(1)
INPUTS, OUTPUTS = 3, 4


def noise(seed: int, *shape: int, scale: float = 1.0) -> Tensor:
    return scale * torch.from_numpy(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def read(channel: np.ndarray, y: float, x: float) -> float:
    """Bilinear, zeros outside of the image."""
    height, width = channel.shape
    top, left = int(np.floor(y)), int(np.floor(x))
    value = 0.0
    for row in (top, top + 1):
        for column in (left, left + 1):
            if 0 <= row < height and 0 <= column < width:
                value += channel[row, column] * (1 - abs(y - row)) * (1 - abs(x - column))
    return value


def slowly(x: np.ndarray, offsets: np.ndarray, masks: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Zhu et al. 2018, eq. 1: y(p) = Σ_k w_k · x(p + p_k + Δp_k) · Δm_k, for one image (C, H, W)."""
    height, width = x.shape[1:]
    y = np.zeros((len(weight), height, width))
    for row in range(height):
        for column in range(width):
            for tap in range(9):
                dy, dx = offsets[2 * tap : 2 * tap + 2, row, column]
                at = row + tap // 3 - 1 + dy, column + tap % 3 - 1 + dx
                for channel in range(len(x)):
                    sample = read(x[channel], *at) * masks[tap, row, column]
                    y[:, row, column] += weight[:, channel, tap // 3, tap % 3] * sample
    return y + bias[:, None, None]


def tensors(seed: int, height: int, width: int, reach: float) -> tuple[Tensor, ...]:
    """x, offsets, masks, weight, bias; offsets of about `reach` pixels."""
    return (
        noise(seed, 2, INPUTS, height, width),
        noise(seed + 1, 2, 18, height, width, scale=reach),
        torch.sigmoid(noise(seed + 2, 2, 9, height, width)),
        noise(seed + 3, OUTPUTS, INPUTS, 3, 3),
        noise(seed + 4, OUTPUTS),
    )


@pytest.mark.parametrize(("height", "width", "reach"), [(5, 6, 0.4), (4, 7, 3.0), (1, 1, 1.0), (3, 2, 40.0)])
def test_it_is_the_formula(height: int, width: int, reach: float) -> None:
    given = tensors(height, height, width, reach)
    got = deformable_convolution(*given)
    x, offsets, masks, weight, bias = (value.numpy() for value in given)
    for image in range(2):
        expected = slowly(x[image], offsets[image], masks[image], weight, bias)
        np.testing.assert_allclose(got[image], expected, atol=1e-4)


def test_whole_pixels_in_the_order_dy_dx() -> None:
    """Only the middle tap is heard; it looks one row down and two columns to the left."""
    x = noise(0, 1, 1, 6, 6)
    offsets, masks, weight = torch.zeros(1, 18, 6, 6), torch.zeros(1, 9, 6, 6), torch.ones(1, 1, 3, 3)
    offsets[:, 8], offsets[:, 9], masks[:, 4] = 1, -2, 1
    got = deformable_convolution(x, offsets, masks, weight, torch.zeros(1))
    torch.testing.assert_close(got[0, 0, :-1, 2:], x[0, 0, 1:, :-2])
    assert not got[0, 0, -1].abs().max() > 1e-5  # below the image
    assert not got[0, 0, :, :2].abs().max() > 1e-5  # left of it


def test_it_begins_as_half_a_plain_convolution() -> None:
    """Offsets 0, masks sigmoid(0)."""
    torch.manual_seed(0)
    layer = DeformableConvolution(INPUTS, OUTPUTS)
    x = noise(0, 2, INPUTS, 7, 9)
    torch.testing.assert_close(layer(x), F.conv2d(x, layer.weight / 2, layer.bias, padding=1), atol=1e-5, rtol=0)


def test_offsets_masks_and_weights_learn() -> None:
    """The slope in one offset is the difference quotient, for reading is linear between two pixels."""
    x, offsets, masks, weight, bias = (value.requires_grad_() for value in tensors(0, 5, 6, 0.3))
    offsets.data[0, 8, 2, 3] = 0.4
    deformable_convolution(x, offsets, masks, weight, bias).sum().backward()
    for tensor in (x, offsets, masks, weight, bias):
        assert tensor.grad is not None
        assert tensor.grad.isfinite().all()
        assert tensor.grad.abs().max() > 0
    sums = []
    for step in (-0.1, 0.1):
        with torch.no_grad():
            moved = offsets.clone()
            moved[0, 8, 2, 3] += step
            sums.append(float(deformable_convolution(x, moved, masks, weight, bias).sum()))
    assert offsets.grad is not None
    assert float(offsets.grad[0, 8, 2, 3]) == pytest.approx((sums[1] - sums[0]) / 0.2, rel=1e-2, abs=1e-3)


def test_it_trains_in_bfloat16() -> None:
    layer = DeformableConvolution(INPUTS, OUTPUTS)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = layer(noise(0, 2, INPUTS, 8, 8))
    y.float().square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in layer.parameters())


@pytest.fixture(scope="module")
def layer() -> DeformableConvolution:
    """Taps look some pixels away, some outside of the image."""
    torch.manual_seed(0)
    made = DeformableConvolution(INPUTS, OUTPUTS)
    torch.nn.init.normal_(made.look.weight, std=0.5)
    return made.eval()


def exported(layer: DeformableConvolution) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            layer,
            (torch.zeros(1, INPUTS, 9, 12),),
            file,  # type: ignore[arg-type]
            input_names=["x"],
            dynamic_axes={"x": {0: "batch"}},
            opset_version=OPSET,
            dynamo=False,
        )
    return file.getvalue()


@pytest.mark.parametrize("batch", [1, 3])
def test_onnx_runtime_answers_as_torch_on_noise(batch: int, layer: DeformableConvolution) -> None:
    content = exported(layer)
    model = onnx.load_model_from_string(content)
    assert [node.op_type for node in model.graph.node].count("DeformConv") == 1
    onnx.checker.check_model(model, full_check=True)
    x = noise(batch, batch, INPUTS, 9, 12)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    with torch.inference_mode():
        expected = layer(x).numpy()
    np.testing.assert_allclose(session.run(None, {"x": x.numpy()})[0], expected, atol=1e-4)
