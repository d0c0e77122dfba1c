"""Home Assistant's discovery, held to the topics and payloads that are really published."""

import json
from typing import Any

import pytest

from edge.broker.home_assistant import Described, discovery
from edge.broker.topics import Topics, active_payload
from edge.mqtt import PublisherStatistics
from edge.outbox import OutboxStatistics

jinja2 = pytest.importorskip("jinja2", reason="jinja2, which renders Home Assistant's templates, is not installed")

TOPICS = Topics("site/korsal", "roof")
PLATFORMS = {"event", "sensor", "binary_sensor", "image", "button"}
TELEMETRY = {
    "fps": {"door": 24.9},
    "queue": PublisherStatistics(True, None, None, None, 2, 1, 5, 0, OutboxStatistics(rows=7)).queue(),
    "lost": {"updates": 1, "events": 2, "expired": 0, "refused": 0},
}


def described(snapshots: bool = False, cameras: tuple[str, ...] = ("door",)) -> Any:
    topic, payload = discovery(TOPICS, "homeassistant", Described("1.2.3", "korsal-lite", cameras, snapshots))
    assert topic == "homeassistant/device/site_korsal_roof/config"
    return json.loads(payload)


def rendered(component: dict[str, Any], value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    known = {"value": text, "value_json": value if isinstance(value, dict) else None}
    return str(jinja2.Environment().from_string(component["value_template"]).render(known))


def test_the_device_says_who_it_is() -> None:
    found = described()
    assert found["device"]["identifiers"] == ["site_korsal_roof"]
    assert found["device"]["sw_version"] == found["origin"]["sw_version"] == "1.2.3"
    assert found["availability_topic"] == TOPICS.available


@pytest.mark.parametrize("snapshots", [True, False])
def test_every_entity_is_whole(snapshots: bool) -> None:
    components = described(snapshots, ("door", "roof-2"))["components"]
    needs = {"event": "state_topic", "sensor": "state_topic", "binary_sensor": "state_topic"}
    needs |= {"image": "image_topic", "button": "command_topic"}
    for key, component in components.items():
        assert component["platform"] in PLATFORMS
        assert component["unique_id"] == f"site_korsal_roof_{key}"
        assert component[needs[component["platform"]]].startswith(f"{TOPICS.root}/")
        assert component["name"]
    assert any(component["platform"] == "image" for component in components.values()) == snapshots
    assert len({component["unique_id"] for component in components.values()}) == len(components)


def test_events_come_by_the_filter_of_their_camera() -> None:
    event = described()["components"]["door_actions"]
    assert event["event_types"] == ["new", "update", "end"]
    assert event["state_topic"] == "site/korsal/roof/door/actions/+"
    assert TOPICS.event("door", "Long Jump").startswith(event["state_topic"][:-1])


def test_templates_read_what_is_published() -> None:
    components = described()["components"]
    assert rendered(components["door_people"], active_payload(["Dunk", "Jump"], [0, 1, 1])) == "3"
    assert rendered(components["door_online"], "online") == "ON"
    assert rendered(components["door_online"], "stalled") == "OFF"
    assert rendered(components["door_fps"], TELEMETRY) == "24.9"
    assert rendered(components["queue"], TELEMETRY) == "7"
    assert rendered(components["lost"], TELEMETRY) == "3"


def test_buttons_send_requests() -> None:
    components = described(snapshots=True)["components"]
    assert components["reload"]["command_topic"] == "site/korsal/roof/request/reload"
    assert json.loads(components["door_take"]["payload_press"]) == {"data": {"camera": "door"}}
    assert components["door_picture"]["image_topic"] == "site/korsal/roof/door/snapshot/#"
