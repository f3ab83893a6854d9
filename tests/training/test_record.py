"""A run's name, and its W&B record, read back with W&B's own reader."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from scconv_lab.cli import main
from scconv_lab.complexity import count_cost, measure
from scconv_lab.models import CifarResNet
from scconv_lab.nn import SRU
from scconv_lab.surgery import apply_surgery
from scconv_lab.training.record import run_name
from tests.runs import Run

SPEC = dict[str, Any]


def spec(class_path: str, **init_args: Any) -> SPEC:
    return {"class_path": class_path, "init_args": init_args}


@pytest.mark.parametrize(
    ("unit", "name"),
    [
        (None, "resnet50-plain-cifar100-s0"),
        (spec("scconv_lab.nn.SRU", num_groups=4), "resnet50-sru-cifar100-s0"),
        (spec("scconv_lab.nn.ScConv", order="parallel"), "resnet50-scconv-parallel-cifar100-s0"),
        (spec("scconv_lab.nn.CRU", alpha=0.25, squeeze_ratio=2), "resnet50-cru-alpha0.25-cifar100-s0"),
    ],
)
def test_a_run_is_named_by_net_unit_data_and_seed(unit: SPEC | None, name: str) -> None:
    net, data = spec("scconv_lab.models.ResNet", depth=50, stem="cifar"), spec("scconv_lab.data.CIFAR100")
    assert run_name(net, unit, data, 0) == name


def test_a_librarys_net_goes_by_its_own_name() -> None:
    net = spec("scconv_lab.models.TimmNet", name="resnet18d", pretrained="hub")
    assert run_name(net, None, spec("scconv_lab.data.Digits"), 3) == "resnet18d-plain-digits-s3"


@pytest.fixture(scope="module")
def record(quick_run: Run) -> dict[str, Any]:
    return quick_run.wandb()


class TestRecord:
    """What the quick run left in its offline record."""

    def test_names_and_end(self, record: dict[str, Any]) -> None:
        assert record["name"] == "cifarresnet8-sru-digits-s0"
        assert record["project"] == "scconv_lab"
        assert (record["state"], record["exit_code"]) == ("finished", 0)

    def test_configuration_is_resolved(self, record: dict[str, Any]) -> None:
        config = record["config"]
        assert config["surgery"]["unit"]["class_path"] == "scconv_lab.nn.SRU"
        assert config["surgery"]["unit"]["init_args"]["gate_threshold"] == 0.5
        assert config["optimizer"]["init_args"]["momentum"] == 0.9
        assert config["experiment"] == "ablation_sru"
        assert config["seed_everything"] == 0
        assert config["preflight"] == []

    def test_code_is_named(self, record: dict[str, Any]) -> None:
        config = record["config"]
        assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?", config["git_commit"])
        assert re.fullmatch(r"[0-9a-f]{64}", config["lock_hash"])
        assert config["torch"].startswith("2.")

    def test_complexity_is_counted(self, record: dict[str, Any]) -> None:
        summary = record["summary"]
        assert summary["complexity/params"] == 78266  # ResNet-8 for 10 classes: 78,042, and 2 * (16 + 32 + 64) of SRU
        assert summary["complexity/macs"] == 781952
        assert summary["complexity/flops"] == 2 * 781952

    def test_every_count_is_a_metric_and_a_row_of_a_table(self, quick_run: Run, record: dict[str, Any]) -> None:
        net = CifarResNet(10, depth=8)
        apply_surgery(net, SRU, action="insert_after")
        cost = count_cost(net, (3, 8, 8))
        for name, value in cost.figures().items():
            assert record["summary"][f"complexity/{name}"] == value
        (file,) = quick_run.folder.rglob("cost*.table.json")
        table = json.loads(file.read_text())
        assert table["columns"] == ["part", "name", "figure", "value"]
        assert table["data"] == [list(row) for row in cost.rows()]
        (artifact,) = [row["artifact"] for row in quick_run.wandb_rows() if row["type"] == "artifact"]
        assert (artifact["name"], artifact["type"]) == (f"cost-{record['run_id']}", "cost")
        assert not [key for key in record["summary"] if key.startswith("perf/")]

    @pytest.mark.parametrize("key", ["train/loss", "val/loss", "val/acc1", "val/acc5", "test/loss", "test/acc1"])
    def test_every_epoch_is_what_the_console_printed(self, key: str, quick_run: Run) -> None:
        printed, kept = quick_run.console(key), quick_run.wandb_history(key)
        if key.startswith("test"):  # of best.ckpt, then of last.ckpt, which has another name there
            kept = [*kept, *quick_run.wandb_history(f"last/{key}")]
        assert len(printed) == (2 if key.startswith("test") else 15)
        assert kept == pytest.approx(printed, abs=5.1e-5)

    def test_surgery_is_a_table(self, quick_run: Run, record: dict[str, Any]) -> None:
        table = record["summary"]["surgery"]
        assert (table["_type"], table["nrows"], table["ncols"]) == ("table-file", 3, 6)
        (file,) = quick_run.folder.rglob("surgery*.table.json")
        assert '"layer1.0.conv2"' in file.read_text()

    def test_console_is_kept(self, record: dict[str, Any], quick_run: Run) -> None:
        kept = [entry["line"] for entry in record["console"]]
        last_epoch = next(line for line in quick_run.output.splitlines() if line.startswith("epoch 15/15"))
        assert last_epoch in kept


def test_a_fit_that_is_asked_to_measures_first_and_trains_the_same(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(workspace)
    monkeypatch.setattr(measure, "_SECONDS", 0.01)
    eager = [case for case in measure.cases(torch.device("cpu"), 64) if case.execution == "eager"]
    monkeypatch.setattr(measure, "cases", lambda device, batch_size: eager if batch_size == 64 else [])
    arguments = ["fit", "--config", "experiments/baseline.yaml", "--config", "configs/scale/quick.yaml"]
    ends = []
    for wish in ("true", "false"):
        assert main([*arguments, "--trainer.max_epochs=1", "--measure_cost", wish]) == 0
        printed = capsys.readouterr().out
        ends.append(next(line for line in printed.splitlines() if line.startswith("test  ")))
        if wish == "true":
            assert printed.startswith("cost     measuring fp32 eager inference, batch 1\n")
            assert re.search(r"^measured fp32 eager training, batch 64: P50 [\d.]+ ms, ", printed, re.M)
            run = Run(printed, workspace)
            summary = run.wandb()["summary"]
            assert summary["perf/latency_ms"] > 0
            assert summary["perf/images_per_s"] > 0
            assert summary["perf/peak_memory_mb"] > 0
            results = json.loads((run.folder / "results.json").read_text())
            assert results["perf/latency_ms"] == pytest.approx(summary["perf/latency_ms"])
            (table,) = run.folder.rglob("cost*.table.json")
            assert "fp32 eager training, batch 64" in table.read_text()
    assert ends[0] == ends[1]
