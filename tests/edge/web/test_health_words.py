from typing import Any

from edge.web.health_words import sentences

WELL: dict[str, Any] = {
    "cameras": {"door": "online"},
    "failing": [],
    "overloaded": {},
    "late": [],
    "broker": {"online": True, "fault": None, "version": "5", "limits": []},
    "queue": {"rows": 0, "bytes": 0, "in_memory": False},
    "lost": {"updates": 0, "events": 0},
    "history": {"events": 3, "clips": 2, "bytes": 3 << 20, "lost": 0, "fault": None},
    "runtime": {"name": "onnxruntime 1.20", "preprocessing": "cpu", "fallback": None},
    "hardware": {
        "temperatures_c": {"cpu": 51.2, "gpu": None, "soc": 60.6},
        "memory": {"total_mib": 8192.0, "available_mib": 4096.0},
    },
    "throttle": {"skipped": 0.0, "limit_c": None},
    "clock_synced": True,
}


def words(**changed: Any) -> list[tuple[str, str]]:
    found = sentences({"health": {**WELL, **changed}})
    assert all(one.text.endswith(".") for one in found)
    return [(one.level, f"{one.about} {one.text}") for one in found]


def test_all_is_well() -> None:
    assert words() == [
        ("good", "Camera door is online."),
        ("good", "Broker is connected, with MQTT 5."),
        ("good", "History holds 3 events and 2 clips, 3.0 MB."),
        ("good", "Network is run by onnxruntime 1.20."),
        ("good", "Temperature 61 °C at the hottest sensor (soc)."),
        ("good", "Memory 50% of 8.0 GB is free."),
    ]


def test_what_is_wrong_comes_first() -> None:
    found = words(
        cameras={"door": "offline", "yard": "online", "gate": "disabled", "roof": "online"},
        failing=["yard"],
        overloaded={"roof": {"given": 30.0, "taken": 11.5}},
        late=["publisher: no progress for 40 s, the limit is 30 s"],
        broker={"online": False, "fault": "nothing listens there", "version": "5", "limits": ["it has no QoS 1"]},
        queue={"rows": 12, "bytes": 900, "in_memory": True},
        lost={"updates": 4, "events": 0},
        history={"events": 0, "clips": 0, "bytes": 0, "lost": 7, "fault": "the disk is full"},
        throttle={"skipped": 0.2, "limit_c": 90},
        clock_synced=False,
    )
    levels = [level for level, _ in found]
    assert levels == sorted(levels, key=("bad", "note", "good").index)
    for expected in (
        ("bad", "Camera door is offline: no pictures come from it."),
        ("bad", "Camera yard sends pictures that cannot be processed: the log has the reason."),
        ("note", "Camera gate is switched off by request."),
        ("note", "Camera roof sends 30.0 pictures a second, of which this machine takes 11.5."),
        ("bad", "Progress publisher: no progress for 40 s, the limit is 30 s."),
        ("bad", "Broker is not connected (nothing listens there). Events wait on this device."),
        ("note", "Outbox 12 messages wait for the broker (900 bytes)."),
        ("bad", "Outbox cannot be written to the disk: a crash would lose what waits."),
        ("note", "Outbox has lost, since its file was made: 4 updates."),
        ("bad", "History the disk is full."),
        ("bad", "Temperature 20% of all pictures are skipped against heat."),
        ("note", "Clock is not set by a time server: times of events may be wrong."),
    ):
        assert expected in found


def test_of_nothing_little_is_said() -> None:
    assert [one.about for one in sentences({})] == ["Broker", "History"]
