from __future__ import annotations

from pathlib import Path

import pytest

from ltbench.errors import UserError
from ltbench.running.tuning.study import TrialFailed, best
from ltbench.running.tuning.trials import Trial, TrialFile

FIRST, SECOND = Trial({"la.tau": 0.1}, 12.5, "completed"), Trial({"la.tau": 0.1 + 0.2}, None, "refused")


def test_trials_read_back_and_another_study_begins_anew(tmp_path: Path) -> None:
    file = TrialFile(tmp_path / "new" / "a.jsonl", "study")
    assert file.read() == []
    file.start([])
    file.add(0, FIRST)
    file.add(0, SECOND)  # a second process with the same study: its line says nothing new
    file.add(1, SECOND)
    assert file.read() == [FIRST, SECOND]
    assert TrialFile(tmp_path / "new" / "a.jsonl", "another").read() == []


@pytest.mark.parametrize("cut", [1, 30])
def test_a_line_that_a_crash_cut_off_is_no_trial(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "a.jsonl"
    file = TrialFile(path, "study")
    file.start([FIRST, SECOND])
    path.write_text(path.read_text()[:-cut])
    assert file.read() == ([FIRST, SECOND] if cut == 1 else [FIRST])
    file.start(file.read())
    assert TrialFile(path, "study").read() == file.read()


def test_a_process_that_is_killed_while_it_begins_loses_no_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = TrialFile(tmp_path / "a.jsonl", "study")
    file.start([FIRST, SECOND])

    def kill(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ltbench.system.atomic.os.replace", kill)  # the last thing that it does
    with pytest.raises(KeyboardInterrupt):
        file.start([FIRST, SECOND])
    assert file.read() == [FIRST, SECOND]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"the trials .*a\.jsonl cannot be written"):
        TrialFile(tmp_path / "file" / "a.jsonl", "study").start([])


def test_the_first_of_the_highest_scores_is_chosen() -> None:
    scores = [Trial({}, None, "refused"), Trial({}, 0.0, "diverged"), Trial({}, 40.0, "completed"), Trial({}, 40.0, "completed")]
    assert best(scores) == 2
    with pytest.raises(TrialFailed, match="none of 2 trials completed, the last one diverged"):
        best(scores[:2])
