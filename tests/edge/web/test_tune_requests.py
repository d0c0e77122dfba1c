"""What the page's real process makes of requests of tuning, with a test in the daemon's place."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from edge.web.messages import Unpacker
from edge.web.page_process import PageProcessError
from tests.support.served_page import Answer, ServedPage


class AskedPage(ServedPage):
    """It answers as a daemon would, in a thread. `asked`: what it was asked."""

    def play(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        threading.Thread(target=self._answer, daemon=True).start()

    def _answer(self) -> None:
        seen = 0
        try:
            while True:
                self.listen()
                for one in self.said("ask")[seen:]:
                    seen += 1
                    self.asked.append((one["op"], one["data"]))
                    header = {"kind": "answer", "number": one["number"], "data": {"problems": ["no"]}, "first": 7}
                    self.process.send(header, b"scores")
        except PageProcessError:
            return  # it has ended

    def change(self, body: str, **headers: str) -> Answer:
        """Ask for a change as a browser does, but for these headers."""
        token = self.ask("/api/session").content["csrf"]
        given = {"Origin": f"http://{self.host}", "Content_Type": "application/json", "X_CSRF_Token": token}
        return self.ask("/api/tune", "POST", body, **{**given, **headers})


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AskedPage]:
    served = AskedPage(tmp_path_factory.mktemp("page") / "none.sqlite")
    with served:
        served.open()
        served.play()
        yield served


def test_settings_and_changes_are_the_daemon_s(page: AskedPage) -> None:
    assert page.ask("/api/tune").content == {"problems": ["no"]}
    changes = {"cameras": {"door": {"zones": {"yard": [[0, 0], [1, 0], [1, 1]]}}}}
    assert page.change(json.dumps({"changes": changes, "save": True})).content == {"problems": ["no"]}
    assert page.change(json.dumps({"changes": {}, "save": "yes"})).content == {"problems": ["no"]}
    assert page.asked[-3:] == [
        ("settings", {}),
        ("change", {"changes": changes, "save": True}),
        ("change", {"changes": {}, "save": False}),
    ]


def test_scores_come_packed(page: AskedPage) -> None:
    (message,) = Unpacker().add(page.ask("/api/scores?camera=door&after=12").body)
    assert (message.header["first"], message.body) == (7, b"scores")
    assert page.asked[-1] == ("scores", {"camera": "door", "after": 12})
    for after in ("x", "-1", str(1 << 53), "9" * 5000):
        assert page.ask(f"/api/scores?camera=door&after={after}").status == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"X_CSRF_Token": "wrong"},
        {"Origin": "http://evil.example"},
        {"Host": "evil.example", "Origin": "http://evil.example"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Cookie": "korsal-session=guessed"},
    ],
)
def test_a_page_of_somebody_else_changes_nothing(page: AskedPage, headers: dict[str, str]) -> None:
    before = len(page.asked)
    assert page.change('{"changes": {}}', **headers).status in (401, 403)
    assert page.ask("/api/tune", "POST", '{"changes": {}}', Content_Type="text/plain").status == 403
    assert len(page.asked) == before


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("", 400),
        ("[]", 400),
        ('{"changes": []}', 400),
        ('{"changes": {"a": NaN}}', 400),
        ("[" * 60_000, 400),
        (json.dumps({"changes": {"a": "\ud800"}}), 503),
        (json.dumps({"changes": {"cameras": {"door": {"mask": [[[0.123, 0.456]] * 64] * 200}}}}), 413),
    ],
)
def test_what_is_no_change_gets_a_sentence(page: AskedPage, body: str, status: int) -> None:
    before = len(page.asked)
    answer = page.change(body)
    assert answer.status == status
    assert len(answer.content["problems"][0]) > 20
    assert len(page.asked) == before
