"""The generated reference: AsyncAPI's own schema finds faults, no key of the schema is missing, nothing is stale."""

import copy
import shutil
from pathlib import Path
from typing import Any

import pytest

from edge.broker.requests import OPS
from scripts.reference import asyncapi, commented_keys, configuration_page, mqtt_page
from scripts.reference.__main__ import main, pages
from scripts.reference.schema_words import type_words
from tests.support.paths import ROOT

CONFIG = (ROOT / "config.toml").read_text()


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return asyncapi.document()


def test_a_page_that_is_out_of_date_is_named_and_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    shutil.copy(ROOT / "config.toml", tmp_path)
    for schema in (ROOT / "docs").glob("*.schema.json"):
        shutil.copy(schema, docs)
    monkeypatch.setattr(asyncapi, "DOCS", docs)
    assert main([]) == 0
    assert main(["--check"]) == 0
    (docs / "configuration.md").write_text("older")
    (docs / "asyncapi.json").unlink()
    capsys.readouterr()
    assert main(["--check"]) == 1
    said = capsys.readouterr().out
    assert "docs/configuration.md is out of date: run python -m scripts.reference\n" in said
    assert "docs/asyncapi.json is out of date" in said
    assert "mqtt-reference" not in said


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("operations", "event", "action"), "shout", "$.operations.event"),
        (("operations", "event", "bindings", "mqtt", "qos"), 7, "$.operations.event"),
        (("channels", "event", "adress"), "x", "$.channels.event"),
        (("info", "version"), 3, "$.info.version"),
        (("operations", "event", "channel"), {"$ref": "#/channels/gone"}, "#/channels/gone: is not in the document"),
    ],
)
def test_a_fault_in_the_document_is_found(
    document: dict[str, Any], path: tuple[str, ...], value: object, named: str
) -> None:
    broken = copy.deepcopy(document)
    table = broken
    for step in path[:-1]:
        table = table[step]
    table[path[-1]] = value
    assert any(named in problem for problem in asyncapi.problems(broken))


def test_every_request_has_its_answer(document: dict[str, Any]) -> None:
    replies = [operation["reply"] for operation in document["operations"].values() if "reply" in operation]
    assert len(replies) == len(OPS)


def test_a_topic_belongs_to_one_channel_though_names_look_alike(document: dict[str, Any]) -> None:
    topics = {
        "korsal/roof/door/actions/Long%20Jump": "event",
        "some/where/roof/events/thermal": "thermal",
        "korsal/roof/door/snapshot/Basketball": "eventPicture",
        "korsal/roof/door/snapshot": "picture",
        "homeassistant/device/korsal_roof/config": "discovery",
    }
    for topic, expected in topics.items():
        found = [key for key, one in document["channels"].items() if asyncapi.topic_pattern(one).fullmatch(topic)]
        assert found == [expected]


def test_each_key_of_the_schema_is_explained_in_config_toml() -> None:
    free = {"cameras.*.zones.*"}  # a zone's name is the key
    explained = {path for path in configuration_page.documented(CONFIG) if not path.startswith("cameras.*.zones.")}
    zone = {"cameras.*.zones.*.points", "cameras.*.zones.*.min_duration"}
    assert explained | zone == configuration_page.described() - free


def test_a_key_that_the_schema_does_not_have_is_named() -> None:
    with pytest.raises(KeyError, match="colour"):
        configuration_page.page('[mqtt]\ncolour = "blue"  # of the cable\n')


def test_comments_belong_to_their_keys() -> None:
    text = "# Above.\n[log]\n# Between.\nlevel = 1     # one\n              # two\n#unset = 2   # three"
    (table,) = commented_keys.tables(text.splitlines())
    assert table.intro == "Above."
    first, second = table.keys
    assert (first.name, first.value, first.comment, first.before) == ("level", "1", "one two", "Between.")
    assert (second.name, second.unset, second.comment) == ("unset", True, "three")


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 1048576}, "whole number, 1 to 1,048,576"),
        ({"type": "number", "minimum": 0.1}, "number, from 0.1"),
        ({"anyOf": [{"type": "null"}, {"type": "string"}]}, "null or text"),
        ({"enum": [None, "score"]}, "`null`, `score`"),
        ({"type": "array", "items": {"type": "string"}}, "list of text"),
        ({}, "any"),
    ],
)
def test_types_in_words(schema: dict[str, Any], words: str) -> None:
    assert type_words(schema) == words


def test_the_page_names_every_channel_and_key(document: dict[str, Any]) -> None:
    page = mqtt_page.page(document)
    for key, channel in document["channels"].items():
        assert f"\n## {key}\n" in page
        assert f"`{channel['address']}`" in page
    assert "| `hardware.gpu.load` |" in page
    assert set(pages(document)) == {"asyncapi.json", "mqtt-reference.md", "configuration.md"}
