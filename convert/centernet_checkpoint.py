"""Checkpoints of CenterNet and KORSAL → ours: the same numbers under our names."""

from convert import centernet_names, published_file
from convert.published_file import CheckpointOptions, PublishedFile
from edge.manifest import Manifest
from edge.motion_map import MotionSettings
from train.checkpoint import Checkpoint, CheckpointError
from train.networks import architectures

SIDES_BY_LABELS = {"coco": 512}  # pixels of the input, as these were trained; all others:
DEFAULT_SIDE = 256


def converted(file: PublishedFile, options: CheckpointOptions) -> Checkpoint:
    """Ours, of a file of CenterNet or KORSAL. Raises CheckpointError."""
    architecture = _architecture(file, options)
    if options.frames is not None:
        raise CheckpointError(f"{file.path}: is of {architecture}, which sees no clip; leave --frames out")
    classes, channels = file.length("hm.2.weight", 0), _channels(file, architecture)
    width = file.length("hm.0.weight", 0)
    own = architectures.network(architecture, classes or 1, channels or 3, head_width=width or None).state_dict()
    said = (
        f"does not fit {architecture}; {{faults}}; give a checkpoint of {', '.join(centernet_names.FIRST)} with the "
        "heads hm, wh and reg, or another --arch"
    )
    names = centernet_names.theirs(architecture, own)
    weights = published_file.fitted(file, own, names, centernet_names.UNUSED, said)
    return Checkpoint(_manifest(file, architecture, options), weights, {})


def _architecture(file: PublishedFile, options: CheckpointOptions) -> str:
    known = options.architecture or centernet_names.recognised(file.weights)
    if known is None:
        raise CheckpointError(
            f"{file.path}: is none of {', '.join(centernet_names.FIRST)} by the names of its {len(file.weights)} "
            f"parameters ({published_file.listed(file.weights, 3)}); other networks of CenterNet are not known here"
        )
    return known


def _channels(file: PublishedFile, architecture: str) -> int:
    return file.length(f"{centernet_names.FIRST[architecture]}.weight", 1)


def _manifest(file: PublishedFile, architecture: str, options: CheckpointOptions) -> Manifest:
    known, labels = published_file.labels(file, file.length("hm.2.weight", 0), options.labels)
    side = SIDES_BY_LABELS.get(known, DEFAULT_SIDE)
    height, width = options.size or (side, side)
    return Manifest(
        name=options.name or file.path.stem,
        labels=labels,
        height=height,
        width=width,
        motion=_motion(_channels(file, architecture), options, file),
        licence=options.licence,
        training=published_file.origin(file, known),
        architecture=architecture,
    )


def _motion(channels: int, options: CheckpointOptions, file: PublishedFile) -> MotionSettings:
    """None for three channels; six have a map beside the frame, and the file does not say which."""
    kind = options.motion or ("none" if channels == 3 else "ssim")
    settings = MotionSettings(kind, gap=options.gap)
    if channels not in (3, 6) or (kind == "none") != (channels == 3):
        raise CheckpointError(
            f"{file.path}: reads {channels} channels, which does not go with --motion {kind}; "
            "three are a frame alone (none), six a frame and its map (ssim, dsim, flow, previous)"
        )
    return settings
