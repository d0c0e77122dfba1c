"""What a running daemon gives away of its secrets: nothing. docs/security.md names this test.

Everything is real: the daemon, mosquitto with TLS and a login, an RTSP server with a login, cameras on loopback.
"""

import json
import signal
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from tests.support import live_cameras, video_files
from tests.support.broker import Broker, Subscriber, mosquitto
from tests.support.certificates import make
from tests.support.logged_daemon import daemon
from tests.support.ports import free_port
from tests.support.sockets import command_lines
from tests.support.started_daemon import BASE, LiveStream, write_config
from tests.support.waiting import PATIENCE, wait_for

STREAM_USER, STREAM_PASSWORD, WRONG_PASSWORD = "Hidden1user", "Hidden2@pass", "Hidden3wrong"
TOKEN, KEY_IN_PATH, MISPLACED = "Hidden4token", "Hidden5key", "Hidden6misplaced"
MQTT_USER, MQTT_PASSWORD, OLD_PASSWORD = "Hidden7user", "Hidden8pass", "Hidden9old"
KEY_FILE = "Hidden10client"
SECRETS = (
    STREAM_USER, STREAM_PASSWORD, "Hidden2%40pass", WRONG_PASSWORD, TOKEN, KEY_IN_PATH, MISPLACED,
    MQTT_USER, MQTT_PASSWORD, OLD_PASSWORD, KEY_FILE,
)  # fmt: skip


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make(tmp_path_factory.mktemp("certificates"))
    for ending in ("key", "crt"):
        (folder / f"client.{ending}").rename(folder / f"{KEY_FILE}.{ending}")
    return folder


def guarded(folder: Path, certificates: Path, plain: int) -> str:
    """TLS with a login on the broker's own port, and a login alone on the port `plain`, for the test's subscriber."""
    mosquitto()  # skips the test where it is absent
    passwords = folder / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(passwords), MQTT_USER, MQTT_PASSWORD], check=True)
    passwords.chmod(0o644)
    tls = {"cafile": "ca.crt", "certfile": "server.crt", "keyfile": "server.key"}
    lines = [f"{key} {certificates}/{name}" for key, name in tls.items()]
    login = ["allow_anonymous false", f"password_file {passwords}"]
    return "\n".join([*lines, "require_certificate true", *login, f"listener {plain} 127.0.0.1"])


def secret_config(folder: Path, port: int, certificates: Path, cameras: dict[str, str], page: int) -> Path:
    (folder / "password").write_text(f"{OLD_PASSWORD}\n")
    config = write_config(folder, port, cameras)
    name = certificates / KEY_FILE
    more = (
        f'username = "{MQTT_USER}"\npassword_file = "password"\nsnapshots = true\ndiscovery = true\n'
        f'allow_remote_config = true\n[mqtt.tls]\nca = "{certificates}/ca.crt"\ncert = "{name}.crt"\n'
        f'key = "{name}.key"\n[log]\nlevel = "debug"\n[telemetry]\ninterval = 0.2\n[metrics]\nport = {page}\n'
    )
    config.write_text(config.read_text().replace("[outbox]", f"{more}[outbox]"))
    return config


def ask(asker: Client, op: str, data: Any = None) -> None:
    asker.publish(f"{BASE}/request/{op}", json.dumps({"transaction": op, "data": data}), qos=1)


def found_in(text: str) -> list[str]:
    return [secret for secret in SECRETS if secret in text]


@pytest.mark.slow
def test_no_secret_is_published_or_logged(tmp_path: Path, certificates: Path, stream: LiveStream) -> None:
    """Refused logins and good ones, cameras that are there and are not, mistakes in the file, requests, an end."""
    video = video_files.write_video(tmp_path / "stream.ts", "mp4v")
    rtsp, plain, page = free_port(), free_port(), free_port()
    login = f"{STREAM_USER}:{STREAM_PASSWORD}"
    written = login.replace("@", "%40")
    cameras = {
        "door": f"{stream.url}?token={TOKEN}",
        "yard": f"rtsp://{written}@127.0.0.1:{rtsp}/live",
        "gate": f"rtsp://{STREAM_USER}:{WRONG_PASSWORD}@127.0.0.1:{rtsp}/live",
        "away": f"http://{written}@127.0.0.1:9/live/key={KEY_IN_PATH}/x?token={TOKEN}#{TOKEN}",
        "nowhere": f"rtsp://{written}@nowhere.invalid/live",
    }
    log, shown = tmp_path / "log", list[str]()
    with Broker(tmp_path, guarded(tmp_path, certificates, plain)) as broker:
        config = secret_config(tmp_path, broker.port, certificates, cameras, page)

        def wait_for_log(words: str) -> None:
            wait_for(lambda: words in log.read_text(), f"{words} in {log.read_text()}")

        with (
            live_cameras.serve("rtsp", rtsp, video, login),
            Subscriber(plain, username=MQTT_USER, password=MQTT_PASSWORD) as subscriber,
            daemon(config, log) as process,
        ):
            wait_for_log("trying again")
            shown.append(command_lines(process.pid))
            wait_for_log("camera gate: offline: rtsp://***@127.0.0.1")
            wait_for_log(
                "camera nowhere: offline: rtsp://***@nowhere.invalid/live: the name nowhere.invalid is not known"
            )
            (tmp_path / "password").write_text(f"{MQTT_PASSWORD}\n")
            subscriber.wait_for_topic(f"{BASE}/door/actions/Shine")
            subscriber.wait_for_payload(f"{BASE}/yard/state", b"online")
            shown.append(command_lines(process.pid))
            asker = Client(CallbackAPIVersion.VERSION2)
            asker.username_pw_set(MQTT_USER, MQTT_PASSWORD)
            asker.connect("127.0.0.1", plain)
            asker.loop_start()
            for op, data in (
                ("health", None),
                ("config-get", None),
                ("snapshot", {"camera": "door"}),
                ("config-set", {"mqtt": {"password_file": None}}),
                ("config-set", {"actions": {"Shine": {"start_score": 2}}}),
            ):
                ask(asker, op, data)
                subscriber.wait_for_topic(f"{BASE}/response/{op}")
            good = config.read_text()
            config.write_text(f"cameras = ['rtsp://a:{MISPLACED}@roof']\n" + good.replace("[cameras.door]", "[x]"))
            process.send_signal(signal.SIGHUP)
            wait_for_log("the old configuration stays in force")
            config.write_text(good.replace(f"{stream.url}?", f"rtsp://a:{MISPLACED}@roof:port/?"))
            ask(asker, "reload")
            subscriber.wait_for_topic(f"{BASE}/response/reload")
            shown.append(urllib.request.urlopen(f"http://127.0.0.1:{page}/metrics").read().decode())
            key = certificates / f"{KEY_FILE}.key"
            key.rename(key.with_suffix(".away"))
            broker.stop()
            wait_for_log("[mqtt.tls]")
            key.with_suffix(".away").rename(key)
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0
            asker.loop_stop()
            shown += [f"{m.topic}{m.payload!r}{m.properties}" for m in subscriber.messages]
    assert len({message.topic for message in subscriber.messages}) > 15
    kept = b"".join(file.read_bytes() for file in (tmp_path / "state").rglob("*") if file.is_file())
    assert found_in(log.read_text()) == []
    assert found_in("\n".join(shown)) == []
    assert found_in(kept.decode("latin-1")) == []
    assert found_in(config.read_text()), "so that this test could fail"
