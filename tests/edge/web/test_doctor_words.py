"""What `doctor` finds, on the page: its real process, asked once for a while."""

import asyncio
from pathlib import Path

import pytest

from edge.web import doctor_words
from edge.web.doctor_words import DoctorWords
from edge.web.health_words import HealthSentence


async def heard(config: str) -> list[HealthSentence]:
    """What is known once it has answered."""
    words = DoctorWords(config)
    assert words.sentences() == []  # nobody waits for it
    asking = words._asking
    if asking is not None:
        await asking
    found = words.sentences()
    assert words._asking is asking  # it is not asked again so soon
    return found


def test_what_it_finds_of_this_machine_is_told(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[cameras.door]\nsource = "/dev/video77"\n[outbox]\ndirectory = "state"\n')
    found = asyncio.run(heard(str(file)))
    assert any(one.level == "good" and one.about == f"State in {tmp_path}/state" for one in found), found
    assert any(one.about.startswith("OpenCV ") for one in found)
    assert not any(one.about.lower().startswith(("camera", "broker")) for one in found)  # the daemon has them


def test_a_finding_is_a_sentence_with_its_remedy() -> None:
    finding = {"subject": "state in /x", "level": "wrong", "text": "cannot be written", "remedy": "sudo chown me /x"}
    assert doctor_words._sentence(finding) == ("bad", "State in /x", "cannot be written; sudo chown me /x.")


def test_what_is_wrong_in_the_file_is_told(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("nonsense = true\n")
    found = asyncio.run(heard(str(file)))
    assert {one.level for one in found} == {"bad"}
    assert any("nonsense" in one.text for one in found)


def test_without_a_file_or_an_answer_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asyncio.run(heard("")) == []
    monkeypatch.setattr(doctor_words, "LONGEST_SECONDS", 0.0)
    assert asyncio.run(heard("/nowhere/config.toml")) == []
