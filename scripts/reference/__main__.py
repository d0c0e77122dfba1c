"""Writes docs/asyncapi.json, mqtt-reference.md and configuration.md; `--check` only says which are out of date."""

import argparse
import sys

from scripts.reference import asyncapi, configuration_page, mqtt_page


def main(arguments: list[str]) -> int:
    """1 where the document breaks AsyncAPI's schema, or a file is out of date."""
    parser = argparse.ArgumentParser(prog="python -m scripts.reference", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail where a file is out of date")
    check = parser.parse_args(arguments).check
    described = asyncapi.document()
    wrong = [f"docs/asyncapi.json is not AsyncAPI 3: {problem}" for problem in asyncapi.problems(described)]
    for name, text in pages(described).items():
        file = asyncapi.DOCS / name
        if not check:
            file.write_text(text, encoding="utf-8")
        elif not file.exists() or file.read_text(encoding="utf-8") != text:
            wrong.append(f"docs/{name} is out of date: run python -m scripts.reference")
    print("\n".join(wrong) or "The reference is valid and up to date.")
    return 1 if wrong else 0


def pages(described: asyncapi.Schema) -> dict[str, str]:
    """The generated files of docs/."""
    config_toml = (asyncapi.DOCS.parent / "config.toml").read_text(encoding="utf-8")
    return {
        "asyncapi.json": asyncapi.text(described),
        "mqtt-reference.md": mqtt_page.page(described),
        "configuration.md": configuration_page.page(config_toml),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
