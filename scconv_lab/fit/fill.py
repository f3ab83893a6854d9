"""Completes the results of a run that an earlier version of the lab finished, from its checkpoints."""

from pathlib import Path

from jsonargparse import Namespace
from lightning.pytorch import Trainer

from scconv_lab.data import ImageDataModule
from scconv_lab.errors import UserError
from scconv_lab.fit.dry import build_classifier, build_data, parse_fit
from scconv_lab.fit.tested import Figures, PerImage, final_tests, keep_per_image, test_set_of
from scconv_lab.run_folder.checkpoint_io import VerifiedCheckpointIO
from scconv_lab.run_folder.layout import RunFolder
from scconv_lab.run_folder.results import read_results, write_results
from scconv_lab.terminal import quiet


def fill(folder: Path) -> None:
    """Test the last and the best checkpoint of a finished run, and add what is found to its results.

    Nothing that is there is changed.

    Args:
        folder: The run's.

    Raises:
        UserError: (a ValueError) if it is not finished, or a file that is needed is not there or does not fit.
    """
    files = RunFolder(folder)
    results = read_results(files.results)
    if results is None:
        raise UserError(f"{folder} is not finished; `scconv-lab fit --resume {folder}` continues it")
    settings, data, figures, per_image = _tested(files)
    keep_per_image(files, per_image)
    found = {**test_set_of(files), "data": type(data).__name__, "seed": settings.seed_everything, **figures}
    write_results(folder, {**found, **{key: value for key, value in results.items() if key != "schema"}})


def figures_of_checkpoints(folder: Path) -> Figures:
    """Test the last and the best checkpoint of a run; its folder stays as it is.

    Raises:
        UserError: (a ValueError) if a file that is needed is not there or does not fit.
    """
    return _tested(RunFolder(folder))[2]


def _tested(files: RunFolder) -> tuple[Namespace, ImageDataModule, Figures, PerImage]:
    if not files.last.is_file():
        raise UserError(f"{files.last} is not there, so its test cannot be repeated; run the fit again")
    quiet.silence()
    settings = parse_fit(["--config", str(files.config)], experiment=None)
    data = build_data(settings)
    data.prepare_data()
    data.setup("test")
    trainer = Trainer(
        accelerator=settings.trainer.accelerator,
        devices=1,
        precision=settings.trainer.precision,
        plugins=[VerifiedCheckpointIO()],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        default_root_dir=files.path,
    )
    model = build_classifier(settings, data, with_values=True)
    return settings, data, *final_tests(trainer, model, data, files)
