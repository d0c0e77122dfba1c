"""Stick figures that walk, stand, wave and jump: what a figure does shows in its motion, not in one picture. Pure."""

from dataclasses import dataclass
from math import cos, pi, sin
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Activity = Literal["stand", "reach", "walk", "wave", "jump"]  # reach: stands still, arms up as in the middle of waving
Point = tuple[float, float]

STEPS, WAVES, JUMPS = 1.6, 1.8, 1.2  # a second
PACE = 0.7  # heights a second, of a figure that walks
FINE = 4  # bits below a pixel in which lines are drawn


@dataclass(frozen=True)
class Figure:
    """One figure: height, where its feet are at first (x, y), pixels, colours BGR, and what it does, from when, s."""

    height: float
    feet: Point
    colour: tuple[int, int, int]
    trousers: tuple[int, int, int]
    doings: tuple[tuple[float, Activity], ...]
    direction: int = 1  # in which it walks: 1 to the right, -1 to the left
    phase: float = 0.0  # of its movements, turns

    def activity(self, seconds: float) -> Activity:
        """What it does at a time."""
        return next(activity for begin, activity in reversed(self.doings) if seconds >= begin)

    def walked(self, seconds: float) -> float:
        """How far it has walked until then, pixels."""
        ends = [begin for begin, _ in self.doings[1:]] + [seconds]
        times = [
            max(min(end, seconds) - begin, 0.0)
            for (begin, activity), end in zip(self.doings, ends, strict=True)
            if activity == "walk"
        ]
        return self.direction * PACE * self.height * sum(times)


@dataclass(frozen=True)
class Pose:
    """Joints in heights of the figure, from its feet, x to the right, y up; limbs as angles from hanging, radians."""

    lift: float = 0.0
    crouch: float = 0.0
    arms: tuple[tuple[float, float], tuple[float, float]] = ((-0.25, -0.1), (0.25, 0.1))  # upper and lower, left, right
    legs: tuple[float, float] = (-0.12, 0.12)


def pose(activity: Activity, seconds: float, phase: float) -> Pose:
    """How the figure stands in one moment of what it does."""
    if activity == "walk":
        swing = 0.55 * sin(2 * pi * (STEPS / 2 * seconds + phase))
        return Pose(arms=((-swing, -swing + 0.3), (swing, swing + 0.3)), legs=(swing, -swing))
    if activity in ("wave", "reach"):
        swing = 0.7 * sin(2 * pi * (WAVES * seconds + phase)) if activity == "wave" else 0.7 * sin(2 * pi * phase)
        return Pose(arms=((-2.2, -2.9 - swing), (2.2, 2.9 - swing)))
    if activity == "jump":
        height = sin(2 * pi * (JUMPS * seconds + phase))
        raised = 0.4 + 0.7 * max(height, 0.0)
        return Pose(0.25 * max(height, 0.0), 0.16 * max(-height, 0.0), ((-raised, -raised), (raised, raised)))
    return Pose()


def draw(image: NDArray[np.uint8], figure: Figure, seconds: float) -> NDArray[np.float32] | None:
    """Draw it as it is at a time; its box (4,) x1 y1 x2 y2, pixels, inside the picture; None where it is not seen."""
    place = (figure.feet[0] + figure.walked(seconds), figure.feet[1])
    stance = pose(figure.activity(seconds), seconds, figure.phase)
    limbs, head = _limbs(stance, figure.height, place)
    thick = max(figure.height / 14, 2.0)
    for number, (one, other) in enumerate(limbs):
        colour = figure.trousers if number < 4 else figure.colour
        cv2.line(image, _fine(one), _fine(other), colour, round(thick * (1.6 if number == 4 else 1)), cv2.LINE_AA, FINE)
    radius = figure.height / 11
    cv2.circle(image, _fine(head), round(radius * 2**FINE), (150, 180, 215), -1, cv2.LINE_AA, FINE)
    corners = np.array([*(point for limb in limbs for point in limb), head])
    margin = np.array([max(thick, radius)] * 2)
    box = np.hstack([corners.min(axis=0) - margin, corners.max(axis=0) + margin])
    edge = np.array([image.shape[1], image.shape[0]] * 2)
    seen = np.clip(box, 0, edge).astype(np.float32)
    whole = np.prod(box[2:] - box[:2])
    return seen if np.prod(seen[2:] - seen[:2]) > 0.5 * whole else None


def _limbs(stance: Pose, height: float, place: Point) -> tuple[list[tuple[Point, Point]], Point]:
    """Lines of legs (four), torso and arms, in pixels, and the middle of the head."""
    x, ground = place[0], place[1] - stance.lift * height
    hip = (x, ground - (0.46 - stance.crouch) * height)
    neck = (x, hip[1] - 0.34 * height)
    lines: list[tuple[Point, Point]] = []
    for side, angle in zip((-1, 1), stance.legs, strict=True):
        bend = 2.2 * stance.crouch * side
        knee = _beside(hip, angle + bend, 0.24 * height)
        foot = (knee[0] + 0.23 * height * sin(angle - bend), ground - max(0.0, 0.02 * height * (1 - cos(angle))))
        lines += [(hip, knee), (knee, foot)]
    lines.append((hip, neck))
    for upper, lower in stance.arms:
        elbow = _beside(neck, upper, 0.18 * height)
        lines += [(neck, elbow), (elbow, _beside(elbow, lower, 0.18 * height))]
    return lines, (x, neck[1] - 0.12 * height)


def _beside(point: Point, angle: float, length: float) -> Point:
    return point[0] + length * sin(angle), point[1] + length * cos(angle)


def _fine(point: Point) -> tuple[int, int]:
    return round(point[0] * 2**FINE), round(point[1] * 2**FINE)
