"""One configuration in any of TOML's ways to write it: sections, dotted keys, inline tables, in any order."""

import json
import random
from typing import Any

Path = tuple[str, ...]
PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


def written(content: dict[str, Any], choice: random.Random) -> str:
    """The text; `choice` decides how."""
    top: list[str] = []
    waiting: list[tuple[Path, dict[str, Any]]] = []
    _body(content, choice, (), top, waiting)
    blocks = []
    while waiting:
        path, table = waiting.pop(0)
        lines: list[str] = []
        below: list[tuple[Path, dict[str, Any]]] = []
        _body(table, choice, path, lines, below)
        if lines or not below or choice.random() < 0.4:
            above = ["# about it"] if choice.random() < 0.2 else []
            header = f"[{'.'.join(_key(key, choice) for key in path)}]{_comment(choice)}"
            blocks.append("\n".join([*above, header, *lines, *([""] if choice.random() < 0.5 else [])]))
        waiting += below
    if choice.random() < 0.4:
        choice.shuffle(blocks)
    text = "\n".join([*top, *blocks]) + choice.choice(["", "\n"])
    return text.replace("\n", "\r\n") if choice.random() < 0.2 else text


def _body(
    table: dict[str, Any], choice: random.Random, path: Path, lines: list[str], below: list[tuple[Path, dict[str, Any]]]
) -> None:
    for key, value in table.items():
        how = choice.random()
        if isinstance(value, dict) and how < 0.6:
            below.append(((*path, key), value))
        elif isinstance(value, dict) and value and how < 0.8:
            lines += [pair + _comment(choice) for pair in _pairs(value, choice, (key,))]
        else:
            lines.append(f"{_key(key, choice)} = {_value(value, choice)}{_comment(choice)}")
        if choice.random() < 0.1:
            lines.append("# note")


def _pairs(table: dict[str, Any], choice: random.Random, prefix: Path = ()) -> list[str]:
    found = []
    for key, value in table.items():
        if isinstance(value, dict) and value and choice.random() < 0.5:
            found += _pairs(value, choice, (*prefix, key))
        else:
            dot = " . " if choice.random() < 0.1 else "."
            spelt = dot.join(_key(one, choice) for one in (*prefix, key))
            found.append(f"{spelt}{choice.choice(['=', ' = '])}{_value(value, choice)}")
    return found


def _key(name: str, choice: random.Random) -> str:
    how = choice.random()
    if name and PLAIN.issuperset(name) and how < 0.7:
        return name
    if "'" not in name and name.isprintable() and how < 0.85:
        return f"'{name}'"
    return json.dumps(name, ensure_ascii=False)


def _value(value: Any, choice: random.Random) -> str:
    if isinstance(value, dict):
        blank = choice.choice(["", " "])
        return f"{{{blank}{', '.join(_pairs(value, choice))}{blank}}}"
    if isinstance(value, list):
        inner = [_value(one, choice) for one in value]
        if choice.random() < 0.3:
            return "[\n  " + ",\n  ".join(inner) + choice.choice(["", ",", " # ]"]) + "\n]"
        return f"[{', '.join(inner)}]"
    if isinstance(value, str) and "'" not in value and '"' not in value and "\\" not in value:
        return choice.choice([f'"{value}"', f"'{value}'", f'"""{value}"""', f"'''\n{value}'''"])
    return json.dumps(value)


def _comment(choice: random.Random) -> str:
    return choice.choice(["", "", "", "", "  # [why]"])
