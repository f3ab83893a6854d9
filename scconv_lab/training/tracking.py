"""The record of a run in W&B. No other training code knows W&B's layout."""

import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import wraps
from pathlib import Path
from threading import Thread
from typing import Any, Literal

import lightning.pytorch.loggers
import wandb
from lightning.pytorch.loggers.logger import rank_zero_experiment
from lightning.pytorch.utilities import rank_zero_only
from wandb.errors import CommError
from wandb.sdk.lib.runid import generate_id
from wandb.sdk.mailbox import HandleAbandonedError, MailboxClosedError

from scconv_lab.run_folder.history import History
from scconv_lab.shipped import typed
from scconv_lab.training import wandb_client

ANSWER_TIMEOUT = 10.0
"""Seconds that a W&B server may take to answer at all, before the run continues offline."""
INIT_TIMEOUT = 15.0
"""Seconds that one that answers may take to give a run, before the run continues offline."""
FINISH_TIMEOUT = 30.0
"""Seconds that the last uploads may take; W&B's own process takes up to 15 more to give up a dead server."""
ARTIFACT_TIMEOUT = 5.0
"""Seconds that a run waits for leave to make an artifact."""
_GONE = (ConnectionError, MailboxClosedError, HandleAbandonedError, CommError)
"""What W&B raises where its own process does not answer any more."""


class _Table(wandb.Table):
    """A file of the run and no artifact: W&B first asks the server for leave to make one, for a minute if need be."""

    _log_type = None


def _surviving(method: Callable[..., None]) -> Callable[..., None]:
    @wraps(method)
    def call(self: "_SurvivingLogger", *args: Any, **kwargs: Any) -> None:
        if not self.lost:
            try:
                method(self, *args, **kwargs)
            except _GONE as error:
                self.lost = True
                print(f"W&B      its process is gone ({type(error).__name__}); the run continues", flush=True)

    return call


class _SurvivingLogger(lightning.pytorch.loggers.WandbLogger):
    """Lets a run continue without its record where W&B's own process is gone."""

    lost = False

    log_hyperparams = _surviving(lightning.pytorch.loggers.WandbLogger.log_hyperparams)
    log_metrics = _surviving(lightning.pytorch.loggers.WandbLogger.log_metrics)

    @rank_zero_only
    def log_table(
        self,
        key: str,
        columns: list[str] | None = None,
        data: list[list[Any]] | None = None,
        dataframe: Any = None,
        step: int | None = None,
    ) -> None:
        """Log a table as a file of the run."""
        names: list[Any] | None = columns  # W&B takes numbers, too
        self.log_metrics({key: _Table(columns=names, data=data, dataframe=dataframe)}, step)


