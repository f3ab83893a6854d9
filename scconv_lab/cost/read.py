"""Builds the net of an experiment as `scconv-lab fit` would, and nothing that trains it."""

from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch.cli import LightningCLI

from scconv_lab.config import expand_arguments
from scconv_lab.errors import UserError
from scconv_lab.lab_cli import LabCLI, quieten_lightning
from scconv_lab.models import without_pretrained
from scconv_lab.training import Classifier


def read_experiment(arguments: Sequence[str], *, with_values: bool) -> Classifier:
    """Build the classifier that ``scconv-lab fit`` with these arguments would train.

    Args:
        arguments: What would stand behind ``fit``: ``--config`` files and keys.
        with_values: Whether the weights have values, random ones; without, the net is on the meta device.

    Raises:
        UserError: (a ValueError) as ``fit`` does.
    """
    quieten_lightning()
    expanded, experiment = expand_arguments(["fit", *arguments])
    return _NetReader(expanded, experiment=experiment, with_values=with_values).model


class _NetReader(LabCLI):
    def __init__(self, arguments: list[str], *, experiment: str | None, with_values: bool):
        self.with_values = with_values
        super().__init__(arguments, experiment=experiment)

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """Only the one whose keys an experiment has: declaring the others takes a second."""
        return {"fit": LabCLI.subcommands()["fit"]}

    def before_instantiate_classes(self) -> None:
        """Name nothing, and make no folder; what is measured runs on as many threads as the fit would."""
        if self.settings.threads is not None:
            torch.set_num_threads(self.settings.threads)

    def instantiate_classes(self) -> None:
        """Build the net; its data module says how many classes and which images it is for."""
        with without_pretrained():
            if not self.with_values:
                try:
                    with torch.device("meta"):
                        return LightningCLI.instantiate_classes(self)
                except (NotImplementedError, UserError):
                    pass  # some nets look at their first weights; what else is wrong shows itself again
            return LightningCLI.instantiate_classes(self)

    def instantiate_trainer(self, **kwargs: Any) -> Any:
        """Build no trainer."""

    def after_instantiate_classes(self) -> None:
        """Prepare no data."""

    def _run_subcommand(self, subcommand: str) -> None:
        """Run nothing."""
