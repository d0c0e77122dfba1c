"""Home Assistant's discovery, held to the topics and payloads that are really published."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from edge.broker import discovery_file
from edge.broker.delivery_statistics import OutboxStatistics
from edge.broker.discovery_file import Announced
from edge.broker.home_assistant import MAX_RETIRED, components, discovery, discovery_topic, remembered
from edge.broker.home_entities import PLATFORMS, DeviceDescription
from edge.broker.payload import ModelIdentity, event_payload
from edge.broker.publisher import PublisherStatistics
from edge.broker.requests import Request, answer
from edge.broker.topics import Topics, active_payload, encode, people_payload, thresholds_payload
from edge.config.schema import MqttConfig
from edge.event_settings import ActionSettings, EventSettings
from tests.support.fake_request_handler import FakeRequestHandler
from tests.support.paths import ROOT
from tests.support.some_event import some_event

jinja2 = pytest.importorskip("jinja2", reason="jinja2, which renders Home Assistant's templates, is not installed")

TOPICS = Topics("site/korsal", "roof")
ACTIONS = ("Dunk", "Long Jump", "投篮", 'it\'s "a\\b" {{ 1 }} %}')
TELEMETRY = {
    "fps": {"door": 24.9},
    "overloaded": {"door": True},
    "hardware": {"temperatures_c": {"cpu": 61.5, "gpu": 58.0}},
    "queue": PublisherStatistics(True, None, None, None, 2, 1, 5, 0, OutboxStatistics(rows=7)).queue_payload(),
    "lost": {"updates": 1, "events": 2, "expired": 0, "refused": 0, "damaged": 0},
}


def described(
    snapshots: bool = False,
    cameras: tuple[str, ...] = ("door",),
    actions: tuple[str, ...] = ACTIONS,
    former: dict[str, str] | None = None,
    switches: bool = False,
    tunable: bool = False,
) -> Any:
    device = DeviceDescription("1.2.3", "korsal-lite", actions, cameras, snapshots, switches, tunable)
    return json.loads(discovery(TOPICS, device, former))


def running(found: Any, action: str, camera: str = "door") -> dict[str, Any]:
    """The binary sensor of one action."""
    sensor = named(found, f"{camera} {action}")
    assert sensor["platform"] == "binary_sensor"
    return sensor


def named(found: Any, name: str) -> dict[str, Any]:
    """The entity of that name."""
    (entity,) = (one for one in found["components"].values() if one.get("name") == name)
    return dict(entity)


def step(kind: str, seq: int, action: str = "Long Jump") -> Any:
    event = some_event((8, 8, 16, 16), type=kind, seq=seq, action=action, zones=("gate",))
    return json.loads(encode(event_payload(event, "roof", "door", ModelIdentity("m", "0" * 64), 1.0)))


def rendered(template: str, value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    known = {"value": text, "value_json": value if isinstance(value, dict) else None}
    return str(jinja2.Environment().from_string(template).render(known))


def test_the_device_identifies_itself() -> None:
    found = described()
    assert discovery_topic(TOPICS, "homeassistant") == "homeassistant/device/site_korsal_roof/config"
    assert found["device"]["identifiers"] == ["site_korsal_roof"]
    assert found["device"]["sw_version"] == found["origin"]["sw_version"] == "1.2.3"
    assert found["availability"] == [{"topic": TOPICS.available}]


@pytest.mark.parametrize("snapshots", [True, False])
def test_every_entity_is_whole(snapshots: bool) -> None:
    components = described(snapshots, ("door", "roof-2"), switches=snapshots, tunable=snapshots)["components"]
    needs = {"event": "state_topic", "sensor": "state_topic", "binary_sensor": "state_topic"}
    needs |= {"image": "image_topic", "button": "command_topic", "switch": "command_topic", "number": "command_topic"}
    for key, component in components.items():
        assert component["platform"] in PLATFORMS
        assert component["unique_id"] == f"site_korsal_roof_{key}"
        assert component[needs[component["platform"]]].startswith(f"{TOPICS.root}/")
        assert component["name"]
    assert any(component["platform"] == "image" for component in components.values()) == snapshots
    assert len({component["unique_id"] for component in components.values()}) == len(components)


def test_an_event_triggers_once_by_its_action() -> None:
    """As Home Assistant does it: an empty text is no event, and `event_type` must be one of those that were told."""
    event = described()["components"]["door_actions"]
    assert event["event_types"] == list(ACTIONS)
    assert event["state_topic"] == "site/korsal/roof/door/actions/+"
    for action in ACTIONS:
        assert TOPICS.event("door", action).startswith(event["state_topic"][:-1])
        steps = [step("new", 0, action), *(step("update", seq, action) for seq in (1, 2)), step("end", 3, action)]
        triggered = [json.loads(text) for one in steps if (text := rendered(event["value_template"], one).strip())]
        assert [one["event_type"] for one in triggered] == [action]
        assert {**triggered[0], "event_type": "new"} == steps[0]


def test_each_action_of_a_camera_has_an_event_of_its_own() -> None:
    """So that an automation, or a card, needs no condition on what was seen."""
    found = described(cameras=("door", "yard"))
    for camera in ("door", "yard"):
        for action in ACTIONS:
            event = named(found, f"{camera} {action} event")
            assert (event["platform"], event["event_types"]) == ("event", ["new"])
            assert event["state_topic"] == TOPICS.event(camera, action)
            steps = [step(kind, seq, action) for seq, kind in enumerate(("new", "update", "end"))]
            triggered = [text for one in steps if (text := rendered(event["value_template"], one).strip())]
            assert [json.loads(text) for text in triggered] == [{**steps[0], "event_type": "new"}]


def test_a_sensor_for_each_action_is_on_while_an_event_runs() -> None:
    found = described(cameras=("door", "yard"))
    for action in ACTIONS:
        sensor = running(found, action)
        assert sensor["state_topic"] == TOPICS.active("door")
        for counts, state in ({action: 2}, "ON"), ({}, "OFF"), (dict.fromkeys(set(ACTIONS) - {action}, 1), "OFF"):
            assert rendered(sensor["value_template"], active_payload(ACTIONS, counts)) == state
        assert rendered(sensor["value_template"], active_payload(["of another model"], {})) == "OFF"
    assert running(found, "Dunk", "yard")["state_topic"] == TOPICS.active("yard")


def test_nobody_is_reported_absent_while_the_camera_is_offline() -> None:
    """After a crash the broker says `offline` for us; a camera that is away says so itself."""
    found = described()
    of_one_action = (running(found, "Dunk"), named(found, "door Dunk event"))
    for component in (*of_one_action, *(found["components"][f"door_{key}"] for key in ("actions", "people", "others"))):
        ours, camera = component["availability"]
        assert component["availability_mode"] == "all"
        assert (ours["topic"], camera["topic"]) == (TOPICS.available, TOPICS.state("door"))
        assert "value_template" not in ours
        for state, expected in ("online", "online"), ("stalled", "offline"), ("offline", "offline"), ("", "offline"):
            assert rendered(camera["value_template"], state) == expected


def test_templates_read_what_is_published() -> None:
    found = described()["components"]
    for key, value, text in (
        ("door_people", people_payload(2, 1, 0.15), "2"),
        ("door_others", people_payload(2, 1, 0.15), "1"),
        ("door_online", "online", "ON"),
        ("door_online", "stalled", "OFF"),
        ("door_fps", TELEMETRY, "25"),
        ("door_fps", {"fps": {}}, "0"),
        ("queue", TELEMETRY, "7"),
        ("lost", TELEMETRY, "3"),
        ("door_overloaded", TELEMETRY, "ON"),
        ("door_overloaded", {"overloaded": {}}, "OFF"),
        ("temperature", TELEMETRY, "61.5"),
        ("temperature", {"hardware": {"temperatures_c": {}}}, "None"),
    ):
        assert rendered(found[key]["value_template"], value) == text


def test_scores_are_read_and_set_for_one_camera_and_action() -> None:
    found = described(tunable=True)["components"]
    for action in ACTIONS:
        (number,) = (one for one in found.values() if one.get("name") == f"door {action} keep score")
        assert (number["platform"], number["min"], number["max"]) == ("number", 0, 1)
        in_force = thresholds_payload(ACTIONS, EventSettings(actions={action: ActionSettings(0.35, 0.25)}))
        assert rendered(number["value_template"], in_force) == "0.25"
        asked = json.loads(rendered(number["command_template"], "0.3"))
        assert asked == {"data": {"cameras": {"door": {"actions": {action: {"keep_score": 0.3}}}}}}
        assert number["command_topic"] == TOPICS.request("config-set")
    assert not any(one["platform"] == "number" for one in described()["components"].values())


CAMERAS = ("door", "door-", "door--on_Dunk", "door_actions", "a", "a--on_b_running", "-", "_", "running")
LABELS = ("Dunk", "x_people", "a-b", "a-2Db", "a%2Db", "a b", "a_b", "-E6", "E6", "投", "b_running--on_c", "c")


def test_no_two_entities_have_the_same_key() -> None:
    """Home Assistant would take one for the other, whatever cameras and actions are called."""
    device = DeviceDescription("1", "m", LABELS, CAMERAS, True, False, True)
    found = components(TOPICS, device)
    # actions, people, others, online, overloaded, fps, picture, take; of each action running, event, start and keep
    of_a_camera = 8 + 4 * len(LABELS)
    assert len(found) == 4 + len(CAMERAS) * of_a_camera
    assert all(re.fullmatch("[A-Za-z0-9_-]+", key) for key in found)


def test_home_assistant_itself_accepts_them() -> None:
    """Needs the Python of an environment that has the package `homeassistant`, named by KORSAL_HOMEASSISTANT."""
    python = os.environ.get("KORSAL_HOMEASSISTANT")
    if python is None:
        pytest.skip("KORSAL_HOMEASSISTANT names no Python with the package homeassistant")
    message = described(True, ("door", "yard-2"), former={"door_old": "sensor"}, switches=True, tunable=True)
    command = [python, str(ROOT / "tests" / "support" / "home_assistant_schema.py")]
    ran = subprocess.run(command, input=json.dumps(message), capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout.splitlines()[-1])["removed"] == 1


def test_obsolete_entities_are_removed(tmp_path: Path) -> None:
    file = tmp_path / "roof.discovery.json"
    before = components(TOPICS, DeviceDescription("1", "m", ("Dunk", "Run"), ("door", "yard"), True))
    discovery_file.write(file, Announced("a/topic", remembered(before, {})))
    known = discovery_file.read(file)
    assert known.topic == "a/topic"
    found = described(cameras=("door",), actions=("Run", "Jump"), former=dict(known.platforms))["components"]
    gone = {key: component for key, component in found.items() if component.keys() == {"platform"}}
    assert gone == {
        "door--on_Dunk_running": {"platform": "binary_sensor"},
        "door--on_Dunk_event": {"platform": "event"},
        "door_picture": {"platform": "image"},
        "door_take": {"platform": "button"},
        **{key: {"platform": one} for key, one in known.platforms.items() if key.startswith("yard")},
    }
    assert len(gone) == 4 + 12
    assert {"door--on_Run_running", "door--on_Jump_running"} <= found.keys() - gone.keys()


def test_what_was_removed_is_removed_anew_a_thousand_entities_long() -> None:
    """Home Assistant may be away when it is removed first; the newest are remembered."""
    present = components(TOPICS, DeviceDescription("1", "m", ("Run",), ("door",), False))
    once = remembered(present, {"old_door": "image"})
    assert once == {"old_door": "image", **{key: entity["platform"] for key, entity in present.items()}}
    many = {f"camera_{number}": "event" for number in range(MAX_RETIRED + 5)}
    assert list(remembered({}, {**once, **many})) == list(many)[5:]


def test_a_file_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    file = tmp_path / "roof.discovery.json"
    file.write_text('{"door_actions": "event", "topic_people": "sensor"}')
    assert discovery_file.read(file) == Announced(None, {"door_actions": "event", "topic_people": "sensor"})


@pytest.mark.parametrize(
    "text",
    [None, "", "[]", '{"a": 1, "b": "bomb", "c": ["event"]}', "{" * 100_000, "\xff", '{"platforms": 3, "topic": 2}'],
)
def test_an_unreadable_file_removes_nothing(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "roof.discovery.json"
    if text is not None:
        file.write_text(text, encoding="latin-1")
    assert discovery_file.read(file) == Announced()


def test_a_file_that_cannot_be_written_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    discovery_file.write(tmp_path / "file" / "roof.discovery.json", Announced("t", {"a": "event"}))
    assert "cannot be written" in caplog.text
    discovery_file.remove(tmp_path / "file" / "roof.discovery.json")
    assert "cannot be removed" in caplog.text


def test_buttons_send_requests() -> None:
    components = described(snapshots=True)["components"]
    assert components["reload"]["command_topic"] == "site/korsal/roof/request/reload"
    assert json.loads(components["door_take"]["payload_press"]) == {"data": {"camera": "door"}}
    assert components["door_picture"]["image_topic"] == "site/korsal/roof/door/snapshot/#"


@pytest.mark.parametrize(
    ("state", "shown"), [("online", "ON"), ("stalled", "ON"), ("offline", "ON"), ("disabled", "OFF")]
)
def test_a_camera_s_switch_shows_its_state_and_asks_for_the_other(state: str, shown: str) -> None:
    switch = described(switches=True)["components"]["door_enabled"]
    assert switch["state_topic"] == TOPICS.state("door")
    found = rendered(switch["value_template"], state)
    assert found == shown
    assert found in (switch["state_on"], switch["state_off"])
    handler = FakeRequestHandler()
    allowed = MqttConfig(allow_camera_switch=True)
    for payload in (switch["payload_off"], switch["payload_on"]):
        assert switch["command_topic"] == TOPICS.request("camera")
        response = answer(Request("camera", payload.encode()), handler, TOPICS, allowed)
        assert json.loads(response.payload)["error"] is None
    assert handler.asked == [("door", False), ("door", True)]


def test_there_is_no_switch_where_switching_is_not_allowed_and_a_former_one_is_removed() -> None:
    assert "door_enabled" not in described()["components"]
    assert described(former={"door_enabled": "switch"})["components"]["door_enabled"] == {"platform": "switch"}


def test_what_is_seen_by_a_camera_that_is_off_is_unavailable() -> None:
    availability = running(described(switches=True), "Dunk")["availability"][1]
    assert rendered(availability["value_template"], "disabled") == "offline"
