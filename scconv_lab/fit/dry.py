"""What a fit would do, read and built without doing it."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import torch
from jsonargparse import Namespace
from lightning.pytorch.cli import LightningArgumentParser

from scconv_lab.data import ImageDataModule
from scconv_lab.errors import UserError
from scconv_lab.fit.lab_cli import LabCLI
from scconv_lab.fit.parser import LabParser
from scconv_lab.models import without_pretrained
from scconv_lab.terminal import quiet
from scconv_lab.training import Classifier
from scconv_lab.training.spec import build


def parse_fit(arguments: Sequence[str], *, experiment: str | None) -> Namespace:
    """Parse the arguments of ``scconv-lab fit``.

    Args:
        arguments: Configuration files and keys, bases expanded.
        experiment: Name of the experiment.

    Raises:
        UserError: (a ValueError) for what a fit would refuse to read.
    """
    return FitParser(experiment).parse(arguments)


def build_data(settings: Namespace) -> ImageDataModule:
    """Build the data module of a fit; it loads nothing yet.

    Raises:
        UserError: (a ValueError) if it refuses a value.
    """
    return build("data", settings.data.as_dict())


def build_classifier(settings: Namespace, data: ImageDataModule, *, with_values: bool) -> Classifier:
    """Build the classifier of a fit, with random weights for pretrained ones.

    Args:
        settings: Of the fit.
        data: Says how many classes there are, and what an image is.
        with_values: Whether the weights have values; without, the net is on the meta device where that can be.

    Raises:
        UserError: (a ValueError) if net, unit or surgery cannot be as asked.
    """
    given = settings.model.as_dict() | {"num_classes": data.num_classes, "image_shape": data.image_shape}
    with without_pretrained():
        if not with_values:
            try:
                with torch.device("meta"):
                    return Classifier(**given)
            except (NotImplementedError, UserError):
                pass  # some nets look at their first weights; what else is wrong shows itself again
        return Classifier(**given)


class FitParser(LabCLI):
    """Parses the arguments of ``scconv-lab fit``, as often as asked, and builds nothing.

    Declaring the keys takes longer than parsing, and is done once.

    Args:
        experiment: Name of the experiment, where none is given.
    """

    def __init__(self, experiment: str | None = None):
        quiet.silence()
        with suppress(_DeclaredError):
            super().__init__([], experiment=experiment)
        self.subcommand = "fit"  # which Lightning's constructor has not come to

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """The one that is read: declaring the keys of the others takes a second."""
        return {"fit": LabCLI.subcommands()["fit"]}

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """End the construction here: every key is declared."""
        raise _DeclaredError

    def parse(self, arguments: Sequence[str]) -> Namespace:
        """Give the settings that configuration files, bases expanded, and keys stand for.

        Raises:
            UserError: (a ValueError) for what a fit would refuse to read.
        """
        super().parse_arguments(self.parser, ["fit", *arguments])
        return self.settings

    def keys(self) -> list[str]:
        """List every key of a fit, dotted, and the arguments of each class that can be named."""
        parser = self._parser("fit")
        assert isinstance(parser, LabParser)
        return parser.every_key()

    def defaults(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The default of each key of a resolved configuration, dotted."""
        parser = self._parser("fit")
        assert isinstance(parser, LabParser)
        return parser.defaults(config)


class _DeclaredError(Exception):
    """Every key is declared."""
