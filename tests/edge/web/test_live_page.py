"""The daemon's side of the live page: what is handed over, and what happens when the page's process ends."""

import logging
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import pytest

from edge import events
from edge.config.config_file import load
from edge.config.schema import Config
from edge.detector import Detections
from edge.manifest import Manifest
from edge.pipeline import StepResult, TileMotion
from edge.sources import Frame
from edge.tubes import TubeBox
from edge.web import feeder, live_page
from edge.web.live_frame import people, small_picture
from edge.web.live_page import LivePage
from edge.web.messages import PageMessage
from edge.web.page_process import PageProcess, PageProcessError
from edge.web.page_settings import PageSettings
from edge.web.picture_encoding import encoded
from edge.web.score_history import NO_FRAME
from edge.web.shared_pixels import PictureArrays
from tests.support.paths import ROOT
from tests.support.ports import free_port
from tests.support.waiting import wait_for

SCORES = np.array([0.6, 0.1], np.float32)
LABELS = ("Run", "Jump")
MANIFEST = Manifest("any", LABELS, 64, 64)


def config(folder: Path, port: int, enabled: str = "true") -> Config:
    file = folder / "config.toml"
    file.write_text(
        f'[cameras.door]\nsource = "/dev/video0"\n[outbox]\ndirectory = "state"\n'
        f"[web]\nenabled = {enabled}\nport = {port}\nfps = 60\nwidth = 64\n"
    )
    return load(file)


def frame(camera: str = "door") -> Frame:
    return Frame(camera, 5, 1000.0, 10.0, np.zeros((100, 200, 3), np.uint8))


def result(*boxes: TubeBox) -> StepResult:
    none = np.zeros(0, np.float32)
    found = Detections(np.zeros((0, 4), np.float32), none, none.astype(np.int64), np.zeros((0, 2), np.float32))
    return StepResult(lambda: (), found, boxes, (), frozenset())


def person(tube: int, score: float, observed: bool = True, box: tuple[float, ...] = (20, 10, 100, 50)) -> TubeBox:
    return TubeBox(tube, 0, np.array(box, np.float32), score, SCORES, observed)


NOTHING = events.initial("door", "seed")


def test_people_are_given_in_shares_of_the_frame() -> None:
    seen = people(
        frame(), NOTHING, result(person(3, 0.6), person(4, 0.1), person(5, 0.6, observed=False)), LABELS, 0.15
    )
    assert seen == [
        {"tube": 3, "box": [0.1, 0.1, 0.5, 0.5], "action": "Run", "score": 0.6, "observed": True, "open": {}}
    ]
    (odd,) = people(frame(), NOTHING, result(person(3, 0.6, box=(-9e9, np.nan, 9e9, 50))), LABELS, 0.15)
    assert odd["box"] == [-1, 0, 2, 0.5]


@pytest.mark.parametrize(
    ("size", "shown"), [((100, 200), (32, 64)), ((3, 1), (3, 1)), ((1, 1000), (1, 64)), ((900_000, 40), (432_000, 19))]
)
def test_pictures_are_no_wider_than_asked_for(size: tuple[int, int], shown: tuple[int, int]) -> None:
    picture = small_picture(np.zeros((*size, 3), np.uint8), 64)
    assert picture.shape == (*shown, 3)


