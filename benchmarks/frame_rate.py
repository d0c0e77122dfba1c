"""Events found in the same videos at fewer frames a second, as on a slow machine or at a lower `fps`.

python -m benchmarks.frame_rate DATA [--model FILE] [--every 1 2 3 5] [--videos N]
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from edge import detector, pipeline
from edge.cameras.video_file import read_file
from edge.config.config_file import SHIPPED_MODEL
from edge.default_linker import DefaultLinker
from edge.engines.onnxruntime_engine import load
from edge.inference import Engine
from edge.pipeline import PipelineSettings
from edge.shipped_files import asset_path
from train.datasets import loader
from train.datasets.annotation_records import GroundTruthTube, VideoAnnotation
from train.evaluation import detection
from train.evaluation.detection import VideoDetections
from train.evaluation.event_counts import as_table, total
from train.evaluation.event_metrics import count_events, settings_by_action, truth_by_video

RATE = 25.0  # frames per second of the videos, as the annotations count


def main() -> None:
    """Print a line for each rate: recall of actions, delay, precision of events, false alarms."""
    options = _options()
    engine = load(options.model or asset_path(SHIPPED_MODEL), threads=1)
    data = loader.load(options.data)
    videos = data.test[:: max(1, len(data.test) // options.videos)] if options.videos else data.test
    detections = [
        _detect(data.video(one.name), one, engine, options.every) for one in tqdm(videos, unit="video", disable=None)
    ]
    rows = []
    for place, every in enumerate(options.every):
        at_rate = [one[place] for one in detections]
        found = detection.joined([one.name for one in videos], engine.manifest.labels, at_rate)
        truth = truth_by_video([_thinned(one, every) for one in videos], data.labels, found)
        rules = [settings_by_action(engine.manifest.start_scores)]
        (counts,) = count_events(found, truth, RATE / every, DefaultLinker(), rules)
        rows.append((f"{RATE / every:.3g} fps", total(counts)))
    print(as_table(rows))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Events found in the same videos at fewer frames a second.")
    parser.add_argument("data", type=Path, help="a data set, as for korsal-evaluate --data; its test videos are used")
    parser.add_argument("--model", type=Path, help="default: the shipped one")
    parser.add_argument("--every", type=int, nargs="+", default=[1, 2, 3, 5], help="use every n-th frame")
    parser.add_argument("--videos", type=int, help="use about this many of the videos; default: all")
    return parser.parse_args()


def _detect(file: Path, video: VideoAnnotation, engine: Engine, every: Sequence[int]) -> list[VideoDetections]:
    """The pipeline's detections in the video, once for each of `every`."""
    states = [pipeline.initial(video.name, "benchmark") for _ in every]
    found = [VideoDetections([], (0, 0)) for _ in every]
    settings = PipelineSettings()
    for frame in read_file(file, video.name):
        if frame.index >= video.frames:
            break
        for place, step in enumerate(every):
            if frame.index % step == 0:
                thinned = replace(frame, index=frame.index // step)
                states[place], result = pipeline.step(states[place], thinned, engine, settings)
                found[place].found.append(result.detections)
        found = [replace(one, size=detector.frame_size(frame.image)) for one in found]
    return found


def _thinned(video: VideoAnnotation, every: int) -> VideoAnnotation:
    """The annotation of every n-th frame, renumbered from 0."""
    tubes = [_thinned_tube(tube, every) for tube in video.tubes]
    annotated = (
        None if video.annotated_frames is None else video.annotated_frames[video.annotated_frames % every == 0] // every
    )
    kept = tuple(tube for tube in tubes if len(tube.boxes))
    return replace(video, frames=-(-video.frames // every), tubes=kept, annotated_frames=annotated)


def _thinned_tube(tube: GroundTruthTube, every: int) -> GroundTruthTube:
    first = -(-tube.first_frame // every)
    return replace(tube, first_frame=first, boxes=tube.boxes[first * every - tube.first_frame :: every])


if __name__ == "__main__":
    main()
