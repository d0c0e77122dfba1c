"""Checkpoints of the published YOWO → ours: the same numbers, for frames as they are here."""

import re

import torch

from convert import published_file
from convert.published_file import CheckpointOptions, PublishedFile
from edge.clip import ClipInput, room_problem
from edge.manifest import Manifest
from edge.motion_map import MotionSettings
from train.checkpoint import Checkpoint, CheckpointError
from train.networks.yowo import original
from train.networks.yowo.names import ORIGINAL, original_name
from train.networks.yowo.original import BACKBONES, OriginalYowo

SIGNS = ("backbone_3d.", "cfam.", "conv_final.")  # how parameters begin that only YOWO has
SIDE = 224  # pixels of its input
FRAMES = 16  # of its clips, unless the file's name says otherwise
NOTED_FRAMES = re.compile(r"_(\d{1,2})f(_|$)")  # yowo_ucf24_16f_best.pth
NMS_IOU = 0.4
AVA_CLASSES = 80  # of the data set whose actions do not exclude each other: its boxes are decoded in another way
FIRST_LAYERS = {  # on the image, by 3-D network; the 2-D one has the same in all
    "resnext101": "backbone_3d.conv1.weight",
    "resnet18": "backbone_3d.conv1.weight",
    "shufflenetv2_2x": "backbone_3d.conv1.0.weight",
    "mobilenetv2_1x": "backbone_3d.features.0.0.weight",
}
FIRST_2D = "backbone_2d.models.0.conv1.weight"
FUSING, LAST = "cfam.conv_bn_relu1.0.weight", "conv_final.weight"
GROUPED, GROUP_WIDTH = "backbone_3d.layer1.0.conv2.weight", 4  # ResNet-101 is named alike, and has no groups


def is_yowo(file: PublishedFile, options: CheckpointOptions) -> bool:
    """True for a file that says so by its parameters' names, or of which the options say so."""
    known = any(name.startswith(SIGNS) for name in file.weights)
    return options.architecture == ORIGINAL or (options.architecture is None and known)


def converted(file: PublishedFile, options: CheckpointOptions) -> Checkpoint:
    """Ours, of a file of YOWO. Raises CheckpointError."""
    backbone = _backbone(file)
    classes = _classes(file)
    if options.motion not in (None, "none") or options.gap != 1:
        raise CheckpointError(f"{file.path}: YOWO sees a clip and no motion map; leave --motion and --gap out")
    with torch.device("meta"):  # for names and shapes alone
        shapes = OriginalYowo(classes, backbone).state_dict()
    own = {name: torch.zeros_like(value, device="cpu") for name, value in shapes.items() if name != "priors"}
    said = f"does not fit {ORIGINAL} with {backbone}; {{faults}}; give a checkpoint as YOWO's training writes it"
    weights = published_file.fitted(file, own, {name: name for name in own}, (), said)
    priors = {"priors": original.priors_for(classes)}
    for name in (FIRST_2D, FIRST_LAYERS[backbone]):
        weights[name] = weights[name].flip(1)  # it was trained on RGB, frames here are BGR
    return Checkpoint(_manifest(file, backbone, classes, options), {**weights, **priors}, {})


def _backbone(file: PublishedFile) -> str:
    """The 3-D network, by the names and shapes of parameters."""
    if any(sign in file.weights for sign in original.SIGNS.values()):
        _require_weights(file, FUSING)
    inputs = file.length(FUSING, 1)
    found = original.recognised(file.weights, inputs)
    ungrouped = found == "resnext101" and file.length(GROUPED, 1) > GROUP_WIDTH
    if found is None or ungrouped or FIRST_2D not in file.weights:
        raise CheckpointError(
            f"{file.path}: is no YOWO with a backbone that is known here, by the names of its {len(file.weights)} "
            f"parameters; read are darknet19 in 2-D with {', '.join(BACKBONES)} in 3-D"
        )
    return found


def _require_weights(file: PublishedFile, name: str) -> None:
    """Raises CheckpointError where the weights of a convolution are missing whose shape tells what the file is."""
    if not file.length(name, 1):
        raise CheckpointError(
            f"{file.path}: its {name} is missing, or no weights of a convolution; give a checkpoint as YOWO's training "
            "writes it"
        )


def _classes(file: PublishedFile) -> int:
    _require_weights(file, LAST)
    outputs = file.length(LAST, 0)
    classes = outputs // original.PRIORS - 5
    if classes < 1 or outputs % original.PRIORS:
        raise CheckpointError(
            f"{file.path}: its last layer has {outputs} outputs, which are no {original.PRIORS} boxes with classes; "
            "give a checkpoint as YOWO's training writes it"
        )
    if classes == AVA_CLASSES:
        raise CheckpointError(
            f"{file.path}: has {classes} classes, as AVA, whose boxes YOWO decodes in another way that is not known "
            "here; give one of UCF101-24 or J-HMDB-21, or of your own actions"
        )
    return classes


def _manifest(file: PublishedFile, backbone: str, classes: int, options: CheckpointOptions) -> Manifest:
    known, labels = published_file.labels(file, classes, options.labels)
    height, width = options.size or (SIDE, SIDE)
    priors = "its data set's" if classes in original.KNOWN_PRIORS else "UCF101-24's, which the file does not tell"
    return Manifest(
        name=options.name or file.path.stem,
        labels=labels,
        height=height,
        width=width,
        motion=MotionSettings("none"),
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        stride=original.STRIDE,
        licence=options.licence,
        training={**published_file.origin(file, known), "priors": priors},
        architecture=original_name(backbone),
        clip=ClipInput(frames=_frames(file, options)),
        nms_iou=NMS_IOU,
    )


def _frames(file: PublishedFile, options: CheckpointOptions) -> int:
    """Of a clip: as given, else as the file's name says, else FRAMES."""
    noted = NOTED_FRAMES.search(file.path.stem)
    frames = options.frames or (int(noted[1]) if noted else FRAMES)
    if not 1 <= frames <= original.MOST_FRAMES:
        raise CheckpointError(f"{file.path}: a clip has 1 to {original.MOST_FRAMES} frames; give as many by --frames")
    if problem := room_problem(ClipInput(frames), *(options.size or (SIDE, SIDE))):
        raise CheckpointError(f"{file.path}: {problem}; give fewer --frames or a smaller --size")
    return frames
