"""Evaluation on any number of processes counts what one process counts, however few samples there are."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from scconv_lab.data import IGNORE_INDEX, Digits
from tests.training.ranks import BATCH_SIZE, IMAGES, Results, evaluate


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_the_shares_are_the_split(world_size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """For 1 to 50 images: each in one process, all processes as many batches, and none without."""
    loaded = Digits().load("train")
    monkeypatch.setattr(Digits, "load", lambda *_: loaded)
    for images in IMAGES:
        shares = []
        for rank in range(world_size):
            data = Digits(val_size=images, batch_size=BATCH_SIZE)
            data.trainer = SimpleNamespace(world_size=world_size, global_rank=rank)  # type: ignore[assignment]
            data.setup("validate")
            shares.append(list(data.val_dataloader()))
        assert len({len(share) for share in shares}) == 1
        assert min(map(len, shares)) >= 1
        taken = [
            (label, image)
            for share in shares
            for batch, labels in share
            for image, label in zip(batch, labels.tolist(), strict=True)
            if label != IGNORE_INDEX
        ]
        whole = Digits(val_size=images, batch_size=images)
        whole.setup("validate")
        ((wanted, labels),) = whole.val_dataloader()
        assert sorted(label for label, _ in taken) == sorted(labels.tolist())
        seen = torch.stack([image for _, image in taken]).flatten(1)
        assert torch.equal(_sorted(seen), _sorted(wanted.flatten(1)))


def _sorted(rows: torch.Tensor) -> torch.Tensor:
    return torch.stack(sorted(rows, key=lambda row: row.tolist()))


@pytest.fixture(scope="module")
def one_process(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return evaluate(1, tmp_path_factory.mktemp("one"))


@pytest.mark.slow
@pytest.mark.full  # what each process is given is looked at above, and two are compared in `tests/test_cli.py`
@pytest.mark.parametrize("world_size", [2, 3])
def test_several_processes_measure_what_one_does(world_size: int, one_process: Results, tmp_path: Path) -> None:
    several = evaluate(world_size, tmp_path)
    assert [found["count"] for found in one_process] == [*IMAGES]
    for name in ("count", "val/acc1", "val/acc5"):
        assert [found[name] for found in several] == [found[name] for found in one_process]
    assert len({found["val/acc5"] for found in one_process}) > 10
    losses = [found["val/loss"] for found in one_process]
    assert [found["val/loss"] for found in several] == pytest.approx(losses, rel=1e-5)
