"""What runs the model in a running daemon, and what it tells where that is not what it should be.

TensorRT is a fake that refuses every build; all else is real.
"""

import json
import urllib.request
from typing import Any

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from tests.support import fake_device
from tests.support.frame_model import write_frame_model
from tests.support.paths import ROOT
from tests.support.ports import free_port
from tests.support.real_daemon import BASE, LONG, Daemon, Witness
from tests.support.waiting import wait_for

pytest_plugins = "tests.support.watched_door"

REFUSAL = "no implementation for node /head"


def runtime_of(witness: Witness, daemon: Daemon) -> dict[str, Any]:
    """What telemetry says of this process's runtime."""
    daemon.wait_for_log("running ")
    count = len(witness.payloads(f"{BASE}/telemetry"))
    wait_for(lambda: len(witness.payloads(f"{BASE}/telemetry")) > count, "telemetry", LONG)
    found: dict[str, Any] = witness.telemetry()["runtime"]
    return found


def health(witness: Witness) -> dict[str, Any]:
    """The answer to a request."""
    client = Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", witness.port)
    client.loop_start()
    client.publish(f"{BASE}/request/health", b"").wait_for_publish(LONG)
    witness.wait_for_topic(f"{BASE}/response/health")
    client.disconnect()
    client.loop_stop()
    answer: dict[str, Any] = json.loads(witness.payloads(f"{BASE}/response/health")[-1])
    return answer


@pytest.mark.parametrize(("requested", "preprocessing"), [("graph", "graph"), ("auto", "cpu"), ("cpu", "cpu")])
def test_a_model_that_prepares_frames_itself(
    requested: str, preprocessing: str, fresh: Daemon, witness: Witness
) -> None:
    write_frame_model(fresh.folder / "frames.onnx")
    fresh.edit('path = "tiny.onnx"', f'path = "frames.onnx"\npreprocessing = "{requested}"')
    with fresh:
        witness.wait_for_new_steps()
        found = runtime_of(witness, fresh)
        assert (found["preprocessing"], found["fallback"]) == (preprocessing, None)
        assert found["name"].startswith("onnxruntime ")
        fresh.stop()
    witness.nothing_is_missing()
    assert "WARNING" not in fresh.log


def test_where_tensorrt_builds_nothing_the_daemon_sees_all_the_same(fresh: Daemon, witness: Witness) -> None:
    """It says why everywhere, and does not spend the next start on the same build."""
    packages = fake_device.install(
        fresh.folder / "packages",
        fresh.folder / "tiny.onnx",
        failing={"Builder.build_serialized_network": REFUSAL},
    )
    fresh.environment = {"PYTHONPATH": f"{packages}:{ROOT}"}
    port = free_port()
    fresh.edit('runtime = "onnxruntime"', f'runtime = "auto"\n[metrics]\nport = {port}')
    for start in (1, 2):
        with fresh:
            witness.wait_for_new_steps()
            found = runtime_of(witness, fresh)
            assert found["name"].startswith("onnxruntime ")
            assert REFUSAL in found["fallback"]
            assert found["fallback"].endswith('set model.runtime = "onnxruntime" to keep that')
            assert health(witness)["data"]["runtime"] == found
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=LONG) as page:
                assert "korsal_runtime_fallback 1.0" in page.read().decode().splitlines()
            fresh.stop()
        assert fresh.log.count(found["fallback"]) == start
        assert fresh.log.count("building the TensorRT engine of ") == 1


def test_a_precision_that_no_file_has_is_told(fresh: Daemon, witness: Witness) -> None:
    fresh.edit('path = "tiny.onnx"', 'path = "tiny.onnx"\nprecision = "int8"')
    with fresh:
        witness.wait_for_new_steps()
        found = runtime_of(witness, fresh)
        assert "model.precision is int8, and neither " in found["fallback"]
        fresh.stop()
    assert fresh.log.count(found["fallback"]) == 1
