"""`korsal-edge models --use`: another model in the configuration, and nothing else changed."""

from pathlib import Path

import pytest

from edge.commands.command_line import main
from edge.config.config_file import load
from tests.support.memory_model import write_memory_model
from tests.support.tiny_model import LABELS, write_tiny_model

TEXT = '# mine\n[model] # the network\nthreads = 1\n\n[cameras.door]\nsource = "/dev/video0" # the door\n'


@pytest.fixture
def config(tmp_path: Path) -> Path:
    write_tiny_model(tmp_path / "tiny.onnx")
    (tmp_path / "config.toml").write_text(TEXT)
    (tmp_path / "config.toml").chmod(0o640)
    return tmp_path / "config.toml"


def use(config: Path, model: str = "tiny.onnx") -> int:
    return main(["models", "--config", str(config), "--use", str(config.parent / model)])


def test_the_path_is_written_and_the_old_file_kept(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert use(config) == 0
    model = config.parent / "tiny.onnx"
    assert load(config).model.path == model
    assert config.read_text().replace(f'path = "{model}"\n', "") == TEXT
    before = config.with_name("config.toml.before")
    assert (before.read_text(), before.stat().st_mode & 0o777) == (TEXT, 0o640)
    out = capsys.readouterr().out
    assert f"{config}: model.path is {model}, tiny: {', '.join(LABELS)}" in out
    assert use(config) == 0
    assert "names" in capsys.readouterr().out
    assert before.read_text() == TEXT


@pytest.mark.parametrize(
    ("more", "model", "message"),
    [
        ("", "none.onnx", "none.onnx: is no ONNX file with a manifest"),
        ("[actions.Surf]\nstart_score = 0.4\n", "tiny.onnx", "Surf"),
        ("colour = 1\n", "tiny.onnx", "colour"),
        ("[", "tiny.onnx", "config.toml: "),
    ],
)
def test_what_does_not_fit_changes_nothing(
    more: str, model: str, message: str, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(TEXT + more)
    assert use(config, model) == 1
    assert message in capsys.readouterr().err
    assert config.read_text() == TEXT + more
    assert not config.with_name("config.toml.before").exists()


def test_a_model_whose_memory_is_not_there_changes_nothing(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = write_memory_model(config.parent)
    model.memory.rename(config.parent / "elsewhere.onnx")
    assert use(config, model.detector.name) == 1
    assert f"{model.memory}: is missing, and spot.onnx does not run without this memory" in capsys.readouterr().err
    assert config.read_text() == TEXT
    (config.parent / "elsewhere.onnx").rename(model.memory)
    assert use(config, model.detector.name) == 0


def test_a_configuration_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_tiny_model(tmp_path / "tiny.onnx")
    assert use(tmp_path / "none.toml") == 1
    assert (
        "none.toml: cannot be read (No such file or directory); name another with --config" in capsys.readouterr().err
    )
