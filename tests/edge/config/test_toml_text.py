"""Changes to a TOML text, however it is written: each is made in its place, and nothing else moves."""

import random
from typing import Any

import pytest
import tomli as tomllib
from hypothesis import given
from hypothesis import strategies as st

from edge.config.edit import EditError, edited
from edge.config.toml_text import TomlEditError, to_toml, with_value
from tests.support import toml_spelling

DOTTED = """[cameras.a]
source = "x"
actions.default.start_score = 0.3 # of this camera
[actions.default]
start_score = 0.5 # of all
"""


def test_a_camera_s_threshold_in_dotted_keys_stays_the_camera_s() -> None:
    after = edited(DOTTED, {"cameras": {"a": {"actions": {"default": {"start_score": 0.4, "keep_score": 0.1}}}}})
    assert after == DOTTED.replace(
        "start_score = 0.3 # of this camera\n",
        "start_score = 0.4 # of this camera\nactions.default.keep_score = 0.1\n",
    )


@pytest.mark.parametrize(
    ("before", "path", "value", "after"),
    [
        ("a = 1 # one\n", ("a",), 2, "a = 2 # one\n"),
        ("a = 1", ("b",), 2, "a = 1\nb = 2\n"),
        ("", ("a",), 1, "a = 1\n"),
        ("", ("a", "b"), 1, "[a]\nb = 1\n"),
        ("# mine\n[a]\n", ("b",), 1, "b = 1\n# mine\n[a]\n"),
        ("[a]\r\nb = 1\r\n\r\n# next\r\n[c]\r\n", ("a", "d"), 2, "[a]\r\nb = 1\r\nd = 2\r\n\r\n# next\r\n[c]\r\n"),
        ("a.b = 1\n", ("a", "c"), 2, "a.b = 1\na.c = 2\n"),
        ("'a' . b = 1\n", ("a", "c", "d e"), 2, "'a' . b = 1\n'a'.c.\"d e\" = 2\n"),
        ("a = {}\n", ("a", "b"), 1, "a = {b = 1}\n"),
        ("a = { b = 1 }\n", ("a", "c", "d"), 2, "a = { b = 1, c.d = 2 }\n"),
        ("a = { b.c = 1, d = 2 }\n", ("a", "b", "e"), 3, "a = { b.c = 1, b.e = 3, d = 2 }\n"),
        ("[a.b]\nc = 1\n[d]\n", ("a", "e", "f"), 2, "[a.b]\nc = 1\n[a.e]\nf = 2\n[d]\n"),
        ("[a.b]\n", ("a", "c"), 1, "[a.b]\n[a]\nc = 1\n"),
        ("a = [1, # ]\n 2] # two\nb = 1\n", ("a",), [3], "a = [3] # two\nb = 1\n"),
        ('a = """x"]\n[b]\n"""\n[b]\n', ("b", "c"), 1, 'a = """x"]\n[b]\n"""\n[b]\nc = 1\n'),
        ("a = 1\n", ("b c",), 'q"\\\n\x7f', 'a = 1\n"b c" = "q\\"\\\\\\n\\u007f"\n'),
        ("a = 1 # gone\nb = 2\n", ("a",), None, "b = 2\n"),
        ("a = { b = 1, c = 2 }\n", ("a", "b"), None, "a = { c = 2 }\n"),
        ("a = { b = 1, c = 2 }\n", ("a", "c"), None, "a = { b = 1 }\n"),
        ("[a]\nb = 1\n# stays\n[a.c]\n[d]\n", ("a",), None, "# stays\n[d]\n"),
        ("a.b = 1\n", ("a", "b"), None, "[a]\n"),
        ("a = 1\n", ("b",), {}, "a = 1\nb = {}\n"),
        ("[a.b]\n", ("a",), {}, "[a.b]\n"),
    ],
)
def test_each_way_of_writing_a_value_is_changed_in_place(
    before: str, path: tuple[str, ...], value: object, after: str
) -> None:
    found = with_value(before, path, value)
    if after == "[a]\n":  # what matters is that the table is still there
        assert tomllib.loads(found) == {"a": {}}
    else:
        assert found == after
        tomllib.loads(found)


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("a = 1\n", ("a", "b"), 2),
        ("a.b = 1\n", ("a",), 2),
        ("[a]\n", ("a",), 2),
        ("[[a]]\nb = 1\n", ("a", "b"), 2),
        ("[[a]]\n[a.b]\nc = 1\n", ("a", "b", "c"), 2),
    ],
)
def test_an_obstacle_is_named(text: str, path: tuple[str, ...], value: object) -> None:
    with pytest.raises(TomlEditError, match=f"^{'.'.join(path)}: .* edit the file$"):
        with_value(text, path, value)


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), object(), [None], "\ud800"])
def test_values_that_toml_cannot_hold(value: object) -> None:
    with pytest.raises(ValueError, match=r"has no counterpart in TOML|surrogates not allowed"):
        to_toml(value)


