"""What a manifest may say of a memory."""

import json
from dataclasses import replace

import pytest

from edge import manifest as manifests
from edge.manifest import Manifest, ManifestError
from edge.memory_network import (
    MemoryNetwork,
    detector_shapes,
    map_shapes,
    next_part_names,
    next_part_shapes,
    part_names,
    part_shapes,
)

NETWORK = MemoryNetwork("0" * 64, 4, 172, (480, 6, 6), (56, 11, 11), "1" * 64, ((2, 8, 3, 3), (4,)))
MANIFEST = Manifest("tiny", ("Run",), 64, 64, memory=NETWORK)


def test_round_trip() -> None:
    assert manifests.from_json(manifests.to_json(MANIFEST)) == MANIFEST


def test_manifests_without_one_or_with_null() -> None:
    content = json.loads(manifests.to_json(replace(MANIFEST, memory=None)))
    assert manifests.from_json(json.dumps(content)).memory is None
    assert manifests.from_json(json.dumps({**content, "memory": None})).memory is None


def test_shapes_and_names() -> None:
    assert part_names(2) == ("memory_0", "memory_1")
    assert next_part_names(2) == ("next_memory_0", "next_memory_1")
    assert part_shapes(NETWORK, 3) == {"memory_0": (3, 2, 8, 3, 3), "memory_1": (3, 4)}
    assert next_part_shapes(NETWORK, 3) == {"next_memory_0": (3, 2, 8, 3, 3), "next_memory_1": (3, 4)}
    assert map_shapes(NETWORK, 3) == {"features": (3, 480, 6, 6), "tap": (3, 56, 11, 11)}
    assert detector_shapes(NETWORK, 3) == {**map_shapes(NETWORK, 3), "placement": (3, 4)}
    # 2 * 8 * 3 * 3 + 4 of the memory, 56 * 11 * 11 + 480 * 6 * 6 of its maps, four bytes each
    assert NETWORK.bytes_per_camera == 4 * (148 + 6776 + 17280)
    assert manifests.memory_shapes(replace(MANIFEST, memory=None), 3) == {}
    assert list(manifests.input_shapes(MANIFEST, 1, (1, 1))) == ["image", "features", "tap", "placement"]
    inside = replace(MANIFEST, preprocessing="graph")
    assert list(manifests.input_shapes(inside, 1, (1, 1))) == ["frame", "previous", "features", "tap", "placement"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sha256": "0" * 63}, "memory.sha256 "),
        ({"sha256": "A" * 64}, "memory.sha256 "),
        ({"weights": ""}, "memory.weights "),
        ({"interval": 0}, "memory.interval must be greater than or equal to 1"),
        ({"interval": 0.16}, "memory.interval must be"),
        ({"interval": 1001}, "memory.interval must be less than or equal to 1000"),
        ({"size": 0}, "memory.size must be greater than or equal to 1"),
        ({"size": 4097}, "memory.size must be less than or equal to 4096"),
        ({"features": [4096, 4096, 2]}, "memory.features take more than 64 MiB for each camera"),
        ({"features": [1]}, "memory.features"),
        ({"tap": [1, 0, 1]}, "memory.tap"),
        ({"parts": [[4096, 4096], [1]]}, "memory.parts take more than 64 MiB for each camera"),
        ({"parts": [[1, 1, 1, 1, 1]]}, "memory.parts.0"),
        ({"parts": [[1]] * 65}, "memory.parts"),
        ({"file": "../../etc/shadow"}, "memory.file is unknown"),
    ],
)
def test_wrong_manifests_are_refused(changes: dict[str, object], message: str) -> None:
    content = json.loads(manifests.to_json(MANIFEST))
    content["memory"] |= changes
    with pytest.raises(ManifestError) as refused:
        manifests.from_json(json.dumps(content))
    assert message in str(refused.value)


@pytest.mark.parametrize("key", ["weights", "interval", "size", "features", "tap"])
def test_these_keys_are_needed(key: str) -> None:
    content = json.loads(manifests.to_json(MANIFEST))
    del content["memory"][key]
    with pytest.raises(ManifestError, match=f"memory.{key} is missing"):
        manifests.from_json(json.dumps(content))


def test_a_checkpoint_names_no_file() -> None:
    """As runs have written it that began before files were named."""
    content = json.loads(manifests.to_json(MANIFEST))
    del content["memory"]["sha256"], content["memory"]["parts"]
    found = manifests.from_json(json.dumps(content)).memory
    assert found == replace(NETWORK, sha256="", parts=())