class WandbLogger(_SurvivingLogger):
    """Logs to Weights & Biases, offline where no API key is configured; it never prompts and never hangs.

    Args:
        project: W&B project.
        entity: W&B user or team; None is the key's own.
        name: The run's name; None is net, unit, data and seed, such as "resnet50-sru-cifar100-s0".
        group: Runs that belong together; None is the experiment's name.
        job_type: What kind of run it is within the group.
        tags: Words to find the run by.
        notes: A text about the run.
        id: W&B's id of the run; None draws a new one.
        save_dir: Folder that receives W&B's own; None is the run's folder, and "runs" outside the command line.
        mode: "auto" is WANDB_MODE where that is set, and "online" otherwise. An online run without an API key
            (WANDB_API_KEY, or what `wandb login` wrote), or whose server does not answer within 10 seconds, continues
            offline. One whose server is lost later has 30 seconds at its end to upload the rest; what is left then
            lies in its folder, for `wandb sync`.
    """

    def __init__(
        self,
        *,
        project: str = "scconv_lab",
        entity: str | None = None,
        name: str | None = None,
        group: str | None = None,
        job_type: str | None = None,
        tags: list[str] | None = None,
        notes: str | None = None,
        id: str | None = None,
        save_dir: str | None = None,
        mode: Literal["auto", "online", "offline"] = "auto",
    ):
        self._refused = wandb_client.start_process()
        wandb_client.require_usable(mode, project=project, run_id=id, run_tags=tags)
        super().__init__(
            project=project,
            entity=entity,
            name=name,
            group=group,
            job_type=job_type,
            tags=tags,
            notes=notes,
            id=id,
            save_dir=Path(save_dir or "runs").absolute(),  # the process that writes may have started in another folder
            settings=wandb.Settings(silent=True, init_timeout=INIT_TIMEOUT, finish_timeout=FINISH_TIMEOUT),
        )
        del self._wandb_init["anonymous"]  # wandb 0.31 warns of it whatever its value
        self._mode = mode
        self._history: History | None = None
        self._logged = self._known = 0
        self.state = "not started"

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The W&B run, started on first use."""
        if self._experiment is None:
            self._start()
        return self._experiment

    def _start(self) -> None:
        wanted = wandb_client.mode_from_environment() if self._mode == "auto" else self._mode
        reason = ""
        if self._refused:
            wanted = "disabled"
        elif wanted == "online" and not wandb_client.credentials():
            wanted, reason = "offline", "; no API key is configured (`wandb login`)"
        elif wanted == "online" and not wandb_client.answers(wandb_client.server(), within=ANSWER_TIMEOUT):
            wanted, reason = "offline", f"; {wandb_client.server()} does not answer"
        self._wandb_init["mode"] = wanted
        os.makedirs(self._wandb_init["dir"], exist_ok=True)
        self._wandb_init["id"] = self._wandb_init["id"] or generate_id()
        earlier = self._online_folders()
        try:
            _ = super().experiment
        except (CommError, wandb.errors.UsageError) as error:
            for folder in self._online_folders() - earlier:  # holds nothing, and would be a second run when synced
                shutil.rmtree(folder, ignore_errors=True)
            wandb.setup().settings.sweep_id = None  # inside of a sweep W&B would take the sweep's id again
            self._wandb_init |= {"mode": "offline", "id": generate_id()}  # W&B's process does not let go of the other
            reason = f"; the server gave no run: {' '.join(str(error).split())}"
            _ = super().experiment
        except _GONE as error:
            self._refused = f"; W&B's own process is gone ({type(error).__name__})"
            self._wandb_init["mode"] = "disabled"
            _ = super().experiment
        run = self._experiment
        if run is None or run.disabled:
            self.state = f"disabled{self._refused}"
        else:
            self.state = f"offline{reason}" if run.offline else f"online, {run.url}"

    def _online_folders(self) -> set[Path]:
        settings = wandb.setup().settings
        run_id = settings.run_id if settings.sweep_id else self._wandb_init["id"]
        return set(Path(self._wandb_init["dir"], "wandb").glob(f"run-*-{run_id}"))

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log a row, unless it is one that the server has from an earlier process of the run."""
        _ = self.experiment
        if not self._logged:
            self._ask_step()
        self._logged += 1
        if self._logged > self._known:
            super().log_metrics(metrics, step)
        if self._history is not None:
            self._history.add(metrics, step)

    @_surviving
    def _ask_step(self) -> None:
        self._known = self.experiment.step

    @rank_zero_only
    def log_table_artifact(self, name: str, columns: list[str], data: list[list[Any]]) -> None:
        """Log a table as a file of the run, and as an artifact of type ``name`` that other runs may read.

        Online, W&B asks the server for leave to make an artifact, and tries again for a minute; so a thread of its own
        does, which the run does not wait for longer than 5 seconds.
        """
        self.log_table(name, columns, data, step=0)
        if self.lost:
            return
        artifact = wandb.Artifact(f"{name}-{self.experiment.id}", type=name)
        artifact.add(wandb.Table(columns=[*columns], data=data), name)
        logging = Thread(target=_log_artifact, args=(self.experiment, artifact), daemon=True)
        logging.start()
        logging.join(ARTIFACT_TIMEOUT)

    def continue_history(self, history: History, *, before: int | None) -> None:
        """Log an earlier process's rows again, of the steps below ``before``, and keep a file of those to come.

        Of several offline records of one run the server keeps only the last (wandb #3841), so that one holds them all.
        """
        for row in history.restart(self.experiment.id, before):
            self.log_metrics(*row)
        self._history = history

    @property
    def files_dir(self) -> Path | None:
        """Folder of the run's W&B files, such as runs/x/wandb/offline-run-20260101_120000-ab12cd34; or None."""
        run = self._experiment
        return Path(run.dir).parent if run is not None and not run.disabled else None


def _log_artifact(run: Any, artifact: wandb.Artifact) -> None:
    try:
        run.log_artifact(artifact)
    except (*_GONE, ValueError, wandb.errors.Error) as error:
        print(
            f"W&B      takes no artifact {artifact.name} ({type(error).__name__}); its table is in the run", flush=True
        )


def finish(exit_code: int) -> None:
    """Close the W&B run, if one is open, so that its file is whole."""
    if wandb.run is None:
        return
    run = wandb.run
    folder = os.path.relpath(Path(run.dir).parent)
    try:
        run.finish(exit_code=exit_code)
        if getattr(run, "_finish_timed_out", False):  # W&B says it nowhere else
            print(f"upload   {typed(f'wandb sync --no-skip-online {folder}')}  (the server was lost)")
    except _GONE:
        print(f"W&B      its process is gone, and what it had not written to {folder} yet")
        with suppress(*_GONE):
            wandb.teardown()  # else it is tried when Python ends, with a traceback
