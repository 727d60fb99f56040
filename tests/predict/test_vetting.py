"""A stranger's model is tried in a process of its own: whatever happens there is a sentence here."""

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from seglab.predict import vetting
from seglab.predict.vetting import vet


def test_a_model_that_answers_passes_and_one_that_cannot_be_loaded_says_why(published: Path, tmp_path: Path) -> None:
    vet(published)
    with pytest.raises(ValueError, match=r"expected model\.safetensors and config\.json in test_a_model"):
        vet(tmp_path)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            f"import os; os.kill(os.getpid(), {int(signal.SIGSEGV)})",
            r"crashed the process that loaded it \(signal 11\)",
        ),
        (f"import os; os.kill(os.getpid(), {int(signal.SIGKILL)})", "needs more memory than this machine has"),
        ("import time; time.sleep(60)", "did not answer a small picture within 2 s"),
        ("print('chatter')", r"crashed the process that loaded it \(exit code 0\)"),
        ("""print('{"error": "too odd"}')""", "too odd"),
    ],
    ids=["crash", "memory", "time", "nonsense", "told"],
)
def test_what_happens_to_the_child_is_told(
    code: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = subprocess.run

    def instead(command: list[str], **options: Any) -> Any:
        return run([command[0], "-c", code], **options)

    monkeypatch.setattr(vetting.subprocess, "run", instead)
    with pytest.raises(ValueError, match=said):
        vet(tmp_path, 2.0)


def test_the_child_prints_one_sentence_for_whatever_is_raised(capsys: pytest.CaptureFixture[str]) -> None:
    assert vetting.main(os.fspath(Path("no") / "such" / "model")) == 0
    assert "expected a model, got" in capsys.readouterr().out
