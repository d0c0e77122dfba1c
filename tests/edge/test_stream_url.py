"""What a URL may say, and that nothing of a login is shown whatever is wrong with it."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from convert.__main__ import main as convert_main
from edge.__main__ import main
from edge.config.config_file import ConfigError, fingerprint, load
from edge.config.schema import Config
from edge.service.settings import unknown_actions
from edge.sources import SourceError, parse, redact
from edge.stream_url import UrlError, is_playlist, looks_like_url, read
from train.evaluate import main as evaluate_main
from train.train import main as train_main

MARK = "Hidden"  # stands before and behind whatever is tried as a login


@pytest.mark.parametrize(
    ("url", "login", "host", "port", "path"),
    [
        ("rtsp://cam", False, "cam", None, ""),
        ("rtsp://cam:554/live?x=1#y", False, "cam", 554, "/live"),
        ("rtsp://me:pa%40%3Ass@cam/live", True, "cam", None, "/live"),
        ("rtsp://me@cam/", True, "cam", None, "/"),
        ("rtsp://me:@cam/", True, "cam", None, "/"),  # many cameras are sold with an empty password
        ("rtsp://me:a!b$c&d'e(f)*+,;=-._~@cam/", True, "cam", None, "/"),
        ("HTTPS://me:x@192.168.1.5:443/a", True, "192.168.1.5", 443, "/a"),
        ("rtsp://me:x@[fe80::1%eth0]:554/", True, "fe80::1%eth0", 554, "/"),
        ("rtsp://kamera-tür.local/live", False, "kamera-tür.local", None, "/live"),
    ],
)
def test_a_url_is_split_into_its_parts(url: str, login: bool, host: str, port: int | None, path: str) -> None:
    found = read(url)
    assert (found.login, found.host, found.port, found.path) == (login, host, port, path)


TROUBLE = [
    "2023#Cam",
    "12/ab",
    "99?x",
    "a#b",
    "a@b",
    "[x",
    "x]",
    "a:b",
    "50%",
    "%zz",
    "a b",
    "a\\b",
    "pä",
    "x/y@z?q#r",
    "＠",
]


@pytest.mark.parametrize("password", TROUBLE)
@pytest.mark.parametrize("scheme", ["rtsp", "RTSPS", "http", "tcp"])
def test_what_is_not_percent_encoded_is_refused_with_the_characters_named(scheme: str, password: str) -> None:
    with pytest.raises(SourceError) as caught:
        parse(f"{scheme}://Someuser:{password}@127.0.0.1:8602/live")
    message = str(caught.value)
    assert "Someuser" not in message
    assert password not in message.replace("percent-encode", "")
    for character, code in zip("#?[]%@:/", ("%23", "%3F", "%5B", "%5D", "%25", "%40", "%3A", "%2F"), strict=True):
        assert f"{character} as {code}" in message


@pytest.mark.parametrize("url", ["http://cam/mail=a@b/live", "http://cam/live?mail=a@b", "rtsp://cam/live#a@b"])
def test_an_at_sign_behind_the_host_could_be_the_logins(url: str) -> None:
    with pytest.raises(SourceError, match="in a path or query write @ as %40"):
        parse(url)
    assert parse(url.replace("@", "%40")).kind == "stream"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp:/me:pw@cam/live", "rtsp:***"),
        ("rtsp:me:pw@cam/live", "rtsp:***"),
        ("rtsp//me:pw@cam/live", "rtsp:***"),
        ("rtsp:\\\\me:pw@cam", "rtsp:***"),
        ("me:pw@cam/live", "***"),
        ("me@192.168.1.5/live", "***"),
        ("me@cam:554/live", "***"),
        ("//me:pw@cam/live", "***"),
        (" rtsp://me:pw@cam/live", "rtsp:***"),
        ("me:pw@rtsp://cam/live", "***"),
        ("rtmp://me:pw@cam/live", "rtmp://***@cam/live"),
        ("rtmp://me:p/w@cam/live", "***"),
        ("file://me:pw@cam/live", "file://***"),
        ("csi://me:pw@0", "csi://***"),
        ("rtsp://me:pw@cam:port/live", "rtsp://***"),
        ("rtsp://me:pw@", "rtsp://***"),
        ("rtsp://cam/me:pw/live", "rtsp://cam/***/live"),
        ("rtsp://cam/user%3Dme%26password%3Dpw/live", "rtsp://cam/***/live"),
        ("rtsp://cam/psw=pw/live", "rtsp://cam/psw=***/live"),
    ],
)
def test_malformed_urls_are_redacted(text: str, shown: str) -> None:
    assert redact(text) == shown
    if shown.endswith("/live") and not text.startswith("rtmp"):
        assert parse(text).redacted == shown
        return
    with pytest.raises(SourceError) as caught:
        parse(text)
    assert str(caught.value).startswith(f"{shown}: ")


@pytest.mark.parametrize(
    "path", ["clip@home.mp4", "/srv/12:00@door.mp4", "./12:00@door.mp4", "../a:b@c", "~/a:b@c", "C:x"]
)
def test_a_path_stays_one(path: str) -> None:
    assert not looks_like_url(path)
    assert parse(path).target == path


logins = st.text(st.characters(exclude_categories=["Cs"]), max_size=30).map(lambda text: f"{MARK}{text}{MARK}")
beginnings = st.sampled_from(
    ["rtsp://", "RTSPS://", "http://", "tcp://", "udp://", "rtsp:/", "rtsp:", "http:\\\\", " rtsp://", "xyz://", "a b://",
     "file://", "csi://", "v4l2://", "", "//", "x/", "rtsp//"]
)  # fmt: skip
endings = st.sampled_from(
    ["cam/live", "127.0.0.1:8602/x?y=1", "[::1]:554/", "[::1", "", "cam:port/", "cam/a b", ":554"]
)


def shown_texts(uri: str) -> str:
    """All that is ever shown of a source: its redacted name, or what is wrong with it."""
    texts = [redact(uri)]
    try:
        texts.append(parse(uri).redacted)
    except SourceError as error:
        texts.append(str(error))
    return "\n".join(texts)


@given(beginnings, logins, logins, endings)
@example("rtsp://", f"{MARK}x{MARK}", "2023#Cam", "127.0.0.1:8602/live")
@example("", f"{MARK}x{MARK}", "12/ab", "cam/live")
def test_text_before_the_last_at_sign_is_never_shown(first: str, user: str, word: str, last: str) -> None:
    assert MARK not in shown_texts(f"{first}{user}:{word}@{last}")


@given(st.sampled_from(["rtsp://", "HTTP://", "tcp://", "xyz://"]), logins, endings)
def test_nor_a_user_without_a_password(first: str, user: str, last: str) -> None:
    assert MARK not in shown_texts(f"{first}{user}@{last}")


@given(st.text(), st.text())
def test_what_is_read_is_what_was_written(user: str, rest: str) -> None:
    with contextlib.suppress(UrlError):
        found = read(f"rtsp://{user}@{rest}")
        assert found.login
        assert rest.startswith(found.address)


@pytest.mark.parametrize("word", [*TROUBLE, "pw"])
@pytest.mark.parametrize("first", ["rtsp://", "HTTP://", "rtsp:/", "", "//"])
def test_no_command_prints_a_login(first: str, word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    uri = f"{first}{MARK}user:{word}{MARK}@127.0.0.1:port/live"
    config = tmp_path / "config.toml"
    config.write_text(f"[cameras.door]\nsource = '{uri}'\n[outbox]\ndirectory = 'outbox'\n")
    for command in (
        ["check", "--config", str(config)],
        ["run", "--config", str(config)],
        ["replay", uri],
        ["demo", uri],
    ):
        assert main(command) == 1
    assert main(["doctor", "--config", str(config)]) == 1
    for command in (["check", uri], [uri], ["bench", uri, uri]):
        with pytest.raises(SystemExit):
            main(command)
    output = "".join(capsys.readouterr())
    assert MARK not in output
    assert "percent-encode" in output


def test_nor_does_one_that_is_in_the_wrong_place(tmp_path: Path) -> None:
    login = f"{MARK}:{MARK}@cam"
    file = tmp_path / "config.toml"
    for line in (
        f"[cameras.'{login}']\nsource = 'x.mp4'",
        f"[cameras.door]\nsource = 'x.mp4'\n'rtsp://{login}' = 1",
        f"[cameras.door]\nsource = 'x.mp4'\nflip = '{login}'",
        f"[cameras.door]\nsource = 'x.mp4'\n[model]\npath = 'rtsp://{login}'",
        f"[cameras.door]\nsource = 'x.mp4'\n[mqtt]\nusername = 'x'\npassword_file = '{login}'",
        f"[cameras.door]\nsource = 'x.mp4'\n[mqtt]\nhost = 'mqtt://{login}'",
        f"[cameras.door]\nsource = 'x.mp4'\n[mqtt]\nhost = 'me:{MARK}＠broker'",
        f"[cameras.door]\nsource = 'x.mp4'\n[outbox]\ndirectory = 'rtsp://{login}'",
        f"[cameras.door]\nsource = 'x.mp4'\n[actions.'{login}']\nstart_score = 0.1\nkeep_score = 0.2",
        f"[cameras.door]\nsource = 'rtsp：//me:{MARK}＠cam/live'",
    ):
        file.write_text(line)
        with pytest.raises(ConfigError) as caught:
            load(file)
        assert MARK not in str(caught.value), line


def test_nor_does_one_that_names_a_file_on_a_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    login = f"rtsp://me:{MARK}@cam/live"
    for command in (
        lambda: main(["check", "--config", login]),
        lambda: main(["doctor", "--config", login]),
        lambda: main(["replay", "x.mp4", "--model", login]),
        lambda: main(["check", login.replace("@", "＠")]),
        lambda: main(["check", f"rtsp://cam/user=me_password={MARK}"]),
        lambda: train_main([login]),
        lambda: train_main(["folder", "--weights", login]),
        lambda: convert_main(["export", login, "-o", "x.onnx"]),
        lambda: evaluate_main(["x.onnx", "--data", login]),
    ):
        with pytest.raises(SystemExit) as ended:
            command()  # type: ignore[no-untyped-call]
        assert ended.value.code == 2
        output = capsys.readouterr().err
        assert MARK not in output
        assert "is an address" in output or "an argument is wrong" in output


def test_an_unknown_action_may_be_a_login() -> None:
    given = {"cameras": {"door": {"source": "x.mp4"}}, "actions": {f"me:{MARK}@cam": {}}}
    (message,) = unknown_actions(Config.model_validate(given), ["Surfing"])
    assert message == "actions.***: the model knows no such action; known: Surfing"


def test_the_fingerprint_does_not_know_the_login(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    prints = set()
    for login in ("me:a%40b", "you:c"):
        file.write_text(f"[cameras.door]\nsource = 'rtsp://{login}@cam/live'\n")
        prints.add(fingerprint(load(file)))
    assert len(prints) == 1


@pytest.mark.parametrize("path", ["/live.m3u8", "/LIVE.M3U8", "/x.mpd", "/live%2Em3u8"])
def test_a_playlist_is_recognised_by_its_name(path: str) -> None:
    assert is_playlist(path)
    with pytest.raises(SourceError, match=r"playlists \(HLS, DASH\)"):
        parse(f"http://cam{path}?token=1")
    assert not is_playlist("/live.mjpg")


@pytest.mark.parametrize("url", ["rtsp://me:pw@fe80::1/live", "rtsp://::1", "http://2001:db8::5/live?x=1"])
def test_an_address_of_ipv6_without_its_brackets(url: str) -> None:
    with pytest.raises(
        SourceError, match=r"an IPv6 address stands in brackets: write (rtsp|http)://\[address\]"
    ) as caught:
        parse(url)
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize(
    "command", [["korsal-convert"], ["korsal-convert", "build"], ["korsal-train"], ["korsal-evaluate"]]
)
def test_no_command_repeats_what_it_does_not_understand(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """`argparse` quotes what is one too many."""
    mains = {"korsal-convert": convert_main, "korsal-train": train_main, "korsal-evaluate": evaluate_main}
    with pytest.raises(SystemExit):
        mains[command[0]]([*command[1:], "--nonsense", f"rtsp://{MARK}:{MARK}@cam/live"])
    assert MARK not in "".join(capsys.readouterr())
