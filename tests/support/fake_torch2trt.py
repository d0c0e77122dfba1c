"""A torch2trt with the signature and habits of the real one (0.5.0), which builds nothing. It proves the call alone.

It runs the network once as the real one does, leaves away outputs that are no floats and names the others in order,
reads calibration data as TensorRT's calibrator does, and exports an ONNX where it is told to keep one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

FLOATS = (torch.float16, torch.float32, torch.bool)


@dataclass(eq=False)
class Built:
    """What a call of it left: the arguments, the batches that calibrated, the ONNX."""

    given: dict[str, Any] = field(default_factory=dict)
    batches: list[Tensor] = field(default_factory=list)


class Engine:
    """The part of TensorRT's engine that is asked of."""

    def __init__(self, names: list[str], plan: bytes | None) -> None:
        self._names, self._plan = names, plan

    @property
    def num_io_tensors(self) -> int:
        return len(self._names)

    def get_tensor_name(self, index: int) -> str:
        return self._names[index]

    def serialize(self) -> bytes | None:
        return self._plan


class _Flat(nn.Module):
    """Outputs as a list, without those that are no floats."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *arguments: Any) -> list[Tensor]:
        (inputs,) = arguments
        return [output for output in self.module(*inputs) if output.dtype in FLOATS]


def fake_torch2trt(
    trt: Any,
    plan: bytes | None = b"a plan",
    engine: bool = True,
    onnx: Path | None = None,
    failing: Callable[[], None] = lambda: None,
) -> tuple[Any, Built]:
    """The module, and what becomes of its call. `engine`: whether the builder gives one; `failing` may raise."""
    built = Built()

    def torch2trt(
        module: nn.Module,
        inputs: list[Tensor],
        input_names: list[str] | None = None,
        output_names: list[str] | None = None,
        log_level: int = 1,
        fp16_mode: bool = False,
        max_workspace_size: int = 1 << 25,
        strict_type_constraints: bool = False,
        keep_network: bool = True,
        int8_mode: bool = False,
        int8_calib_dataset: Any = None,
        int8_calib_algorithm: Any = trt.CalibrationAlgoType.ENTROPY_CALIBRATION,  # of "10.3.0" >= "5.1"
        use_onnx: bool = False,
        default_device_type: Any = None,
        dla_core: int = 0,
        gpu_fallback: bool = True,
        device_types: Mapping[Any, Any] | None = None,
        min_shapes: Any = None,
        max_shapes: Any = None,
        opt_shapes: Any = None,
        onnx_opset: int | None = None,
        max_batch_size: int | None = None,
        avg_timing_iterations: int | None = None,
        **kwargs: Any,
    ) -> Any:
        built.given.update({name: value for name, value in locals().items() if name not in ("module", "kwargs")})
        failing()
        flat = _Flat(module)
        outputs = flat(inputs)
        inputs_named = input_names or ["input_0"]
        names = (output_names or [])[: len(outputs)]
        if int8_mode:
            built.batches += [item[0] for item in int8_calib_dataset]
        if onnx is not None and use_onnx:
            axes = {inputs_named[0]: {0: "input_0_axis_0"}}
            torch.onnx.export(
                flat, (inputs,), onnx, input_names=inputs_named, output_names=names, dynamic_axes=axes,
                opset_version=onnx_opset,
            )  # fmt: skip
        return SimpleNamespace(engine=Engine([*inputs_named, *names], plan) if engine else None)

    return SimpleNamespace(torch2trt=torch2trt), built
