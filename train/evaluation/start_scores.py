"""Shell. The file of start scores, one for each action: `events --choose` writes it, a manifest keeps it."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from edge.manifest import StartScore, sentences
from edge.text import TextError, decode_utf8
from train import output_paths
from train.evaluation.splits import EvaluationError


def load(file: Path) -> dict[str, float]:
    """The start score of each action in the file. Raises EvaluationError."""
    try:
        content = json.loads(decode_utf8(file.read_bytes()))["start_scores"]
        return _adapter().validate_python(content, strict=True)
    except OSError as error:
        raise EvaluationError(f"{file}: cannot be read ({error.strerror}); give what events --choose wrote") from error
    except TextError as error:
        raise EvaluationError(f"{file}: {error}") from error
    except ValidationError as error:
        raise EvaluationError(
            f"{file}: holds no start scores ({sentences(error)[0].strip()}); give what events --choose wrote"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise EvaluationError(f"{file}: holds no start scores ({error!r}); give what events --choose wrote") from error


def load_all(files: Sequence[Path]) -> dict[str, float]:
    """The start score of each action in any of the files, the highest where several have it. Raises EvaluationError."""
    found: dict[str, float] = {}
    for file in files:
        found |= {action: max(score, found.get(action, 0.0)) for action, score in load(file).items()}
    return found


@cache
def _adapter() -> TypeAdapter[dict[str, StartScore]]:
    """Built when first needed."""
    return TypeAdapter(dict[str, StartScore])


def save(scores: Mapping[str, float], file: Path) -> None:
    """Write the file. Raises OutputPathError."""
    output_paths.write_json({"start_scores": dict(scores)}, file, "--choose")
