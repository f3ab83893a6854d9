"""Real training on real images, in the process of the tests."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything

from scconv_lab.data import IGNORE_INDEX, Digits
from scconv_lab.errors import UserError
from scconv_lab.nn import ScConv
from scconv_lab.training import Classifier
from tests.training.fits import SCCONV, classifier

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers:UserWarning")  # memory needs none


def trainer(**changes: Any) -> Trainer:
    settings: dict[str, Any] = {
        "accelerator": "cpu",
        "max_epochs": 1,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "use_distributed_sampler": False,
    }
    return Trainer(**settings | changes)


def test_training_learns() -> None:
    seed_everything(0)
    model = classifier(
        lr_scheduler={"class_path": "torch.optim.lr_scheduler.CosineAnnealingLR", "init_args": {"T_max": 4}}
    )
    run = trainer(max_epochs=4)
    run.fit(model, Digits(batch_size=64))
    assert run.callback_metrics["val/acc1"] > 0.7
    assert run.callback_metrics["train/loss"] < 1
    assert run.optimizers[0].param_groups[0]["lr"] == pytest.approx(0, abs=1e-6)


def test_train_loss_is_the_mean_over_images_of_unequal_batches() -> None:
    class Losses(Callback):
        def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, *_: Any):
            seen.append((outputs["loss"].item(), len(batch[1])))

    seen: list[tuple[float, int]] = []
    seed_everything(0)
    run = trainer(callbacks=[Losses()], limit_val_batches=0)
    run.fit(classifier(), Digits(batch_size=500))
    assert [size for _, size in seen] == [500, 500, 197]
    mean = sum(loss * size for loss, size in seen) / 1197
    assert run.callback_metrics["train/loss"].item() == pytest.approx(mean, rel=1e-6)
    assert mean != pytest.approx(sum(loss for loss, _ in seen) / 3, rel=1e-3)


def test_every_parameter_of_the_unit_moves() -> None:
    seed_everything(0)
    model = classifier()
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    trainer(max_steps=2, max_epochs=None, limit_val_batches=0, num_sanity_val_steps=0).fit(model, Digits(batch_size=64))
    unit = {name for name in before if ".cru." in name or ".sru." in name}
    assert len(unit) == 3 * 8
    assert not [name for name, parameter in model.named_parameters() if torch.equal(parameter, before[name])]


def test_a_checkpoint_made_in_python_loads_with_weights_only(tmp_path: Path) -> None:
    model = classifier(label_smoothing=0.1)
    run = trainer(max_steps=1, limit_val_batches=1)
    run.fit(model, Digits(batch_size=64))
    run.save_checkpoint(tmp_path / "python.ckpt")
    torch.load(tmp_path / "python.ckpt", weights_only=True)
    loaded = Classifier.load_from_checkpoint(tmp_path / "python.ckpt", weights_only=True, map_location="cpu")
    assert loaded.label_smoothing == 0.1
    assert isinstance(loaded.net.get_submodule("layer1.0.conv2"), ScConv)
    images = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(loaded.eval()(images), model.eval()(images), rtol=0, atol=0)


def test_evaluation_counts_each_sample_once_and_padding_never() -> None:
    torch.manual_seed(0)
    model = classifier().eval()
    data = Digits(batch_size=100, val_size=241)
    run = trainer()
    (values,) = run.validate(model, data, verbose=False)
    with torch.no_grad():
        batches = [(model(images), labels) for images, labels in data.val_dataloader()]
    logits, labels = torch.cat([logits for logits, _ in batches]), torch.cat([labels for _, labels in batches])
    assert len(labels) == 241
    assert values["val/acc1"] == pytest.approx((logits.argmax(1) == labels).float().mean().item(), abs=1e-7)
    assert values["val/loss"] == pytest.approx(torch.nn.functional.cross_entropy(logits, labels).item(), rel=1e-6)


def test_a_batch_of_padding_alone_changes_nothing() -> None:
    model = classifier(surgery=None).eval()
    images = torch.zeros(3, 3, 8, 8)
    model.log = model.log_dict = lambda *_, **__: None  # type: ignore[method-assign]  # no trainer to log to
    model.validation_step((images, torch.tensor([1, 2, 3])), 0)
    before = model.val_loss.compute(), model.val_accuracies.compute()
    model.validation_step((images, torch.full((3,), IGNORE_INDEX)), 1)
    assert (model.val_loss.compute(), model.val_accuracies.compute()) == before


def test_label_smoothing_is_trained_with_and_not_measured_with() -> None:
    torch.manual_seed(0)
    plain, smooth = classifier(surgery=None), classifier(surgery=None, label_smoothing=0.3)
    smooth.load_state_dict(plain.state_dict())
    batch = torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 2, 3])
    for model in (plain, smooth):
        model.log = model.log_dict = lambda *_, **__: None  # type: ignore[method-assign]
        model.eval().validation_step(batch, 0)
    assert plain.val_loss.compute() == smooth.val_loss.compute()
    logits = plain(batch[0])
    expected = torch.nn.functional.cross_entropy(logits, batch[1], label_smoothing=0.3)
    torch.testing.assert_close(smooth.training_step(batch, 0), expected)


def test_channels_last_gives_the_same_results() -> None:
    torch.manual_seed(0)
    usual, last = classifier().eval(), classifier(channels_last=True).eval()
    last.load_state_dict(usual.state_dict())
    assert last.net.get_submodule("layer1.0.conv1").weight.is_contiguous(memory_format=torch.channels_last)
    images = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(last(images), usual(images), rtol=1e-4, atol=1e-5)


def test_surgery_without_a_unit_leaves_the_net_plain() -> None:
    assert classifier(surgery={"unit": None, "sites": "paper"}).surgery_report is None
    assert classifier(surgery=None).surgery_report is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_classes": 1}, r"`num_classes` \(=1\)"),
        ({"label_smoothing": -0.1}, r"`label_smoothing` \(=-0.1\)"),
        ({"surgery": {**SCCONV, "sites": "nothing"}}, r"`sites` \(='nothing'\)"),
        ({"surgery": {"unit": {"class_path": "scconv_lab.nn.CRU", "init_args": {"alpha": 2}}}}, r"`alpha` \(=2\)"),
    ],
)
def test_wrong_arguments_are_refused_when_built(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        classifier(**changes)


def test_training_without_an_optimizer_is_refused() -> None:
    with pytest.raises(UserError, match="`optimizer` is missing"):
        classifier(optimizer=None).configure_optimizers()


def test_checkpoints_of_compiled_and_plain_nets_load_each_other(tmp_path: Path) -> None:
    plain, compiled = classifier(), classifier()
    compiled.net = torch.compile(compiled.net, backend="eager")
    assert any("_orig_mod." in name for name in compiled.state_dict())
    for ours, theirs in ((plain, compiled), (compiled, plain)):
        run = trainer(max_steps=1, limit_val_batches=0, num_sanity_val_steps=0)
        run.fit(ours, Digits(batch_size=64))
        run.save_checkpoint(tmp_path / "one.ckpt")
        saved = torch.load(tmp_path / "one.ckpt", weights_only=True)["state_dict"]
        assert not [name for name in saved if "_orig_mod" in name]
        run = trainer(max_steps=1, limit_val_batches=0, num_sanity_val_steps=0)
        run.fit(theirs, Digits(batch_size=64), ckpt_path=tmp_path / "one.ckpt", weights_only=True)
        for mine, other in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True):
            torch.testing.assert_close(mine, other, rtol=0, atol=0)
