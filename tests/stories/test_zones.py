"""Zones decide what a running daemon publishes, and are changed while it runs. All of it is real."""

import json
import signal
import time
from typing import Any

import jsonschema
import pytest

from tests.support.asker import Asker
from tests.support.paths import ROOT
from tests.support.real_daemon import LONG, QUICK_EVENTS, Daemon, Witness
from tests.support.waiting import wait_for

pytest_plugins = "tests.support.watched_door"

SCHEMA = jsonschema.Draft202012Validator(json.loads((ROOT / "docs" / "event.schema.json").read_text()))
CORNER = "[[0.98, 0.98], [1.0, 0.98], [1.0, 1.0]]"  # nobody's foot is there
EVERYWHERE = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]


def change(asker: Asker, **tables: Any) -> Any:
    """The error of a change by request, None where it was made."""
    return asker.ask("config-set", tables)["error"]


def test_events_begin_in_the_required_zone_alone(fresh: Daemon, witness: Witness, asker: Asker) -> None:
    fresh.edit("keepalive = 5\n", "keepalive = 5\nallow_remote_config = true\n")
    fresh.edit(QUICK_EVENTS, f'{QUICK_EVENTS}required_zones = ["gate"]\n[cameras.door.zones]\ngate = {CORNER}\n')
    with fresh:
        witness.camera_is("online")
        witness.wait_for_frames(30)
        assert witness.events() == []
        error = change(asker, cameras={"door": {"zones": {"gate": None}}})
        assert "camera door has no zone gate, it has no zones" in error
        stay = {"points": EVERYWHERE, "min_duration": 0.5}
        began = time.time()
        assert change(asker, cameras={"door": {"zones": {"gate": stay}}}) is None
        witness.wait_for_new_steps()
        first = witness.events()[0]
        assert (first["type"], first["zones"]) == ("new", ["gate"])
        assert first["t_capture"] > began
        assert change(asker, cameras={"door": {"zones": {"gate": json.loads(CORNER)}}}) is None
        count = len(witness.events())  # an open event goes on outside
        wait_for(lambda: len(witness.events()) > count + 3, "the open event to go on", LONG)
        assert {event["event_id"] for event in witness.events()} == {first["event_id"]}
        fresh.stop()
    end = witness.events()[-1]
    SCHEMA.validate(end)
    assert (end["type"], end["zones"], end["tube_id"]) == ("end", [], first["tube_id"])
    assert end["tube"]["path"][0][0] == 0.0
    assert end["tube"]["best"]["score"] == pytest.approx(end["top_score"], abs=1e-3)


def test_a_person_of_the_wrong_size_begins_no_event_until_a_reload_allows_it(fresh: Daemon, witness: Witness) -> None:
    fresh.edit(QUICK_EVENTS, f"{QUICK_EVENTS}min_area = 0.99\n")
    with fresh:
        witness.camera_is("online")
        witness.wait_for_frames(30)
        assert witness.events() == []
        fresh.edit("min_area = 0.99", "max_area = 1.0")
        fresh.signal(signal.SIGHUP)
        witness.wait_for_new_steps()
        fresh.stop()
    witness.nothing_is_missing()
