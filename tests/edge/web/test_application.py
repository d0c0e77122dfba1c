"""What the page's real process answers, to friends and strangers."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edge.history.store_files import PICTURE, media_folder
from edge.web import passwords
from edge.web.request_rules import HEADERS
from edge.web.sessions import FREE_FAILURES
from tests.support.served_page import NOW, PASSWORD, Answer, ServedPage

pytest_plugins = "tests.support.kept_events"


def test_every_answer_has_the_headers(page: ServedPage) -> None:
    for path in ("/", "/assets/app.js", "/api/events", "/nothing", "/events/00000069/picture", "/export/events.csv"):
        answer = page.ask(path)
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS, path
        assert "Server" not in answer.headers
    assert page.ask("/", Host="evil.example").headers["X-Frame-Options"] == "DENY"


def test_nobody_else_is_asked_for_anything() -> None:
    assets = Path(passwords.__file__).parent / "assets"
    for file in assets.iterdir():
        text = file.read_text().replace("http://www.w3.org/2000/svg", "").replace("location.protocol", "")
        assert "http://" not in text, file
        assert "https://" not in text, file
        assert " style=" not in text, file  # the policy forbids it


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"Origin": "http://evil.example"},
        {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors", "Sec_Fetch_Dest": "image"},
    ],
)
def test_a_page_of_somebody_else_gets_nothing(page: ServedPage, headers: dict[str, str]) -> None:
    for path in ("/", "/api/events", "/events/00000069/picture", "/live"):
        assert page.ask(path, **headers).status == 403


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../gate.py",
        "/assets/..%2fgate.py",
        "/assets/%2e%2e/gate.py",
        "/assets//etc/passwd",
        "/assets/app.js%00",
        "/assets/index.html",
        "/events/../../etc/passwd/picture",
        "/events/..%2f..%2fetc%2fpasswd/picture",
        "/events/%2e%2e/clip",
        "/events/0000006'/picture",
        "/api/events/00000069%25",
        "//etc/passwd",
    ],
)
def test_no_path_leads_outside(page: ServedPage, path: str) -> None:
    assert page.ask(path).status in (400, 404)


def test_events_are_listed_page_by_page(page: ServedPage) -> None:
    first = page.ask("/api/events").content
    rest = page.ask(f"/api/events?before={first['before']}").content
    found = [one["event_id"] for one in first["events"] + rest["events"]]
    assert found == [f"0000{number:04}" for number in reversed(range(70))]
    assert rest["before"] is None
    assert page.ask("/api/events?before=1").content == {"events": [], "before": None}


def test_events_are_filtered(page: ServedPage) -> None:
    def found(query: str) -> list[str]:
        return [one["event_id"] for one in page.ask(f"/api/events?{query}").content["events"]]

    assert found("action=Jump&camera=door&min_score=0.5") == ["00000007"]
    assert found(f"since={NOW + 68}") == ["00000069", "00000068"]
    assert found("camera=yard") == found("min_score=0.6") == []
    assert found("action=%27%20OR%201=1%20--") == []
    for query in ("since=x", "min_score=x", "before=x", f"before={1 << 64}"):
        assert page.ask(f"/api/events?{query}").status == 400
    assert page.ask("/api/event-names").content == {"cameras": ["door"], "actions": ["Jump", "Run"]}


def test_one_event_has_its_tube_and_its_picture(page: ServedPage, store: Path) -> None:
    event = page.ask("/api/events/00000068").content
    assert event["points"] == [[0.5, 3, 0.1, 0.2, 0.3, 0.4, 0.75, True]]
    assert (event["picture"], event["clip"], event["clip_start"]) == (None, None, 0.0)
    picture = page.ask("/api/events/00000069").content["picture"]
    assert page.ask(picture).body == (media_folder(store) / f"00000069{PICTURE}").read_bytes()
    assert page.ask(picture, Range="bytes=2-9").body == b" a pictu"
    assert page.ask("/events/00000069/clip").status == 404
    assert "holds no event" in page.ask("/api/events/99999999").content["problem"]


def test_all_is_exported(page: ServedPage) -> None:
    lines = page.ask("/export/events.json").body.decode().splitlines()
    assert [json.loads(line)["event_id"] for line in lines] == [f"0000{number:04}" for number in reversed(range(70))]
    rows = page.ask("/export/events.csv?action=Jump").body.decode().splitlines()
    assert rows[0].startswith("event_id,camera,action")
    assert rows[1].startswith("00000007,door,Jump,0.5,")
    assert "a b" in rows[1]
    assert len(rows) == 2
    assert page.ask("/export/events.csv?action=Fly").body.decode().splitlines() == rows[:1]


def test_the_time_line_has_what_was_in_front_of_cameras(page: ServedPage) -> None:
    found = page.ask("/api/timeline?action=Jump").content
    assert found["all"]
    (event,) = found["events"]
    assert (event["event_id"], event["camera"], event["action"]) == ("00000007", "door", "Jump")
    assert (event["started"], event["duration"], event["score"]) == ("2026-09-21T13:33:20.000Z", 2.0, 0.5)
    assert page.ask("/api/timeline?since=x").status == 400


def judge(page: ServedPage, event_id: str, body: str, **headers: str) -> Answer:
    token = page.ask("/api/session").content["csrf"]
    given = {"Origin": f"http://{page.host}", "X_CSRF_Token": token, **headers}
    return page.ask(f"/api/events/{event_id}/judgement", "POST", body, **given)


def test_an_event_is_judged_by_its_own_page_alone(page: ServedPage) -> None:
    right = '{"verdict": "right"}'
    for headers in ({"X_CSRF_Token": ""}, {"Origin": "http://evil.example"}, {"Sec_Fetch_Site": "cross-site"}):
        assert judge(page, "00000011", right, **headers).status == 403
    assert page.ask("/api/events/00000011").content["verdict"] is None
    answer = judge(page, "00000011", '{"verdict": "relabelled", "action": "投篮"}').content
    assert (answer["clip"], answer["without"].startswith("event 00000011 has no clip")) == (False, True)
    event = page.ask("/api/events/00000011").content
    assert (event["verdict"], event["right_action"], event["action"]) == ("relabelled", "投篮", "Run")
    assert judge(page, "00000011", right).status == 200
    assert page.ask("/api/events/00000011").content["right_action"] == "Run"


@pytest.mark.parametrize(
    ("event_id", "body", "status"),
    [
        ("00000012", "", 400),
        ("00000012", "[" * 5000, 400),
        ("00000012", '{"verdict": "maybe"}', 400),
        ("00000012", '{"verdict": "relabelled"}', 400),
        ("00000012", '{"verdict": "relabelled", "action": "a\\nb"}', 400),
        ("00000012", json.dumps({"verdict": "x" * 100_000}), 400),
        ("99999999", '{"verdict": "right"}', 404),
        ("..%2f..%2fx", '{"verdict": "right"}', 404),
    ],
)
def test_what_is_no_judgement_is_refused(page: ServedPage, event_id: str, body: str, status: int) -> None:
    assert judge(page, event_id, body).status == status
    assert page.ask("/api/events/00000012").content["verdict"] is None


def test_without_a_store_a_sentence_says_how_to_get_one(tmp_path: Path) -> None:
    with ServedPage(tmp_path / "none.sqlite") as served:
        served.open()
        answer = served.ask("/api/events")
        assert answer.status == 404
        assert "set enabled = true in [history]" in answer.content["problem"]


def test_a_stranger_sees_the_login_alone(guarded: ServedPage) -> None:
    guarded.cookie = ""
    assert guarded.open().headers["Location"] == "/login"
    assert guarded.cookie == ""
    for path in ("/api/events", "/api/session", "/api/health", "/events/00000069/picture", "/assets/app.js", "/live"):
        origin = {"Origin": f"http://{guarded.host}", "Upgrade": "websocket"} if path == "/live" else {}
        assert guarded.ask(path, **origin).status == 401, path
    assert b"password" in guarded.ask("/login").body
    assert guarded.ask("/login", "POST", "password=x").status == 403  # without Origin
    assert guarded.log_in("wrong").status == 401
    assert guarded.cookie == ""


def test_the_password_opens_it_until_one_logs_out(guarded: ServedPage) -> None:
    answer = guarded.log_in(PASSWORD)
    assert answer.status == 303
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(answer.headers["Set-Cookie"].split("; "))
    about = guarded.ask("/api/session").content
    assert about["login"]
    origin = {"Origin": f"http://{guarded.host}"}
    assert guarded.ask("/logout", "POST", **origin).status == 403  # without the token
    assert guarded.ask("/logout", "POST", X_CSRF_Token="wrong", **origin).status == 403
    assert guarded.ask("/logout", "POST", X_CSRF_Token=about["csrf"], **origin).status == 200
    assert guarded.ask("/api/session").status == 401


def test_another_password_ends_all_sessions_and_guessing_slows_down(store: Path, tmp_path: Path) -> None:
    file = tmp_path / "hash"
    file.write_text(passwords.hashed(PASSWORD))
    with ServedPage(store, str(file)) as served:
        served.log_in(PASSWORD)
        assert served.ask("/api/session").status == 200
        file.write_text(passwords.hashed("another one"))
        assert served.ask("/api/session").status == 401
        for _ in range(FREE_FAILURES):
            assert b"not the password" in served.log_in("wrong").body
        assert any(b"try again in" in served.log_in("wrong").body for _ in range(8))
        file.write_text("nonsense")
        assert served.ask("/api/session").status == 401


def test_guesses_sent_at_once_are_slowed_down_as_those_sent_one_by_one(store: Path, tmp_path: Path) -> None:
    file = tmp_path / "hash"
    file.write_text(passwords.hashed(PASSWORD))
    with ServedPage(store, str(file)) as served, ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(served.log_in, ["wrong"] * 16))
        compared = [answer for answer in answers if b"not the password" in answer.body]
        assert FREE_FAILURES <= len(compared) < 12


def test_a_large_body_is_refused(guarded: ServedPage) -> None:
    assert guarded.log_in("x" * 100_000).status == 413
