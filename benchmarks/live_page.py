"""Measures what viewers of the live page cost a camera, beside the same frames with nobody looking.

python -m benchmarks.live_page [--frames 200] [--rounds 3] [--fps 15] [--viewers 2] [--motion]. Frames come at a
camera's pace; the viewers are in a process of their own, take all that they are sent, and ask for new scores once a
second, as the view of tuning does. With --motion they ask for motion maps too. The processor's time of the loop is that
of the thread that detects, that of the process includes the thread that hands pictures over; the page's own process,
which encodes them, comes beside it.
"""

import argparse
import asyncio
import itertools
import json
import multiprocessing
import socket
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import Request, urlopen

import psutil

from edge import pipeline
from edge.cameras.video_file import read_file
from edge.config.schema import CameraConfig, Config, ModelConfig, OutboxConfig
from edge.config.web import WebConfig
from edge.inference import Engine
from edge.open_model import open_at_terminal
from edge.pipeline import PipelineSettings
from edge.shipped_files import asset_path
from edge.sources import Frame
from edge.web.live_page import LivePage
from edge.web.messages import Unpacker

CLIP = "demo/basketball.mp4"
SCORES_SECONDS = 1.0  # between two questions of a viewer


class Times(NamedTuple):
    """Milliseconds of processor time a frame: of detection, of the loop around it, of the process, of the page's."""

    detection: float
    loop: float
    process: float
    server: float


class _Requests:
    """Answers nothing of the configuration, which viewers here do not ask for."""

    revision = ""

    def answer(self, op: str, data: Mapping[str, Any]) -> dict[str, object]:
        return {}


def main() -> int:
    """Print ms a frame with and without viewers, and their ratios."""
    options = _options()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder, open_at_terminal(ModelConfig(threads=1), Path(folder)) as engine:
        config = Config(
            cameras={"door": CameraConfig.model_construct(source="door")},
            outbox=OutboxConfig(directory=Path(folder)),
            web=WebConfig(enabled=True, port=port),
        )
        page = LivePage(config, engine.manifest)
        frames = list(itertools.islice(itertools.cycle(read_file(asset_path(CLIP), "door")), options.frames))
        alone: list[Times] = []
        watched: list[Times] = []
        for _ in range(options.rounds):
            for viewers, times in ((0, alone), (options.viewers, watched)):
                times.append(_play(frames, engine, page, options, (port, viewers)))
                shown = ", ".join(f"{name} {spent:.2f}" for name, spent in times[-1]._asdict().items())
                print(f"{viewers} viewers: {shown} ms a frame")
        page.close()
    _report(alone, watched)
    return 0


def _report(alone: Sequence[Times], watched: Sequence[Times]) -> None:
    """Detection's own time varies with what else the machine does: so the last line leaves it out of what is added."""
    rounds = len(alone)
    for name in ("detection", "loop", "process"):
        ratio = statistics.median(getattr(w, name) / getattr(a, name) for w, a in zip(watched, alone, strict=True))
        print(f"{name}: {ratio:.3f} of the processor's time with nobody looking (median of {rounds})")
    added = statistics.median(w.process - w.detection for w in watched)
    before = statistics.median(a.process - a.detection for a in alone)
    whole = statistics.median(a.process for a in alone)
    ratio = 1 + (added - before) / whole
    print(f"process, by all but detection: {ratio:.3f} ({before:.2f} ms a frame with nobody looking, else {added:.2f})")


def _play(
    frames: list[Frame], engine: Engine, page: LivePage, options: argparse.Namespace, who: tuple[int, int]
) -> Times:
    """`who`: the page's port, and how many look."""
    fps = options.fps
    ended, ready = multiprocessing.Event(), multiprocessing.Event()
    browser = multiprocessing.Process(target=_look, args=(*who, options.motion, ready, ended), daemon=True)
    browser.start()
    server = next(one for one in psutil.Process().children() if "edge.web.server_process" in one.cmdline())
    state, detection, loop, begun = pipeline.initial("door", "seed"), 0.0, 0.0, (0.0, 0.0)
    due = time.monotonic()
    for index, shown in enumerate(itertools.chain(_until(ready, frames), frames)):
        if ready.is_set() and not begun[0]:
            begun, loop = (time.process_time(), sum(server.cpu_times()[:2])), 0.0
            detection = 0.0
        frame = Frame("door", index, index / fps, index / fps, shown.image)
        begin = time.thread_time()
        state, result = pipeline.step(state, frame, engine, PipelineSettings())
        detection += time.thread_time() - begin
        page.frame(frame, state.events, result)
        page.state(dict)
        page.answer(_Requests())
        loop += time.thread_time() - begin
        due += 1 / fps
        time.sleep(max(0.0, due - time.monotonic()))
    spent = (time.process_time() - begun[0], sum(server.cpu_times()[:2]) - begun[1])
    ended.set()
    browser.join()
    return Times(*(seconds / len(frames) * 1000 for seconds in (detection, loop, *spent)))


def _until(ready: Event, frames: list[Frame]) -> Iterator[Frame]:
    """Frames that are not measured: until all viewers have a picture, for which a process loads OpenCV first."""
    yield from itertools.takewhile(lambda frame: not ready.is_set(), itertools.cycle(frames))


def _look(port: int, viewers: int, motion: bool, ready: Event, ended: Event) -> None:
    """Look at the camera with so many connections until the measurement has ended."""
    asyncio.run(_look_on(f"127.0.0.1:{port}", viewers, motion, ready, ended))


async def _look_on(host: str, viewers: int, motion: bool, ready: Event, ended: Event) -> None:
    import aiohttp

    for _ in range(100):
        try:
            cookie = urlopen(Request(f"http://{host}/")).headers["Set-Cookie"].partition(";")[0]
            break
        except OSError:
            await asyncio.sleep(0.1)
    received = [0] * viewers

    async def view(number: int, session: aiohttp.ClientSession) -> None:
        headers = {"Cookie": cookie, "Origin": f"http://{host}"}
        async with session.ws_connect(f"http://{host}/live", headers=headers) as browser:
            await browser.send_str(json.dumps({"watch": ["door"], "motion": ["door"] if motion else []}))
            async for message in browser:
                received[number] += message.type is aiohttp.WSMsgType.BINARY

    async def tune(session: aiohttp.ClientSession) -> None:
        after = 0
        while True:
            asked = {"camera": "door", "after": str(after)}
            async with session.get(f"http://{host}/api/scores", params=asked, headers={"Cookie": cookie}) as answer:
                for message in Unpacker().add(await answer.read()):
                    after = message.header["now"]
            await asyncio.sleep(SCORES_SECONDS)

    async with aiohttp.ClientSession() as session:
        looking = [asyncio.create_task(view(number, session)) for number in range(viewers)]
        looking += [asyncio.create_task(tune(session)) for _ in range(viewers)]
        while not all(received):
            await asyncio.sleep(0.1)
        received[:] = [0] * viewers
        ready.set()
        while not ended.is_set():
            await asyncio.sleep(0.1)
        for one in looking:
            one.cancel()
    if viewers:
        print(f"pictures received: {received}", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measures what viewers of the live page cost a camera.")
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--fps", type=float, default=15.0)
    parser.add_argument("--viewers", type=int, default=2)
    parser.add_argument("--motion", action="store_true", help="viewers ask for motion maps too")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
