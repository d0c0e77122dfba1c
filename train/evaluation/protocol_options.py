"""The options of `korsal-evaluate` that say how predictions are counted, and the protocol that they come to."""

import argparse
from dataclasses import replace
from typing import Any, get_args

from edge.terminal.arguments import fraction
from train.evaluation import options
from train.evaluation.protocols import LAST_PIXEL, NO_EDGES, PROTOCOLS, Protocol, Rule, ScoredFrames


def add_protocol(parser: argparse.ArgumentParser) -> None:
    """Add the protocol, single choices that change it, and the score of precision and recall."""
    parser.add_argument("--protocol", choices=PROTOCOLS, default="plain", help="whose rules to count by")
    parser.add_argument("--rule", choices=get_args(Rule), help="another area under the curve than the protocol's")
    parser.add_argument("--frames", choices=get_args(ScoredFrames), help="another set of frames than the protocol's")
    for choice, meaning in (
        ("--last-pixel", "corners are the middle of a pixel: areas with +1"),
        ("--more-than", "an overlap equal to the threshold is no hit"),
        ("--zero-without-truth", "a class without ground truth has AP 0"),
    ):
        parser.add_argument(choice, action=argparse.BooleanOptionalAction, default=None, help=meaning)
    absent = argparse.SUPPRESS  # given: None is an answer too
    parser.add_argument(
        "--tube-nms",
        type=fraction,
        metavar="IOU",
        default=absent,
        help="of two tubes that overlap by more drop one",
    )
    parser.add_argument("--no-tube-nms", dest="tube_nms", action="store_const", const=None, default=absent)
    options.add_threshold(parser)


def protocol_of(given: argparse.Namespace) -> Protocol:
    """The chosen protocol, with what single options change."""
    chosen = PROTOCOLS[given.protocol]
    wanted = {name: value for name in ("rule", "frames") if (value := getattr(given, name)) is not None}
    choices = ("more_than", "zero_without_truth")
    changes: dict[str, Any] = {name: value for name in choices if (value := getattr(given, name)) is not None}
    if given.last_pixel is not None:
        changes |= dict.fromkeys(("predicted_edges", "true_edges"), LAST_PIXEL if given.last_pixel else NO_EDGES)
    if "tube_nms" in given:
        changes["tube_nms"] = given.tube_nms
    counted = {kind: replace(getattr(chosen, kind), **changes) for kind in ("in_frames", "in_videos")}
    changed = replace(chosen, **wanted, **counted)
    name = chosen.name if changed == chosen else f"{chosen.name}, changed"
    return replace(changed, name=name, threshold=given.threshold)
