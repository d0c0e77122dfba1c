"""The documentation's lines for mosquitto's clients, run as they are written, beside a real daemon."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.broker import Broker, Subscriber
from tests.support.documented_commands import DocumentedCommand, all_commands
from tests.support.started_daemon import LiveStream, running, write_config
from tests.support.waiting import wait_for

CLIENTS = ("mosquitto_sub", "mosquitto_pub", "mosquitto_rr")
NAMED = {"Fall": "Shine", "Basketball": "Shine"}  # actions of the documentation, and of the model here
TABLES = "[telemetry]\ninterval = 0.2\n"
ALLOWED = "allow_remote_config = true\nallow_camera_switch = true\n[outbox]"

pytestmark = pytest.mark.skipif(
    shutil.which("mosquitto_rr") is None,
    reason="mosquitto's clients are not installed: apt-get install mosquitto-clients",
)


def lines(program: str) -> list[DocumentedCommand]:
    found = [command for command in all_commands() if command.words[0] == program]
    assert found
    return found


def begun(command: DocumentedCommand, port: int, *more: str) -> "subprocess.Popen[str]":
    """It, for this broker and this model's actions."""
    words = command.words
    for theirs, ours in NAMED.items():
        words = [word.replace(theirs, ours) for word in words]
    return subprocess.Popen([*words, "-p", str(port), *more], stdout=subprocess.PIPE, text=True)


def test_mosquitto_s_lines_do_what_they_say(
    tmp_path: Path, broker: Broker, subscriber: Subscriber, stream: LiveStream
) -> None:
    config = write_config(tmp_path, broker.port, {"door": stream.url}, TABLES)
    config.write_text(config.read_text().replace('"roof"', '"korsal-edge"').replace("[outbox]", ALLOWED))
    listening = [begun(command, broker.port, "-C", "1") for command in lines("mosquitto_sub")]
    with running(config):
        for one in listening:
            said, _ = one.communicate()
            assert said.strip(), one.args
        for command in lines("mosquitto_rr"):
            said, _ = begun(command, broker.port).communicate()
            assert json.loads(said)["error"] is None
        for command in lines("mosquitto_pub"):
            asked = begun(command, broker.port)
            asked.communicate()
            assert asked.returncode == 0
            op = command.words[command.words.index("-t") + 1].rsplit("/", 1)[1]
            answers = f"korsal/korsal-edge/response/{op}"
            wait_for(lambda: subscriber.on(answers), answers)  # noqa: B023
            assert subscriber.json_on(answers)[-1]["error"] is None, command.text
