"""What a candidate detects in every frame of its validation videos, computed where it was trained. Shell."""

from pathlib import Path
from typing import Any

import torch

from edge import detector
from edge.detector import MIN_SCORE, Detections
from edge.manifest import OUTPUTS
from train.batches import network_inputs
from train.datasets.annotation_records import VideoFrame
from train.evaluation import detection_file
from train.evaluation.detection import VideoDetections, joined
from train.networks.decoder import Decoder
from train.samples import TrainingSet, ValidationFrames, every_nth
from train.train import TrainingSession

BATCH = 64


@torch.inference_mode()
def save(session: TrainingSession, file: Path) -> None:
    """Write the detections of the averaged weights, for `korsal-evaluate`."""
    choices = every_nth({c.video.name: c.video for p in session.validation for c in p.frames.choices}.values(), 1)
    samples = session.samples
    assert isinstance(samples, TrainingSet)  # candidates see frames, not clips
    frames = ValidationFrames(choices, samples.packed, session.manifest, samples.memory)
    decoder = Decoder(session.run.average, session.manifest.top_k).eval()
    found: dict[str, dict[int, Detections]] = {}
    place = 0
    for batch in session.batches(frames, range(len(frames)), BATCH):
        outputs = [value.cpu().numpy() for value in decoder(*network_inputs(batch))]
        for row in range(len(outputs[0])):
            choice = choices[place + row]
            one = {name: value[row : row + 1] for name, value in zip(OUTPUTS, outputs, strict=True)}
            found.setdefault(choice.video.name, {})[choice.frame] = _of_frame(one, choice, session)
        place += len(outputs[0])
    names = list(found)
    videos = [_video(found[name], session, name) for name in names]
    detection_file.save(joined(names, session.manifest.labels, videos), file)


def _of_frame(outputs: dict[str, Any], choice: VideoFrame, session: TrainingSession) -> Detections:
    size = session.samples.packed[choice.video.name].size
    return detector.detections(outputs, size, session.manifest, MIN_SCORE)


def _video(frames: dict[int, Detections], session: TrainingSession, name: str) -> VideoDetections:
    """The detections by frame; those of frames that are not annotated are none."""
    empty = frames[min(frames)]
    nothing = Detections(empty.boxes[:0], empty.scores[:0], empty.labels[:0], empty.class_scores[:0])
    by_frame = [frames.get(number, nothing) for number in range(max(frames) + 1)]
    return VideoDetections(by_frame, session.samples.packed[name].size, session.manifest.rate)
