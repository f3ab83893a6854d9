"""LightningCLI with the lab's vocabulary: net, surgery, optimizer and data next to Lightning's trainer."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import yaml
from jsonargparse import Namespace
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.plugins.environments import ClusterEnvironment, LightningEnvironment
from lightning.pytorch.plugins.io import CheckpointIO

from scconv_lab.data import ImageDataModule
from scconv_lab.errors import UserError, by_request
from scconv_lab.fit.finish import mark_finished, say_how_to_resume, say_what_next
from scconv_lab.fit.keys import declare_keys, plain_values
from scconv_lab.fit.open_run import OpenRun, open_evaluation, open_fit
from scconv_lab.fit.parser import LabParser
from scconv_lab.fit.preview import preview
from scconv_lab.fit.refusals import refusal_of
from scconv_lab.fit.resolved import with_words, without_unwritable
from scconv_lab.fit.tested import final_tests, keep_per_image, write_evaluation, write_test
from scconv_lab.fit.values import require_sound
from scconv_lab.models import without_pretrained
from scconv_lab.run_folder.checkpoint_io import VerifiedCheckpointIO, has_checksum
from scconv_lab.run_folder.configuration import recipe
from scconv_lab.run_folder.layout import RUNS, RunFolder
from scconv_lab.training import Classifier, record
from scconv_lab.training.checkpoint import checkpoints, require_same_hparams, restoring
from scconv_lab.training.console import Console
from scconv_lab.training.guard import FiniteGuard
from scconv_lab.training.own_code import make_importable, named_errors, own_folders
from scconv_lab.training.per_image import PerImageRecord
from scconv_lab.training.predictions import PredictionWriter
from scconv_lab.training.process_group import EndTogether, in_a_job_without_srun, require_one_node
from scconv_lab.training.progress import Progress
from scconv_lab.training.progress_bar import ProgressBar
from scconv_lab.training.weights import load_weights

_WANDB_LOGGER = "scconv_lab.training.WandbLogger"
_QUIET: dict[str, dict[str, Any]] = {
    "validate": {"verbose": False},
    "test": {"verbose": False},
    "predict": {"return_predictions": False},
}


class LabCLI(LightningCLI):
    """Parses one command's arguments, builds net, data and trainer from them, and runs it.

    Args:
        arguments: The command and its arguments, bases expanded.
        experiment: Name of the experiment, the default of its key.
    """

    def __init__(self, arguments: list[str], *, experiment: str | None):
        self.experiment = experiment
        self.run: OpenRun | None = None
        with self._leaving_nothing_unbegun():
            self._run(arguments)

    def _run(self, arguments: list[str]) -> None:
        super().__init__(
            Classifier,
            ImageDataModule,
            subclass_mode_data=True,
            save_config_callback=None,
            seed_everything_default=0,
            parser_class=LabParser,
            parser_kwargs={
                **{name: {"allow_abbrev": False, "command": name} for name in self.subcommands()},
                "allow_abbrev": False,
            },
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
            trainer_defaults={
                "devices": 1,
                "default_root_dir": RUNS,
                "enable_model_summary": False,
                "enable_progress_bar": sys.stdout.isatty(),
                "log_every_n_steps": 10,
                "logger": {"class_path": _WANDB_LOGGER},
                "use_distributed_sampler": False,
            },
            args=arguments,
        )

    @contextmanager
    def _leaving_nothing_unbegun(self) -> Iterator[None]:
        """Undo the beginning of a fit that ends before its first step, and name the checkpoint that cannot be used."""
        try:
            yield
        except BaseException as error:
            if self.run and not self.record.cost:
                self.run.abandon()
            elif self.run and self.subcommand == "fit" and by_request(error):
                say_how_to_resume(self.run.folder)
            trainer = getattr(self, "trainer", None)
            if self.run and trainer and (refused := restoring(error, self.settings.ckpt_path, trainer)):
                raise refused from error
            raise

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """Lightning's, less the arguments that the lab sets itself."""
        skip = {"weights_only", "verbose", "return_predictions"}
        return {name: skipped | skip for name, skipped in LightningCLI.subcommands().items()}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Declare the lab's own keys and hand them to the classifier as plain values."""
        assert isinstance(parser, LabParser)
        declare_keys(parser, experiment=self.experiment)

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse, after refusing keys that the parser would let pass."""
        command = args[0]
        command_parser = self._parser(command)
        assert isinstance(command_parser, LabParser)
        files = [Path(file) for option, file in pairwise(args) if option == "--config"]
        folders = own_folders(files, args)
        make_importable(folders)
        with named_errors(folders):
            command_parser.require_known_keys(files)
            self.config = parser.parse_args(args)
        settings = self.config[command]
        settings.own_code = [str(folder) for folder in folders] or None
        command_parser.require_values(settings)
        settings.trainer.default_root_dir = settings.trainer.default_root_dir or RUNS
        require_sound(command, settings)

    def _parse_ckpt_path(self) -> None:
        """Let the configuration rule: Lightning's own would let the checkpoint's arguments win in silence."""

    @property
    def settings(self) -> Namespace:
        """The configuration of the command that runs."""
        assert self.subcommand is not None
        return self.config[self.subcommand]

    def before_instantiate_classes(self) -> None:
        """Name the run and its folder, and give the loggers and callbacks their places in it."""
        config = self.settings
        if config.threads is not None:
            torch.set_num_threads(config.threads)
        unit = plain_values(config.surgery.unit)
        self.name = record.run_name(plain_values(config.net), unit, plain_values(config.data), config.seed_everything)
        resolved = self.resolved(config)
        parser = self._parser(self.subcommand)
        assert isinstance(parser, LabParser)
        if self.subcommand == "fit":
            defaults = parser.defaults(resolved)
            self.recipe = recipe(resolved, defaults)
            self.run = open_fit(config, self.name, resolved, defaults)
        else:
            self.run = open_evaluation(config, self.name)
        folder, self.earlier = self.run.folder, self.run.earlier
        self.run_dir = folder.path
        resumed_at = None
        if self.earlier and self.earlier.checkpoint:
            config.ckpt_path = str(self.earlier.checkpoint)
            config.trainer.num_sanity_val_steps = 0  # it passed when the run began
            resumed_at = self.earlier.step
        self.record = record.RunRecord(self.run_dir, resolved, measure_cost=config.measure_cost, resumed_at=resumed_at)
        config.trainer.default_root_dir = str(self.run_dir)
        for logger in _as_list(config.trainer.logger):
            if isinstance(logger, Namespace) and logger.class_path == _WANDB_LOGGER:
                given = logger.init_args
                given.save_dir = given.save_dir or str(self.run_dir)
                given.name = given.name or self.name
                given.group = given.group or config.experiment
                given.job_type = given.job_type or ("sweep" if config.arm else self.subcommand)
                given.id = given.id or self.run.wandb_id
        self.console = Console(self.name, self.record, self._notes())
        self.best: ModelCheckpoint | None = None
        callbacks: list[Callback] = [self.record, Progress(folder), self.console, EndTogether()]
        given = map(str, _as_list(config.trainer.callbacks or []))
        if config.trainer.enable_progress_bar and not any("ProgressBar" in callback for callback in given):
            callbacks.append(ProgressBar())
        self.per_image = PerImageRecord()
        if self.subcommand == "test":
            callbacks.append(self.per_image)
        if self.subcommand == "predict":
            callbacks.append(PredictionWriter(folder.predictions(self._weights(), of=_what_is_predicted(config))))
        if self.subcommand == "fit":
            callbacks.append(FiniteGuard(self.run_dir, on_nonfinite=config.on_nonfinite))
        if self.subcommand == "fit" and config.trainer.enable_checkpointing is not False:
            bad = self.earlier.bad if self.earlier else ()
            validated = config.data.init_args.get("val_size") != 0 and config.trainer.limit_val_batches != 0
            if not validated:
                config.trainer.limit_val_batches = 0  # else Lightning warns of a loader without images
            kept = checkpoints(
                folder.checkpoints,
                keep_best=validated,
                save_every=config.save_every,
                bad=bad,
                configuration=resolved,
            )
            self.best = next((callback for callback in kept if isinstance(callback, ModelCheckpoint)), None)
            callbacks += kept
        self.trainer_defaults["callbacks"] = callbacks

    def _weights(self) -> Path:
        """The file whose weights are evaluated."""
        return Path(self.settings.ckpt_path or self.settings.weights)

    def _notes(self) -> list[str]:
        """What became of ``--resume``."""
        if self.earlier is None:
            return ["resume   no earlier run of this configuration; a new one"] if self.settings.resume else []
        if self.earlier.checkpoint is None:
            return ["resume   from the beginning: the run was ended before its first checkpoint"]
        warnings = [f"warning  {text}; it is set aside" for text in self.earlier.why]
        return [*warnings, f"resume   step {self.earlier.step}, from {self.earlier.checkpoint.name}"]

    def resolved(self, config: Namespace) -> dict[str, Any]:
        """The configuration that would repeat this run alone, without its bases."""
        config = with_words(config)
        config.bases = config.resume = config.run_id = None
        return without_unwritable(yaml.safe_load(self._parser(self.subcommand).dump(config, skip_link_targets=True)))

    def instantiate_classes(self) -> None:
        """Build net, data and trainer; pretrained weights are not read where others replace them all."""
        replaced = self.settings.ckpt_path or self.settings.weights
        try:
            with without_pretrained() if replaced else nullcontext():
                super().instantiate_classes()
        except ValueError as error:  # jsonargparse wraps what a class refuses in what it says of all the others
            raise refusal_of(error) from error

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Take what the trainer refuses for the user's mistake."""
        plugins = _as_list(self.config_init[str(self.subcommand)].trainer.plugins or [])
        if not any(isinstance(plugin, CheckpointIO) for plugin in plugins):
            plugins = [*plugins, VerifiedCheckpointIO()]
        if in_a_job_without_srun() and not any(isinstance(plugin, ClusterEnvironment) for plugin in plugins):
            require_one_node(self.settings.trainer.num_nodes)
            plugins = [*plugins, LightningEnvironment()]
        kwargs["plugins"] = plugins
        try:
            return super().instantiate_trainer(**kwargs)
        except (ValueError, TypeError, RuntimeError, ImportError) as error:  # ImportError: a library is not installed
            raise UserError(f"trainer: {' '.join(str(error).split())}") from error

    def after_instantiate_classes(self) -> None:
        """Refuse what would fail in every process, while there is only one: data, batch, optimizer, checkpoint."""
        self.datamodule.batch_size_per_process(self.trainer.world_size)
        if self.subcommand == "predict":
            images = self.settings.images
            self.datamodule.predicted = Path(images) if images is not None else self.settings.split
        if self.trainer.is_global_zero:
            self.datamodule.prepare_data()
            self.datamodule.setup(str(self.subcommand))
        if self.subcommand == "fit":
            self.model.configure_optimizers()
            if self.trainer.is_global_zero:
                self.console.warnings += preview(self.trainer, self.model, self.datamodule)
        if self.earlier and self.earlier.checkpoint:
            return
        if self.settings.weights:
            load_weights(self.model, self.settings.weights)
        path = self.settings.ckpt_path
        if path is not None and not has_checksum(Path(path)):
            self._warn(f"{path} has no checksum next to it; a damaged weight in it is not noticed")
        if path is not None:
            require_same_hparams(Path(path), self.model, for_training=self.subcommand == "fit")

    def _warn(self, text: str) -> None:
        if self.subcommand == "fit":
            self.console.warnings.append(text)
        elif self.trainer.is_global_zero:
            print(f"warning  {text}", flush=True)

    def _prepare_subcommand_kwargs(self, subcommand: str) -> dict[str, Any]:
        return super()._prepare_subcommand_kwargs(subcommand) | {"weights_only": True} | _QUIET.get(subcommand, {})

    def after_validate(self) -> None:
        """Write what was found."""
        write_evaluation(self.trainer, RunFolder(self.run_dir).evaluation("validate", self._weights()), self._weights())

    def after_test(self) -> None:
        """Write what was found, of each class too."""
        write_test(self.trainer, RunFolder(self.run_dir), self._weights(), self.per_image.found)

    def after_fit(self) -> None:
        """Test the best checkpoint and the last, and say where everything is."""
        if self.settings.trainer.fast_dev_run:
            return
        if not self.trainer.global_step:
            raise UserError(
                "no step was taken: `trainer.max_time` or a callback ended the fit first; the run is not finished, so "
                "give it more time"
            )
        folder = RunFolder(self.run_dir)
        tests = {}
        if self.settings.final_test:
            tests, found = final_tests(self.trainer, self.model, self.datamodule, folder)
            keep_per_image(folder, found)
        mark_finished(self.trainer, self.record, self.best, tests=tests, recipe=self.recipe)
        say_what_next(self.trainer, self.run_dir, (self.best.best_model_path if self.best else "") or None)


def _what_is_predicted(config: Namespace) -> str:
    """A word of the file's name; empty for the validation images."""
    if config.images is not None:
        return Path(config.images).resolve().name
    return "" if config.split == "val" else config.split


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
