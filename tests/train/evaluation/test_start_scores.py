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


def test_of_several_data_sets_the_higher_score_of_an_action_counts(tmp_path: Path) -> None:
    one, other = tmp_path / "one.json", tmp_path / "other.json"
    start_scores.save({"run": 0.4, "walk": 0.2}, one)
    start_scores.save({"walk": 0.3, "sit": 0.1}, other)
    assert start_scores.load_all([one, other]) == {"run": 0.4, "walk": 0.3, "sit": 0.1}
    assert start_scores.load_all([other, one]) == {"walk": 0.3, "sit": 0.1, "run": 0.4}
