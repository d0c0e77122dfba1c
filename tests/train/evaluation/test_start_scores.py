"""The file of start scores."""

from pathlib import Path

import pytest

from train.evaluation import start_scores
from train.evaluation.splits import EvaluationError


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"start_scores": 5}', '{"start_scores": {"run": "x"}}', '{"start_scores": {"run": 2}}']
)
def test_what_holds_no_start_scores(content: str, tmp_path: Path) -> None:
    path = tmp_path / "start.json"
    with pytest.raises(EvaluationError, match=r"start\.json: cannot be read .*; give what events --choose wrote"):
        start_scores.load(path)
    path.write_text(content)
    with pytest.raises(
        EvaluationError, match=r"start\.json: holds no start scores .*; give what events --choose wrote"
    ):
        start_scores.load(path)