def test_a_picture_that_no_jpeg_can_hold_is_left_out() -> None:
    sizes = {
        "size": (1, 70_000),
        "frame_size": (1, 70_000),
        "tiles": [[0, 0, 1, 70_000, 1, 1]],
    }  # a JPEG's sides have 65,535 pixels at most
    found = encoded({"kind": "pixels", **sizes}, bytes(3 * 70_000 + 1))
    assert found == PageMessage({"kind": "frame", "motion": 0}, b"")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody wants to wait in a test."""
    monkeypatch.setattr(feeder, "FIRST_PAUSE", 0.05)
    monkeypatch.setattr(feeder, "LONGEST_PAUSE", 0.05)


@pytest.fixture
def page(tmp_path: Path, quick: None) -> Iterator[LivePage]:
    made = LivePage(config(tmp_path, free_port()), MANIFEST)
    yield made
    made.close()


def children() -> list[psutil.Process]:
    return [one for one in psutil.Process().children() if is_page(one)]


def is_page(process: psutil.Process) -> bool:
    try:
        return "edge.web.server_process" in process.cmdline()
    except psutil.ZombieProcess:  # it has just ended
        return False


def test_a_page_that_dies_comes_back(page: LivePage, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    wait_for(lambda: caplog.text.count("live page: http://127.0.0.1:") == 1, "the page")
    (first,) = children()
    first.send_signal(signal.SIGKILL)
    wait_for(lambda: caplog.text.count("live page: http://127.0.0.1:") == 2, "the page again")
    assert "its process has ended; it is started again, everything else goes on" in caplog.text
    page.close()
    assert children() == []


def test_without_its_packages_the_daemon_needs_none_of_them(tmp_path: Path) -> None:
    code = (
        "import logging, sys; sys.modules |= {'aiohttp': None, 'argon2': None}\n"
        "from edge import packages; packages.find_spec = lambda name: None\n"
        "import edge.commands.command_line\n"
        "from edge.config.config_file import load; from edge.manifest import Manifest\n"
        "from edge.web.live_page import LivePage\n"
        "logging.basicConfig(); LivePage(load(sys.argv[1]), Manifest('any', ('any',), 64, 64)).close()"
    )
    config(tmp_path, free_port())
    words = [sys.executable, "-c", code, str(tmp_path / "config.toml")]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=ROOT)
    assert "aiohttp is not installed: pip install 'korsal-edge[web]'; everything else goes on" in done.stderr


def test_a_reload_begins_and_ends_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    port = free_port()
    page = LivePage(config(tmp_path, port, "false"), MANIFEST)
    assert children() == []
    page.frame(frame(), NOTHING, result())
    page.state(lambda: pytest.fail("nobody looks"))
    page.reconfigure(config(tmp_path, port))
    wait_for(lambda: f"live page: http://127.0.0.1:{port}/" in caplog.text, "the page")
    before = children()
    page.reconfigure(config(tmp_path, port))
    assert children() == before
    file = tmp_path / "config.toml"
    config(tmp_path, port)
    file.write_text(file.read_text().replace("width = 64", "width = 128"))
    page.reconfigure(load(file))
    wait_for(lambda: caplog.text.count(f"live page: http://127.0.0.1:{port}/") == 2, "the page with other settings")
    assert "unavailable" not in caplog.text
    page.reconfigure(config(tmp_path, port, "false"))
    wait_for(lambda: children() == [], "the end of the page")


def test_a_port_that_is_taken_is_named_once(tmp_path: Path, quick: None, caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        page = LivePage(config(tmp_path, taken.getsockname()[1]), MANIFEST)
        wait_for(lambda: "set another port in [web]" in caplog.text, "the sentence")
        page.close()
    assert caplog.text.count("set another port in [web]") == 1


SILENT = "import sys, time, socket; s = socket.socket(fileno=int(sys.argv[1])); time.sleep(600)"
RUBBISH = "import sys, socket; s = socket.socket(fileno=int(sys.argv[1])); s.sendall(b'x' * 1000); s.recv(1 << 20)"


@pytest.mark.parametrize(("program", "fault"), [(RUBBISH, "talks nonsense"), ("", "has ended")])
def test_a_process_gone_mad_costs_the_page_alone(
    tmp_path: Path, quick: None, caplog: pytest.LogCaptureFixture, program: str, fault: str
) -> None:
    def start(settings: PageSettings) -> PageProcess:
        return PageProcess(settings, (sys.executable, "-c", program))

    page = LivePage(config(tmp_path, free_port()), MANIFEST, start)
    wait_for(lambda: fault in caplog.text, "the fault")
    page.frame(frame(), NOTHING, result())
    page.close()


def test_a_process_that_takes_nothing_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.web.page_process.SEND_SECONDS", 0.1)
    monkeypatch.setattr("edge.web.page_process.END_SECONDS", 0.1)
    settings = live_page.page_settings(config(tmp_path, free_port()))
    process = PageProcess(settings, (sys.executable, "-c", SILENT))
    with pytest.raises(PageProcessError, match="hangs"):
        process.send({}, bytes(8 << 20))
    process.close()


class Told(PageProcess):
    """A process that a test speaks for. `sent`: what the daemon has sent it."""

    def __init__(self, settings: PageSettings) -> None:
        self.sent: list[PageMessage] = []
        self.says: list[dict[str, Any]] = []

    def send(self, header: Mapping[str, object], body: bytes = b"") -> None:
        self.sent.append(PageMessage(dict(header), body))

    def send_pixels(self, header: Mapping[str, object], pixels: PictureArrays) -> None:
        self.sent.append(encoded(header, b"".join(one.tobytes() for one in pixels)))
        self.says.append({"kind": "taken"})

    def receive(self) -> list[PageMessage]:
        said, self.says = self.says, []
        return [PageMessage(one, b"") for one in said]

    def close(self) -> None:
        pass

    def got(self, kind: str) -> list[PageMessage]:
        return [one for one in self.sent if one.header["kind"] == kind]


class Requests:
    revision = "a1"

    def answer(self, op: str, data: Mapping[str, Any]) -> dict[str, object]:
        return {"op": op, **data}


@pytest.fixture
def told(tmp_path: Path) -> Iterator[tuple[LivePage, Told]]:
    made: list[Told] = []

    def start(settings: PageSettings) -> PageProcess:
        made.append(Told(settings))
        return made[0]

    page = LivePage(config(tmp_path, free_port()), MANIFEST, start)
    wait_for(lambda: made, "the process")
    yield page, made[0]
    page.close()


def moving() -> StepResult:
    """A motion map of 32x16 whose left half moves."""
    changes = np.ones((16, 32, 3), np.float32)
    changes[:, :16] = 0
    return replace(result(person(3, 0.6)), motion=lambda: (TileMotion((0, 0, 200, 100), changes),))


def test_a_motion_map_comes_only_to_whom_asked_for_it(told: tuple[LivePage, Told]) -> None:
    page, process = told

    def shown(number: int) -> PageMessage:
        def arrived() -> bool:
            page.frame(frame(), NOTHING, moving())
            return len(process.got("frame")) > number

        wait_for(arrived, "a picture")
        return process.got("frame")[-1]

    page.frame(frame(), NOTHING, moving())
    page.frame(frame("yard"), NOTHING, moving())
    assert process.got("frame") == []  # nobody looks
    process.says.append({"kind": "watched", "cameras": ["door"], "motion": [], "viewers": 1})
    assert shown(0).header["motion"] == 0
    process.says.append({"kind": "watched", "cameras": ["door"], "motion": ["door"], "viewers": 1})
    wait_for(lambda: shown(len(process.got("frame"))).header["motion"], "a motion map")
    message = shown(len(process.got("frame")))
    size = message.header["motion"]
    picture, motion = (
        np.asarray(cv2.imdecode(np.frombuffer(part, np.uint8), cv2.IMREAD_COLOR))
        for part in (message.body[:-size], message.body[-size:])
    )
    assert (picture.shape, motion.shape) == ((32, 64, 3), (16, 32, 3))
    assert motion[:, :12].mean() > 100 > 20 > motion[:, 20:].mean()


def test_questions_are_answered_from_the_loop(told: tuple[LivePage, Told]) -> None:
    page, process = told
    page.frame(frame(), NOTHING, result(person(3, 0.6)))
    process.says += [
        {"kind": "ask", "number": 1, "op": "settings", "data": {"a": 1}},
        {"kind": "ask", "number": 2, "op": "scores", "data": {"camera": "door", "after": 0}},
        {"kind": "ask", "number": 3, "op": "scores", "data": "nonsense"},
        {"kind": "ask"},
    ]

    def answered() -> bool:
        page.answer(Requests())
        return len(process.got("answer")) == 4

    wait_for(answered, "the answers")
    settings, scores, nonsense, nothing = process.got("answer")
    assert settings.header == {"kind": "answer", "number": 1, "data": {"op": "settings", "a": 1}}
    assert (scores.header["number"], scores.header["revision"]) == (2, "a1")
    rows = np.frombuffer(scores.body, np.uint8).reshape(-1, 2)
    assert [150, 25] in rows.tolist()
    assert len(rows) == scores.header["now"] - scores.header["first"] + 1
    assert set(nonsense.body) == {NO_FRAME}
    assert nothing.header["data"] == {"op": "None"}


def test_a_clock_that_is_set_moves_no_scores(told: tuple[LivePage, Told]) -> None:
    page, process = told
    for unix_time in (1000.0, 2e9, 0.0):
        page.frame(replace(frame(), unix_time=unix_time), NOTHING, result(person(3, 0.6)))
    process.says.append({"kind": "ask", "number": 1, "op": "scores", "data": {"camera": "door", "after": 0}})
    wait_for(lambda: [page.answer(Requests())] and process.got("answer"), "the answer")
    rows = np.frombuffer(process.got("answer")[0].body, np.uint8).reshape(-1, 2)
    assert 1 <= (rows[:, 0] == 150).sum() == (rows[-120:, 0] == 150).sum()  # all within the last minute
