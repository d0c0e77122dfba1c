"""All mistakes of a configuration, those too that show only when others are left out. Pure.

A table's own check (is keep_score above start_score?) cannot run before each of its values is sound. So what is wrong
is left out, and the rest is checked again, until nothing more is found.
"""

import copy
import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from edge.config.error_messages import messages
from edge.config.schema import Config
from edge.config.schema_types import TableError
from edge.sources import redact

MAX_ROUNDS = 8
VALID_SOURCE = "/dev/video999"  # a camera's source, in the place of one that is wrong
VALID_SCORES = {"start_score": 1.0, "keep_score": 0.0}  # in the place of wrong ones: no other score contradicts these
SOURCE_OPTIONS = ("width", "height", "flip", "rotation", "loop", "mask", "transport")  # what may be set depends on it

KeyPath = tuple[str, ...]


def validate(document: Mapping[str, Any]) -> tuple[tuple[str, ...], Config | None, Mapping[str, str]]:
    """One sentence each, and the configuration without what they are about; None where nothing usable is left.

    A camera whose name is wrong has another one there; third are their own, for `as_named`.
    """
    told: dict[str, None] = {}
    left_out: set[KeyPath] = set()
    renamed: dict[str, str] = {}
    rest = copy.deepcopy(dict(document))
    for _ in range(MAX_ROUNDS):
        try:
            return tuple(told), Config.model_validate_json(json.dumps(rest, default=str)), renamed
        except ValidationError as error:
            found = [with_file_names(sentence, renamed) for sentence in messages(error, Config)]
            told |= dict.fromkeys(one for one in found if not _follows(one, left_out))
            places = list(_places(error, rest))
        gone = [(_leave_out(rest, path, renamed), matters) for path, matters in places]
        left_out |= {path for path, matters in gone if path and matters}
        if rest.get("cameras") and all(path is None for path, _ in gone):
            break
        rest["cameras"] = rest.get("cameras") or {"camera": {"source": VALID_SOURCE}}
    return tuple(told), None, renamed


def with_file_names(sentence: str, renamed: Mapping[str, str]) -> str:
    """With the names that cameras have in the file."""
    for name, wrong in renamed.items():
        sentence = sentence.replace(f"cameras.{name}.", f"cameras.{redact(wrong)}.")
    return sentence


def _follows(sentence: str, left_out: set[KeyPath]) -> bool:
    """Whether it may be wrong only because a value that it speaks of was left out."""
    return any(
        path[-1] in sentence and (len(path) == 1 or path[-2] in sentence or path[-2] == "default") for path in left_out
    )


def _places(error: ValidationError, document: Mapping[str, Any]) -> Iterator[tuple[KeyPath, bool]]:
    """The keys that are wrong, and whether any check looks at them: at unknown ones none does."""
    for problem in error.errors(include_url=False):
        place = tuple(str(part) for part in problem["loc"] if part != "[key]")
        fault = problem.get("ctx", {}).get("error")
        if isinstance(fault, TableError):
            found = [_key_of(document, place, key) for key in fault.problems]
            yield from ((one, True) for one in [one for one in found if one is not None] or [place])
        else:
            yield place, problem["type"] != "extra_forbidden"


def _key_of(document: Mapping[str, Any], place: KeyPath, key: str) -> KeyPath | None:
    """The path of a key that is named from a table on, with dots between; names may hold dots too."""
    table: Any = document
    for part in place:
        table = table.get(part) if isinstance(table, dict) else None
    if not isinstance(table, dict):
        return None
    if key in table or key in VALID_SCORES:
        return (*place, key)
    below = [name for name in table if key.startswith(f"{name}.")]
    found = (_key_of(document, (*place, name), key.removeprefix(f"{name}.")) for name in below)
    return next((one for one in found if one is not None), None)


def _leave_out(document: dict[str, Any], path: KeyPath, renamed: dict[str, str]) -> KeyPath | None:
    """Take a key out, or put something sound in its place; the path of what no check can look at now.

    () where that is nothing that checks of what is left look at, None where nothing was to be done.
    """
    cameras = document.get("cameras")
    camera = cameras.get(path[1]) if len(path) > 1 and path[0] == "cameras" and isinstance(cameras, dict) else None
    if isinstance(camera, dict) and path[2:] == ("source",):
        camera["source"], before = VALID_SOURCE, camera.get("source")
        for key in SOURCE_OPTIONS:
            camera.pop(key, None)
        return () if before != VALID_SOURCE else None
    if isinstance(cameras, dict) and isinstance(camera, dict) and len(path) == 2:
        _bare(cameras, path[1], renamed)
        return ()
    table = document
    for place, part in enumerate(path, start=1):
        if place == len(path) and part in VALID_SCORES and not VALID_SCORES.items() <= table.items():
            # where it is absent another table's would hold here, and be wrong again; so may the other one be
            table |= VALID_SCORES if table.get(part) == VALID_SCORES[part] else {part: VALID_SCORES[part]}
            return ()
        if part not in table:
            return None
        if place == len(path) or not isinstance(table[part], dict):
            del table[part]
            return path[:place]
        table = table[part]
    return None


def _bare(cameras: dict[str, Any], name: str, renamed: dict[str, str]) -> None:
    """A camera whose own check fails: only source and actions are looked at any more, under another name if need be."""
    actions = cameras[name].get("actions", {})
    source = cameras[name].get("source", VALID_SOURCE)
    bare = {"source": source, "actions": actions if isinstance(actions, dict) else {}}
    if cameras[name] != bare:
        cameras[name] = bare
    elif name in renamed:
        del cameras[name]
    else:
        new = f"renamed-{len(renamed)}"
        cameras[new], renamed[new] = cameras.pop(name), name
