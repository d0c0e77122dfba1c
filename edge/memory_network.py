"""What a manifest says of the memory: the streaming network in a second file, whose maps the detector reads. Pure.

Of each camera's whole picture that network takes INPUT, (B, 3, size, size) float32, RGB from 0 to 1, and the parts of
the memory, zeros before the first picture; it gives out FEATURES, TAP, and the parts for the next picture. The detector
reads FEATURES and TAP as they are, and in PLACEMENT where its own input lies in that picture. A network with ANSWERS
gives out these too, what it was trained to tell itself, and the AVERAGE of FEATURES over its steps, of which they are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field

FEATURES, TAP, PLACEMENT = "features", "tap", "placement"  # the last map, one at half its stride, where they lie
AVERAGE, ANSWERS = "average", "answers"
MEMORY_INPUTS = (
    *(FEATURES, TAP, PLACEMENT),
    *(AVERAGE, ANSWERS),
)  # a detector's inputs beside INPUT, in the order in which a network has them; the last two where there are answers
PLACES = 4  # numbers of a placement
MOST_PARTS = 64
FLOAT_BYTES = 4
MOST_NUMBERS = 1 << 24  # of one camera's memory, and of each map: 64 MiB

Side = Annotated[int, Field(ge=1, le=4096)]
MapShape = tuple[Side, Side, Side]
TensorShape = Annotated[tuple[Side, ...], Field(min_length=1, max_length=4)]
Shapes = dict[str, tuple[int, ...]]
Answers = Annotated[int, Field(ge=0, le=1 << 16)]
Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
MemoryInputs = Mapping[str, NDArray[np.float32]]  # MEMORY_INPUTS of one frame, (1, ...) each, by name


def _numbers(shapes: Sequence[tuple[int, ...]]) -> int:
    return sum(prod(shape) for shape in shapes)


def _map(shape: MapShape) -> MapShape:
    _parts((shape,))
    return shape


def _parts(shapes: tuple[TensorShape, ...]) -> tuple[TensorShape, ...]:
    if _numbers(shapes) > MOST_NUMBERS:
        raise ValueError(f"take more than {MOST_NUMBERS * FLOAT_BYTES >> 20} MiB for each camera")
    return shapes


LimitedMap = Annotated[MapShape, AfterValidator(_map)]


@dataclass(frozen=True)
class MemoryNetwork:
    """One streaming network. Shapes are those of one camera, without the batch.

    `weights`: a hash of its weights, hexadecimal. It sees every `interval`-th frame, at the manifest's rate, stretched
    to `size` × `size` pixels. `features` and `tap`: the shapes (C, h, w) of its maps. `answers`: how many ANSWERS the
    detector reads; 0: none, nor AVERAGE. A checkpoint names no more: of a model's file, `sha256` is that of the file
    beside it, and `parts` are those of the memory, in order.
    """

    weights: Hash
    interval: Annotated[int, Field(ge=1, le=1000)]
    size: Annotated[int, Field(ge=1, le=4096)]
    features: LimitedMap
    tap: LimitedMap
    sha256: Annotated[str, Field(pattern="^([0-9a-f]{64})?$")] = ""
    parts: Annotated[tuple[TensorShape, ...], Field(max_length=MOST_PARTS), AfterValidator(_parts)] = ()
    answers: Answers = 0

    @property
    def bytes_per_camera(self) -> int:
        """What a camera's memory takes, with the maps that are kept until the next step."""
        return FLOAT_BYTES * _numbers([*self.parts, *map_shapes(self, 1).values()])

    def as_trained(self) -> "MemoryNetwork":
        """As the checkpoint of a training describes it, in which a detector reads no answers yet."""
        return replace(self, sha256="", parts=(), answers=0)


OPTIONAL = frozenset({"sha256", "parts", "answers"})  # checkpoints and older files do not say these


def part_names(count: int) -> tuple[str, ...]:
    """The inputs that take the parts of a memory."""
    return tuple(f"memory_{index}" for index in range(count))


def next_part_names(count: int) -> tuple[str, ...]:
    """The outputs that give out those parts for the next picture."""
    return tuple(f"next_{name}" for name in part_names(count))


def map_shapes(network: MemoryNetwork, batch: int) -> Shapes:
    """The shape of each map, and of the answers: the outputs of the memory that the detector reads."""
    shapes: Shapes = {FEATURES: (batch, *network.features), TAP: (batch, *network.tap)}
    if network.answers:
        shapes |= {AVERAGE: (batch, *network.features), ANSWERS: (batch, network.answers)}
    return shapes


def detector_shapes(network: MemoryNetwork, batch: int) -> Shapes:
    """The shape of each of MEMORY_INPUTS, in their order, all float32."""
    shapes = {**map_shapes(network, batch), PLACEMENT: (batch, PLACES)}
    return {name: shapes[name] for name in MEMORY_INPUTS if name in shapes}


def part_shapes(network: MemoryNetwork, batch: int) -> Shapes:
    """The shape of each part of the memory, by the name of its input."""
    names = part_names(len(network.parts))
    return {name: (batch, *shape) for name, shape in zip(names, network.parts, strict=True)}


def next_part_shapes(network: MemoryNetwork, batch: int) -> Shapes:
    """The same by the names of the outputs."""
    names = next_part_names(len(network.parts))
    return dict(zip(names, part_shapes(network, batch).values(), strict=True))
