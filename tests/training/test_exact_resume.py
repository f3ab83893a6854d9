"""A fit that is stopped and gone on with ends as one that was not, to the last bit."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EMAWeightAveraging

from scconv_lab.errors import Stopped
from scconv_lab.training import Classifier
from tests.training.checkpoints import differing, load
from tests.training.fits import WARNINGS, fit

pytestmark = WARNINGS


class SendSignal(Callback):
    """Sends this process a signal within a given step."""

    def __init__(self, step: int, signum: int = signal.SIGTERM):
        self.step = step
        self.signum = signum

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if trainer.global_step + 1 == self.step:
            self.step = 0  # a second signal would end the process at once
            os.kill(os.getpid(), self.signum)


def stop_and_go_on(folder: Path, step: int, *, signum: int = signal.SIGTERM, **how: Any) -> Trainer:
    extra = how.pop("extra", tuple)
    with pytest.raises(Stopped) as stop:
        fit(folder, extra=(SendSignal(step, signum), *extra()), **how)
    assert stop.value.signum == signum
    torch.manual_seed(99)
    return fit(folder, ckpt=folder / "last.ckpt", extra=extra(), **how)


@pytest.mark.parametrize("step", [1, 6, 8, *(pytest.param(step, marks=pytest.mark.slow) for step in (4, 11))])
def test_a_stop_at_any_step_changes_nothing(step: int, tmp_path: Path) -> None:
    """Four steps an epoch; a stop within the last step of one takes effect behind it."""
    whole = fit(tmp_path / "whole/run")
    parts = stop_and_go_on(tmp_path / "parts/run", step)
    assert differing(whole.callback_metrics, parts.callback_metrics) == []
    for name in ("last", "best"):
        ours, theirs = (load(tmp_path / which / "run" / f"{name}.ckpt") for which in ("whole", "parts"))
        assert differing(ours, theirs) == []
    assert load(tmp_path / "parts/run/last.ckpt")["processes"][0]["generators"]["torch"].dtype == torch.uint8


def averaging() -> tuple[Callback, ...]:
    return (EMAWeightAveraging(decay=0.9),)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "changes"),
    [
        (6, {"workers": 2}),
        (6, {"max_steps": 11, "max_epochs": None}),
        (4, {"max_steps": 11, "max_epochs": None}),
        (3, {"accumulate_grad_batches": 2}),
        (6, {"val_check_interval": 2}),
        (5, {"limit_train_batches": 3}),
        pytest.param(7, {"extra": averaging}, id="7-averaging"),
        pytest.param(4, {"extra": averaging}, id="4-averaging"),
    ],
    ids=str,
)
def test_nor_does_it_with_other_loops(step: int, changes: dict[str, Any], tmp_path: Path) -> None:
    whole = fit(tmp_path / "whole/run", **{**changes, "extra": changes.get("extra", tuple)()})
    parts = stop_and_go_on(tmp_path / "parts/run", step, **changes)
    assert whole.global_step == parts.global_step
    ours, theirs = (load(tmp_path / which / "run" / "last.ckpt") for which in ("whole", "parts"))
    assert differing(ours, theirs) == []
    assert differing(load(tmp_path / "whole/run/best.ckpt"), load(tmp_path / "parts/run/best.ckpt")) == []


@pytest.mark.parametrize("signum", [signal.SIGINT, pytest.param(signal.SIGUSR1, marks=pytest.mark.slow)])
def test_other_signals_stop_too_and_are_given_back(signum: int, tmp_path: Path) -> None:
    before = signal.getsignal(signum)
    stop_and_go_on(tmp_path, 2, signum=signum)
    assert signal.getsignal(signum) is before


@pytest.mark.slow
def test_the_average_is_what_an_ema_checkpoint_evaluates(tmp_path: Path) -> None:
    trainer = fit(tmp_path, extra=(EMAWeightAveraging(decay=0.5),))
    content = load(tmp_path / "last.ckpt")
    assert differing(content["state_dict"], content["current_model_state"])
    loaded = Classifier.load_from_checkpoint(tmp_path / "last.ckpt", weights_only=True, map_location="cpu")
    assert differing(loaded.state_dict(), trainer.model.state_dict()) == []


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    fit(folder, max_epochs=1)
    return folder


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda content: content["optimizer_states"].clear(), "optimizer_states"),
        (lambda content: content["lr_schedulers"].clear(), "lr_schedulers"),
        (lambda content: content["lr_schedulers"][0].update(T_max="15"), "lr_schedulers.0.T_max"),
        (lambda content: content["lr_schedulers"][0].pop("last_epoch"), "lr_schedulers.0.last_epoch"),
        (lambda content: content["loops"].pop("fit_loop"), "loops.fit_loop"),
        (lambda content: content["loops"]["fit_loop"].clear(), "loops.fit_loop.epoch_loop"),
        (
            lambda content: max(content["callbacks"].values(), key=len).update(best_model_path=3),
            "callbacks.ModelCheckpoint",
        ),
    ],
)
def test_what_would_be_restored_in_silence_is_refused(
    whole: Path, tmp_path: Path, spoil: Callable[[dict[str, Any]], Any], named: str
) -> None:
    content = load(whole / "last.ckpt")
    spoil(content)
    torch.save(content, tmp_path / "x.ckpt")
    with pytest.raises(ValueError, match=rf"^{named}.*: missing, or other than what this run has$"):
        fit(whole, ckpt=tmp_path / "x.ckpt", max_epochs=4)