TRIANGLE = [[0.0, 0.0], [1.0, 0.5], [1.0, 1.0]]
score = st.sampled_from([0, 1, 0.25, 0.5])
thresholds = st.dictionaries(st.sampled_from(["start_score", "keep_score", "cooldown"]), score, max_size=2)
names = st.sampled_from(["default", "Surfing", "a b", "é.x", '"', "#"])
actions = st.dictionaries(names, thresholds, max_size=3)
zones = st.dictionaries(st.sampled_from(["left", "right"]), st.just(TRIANGLE), max_size=2)
cameras = st.fixed_dictionaries(
    {"source": st.sampled_from(["rtsp://x/#1", "it's", "[x]"])},
    optional={"actions": actions, "zones": zones, "mask": st.just([TRIANGLE])},
)
contents = st.fixed_dictionaries(
    {"cameras": st.fixed_dictionaries({"a": cameras, "b": cameras})},
    optional={
        "actions": actions,
        "mqtt": st.just({"host": "h", "tls": {"ca": "x"}}),
        "linker": st.just({"fade": 0.5}),
        "log": st.just({"level": "info"}),
    },
)
new_actions = st.dictionaries(
    names, st.none() | st.dictionaries(st.sampled_from(["start_score", "keep_score"]), score | st.none()), max_size=3
)
new_camera = st.fixed_dictionaries(
    {}, optional={"actions": new_actions, "zones": st.dictionaries(st.just("left"), st.none()), "mask": st.none()}
)
changes = st.fixed_dictionaries(
    {},
    optional={
        "actions": new_actions,
        "cameras": st.fixed_dictionaries({"a": new_camera.filter(bool)}),
        "linker": st.just({"fade": 0.25, "merge_iou": 0.5}),
        "log": st.just({"level": "debug"}),
    },
)


def merged(old: Any, new: Any) -> Any:
    """JSON Merge Patch, as its RFC says it."""
    if not isinstance(new, dict):
        return new
    base = old if isinstance(old, dict) else {}
    values = {**base, **{key: merged(base.get(key), value) for key, value in new.items()}}
    return {key: value for key, value in values.items() if value is not None}


def own_lines(text: str) -> list[str]:
    """Comments that stand by themselves."""
    return [line.strip() for line in text.splitlines() if line.startswith("#")]


@given(contents, changes, st.integers(0, 1 << 32))
def test_however_it_is_written_the_change_is_made_and_no_comment_lost(
    content: dict[str, Any], change: dict[str, Any], seed: int
) -> None:
    text = toml_spelling.written(content, random.Random(seed))
    assert tomllib.loads(text) == content
    after = edited(text, change)
    assert tomllib.loads(after) == merged(content, change)
    assert own_lines(after) == own_lines(text)
    assert ("\r\n" in text) == ("\r\n" in after) or not text.strip()


@given(st.text(st.sampled_from("ab.=[]{}\"'#\n\r, 1\\"), max_size=40), changes)
def test_any_text_is_changed_or_refused(text: str, change: dict[str, Any]) -> None:
    try:
        after = edited(text, change)
    except EditError:
        return
    assert tomllib.loads(after) == merged(tomllib.loads(text), change)
