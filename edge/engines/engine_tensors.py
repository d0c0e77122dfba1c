"""What an engine takes and gives out, by the part of a model that it runs. Pure."""

from edge import memory_network as networks
from edge.engines.tensorrt_build_plan import ModelPart
from edge.manifest import INPUT, Manifest, clip_shapes, input_shapes, newest_map_shapes, output_shapes
from edge.memory_network import MemoryNetwork, Shapes


def inputs(manifest: Manifest, part: ModelPart, batch: int, frame_size: tuple[int, int]) -> Shapes:
    """The shape of each input; frames are of that size (width, height)."""
    if part == "clip":
        return clip_shapes(manifest, batch)
    if part == "detector" or manifest.memory is None:
        return input_shapes(manifest, batch, frame_size)
    return memory_inputs(manifest.memory, batch)


def outputs(manifest: Manifest, part: ModelPart, batch: int) -> Shapes:
    """The shape of each output."""
    if part == "clip":
        return newest_map_shapes(manifest, batch)
    if part == "detector" or manifest.memory is None:
        return output_shapes(manifest, batch)
    return memory_outputs(manifest.memory, batch)


def memory_inputs(network: MemoryNetwork, batch: int) -> Shapes:
    """The shape of each input of a memory: the picture, and the parts."""
    return {INPUT: (batch, 3, network.size, network.size), **networks.part_shapes(network, batch)}


def memory_outputs(network: MemoryNetwork, batch: int) -> Shapes:
    """The shape of each output of a memory: what the detector reads, and the parts after."""
    return {**networks.map_shapes(network, batch), **networks.next_part_shapes(network, batch)}
