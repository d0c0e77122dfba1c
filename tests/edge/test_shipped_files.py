"""Files that come with the program."""

import re
from pathlib import Path

import pytest

from edge.shipped_files import AssetError, asset_path


def test_finds_the_clip() -> None:
    assert asset_path("demo/basketball.mp4").stat().st_size > 100_000


def test_the_wheel_goes_before_the_checkout(tmp_path: Path) -> None:
    wheel, checkout = tmp_path / "wheel", tmp_path / "checkout"
    for place in (wheel, checkout):
        (place / "models").mkdir(parents=True)
        (place / "models" / "a.onnx").touch()
    (checkout / "config.toml").touch()
    assert asset_path("models/a.onnx", (wheel, checkout)) == wheel / "models" / "a.onnx"
    assert asset_path("config.toml", (wheel, checkout)) == checkout / "config.toml"


@pytest.mark.parametrize("name", ["models/none.onnx", "models"])
def test_a_missing_file_is_named_with_the_remedy(name: str, tmp_path: Path) -> None:
    with pytest.raises(AssetError, match=re.escape(name) + r" is missing .*restore it with git"):
        asset_path(name, (tmp_path / "nowhere", tmp_path))
