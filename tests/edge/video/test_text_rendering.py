"""Text upon pictures: readable where a font has its letters, and different for different texts everywhere."""

import importlib.util
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.video import fonts, text_rendering

CACHES = (
    fonts.font_for,
    fonts.installation_hint,
    fonts._files,
    fonts._opened,
    text_rendering.render,
    text_rendering._warn_once,
)


def forget() -> None:
    for cache in CACHES:
        cache.cache_clear()


@pytest.fixture
def no_fonts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine without any."""
    monkeypatch.setattr(fonts, "FOLDERS", ())
    forget()
    yield
    forget()


@pytest.fixture
def dejavu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose fonts are those of matplotlib: DejaVu, which has Cyrillic and no Chinese."""
    pytest.importorskip("PIL", reason="Pillow, which draws in fonts, is not installed")
    found = importlib.util.find_spec("matplotlib")
    if found is None or found.origin is None:
        pytest.skip("matplotlib, whose fonts this needs, is not installed")
    monkeypatch.setattr(fonts, "FOLDERS", (str(Path(found.origin).parent / "mpl-data" / "fonts" / "ttf"),))
    forget()
    yield
    forget()


def ink(text: str) -> np.ndarray:
    return text_rendering.render(text, 0.5).ink


def test_ascii_needs_no_font(no_fonts: None) -> None:
    drawn = text_rendering.render("Basketball 0.31 #1", 0.5)
    assert drawn.ink.max() > 200
    assert 10 < drawn.above < 16
    assert 100 < drawn.width < 220


@pytest.mark.parametrize("text", ["прыжок", "Größe 0.3", "saut à l'élastique", "قفز", "می\u200cرود", "αβγ 100%"])
def test_what_a_font_has_is_drawn_in_it(dejavu: None, text: str, caplog: pytest.LogCaptureFixture) -> None:
    ((part, font),) = text_rendering._parts(text)
    assert part == text
    assert font is not None
    assert Path(font).name == "DejaVuSans.ttf"  # upright, and neither bold nor mono
    assert ink(text).max() > 200
    assert "%" not in part.replace("100%", "")
    assert not caplog.text


def test_letters_missing_in_all_fonts_are_codes_and_logged_once(dejavu: None, caplog: pytest.LogCaptureFixture) -> None:
    assert "".join(part for part, _ in text_rendering._parts("投篮")) == "%E6%8A%95%E7%AF%AE"  # as in the topic
    assert text_rendering._parts("прыжок 投 5%")[0][0] == "прыжок"
    assert text_rendering._parts("прыжок 投 5%")[-1][0] == " 5%25"
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "install a font that has them, such as the package fonts-noto-cjk" in caplog.text


def test_without_pillow_it_is_named(no_fonts: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_has_pillow", lambda: False)
    assert fonts.font_for(frozenset("ä")) is None
    assert fonts.installation_hint() == "pip install pillow"


@pytest.mark.parametrize("text", ["投篮 0.31", "Größe", "🤸", "a\nb", "ไทย", "\ud800", "%41", "é"])
def test_everything_can_be_drawn_without_fonts(no_fonts: None, text: str) -> None:
    assert ink(text).max() > 200


def test_five_labels_without_a_font_look_different(no_fonts: None) -> None:
    drawn = [ink(label).tobytes() for label in ("投篮", "扣篮", "保龄球", "冲浪", "遛狗")]
    assert len(set(drawn)) == 5


@given(st.text(st.characters(), max_size=30))
def test_what_is_written_without_fonts_can_be_read_back(text: str) -> None:
    """So that no two labels look the same, but for the two ways to write an é."""
    patch = pytest.MonkeyPatch()
    patch.setattr(fonts, "font_for", lambda letters: None)
    try:
        written = "".join(part for part, _ in text_rendering._parts(text))
    finally:
        patch.undo()
    assert written.isascii()
    assert written == "" or written.isprintable()
    plain = text.isascii() and text.isprintable()
    assert (written if plain else unquote(written, errors="surrogatepass")) == unicodedata.normalize("NFC", text)


def test_boxes_behind_a_line_are_a_pixel_larger() -> None:
    line = text_rendering.render("Basketball", 0.5)
    behind = text_rendering.outlined(line)
    assert (behind.width, behind.above, behind.below) == (line.width + 2, line.above + 1, line.below + 1)
    assert (behind.ink[1:-1, 1:-1] >= line.ink).all()


def test_text_is_cut_at_the_edges_of_the_image() -> None:
    line = text_rendering.render("Basketball", 1.0)
    for place in (-10, 5), (95, 50), (-5000, 50), (5000, 5000), (50, -50), (50, 130):
        picture = np.zeros((100, 100, 3), np.uint8)
        text_rendering.draw(picture, line, place, (0, 128, 255))
        assert picture.shape == (100, 100, 3)
    picture = np.zeros((40, 300, 3), np.uint8)
    text_rendering.draw(picture, line, (5, 30), (0, 128, 255))
    assert picture.max(axis=(0, 1)).tolist() == [0, 128, 255]
