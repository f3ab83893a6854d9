"""The bar: what it says, and that nothing of it stays."""

import os
import pty
import re
import sys
import termios
from pathlib import Path

import pytest

from scconv_lab.cli import main
from scconv_lab.training.progress_bar import ProgressBar
from tests.runs import REPOSITORY


def test_lines_stand_above_a_bar_that_counts_as_they_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, theirs = pty.openpty()
    os.set_blocking(terminal, False)
    termios.tcsetwinsize(theirs, (40, 80))
    monkeypatch.setattr(sys, "stdout", os.fdopen(theirs, "w", buffering=1))
    monkeypatch.chdir(tmp_path)
    files = ["experiments/ablation_sru.yaml", "configs/scale/quick.yaml"]
    arguments = [word for file in files for word in ("--config", str(REPOSITORY / file))]
    limits = ["--trainer.max_epochs", "2", "--trainer.limit_train_batches", "3", "--trainer.logger", "false"]
    assert main(["fit", *arguments, *limits]) == 0
    sys.stdout.close()
    text = b""
    while True:
        try:
            text += os.read(terminal, 65536)
        except (BlockingIOError, OSError):
            break
    said = text.decode()
    assert "epoch 2/2: 100%" in said
    assert "v_num" not in said
    plain = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", said)
    lines = [line.rpartition("\r")[2].rstrip() for line in plain.replace("\r\n", "\n").split("\n")]
    assert [line for line in lines if line.startswith("run ")], lines
    assert max(len(line) for line in lines if line.startswith(("run", "net", "cost", "epoch", "test"))) <= 80


@pytest.mark.parametrize("kind", ["train", "test", "predict"])
def test_a_full_bar_goes(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    bar = getattr(ProgressBar(), f"init_{kind}_tqdm")()
    bar.close()
    assert capsys.readouterr().out.split("\r")[-1] == ""
