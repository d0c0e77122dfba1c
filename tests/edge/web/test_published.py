"""What the page says thresholds would have made of scores is what the daemon makes of them."""

import asyncio
import json
import random
from pathlib import Path

import numpy as np
import pytest

from edge import events
from edge.event_settings import ActionSettings, EventSettings
from edge.sources import Frame
from edge.tubes import TubeBox
from edge.web import passwords
from tests.support.chromium import PROGRAM, chromium

STEP = 0.5
RULES = (
    ActionSettings(0.5, 0.3, 1.0, 2.0, 0.0),
    ActionSettings(0.5, 0.5, 0.0, 0.0, 0.0),
    ActionSettings(0.2, 0.1, 0.5, 4.0, 0.0),
)
PROGRAM_TEXT = (Path(passwords.__file__).parent / "assets" / "published.js").read_text()


def walk(seed: int) -> list[float]:
    """Scores that wander, in steps of a byte's."""
    drawn = random.Random(seed)
    scores = [0.4]
    for _ in range(300):
        scores.append(min(1.0, max(0.0, scores[-1] + drawn.choice((-0.2, -0.1, 0, 0.1, 0.2)))))
    return [round(one * 250) / 250 for one in scores]


def published(scores: list[float], rules: ActionSettings) -> list[list[int]]:
    """First and last place of each event that the daemon makes of one person with these scores."""
    state, settings, found = events.initial("door", "seed"), EventSettings(rules), []
    image = np.zeros((10, 10, 3), np.uint8)
    for place, score in enumerate(scores):
        at = place * STEP
        row = np.array([score], np.float32)
        person = TubeBox(1, 0, np.array([1, 1, 5, 5], np.float32), score, row, observed=True)
        state, steps = events.step(state, [person], Frame("door", place, at, at, image), ("Run",), settings)
        found += [one for one in steps if one.type == "end"]
    found += events.close(state, len(scores) * STEP, "shutdown")
    starts = [round(one.started_monotonic / STEP) for one in found]
    return [[start, start + round(one.duration / STEP)] for start, one in zip(starts, found, strict=True)]


async def said(cases: list[tuple[list[float], ActionSettings]], profile: Path) -> list[list[list[int]]]:
    async with chromium(profile) as tab:
        await tab.value(PROGRAM_TEXT.replace("export ", "globalThis.ready = true; "))
        found = []
        for scores, rules in cases:
            given = {"start": rules.start_score, "keep": rules.keep_score}
            given |= {"minDuration": rules.min_duration, "cooldown": rules.cooldown}
            found.append(await tab.value(f"wouldPublish({json.dumps(scores)}, {STEP}, {json.dumps(given)})"))
        gaps = "[0.9, 0.9, null, 0.9, ...Array(20).fill(null), 0.9, 0.9]"
        found.append(
            await tab.value(f"wouldPublish({gaps}, 0.5, {{start: 0.5, keep: 0.3, minDuration: 0, cooldown: 60}})")
        )
        return found


@pytest.mark.skipif(PROGRAM is None, reason="chromium is not on this machine: apt-get install chromium")
def test_it_is_what_the_daemon_makes_of_one_person(tmp_path: Path) -> None:
    cases = [(walk(seed), rules) for seed in range(4) for rules in RULES]
    *found, with_gaps = asyncio.run(said(cases, tmp_path / "profile"))
    expected = [published(scores, rules) for scores, rules in cases]
    assert sum(map(len, expected)) > 30
    assert found == expected
    assert with_gaps == [[0, 3], [24, 25]]  # a camera that was away for longer than a moment
