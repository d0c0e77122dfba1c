"""The depthwise convolution for CPUs differentiates as PyTorch's does."""

import pytest

torch = pytest.importorskip("torch")

from train.networks.depthwise import DepthwiseConvolution  # noqa: E402


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(8, 12), (7, 9)])
def test_gradients_are_those_of_a_float32_convolution(kernel: int, stride: int, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    layer = DepthwiseConvolution(6, kernel, stride)
    x = torch.randn(3, 6, *size).bfloat16()

    exact_x = x.float().requires_grad_()
    exact_y = layer(exact_x)
    upstream = torch.randn_like(exact_y).bfloat16()
    exact_y.backward(upstream.float())
    exact_weight = layer.weight.grad
    layer.weight.grad = None
    assert exact_weight is not None
    assert exact_x.grad is not None

    quick_x = x.clone().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        quick_y = layer(quick_x)
    quick_y.backward(upstream)
    assert quick_y.dtype == torch.bfloat16
    assert quick_x.grad is not None
    assert layer.weight.grad is not None
    torch.testing.assert_close(quick_y.float(), exact_y, atol=0.03, rtol=0.01)
    torch.testing.assert_close(quick_x.grad.float(), exact_x.grad, atol=0.03, rtol=0.01)
    assert layer.weight.grad.dtype == torch.float32
    torch.testing.assert_close(layer.weight.grad, exact_weight, atol=0.1, rtol=0.01)
