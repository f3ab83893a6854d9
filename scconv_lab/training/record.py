"""What a run leaves besides its checkpoints: its name, its folder's files, and what it logs before it starts."""

import dataclasses
import inspect
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_only

from scconv_lab.complexity import Cost, count_cost
from scconv_lab.complexity.measure import Measurement, measure_all
from scconv_lab.run_folder.files import append_line, read_lines
from scconv_lab.run_folder.history import History
from scconv_lab.run_folder.layout import RunFolder
from scconv_lab.run_folder.provenance import provenance
from scconv_lab.run_folder.source_code import changed_sources, source_hashes
from scconv_lab.surgery import Edit, preflight
from scconv_lab.training.classifier import Classifier
from scconv_lab.training.spec import Spec, import_class
from scconv_lab.training.tracking import WandbLogger


def run_name(net: Spec, unit: Spec | None, data: Spec, seed: object) -> str:
    """Name a run so that a person can read it: "resnet50-sru-cifar100-s0".

    Net with its depth, or a library's net by its own name, unit with the arguments that are not its defaults ("plain"
    without one), data, seed.
    """
    arguments = net.get("init_args") or {}
    net_name = arguments.get("name") or f"{_class_name(net)}{arguments.get('depth', '')}"
    parts = [net_name, _unit_name(unit) if unit else "plain", _class_name(data), f"s{seed}"]
    return "-".join(parts)


def _class_name(spec: Spec) -> str:
    return spec["class_path"].rpartition(".")[2].lower()


def _unit_name(unit: Spec) -> str:
    defaults = inspect.signature(import_class("surgery.unit", unit["class_path"])).parameters
    changed = {key: value for key, value in (unit.get("init_args") or {}).items() if value != defaults[key].default}
    parts = [value if isinstance(value, str) else f"{key}{value}" for key, value in changed.items()]
    return "-".join([_class_name(unit), *parts])


class RunRecord(Callback):
    """Logs what a run is before it starts, and notes by which code it is made.

    To every logger: the configuration, the code's provenance, and all that is counted of the net for one image, as
    complexity/params, complexity/macs, complexity/flops (twice the MACs) and so on, by the names of
    `scconv_lab.complexity.Cost.figures`. Of a fit, if that is asked for, what is measured on the run's device too:
    perf/latency_ms (of one image), perf/images_per_s and perf/peak_memory_mb (of an eager training step).

    To W&B also the tables "surgery", its report, and "cost", every figure counted and measured, which is an artifact
    too; and of a fit what `scconv_lab.surgery.preflight` warns of, as "preflight".

    Args:
        run_dir: The run's folder.
        config: The resolved configuration, of plain values.
        measure_cost: Whether a fit starts with measuring.
        resumed_at: Step to resume from; None for a new run.
    """

    def __init__(
        self, run_dir: Path, config: dict[str, Any], *, measure_cost: bool = False, resumed_at: int | None = None
    ):
        self.run_dir = run_dir
        self.config = config
        self.measure_cost = measure_cost
        self.resumed_at = resumed_at
        self.cost: Cost | None = None
        self.code: dict[str, str] = {}
        self.measured: list[Measurement] = []
        self.warnings: list[str] = []

    @rank_zero_only
    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write and log once, at the first stage."""
        assert isinstance(pl_module, Classifier)
        if self.cost:
            return
        self.cost = count_cost(pl_module.net, pl_module.image_shape)
        report = pl_module.surgery_report
        if report and stage == "fit":
            self.warnings = preflight(pl_module.net, report, pl_module.image_shape)
        if self.measure_cost and stage == "fit":
            self.measured = self._measure(trainer, pl_module)
        if stage == "fit":
            self._note_code()
        figures = {f"complexity/{key}": value for key, value in self.cost.figures().items()} | perf(self.measured)
        for logger in trainer.loggers:
            logger.log_hyperparams({**self.config, **provenance(), "code": self.code, "preflight": self.warnings})
            logger.log_metrics(figures, step=0)
            if isinstance(logger, WandbLogger):
                rows = [*self.cost.rows(), *(row for measured in self.measured for row in measured.rows())]
                logger.log_table_artifact("cost", ["part", "name", "figure", "value"], [list(row) for row in rows])
                if report:
                    columns = [field.name for field in dataclasses.fields(Edit)]
                    edits = [list(dataclasses.astuple(edit)) for edit in report.edits]
                    logger.log_table("surgery", columns, edits, step=0)
                if stage == "fit":
                    logger.continue_history(History(RunFolder(self.run_dir).history), before=self.resumed_at)

    def _note_code(self) -> None:
        """Note the hashes of the sources, and warn where an earlier process of the run had others."""
        file, here = RunFolder(self.run_dir).code, source_hashes(self.config)
        noted = read_lines(file)
        if not noted or noted[-1] != here:
            noted.append(here)
            append_line(file, here)
        self.code = here if len(noted) == 1 else {"changed within the run": str(len(noted))}
        if len(noted) > 1:
            changed = ", ".join(changed_sources(noted[-2], here))
            self.warnings.append(f"the code changed after this run began: {changed}; its result is of both")

    def _measure(self, trainer: Trainer, model: Classifier) -> list[Measurement]:
        data: Any = trainer.datamodule  # pyrefly: ignore[missing-attribute]  # Lightning's connector sets it
        batch_size = data.batch_size_per_process(trainer.world_size)
        where: dict[str, Any] = {"device": trainer.strategy.root_device, "batch_size": batch_size, "progress": _say}
        return list(measure_all(model.net, model.image_shape, **where))


def _say(case: str) -> None:
    print(f"cost     {case}", flush=True)


def perf(measured: list[Measurement]) -> dict[str, float]:
    """The figures that W&B charts, of the first precision, eager."""
    by_case = {(m.case.step, m.case.batch_size == 1): m for m in reversed(measured) if m.case.execution == "eager"}
    if not by_case:
        return {}
    latency, training = by_case["inference", True], next(m for (step, _), m in by_case.items() if step == "training")
    return {
        "perf/latency_ms": latency.p50_ms,
        "perf/images_per_s": training.images_per_s,
        "perf/peak_memory_mb": training.peak_memory_mb,
    }
