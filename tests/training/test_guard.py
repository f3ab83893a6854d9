"""What is not finite never reaches the weights or a checkpoint, and is told of."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn

from scconv_lab.errors import DivergedError
from scconv_lab.training.guard import FiniteGuard
from scconv_lab.training.nonfinite_report import names_of_nonfinite
from tests.training.checkpoints import load
from tests.training.fits import WARNINGS, fit

pytestmark = WARNINGS


class Inject(Callback):
    """Puts NaN somewhere in one given step: into the batch, a module's output, or a parameter's gradient."""

    def __init__(self, place: str, step: int = 6):
        self.place = place
        self.step = step
        self.before: dict[str, torch.Tensor] = {}
        self._hook: Any = None

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if trainer.global_step + 1 != self.step:
            return
        self.before = {name: tensor.clone() for name, tensor in pl_module.named_parameters()}
        if self.place == "data":
            batch[0][3, 0, 2, 2] = math.nan
        elif self.place == "gradient":
            weight = pl_module.get_parameter("net.fc.weight")
            self._hook = weight.register_hook(lambda gradient: gradient * math.inf)
        else:
            module: nn.Module = pl_module.get_submodule(f"net.{self.place}")
            self._hook = module.register_forward_hook(lambda _, __, output: output * math.nan)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._hook is not None:
            self._hook.remove()
            self._hook = None


PLACES = {
    "layer2.0.conv2.sru": "the output of layer2.0.conv2.sru is the first",
    "layer3.0.conv2.cru": "the output of layer3.0.conv2.cru is the first",
    "fc": "the output of fc is the first",
    "data": "the batch holds values that are not finite",
    "gradient": "1 gradients are not finite",
}


@pytest.mark.parametrize("place", PLACES)
def test_a_step_that_is_not_finite_is_not_taken(place: str, tmp_path: Path) -> None:
    inject = Inject(place)
    with pytest.raises(DivergedError, match=r"at step 6, epoch 2") as error:
        fit(tmp_path / "checkpoints", extra=(inject, FiniteGuard(tmp_path)))
    assert PLACES[place] in str(error.value)
    folder = tmp_path / "nonfinite-step6-process0"
    report = json.loads((folder / "report.json").read_text())
    assert (report["step"], report["epoch"], report["batch"]) == (6, 2, 2)
    assert (report["images"]["nonfinite"] > 0) is (place == "data")
    assert report["nonfinite_parameters"] == []
    assert report["nonfinite_gradients"]
    assert report["first_nonfinite_output"] == (None if place == "gradient" else "conv1" if place == "data" else place)
    sru = report["units"]["layer1.0.conv2.sru"]
    assert sru["gamma"]["min"] <= 1 <= sru["gamma"]["max"]
    if place != "data":
        assert 0.2 < sru["informative"] < 0.8
        assert sru["input"]["min"] < sru["input"]["max"]
    state = load(folder / "state.pt")
    assert state["images"].shape == (300, 3, 8, 8)
    assert state["generators"]["torch"].dtype == torch.uint8
    kept = {name: state["state_dict"][name] for name in inject.before}
    assert all(torch.equal(kept[name], inject.before[name]) for name in kept)
    for name in ("last", "best"):
        assert names_of_nonfinite(load(tmp_path / "checkpoints" / f"{name}.ckpt")["state_dict"]) == []
    assert load(tmp_path / "checkpoints/last.ckpt")["global_step"] == 4
    trainer = fit(tmp_path / "checkpoints", ckpt=tmp_path / "checkpoints/last.ckpt", extra=(FiniteGuard(tmp_path),))
    assert trainer.global_step == 12


@pytest.mark.parametrize(("place", "step"), [("layer2.0.conv2.sru", 6), ("data", 5), ("gradient", 8)])
def test_a_skipped_step_changes_no_weight_and_no_buffer(
    place: str, step: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inject, guard = Inject(place, step), FiniteGuard(tmp_path, on_nonfinite="skip")
    seen: dict[str, dict[str, torch.Tensor]] = {}
    losses: list[torch.Tensor] = []

    class Look(Callback):
        def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
            seen[trainer.global_step] = {name: tensor.clone() for name, tensor in pl_module.state_dict().items()}

        def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
            losses.append(trainer.callback_metrics["train/loss"])

    trainer = fit(tmp_path / "checkpoints", extra=(inject, guard, Look()))
    assert guard.skipped == 1
    assert f"warning  step {step} is not finite and skipped (1 so far)" in capsys.readouterr().out
    assert all(torch.equal(seen[step - 1][name], seen[step][name]) for name in seen[step])
    assert not torch.equal(seen[step]["net.fc.weight"], seen[step + 1]["net.fc.weight"])
    assert names_of_nonfinite(load(tmp_path / "checkpoints/last.ckpt")["state_dict"]) == []
    assert trainer.callback_metrics["train/loss"].isfinite()
    assert all(loss.isfinite() for loss in losses)
    states = load(tmp_path / "checkpoints/last.ckpt")["callbacks"]
    assert states["FiniteGuard"] == {"skipped": 1}


def test_weights_that_overflow_in_a_step_are_not_saved(tmp_path: Path) -> None:
    class Overflow(Callback):
        def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
            if trainer.current_epoch == 1:
                pl_module.get_parameter("net.fc.bias").data[0] = math.inf

    with pytest.raises(DivergedError, match=r"net\.fc\.bias and 0 other weights are not finite after step 8"):
        fit(tmp_path, extra=(Overflow(), FiniteGuard(tmp_path)))
    assert load(tmp_path / "last.ckpt")["global_step"] == 4


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_names(value: float) -> None:
    tensors = {"a": torch.ones(3), "b": torch.tensor([1.0, value]), "c": torch.tensor(3), "d": torch.empty(0)}
    assert names_of_nonfinite(tensors) == ["b"]
    assert names_of_nonfinite({"huge": torch.full((4,), 3e38)}) == []


@pytest.mark.slow
def test_a_run_without_accident_is_the_same_with_and_without_the_guard(tmp_path: Path) -> None:
    plain = fit(tmp_path / "plain")
    guards: list[Callable[[], FiniteGuard]] = [
        lambda: FiniteGuard(tmp_path),
        lambda: FiniteGuard(tmp_path, on_nonfinite="skip"),
    ]
    for guard in guards:
        guarded = fit(tmp_path / "guarded", extra=(guard(),))
        assert guarded.callback_metrics == plain.callback_metrics
