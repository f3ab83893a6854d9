"""The lab's own keys, and what of them reaches the classifier."""

import inspect
from typing import Any

from jsonargparse import Namespace
from lightning.pytorch import Callback
from lightning.pytorch.cli import ReduceLROnPlateau
from lightning.pytorch.loggers import Logger
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from scconv_lab.data import ImageDataModule, Split
from scconv_lab.fit.parser import LabParser
from scconv_lab.models import Net
from scconv_lab.nn import Unit
from scconv_lab.nn.unit import GEOMETRY
from scconv_lab.surgery import apply_surgery
from scconv_lab.training.guard import OnNonfinite
from scconv_lab.training.schedules import Interval

_SURGERY_KEYS = [key for key in inspect.signature(apply_surgery).parameters if key != "net"]
# a unit's own kernel is an experiment's to choose
_OF_THE_SITE = {"channels", "device", "dtype", *GEOMETRY} - {"kernel_size"}


def declare_keys(parser: LabParser, *, experiment: str | None) -> None:
    """Declare the keys that are not Lightning's, and hand them to the classifier as plain values.

    Args:
        parser: The parser of one command.
        experiment: The default of the key of that name.
    """
    parser.add_argument(
        "--bases", type=list[str] | None, help="Files that this one builds on, relative to it; read before it."
    )
    parser.add_argument(
        "--experiment", type=str | None, default=experiment, help="The question that the run belongs to."
    )
    parser.add_argument("--arm", type=str | None, default=None, help="The setting of a sweep that the run belongs to.")
    parser.add_argument(
        "--run_id",
        type=str | None,
        default=None,
        help="Names the run's folder in trainer.default_root_dir, and its W&B run; null: NAME/TIME and a drawn id.",
    )
    parser.add_argument(
        "--final_test", type=bool, default=True, help="Whether fit ends by testing its best checkpoint, once."
    )
    parser.add_argument(
        "--measure_cost",
        type=bool,
        default=False,
        help="Whether fit starts with measuring latency, throughput and memory on its device: seconds to minutes.",
    )
    parser.add_argument(
        "--threads", type=int | None, default=None, help="CPU threads of each process; null is torch's choice."
    )
    parser.add_argument(
        "--weights",
        type=str | None,
        default=None,
        help="File of weights that the net starts from, units included: this lab's, or public ScConv code's.",
    )
    parser.add_argument(
        "--resume",
        type=str | None,
        default=None,
        help="Go on with an earlier run, in its folder: auto for the newest one of the same name and configuration "
        "(or a new one where there is none), or a run's folder.",
    )
    parser.add_argument(
        "--own_code",
        type=list[str] | None,
        default=None,
        help="Folders that classes of one's own are imported from; found next to the --config files and in the working "
        "folder where a class is named that is not installed.",
    )
    parser.add_argument(
        "--save_every",
        type=int | None,
        default=None,
        help="Steps after which last.ckpt is written within an epoch too; null: only after each epoch.",
    )
    if parser.command == "predict":
        parser.add_argument(
            "--split", type=Split, default="val", help="The images: those set aside for validation, train or test."
        )
        parser.add_argument(
            "--images",
            type=str | None,
            default=None,
            help="A folder of images without labels, with those in its folders, in place of a split.",
        )
    parser.add_argument(
        "--on_nonfinite",
        type=OnNonfinite,
        default="stop",
        help="What happens where a loss or gradient is not finite: stop, with a report in the run's folder, or skip "
        "the step and count it.",
    )
    parser.add_argument(
        "--lr_interval",
        type=Interval,
        default="epoch",
        help="How often lr_scheduler moves: once an epoch, or once a step, which OneCycleLR and CyclicLR are mostly "
        "written for.",
    )
    parser.add_class_group(Net, "net", skip={"num_classes"})
    parser.add_class_group(Unit, "surgery.unit", skip=_OF_THE_SITE, required=False)
    parser.add_function_arguments(apply_surgery, "surgery", skip={"net", "unit"})
    parser.let_free("surgery.sites")
    parser.add_class_group(Optimizer, "optimizer", skip={"params"})
    parser.add_class_group(LRScheduler, "lr_scheduler", skip={"optimizer"}, required=False, first=(ReduceLROnPlateau,))
    parser.class_groups["data"] = ImageDataModule
    parser.other_classes |= {"trainer.callbacks": Callback, "trainer.logger": Logger}
    for key in ("net", "optimizer", "lr_scheduler", "lr_interval"):
        parser.link(key, f"model.{key}", compute_fn=plain_values)
    parser.link(tuple(f"surgery.{key}" for key in _SURGERY_KEYS), "model.surgery", compute_fn=surgery_arguments)
    for key in ("num_classes", "image_shape"):
        parser.link(f"data.{key}", f"model.{key}", apply_on="instantiate")


def plain_values(value: Any) -> Any:
    """A parsed group as plain dicts, so that a checkpoint can hold it."""
    return value.as_dict() if isinstance(value, Namespace) else value


def surgery_arguments(*values: Any) -> dict[str, Any]:
    """The values of the surgery's keys, in their order, as the classifier takes them."""
    return {key: plain_values(value) for key, value in zip(_SURGERY_KEYS, values, strict=True)}
