"""For mkdocs: pages and files from outside docs/, and links to them that hold in the repository and on the site."""

import os
import re
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE = {  # where it is in the repository: where it is on the site
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "reporting.md",
    "CHANGELOG.md": "changelog.md",
    "models/README.md": "models.md",
    "models/make": "make.txt",
    "demo/README.md": "demo.md",
    "examples/README.md": "examples.md",
    "benchmarks/gpu/README.md": "measuring-on-a-gpu.md",
    "config.toml": "config.toml",
    "systemd/korsal-edge.service": "korsal-edge.service",
}
_LINK = re.compile(r"\]\(([^)\s#:]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what is outside docs/."""
    for source, page in OUTSIDE.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links between files of the repository into links between pages."""
    places = {page: source for source, page in OUTSIDE.items()}
    here = places.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    return _LINK.sub(lambda found: f"]({_moved(here, page.file.src_uri, found[1])}{found[2] or ''})", markdown)


def _moved(source: str, page: str, target: str) -> str:
    """A relative link of a file in the repository, as one of its page; left as it is where it leads to neither."""
    meant = os.path.normpath(PurePosixPath(source).parent / target)
    place = OUTSIDE.get(meant) or (meant.removeprefix("docs/") if meant.startswith("docs/") else None)
    return target if place is None else os.path.relpath(place, PurePosixPath(page).parent)
