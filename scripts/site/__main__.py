"""Builds the documentation as a site into site/; `--check`: into nowhere. Fails at broken links and foreign hosts."""

import argparse
import logging
import sys
import tempfile
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort

from scripts.site.hooks import ROOT

FETCHED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "video": "src"}


def main(arguments: list[str]) -> int:
    """1 where a link leads nowhere, a page is missing in the navigation, or a browser would ask another host."""
    parser = argparse.ArgumentParser(prog="python -m scripts.site", description=__doc__)
    parser.add_argument("--check", action="store_true", help="leave nothing behind")
    check = parser.parse_args(arguments).check
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) if check else ROOT / "site"
        try:
            build(load_config(str(ROOT / "mkdocs.yml"), strict=True, site_dir=str(out)))
        except Abort as error:
            print(f"the site is not built: {error}")
            return 1
        foreign = [f"{page.relative_to(out)}: asks {url}" for page in out.rglob("*.html") for url in asked_hosts(page)]
    print("\n".join(foreign) or "The site is whole, and asks no other host.")
    return 1 if foreign else 0


def asked_hosts(page: Path) -> Iterator[str]:
    """The addresses of other hosts that a browser would ask for when it shows this page."""
    reader = _Fetched()
    reader.feed(page.read_text(encoding="utf-8"))
    yield from (url for url in reader.urls if urlsplit(url).netloc)


class _Fetched(HTMLParser):
    """Collects what a browser fetches without being asked to."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called for each tag."""
        found = dict(attrs)
        url = found.get(FETCHED.get(tag, ""))
        if url and found.get("rel") not in ("canonical", "prev", "next"):
            self.urls.append(url)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
