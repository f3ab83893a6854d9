"""The LightningModule of every experiment."""

import inspect
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torchmetrics import MeanMetric, MetricCollection

from scconv_lab.data import IGNORE_INDEX
from scconv_lab.errors import UserError
from scconv_lab.messages import first_line, require_positive
from scconv_lab.models import Net
from scconv_lab.models.pretrained import retyped, without_pretrained
from scconv_lab.run_folder.checkpoint_io import load_verified
from scconv_lab.surgery import SurgeryReport, apply_surgery
from scconv_lab.training.metrics import accuracies
from scconv_lab.training.schedules import Interval, as_lightning_takes_it
from scconv_lab.training.spec import Spec, build, factory
from scconv_lab.training.trust import require_trusted

Batch = tuple[Tensor, Tensor]
_WEIGHTS = {"state_dict", "current_model_state"}
"""Where a checkpoint has weights; with weight averaging, the first is the average and the second the live weights."""


class Classifier(LightningModule):
    """Trains a net, with or without units, to classify images.

    All arguments are plain values: a checkpoint holds them, and ``Classifier.load_from_checkpoint(path)`` rebuilds the
    same net, whether it came from the command line or from Python. Logs train/loss, val/loss,
    val/acc1, val/acc5 and the same of test, once an epoch; losses are mean cross-entropies per image, the training
    loss with label smoothing, the others without.

    Args:
        net: The backbone: ``{"class_path": "scconv_lab.models.ResNet", "init_args": {"depth": 50}}``.
        num_classes: Classes to tell apart; at least 2.
        image_shape: C, H and W of an image.
        surgery: How units come into the net: ``{"unit": {"class_path": ...}, "sites": ..., "action": ...}``, the
            arguments of `scconv_lab.surgery.apply_surgery`; None, or a unit of None, leaves the net plain.
        optimizer: A ``torch.optim.Optimizer`` over all parameters; it may be left out where nothing is trained.
        lr_scheduler: A ``torch.optim.lr_scheduler.LRScheduler``; None keeps the learning rate. ReduceLROnPlateau
            watches its ``monitor``; torch's own, which has none, val/loss (``mode: min``) or val/acc1 (``mode: max``).
        lr_interval: How often the schedule moves: once an epoch, or once a step. OneCycleLR and CyclicLR are mostly
            written for steps.
        label_smoothing: Share of the target that is spread over all classes while training; from 0 to below 1.
        channels_last: Keep weights and activations in the channels_last memory format: faster on GPUs with tensor
            cores, same results.

    Raises:
        UserError: (a ValueError) if the net, a unit, the image's shape or the smoothing cannot be as asked.
    """

    def __init__(
        self,
        net: Spec,
        *,
        num_classes: int,
        image_shape: tuple[int, int, int],
        surgery: dict[str, Any] | None = None,
        optimizer: Spec | None = None,
        lr_scheduler: Spec | None = None,
        lr_interval: Interval = "epoch",
        label_smoothing: float = 0.0,
        channels_last: bool = False,
    ):
        super().__init__()
        if num_classes < 2:
            raise UserError(f"`num_classes` (={num_classes}) must be at least 2; the data needs a second class")
        if not 0 <= label_smoothing < 1:
            raise UserError(f"`label_smoothing` (={label_smoothing}) must be at least 0 and below 1")
        if len(image_shape) != 3:
            raise UserError(f"`image_shape` (={image_shape}) must be three numbers: channels, height and width")
        for size in image_shape:
            require_positive("image_shape", size)
        self.save_hyperparameters(logger=False)
        self.image_shape = image_shape
        self.images: dict[str, Any] = {}
        """What a checkpoint says of the images that the net was trained on: `ImageDataModule.description`."""
        self.optimizer = optimizer
        self.lr_scheduler = lr_scheduler
        self.lr_interval: Interval = lr_interval
        self.label_smoothing = label_smoothing
        self.net: Net = build("net", net, num_classes)
        self.surgery_report = _operate(self.net, **surgery) if surgery else None
        if channels_last:
            self.net.to(memory_format=torch.channels_last)
        # a look for NaN would wait for the device each step, and without it torchmetrics 1.9 knows no weights
        self.train_loss = MeanMetric(nan_strategy="disable")
        self.val_loss, self.val_accuracies = MeanMetric(), accuracies(num_classes, prefix="val/")
        self.test_loss, self.test_accuracies = MeanMetric(), accuracies(num_classes, prefix="test/")

    @classmethod
    def load_from_checkpoint(  # pyrefly: ignore[bad-override]  # a file of hyper-parameters is no checkpoint
        cls,
        checkpoint_path: str | Path,
        map_location: Any = None,
        *,
        strict: bool | None = None,
        weights_only: bool | None = True,
        trust_code: bool = False,
        **arguments: Any,
    ) -> Self:
        """Rebuild a classifier from a checkpoint.

        Args:
            checkpoint_path: The file.
            map_location: Where the tensors go, as of ``torch.load``; None is where they were, or the CPU without a GPU.
            strict: Whether the tensors have to be the net's, no more and no less; None does as True.
            weights_only: Nothing but True, or None, which does the same.
            trust_code: Whether the checkpoint may name classes and predicates outside the lab and its libraries,
                whose modules are then imported: they run code. See `scconv_lab.training.trust`.
            **arguments: Of the classifier; they replace the checkpoint's.

        Raises:
            UserError: (a ValueError) if the file is no checkpoint of this lab, asks for code that is not trusted, or
                describes a net that cannot be built.
        """
        if weights_only is False:
            raise UserError("`weights_only` (=False) must be true, as a pickle may run any code; leave it out")
        if map_location is None and not torch.cuda.is_available():
            map_location = "cpu"
        checkpoint = load_verified(Path(checkpoint_path), map_location=map_location)
        description = checkpoint["hyper_parameters"]
        source = str(checkpoint_path)
        classifier = cls.rebuild(description, source=source, trust_code=trust_code, **arguments)
        classifier.on_load_checkpoint(checkpoint)
        classifier.load_state_dict(checkpoint["state_dict"], strict=strict is not False)
        classifier.images = dict(checkpoint.get("images", {}))
        device = next((tensor.device for tensor in checkpoint["state_dict"].values()), classifier.device)
        return classifier.to(device)

    @classmethod
    def rebuild(cls, description: Any, *, source: str, trust_code: bool, **arguments: Any) -> Self:
        """Build a classifier from the arguments that a file holds, with random weights for pretrained ones.

        Args:
            description: What the file holds.
            source: The file, for the message.
            trust_code: Whether it may name classes and predicates outside the lab and its libraries.
            **arguments: They replace the file's.

        Raises:
            UserError: (a ValueError) if it asks for code that is not trusted, or no classifier can be built of it.
        """
        if not isinstance(description, dict) or not description.keys() <= inspect.signature(cls).parameters.keys():
            names = ", ".join(map(str, description)) if isinstance(description, dict) else repr(description)
            raise UserError(f"{source}: its description ({names}) is none of a net of this lab; give another file")
        description = {key: value for key, value in description.items() if key not in arguments}
        try:
            if not trust_code:
                require_trusted(description, source=source)
            with without_pretrained():
                return cls(**description, **arguments)
        except UserError as error:
            if source in str(error):
                raise
            raise UserError(f"{source}: {error}") from error
        except Exception as error:  # values of wrong types, which no parser has seen
            reason = f"{type(error).__name__}: {first_line(error)}"
            raise UserError(
                f"{source}: no net can be built of its description ({reason}); give another file"
            ) from error

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Name the weights as an uncompiled net does."""
        for key in _WEIGHTS & checkpoint.keys():
            checkpoint[key] = {_uncompiled(name): tensor for name, tensor in checkpoint[key].items()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Name the weights as this net does, whether either is compiled or not; TypeError if one is of another type."""
        own = {_uncompiled(name): name for name in self.state_dict()}
        for key in _WEIGHTS & checkpoint.keys():
            named = {_uncompiled(name): tensor for name, tensor in checkpoint[key].items()}
            checkpoint[key] = {own.get(name, name): tensor for name, tensor in named.items()}
            if others := retyped(checkpoint[key], self.state_dict()):
                raise TypeError(f"{key}: {', '.join(others[:3])}")

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, C, H, W) to logits (B, num_classes)."""
        return self.net(images)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the mean loss of one batch."""
        images, labels = batch
        loss = F.cross_entropy(self.net(images), labels, label_smoothing=self.label_smoothing)
        self.train_loss.update(loss.detach().expand(len(labels)))
        self.log("train/loss", self.train_loss, on_step=False, on_epoch=True, logger=False, batch_size=len(labels))
        return loss

    def on_train_epoch_end(self) -> None:
        """Give the loggers the epoch's loss before the epoch's checkpoint is written; `log` would do so after it."""
        loss = self.trainer.callback_metrics.get("train/loss")
        if loss is not None:  # of an epoch without a step there is none
            for logger in self.loggers:
                logger.log_metrics({"train/loss": loss.item(), "epoch": self.current_epoch}, step=self.global_step - 1)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Add one batch to the validation's measures."""
        self._evaluate(batch, "val/loss", self.val_loss, self.val_accuracies)

    def test_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Add one batch to the test's measures, and return its logits (B, num_classes) for callbacks."""
        return self._evaluate(batch, "test/loss", self.test_loss, self.test_accuracies)

    def predict_step(self, batch: Batch, batch_idx: int) -> tuple[Tensor, Tensor]:
        """Return class probabilities (B, num_classes) and the labels (B,), `IGNORE_INDEX` where an item is padding."""
        images, labels = batch
        return self.net(images).softmax(dim=1), labels

    def _evaluate(self, batch: Batch, name: str, mean_loss: MeanMetric, accuracies: MetricCollection) -> Tensor:
        images, labels = batch
        logits = self.net(images).float()
        losses = F.cross_entropy(logits, labels, ignore_index=IGNORE_INDEX, reduction="none")
        mean_loss.update(losses, labels != IGNORE_INDEX)
        accuracies.update(logits, labels)
        self.log(name, mean_loss, on_epoch=True, batch_size=len(labels))
        self.log_dict(accuracies, on_epoch=True, batch_size=len(labels))
        return logits

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Build the optimizer, and the schedule if there is one."""
        if self.optimizer is None:
            raise UserError(
                "`optimizer` is missing; training needs one, such as {'class_path': 'torch.optim.SGD', ...}"
            )
        optimizer = build("optimizer", self.optimizer, self.parameters())
        if self.lr_scheduler is None:
            return optimizer
        schedule = build("lr_scheduler", self.lr_scheduler, optimizer)
        return {"optimizer": optimizer, "lr_scheduler": as_lightning_takes_it(schedule, self.lr_interval)}


def _uncompiled(name: str) -> str:
    return name.replace("_orig_mod.", "")


def _operate(net: Net, *, unit: Spec | None = None, **placement: Any) -> SurgeryReport | None:
    if unit is None:
        return None
    return apply_surgery(net, factory("surgery.unit", unit), **placement)
