"""What a sweep is going to cost: params and MACs of each arm, and an estimate of its time."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from scconv_lab.complexity import count_cost
from scconv_lab.complexity.measure import Case, measure
from scconv_lab.fit.dry import build_classifier, build_data
from scconv_lab.run_folder.attempts import seconds_spent
from scconv_lab.sweeps import ledger
from scconv_lab.sweeps.resolve import Run
from scconv_lab.sweeps.show import by_arm


@dataclass(frozen=True)
class ArmPlan:
    """What the runs of one arm cost.

    Args:
        params: Parameters.
        macs: Multiply-accumulates of one image.
        seconds: Of one run, if known.
        source: Where the seconds are from.
    """

    params: int
    macs: int
    seconds: float | None
    source: str


def plan_arms(runs: Sequence[Run], *, probe: bool) -> dict[str, ArmPlan]:
    """Count each arm's net, and take its time from its finished runs, or from a probe where that is asked for."""
    plans = {}
    for arm_runs in by_arm(runs):
        run = arm_runs[0]
        data = build_data(run.settings)
        cost = count_cost(build_classifier(run.settings, data, with_values=False).net, data.image_shape)
        took = [seconds for each in arm_runs if ledger.results(each) and (seconds := seconds_spent(each.files))]
        seconds, source = (sum(took) / len(took), "finished runs") if took else (None, "")
        if seconds is None and probe:
            seconds, source = probe_seconds(run), "probe"
        plans[run.arm.name] = ArmPlan(cost.params, cost.macs, seconds, source)
    return plans


def probe_seconds(run: Run) -> float | None:
    """Estimate the time of a run on this machine from a few steps on random images.

    Training steps of all its epochs, and a validation after each; what loading, set-up and checkpoints take comes on
    top. None where the number of epochs is not given.

    Raises:
        UserError: (a ValueError) if its data are not there: they say how many images there are.
    """
    trainer = run.config["trainer"]
    epochs = trainer.get("max_epochs")
    if not epochs or epochs < 0:
        return None
    device = torch.device("cuda" if trainer["accelerator"] != "cpu" and torch.cuda.is_available() else "cpu")
    data = build_data(run.settings)
    data.prepare_data()
    data.setup("fit")
    processes = run.processes or 1
    batch = data.batch_size_per_process(processes)
    net = build_classifier(run.settings, data, with_values=True).net.to(device)
    precision = "bf16" if "bf16" in str(trainer.get("precision")) else "fp32"
    before = torch.get_num_threads()
    torch.set_num_threads(run.config.get("threads") or before)
    try:
        rates = [
            measure(net, data.image_shape, Case(precision, "eager", step, batch), device=device).images_per_s
            for step in ("training", "inference")
        ]
    finally:
        torch.set_num_threads(before)
    train, val = (len(split) for split in (data.train_set, data.val_set))
    return epochs * (train / rates[0] + val / rates[1]) / processes
