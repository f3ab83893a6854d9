"""Checks of what a configuration plans: its data, its net, the checkpoints it leaves."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from scconv_lab.doctor.check import Check
from scconv_lab.doctor.machine import writable
from scconv_lab.errors import UserError
from scconv_lab.run_folder.configuration import processes_of

if TYPE_CHECKING:  # torch and lightning load where they are used, so that --help and a mistake are answered at once
    from scconv_lab.data import ImageDataModule
    from scconv_lab.training import Classifier

_FILES = 4
"""Checkpoints there may be at once: the best, the last, the one before it, and the one being written."""
_COPIES = 3
"""Numbers that a checkpoint holds for each weight, at most: the weight, and Adam's two moments."""


class Plan:
    """What a fit would do; data and net are described and not loaded.

    Args:
        arguments: Those of a fit, bases expanded.
        experiment: Name of the experiment.

    Raises:
        UserError: (a ValueError) as a fit does, for what the arguments and files say wrongly.
    """

    def __init__(self, arguments: Sequence[str], *, experiment: str | None):
        from scconv_lab.fit.dry import parse_fit

        self.settings = parse_fit(arguments, experiment=experiment)
        trainer = self.settings.trainer
        self.runs = Path(trainer.default_root_dir)
        self.processes = processes_of(trainer)
        self.gpus = (self.processes or 1) if trainer.accelerator in ("gpu", "cuda") else None

    @property
    def logs_to_wandb(self) -> bool:
        """Whether one of the run's loggers is W&B's."""
        loggers = self.settings.trainer.logger
        loggers = loggers if isinstance(loggers, list) else [loggers]
        return any("WandbLogger" in str(getattr(logger, "class_path", "")) for logger in loggers)

    @cached_property
    def _data(self) -> "ImageDataModule":
        from scconv_lab.fit.dry import build_data

        return build_data(self.settings)

    @cached_property
    def _classifier(self) -> "Classifier":
        """Without its weights."""
        from scconv_lab.fit.dry import build_classifier

        return build_classifier(self.settings, self._data, with_values=False)

    def data(self) -> Check:
        """Whether every file of the data set is there and whole; nothing is fetched."""
        name = f"data {self.settings.data.class_path.rpartition('.')[2]}"
        try:
            self._data.batch_size_per_process(self.processes or 1)
            fetch = self._data.to_fetch()
            if fetch is None:
                return Check(name, "ok", self._data.inspect())
        except UserError as error:
            return Check(name, "fail", "not there, or not whole", str(error))
        root = writable(name, self._data.root, needed=True, way_out="set --data.init_args.root to another folder")
        if root.state == "fail":
            return root
        return Check(name, "warn", f"not there yet; a fit {fetch}", "start the first one where there is a network")

    def net(self) -> Check:
        """Whether net, surgery, optimizer and schedule can be built."""
        from scconv_lab.fit.keys import plain_values
        from scconv_lab.training.record import run_name

        try:
            _ = self._data.num_classes
        except UserError:
            return Check("net", "skip", "its number of classes comes from the data")
        try:
            self._classifier.configure_optimizers()
        except UserError as error:
            return Check("net", "fail", "cannot be built", str(error))
        settings = self.settings
        unit = plain_values(settings.surgery.unit)
        name = run_name(plain_values(settings.net), unit, plain_values(settings.data), settings.seed_everything)
        return Check("net", "ok", f"{name}, {sum(p.numel() for p in self._classifier.parameters()):,} params")

    @property
    def checkpoint_bytes(self) -> int | None:
        """What the run's checkpoints take at most; None where the net cannot be built."""
        try:
            tensors = self._classifier.state_dict().values()
        except UserError:
            return None
        return _FILES * _COPIES * sum(tensor.nbytes for tensor in tensors)
