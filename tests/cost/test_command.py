"""`scconv-lab cost`: its words, its output in three formats, and what a mistake gets."""

import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scconv_lab.cli import main
from scconv_lab.complexity import measure as measure_module
from tests.runs import REPOSITORY

QUICK = ["--config", "experiments/ablation_scconv.yaml", "--config", "configs/scale/quick.yaml"]
FIGURES = {"count", "params", "macs", "pointwise", "normalisation", "reductions", "bytes_moved", "least_bytes"}


@pytest.fixture(autouse=True)
def in_workspace(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace)
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def cost(capsys: pytest.CaptureFixture[str]):
    """Run the command; give what it prints."""

    def run(*arguments: str) -> str:
        assert main(["cost", *arguments]) == 0
        return capsys.readouterr().out

    return run


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]):
    """Run the command, which must exit with 2, one line on stderr and nothing on stdout; give the line."""

    def run(*arguments: str) -> str:
        assert main(["cost", *arguments]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("scconv-lab: error: ")
        assert captured.err.count("\n") == 1
        return captured.err

    return run


def test_the_table(cost):
    printed = cost(*QUICK)
    lines = printed.splitlines()
    assert lines[0] == "net       CifarResNet, ScConv replace at 3 sites, -38,304 params"
    assert "params    39,738, all trainable" in lines
    assert "MACs      428,672 = 857,344 FLOPs" in lines
    assert re.search(r"^convolution +428,032 +428,032 +\+0 *$", printed, re.M)
    assert re.search(r"^biases +0 +1,802 +\+1,802 +\(1\)$", printed, re.M)
    assert "(1) torchinfo counts one for each value that a bias is added to" in lines
    assert re.search(r"^ScConv\.sru +3 +224 +0 ", printed, re.M)
    assert lines[-1].startswith("measured  not asked for; --device cpu")
    assert max(map(len, lines)) <= 100
    assert "…" not in printed


def test_tables_are_not_cut_at_80_columns(cost):
    for config in ("configs/net/resnet50.yaml", "configs/net/wrn28_10.yaml"):
        printed = cost("--config", "experiments/ablation_scconv.yaml", "--config", config, "--input-size", "3,224,224")
        assert "…" not in printed


def test_json_and_csv_say_the_same(cost):
    document = json.loads(cost(*QUICK, "--format", "json"))
    assert document["net"] == "CifarResNet"
    assert document["surgery"] == "ScConv replace at 3 sites, -38,304 params"
    assert document["image_shape"] == [3, 8, 8]
    assert document["counted"]["macs"] == 428_672
    assert document["measured"] is None
    assert [set(unit) - {"unit"} for unit in document["units"]] == 3 * [FIGURES]
    rows = list(csv.DictReader(io.StringIO(cost(*QUICK, "--format", "csv"))))
    assert list(rows[0]) == ["part", "name", "figure", "value"]
    found = {(row["part"], row["name"], row["figure"]): float(row["value"]) for row in rows}
    assert {key[2]: value for key, value in found.items() if key[0] == "counted"} == document["counted"]
    for unit in document["units"]:
        assert {key[2]: value for key, value in found.items() if key[1] == unit["unit"] and key[0] == "units"} == {
            figure: unit[figure] for figure in FIGURES
        }


def test_keys_and_image_change_the_net_as_in_fit(cost):
    plain = json.loads(cost(*QUICK, "--format", "json"))
    wider = json.loads(cost(*QUICK, "--surgery.unit.alpha=0.75", "--input-size=3,16,16", "--format=json"))
    assert wider["counted"]["params"] > plain["counted"]["params"]
    assert wider["image_shape"] == [3, 16, 16]
    assert wider["counted"]["macs"] > 4 * plain["counted"]["macs"]


def test_layers_are_torchinfos(cost):
    printed = cost(*QUICK, "--layers")
    assert "Total params: 39,738" in printed
    assert "Total mult-adds (k): 431.37" in printed or "Total mult-adds (M): 0.43" in printed
    assert re.search(r"ScConv \(conv2\) +\[1, 16, 8, 8\] ", printed)
    assert re.search(r"SRU \(sru\) +\[1, 16, 8, 8\] +32 +32", printed)
    rows = json.loads(cost(*QUICK, "--layers", "--format", "json"))
    assert rows[1] == {
        "depth": 1,
        "name": "conv1",
        "type": "Conv2d",
        "output_size": "1x16x8x8",
        "params": 432,
        "mult_adds": 27_648,
    }


def test_measured_figures_follow(cost, monkeypatch, capsys):
    monkeypatch.setattr(measure_module, "_SECONDS", 0.01)
    everything = measure_module.cases
    monkeypatch.setattr(
        measure_module, "cases", lambda *where: [case for case in everything(*where) if case.execution == "eager"]
    )
    monkeypatch.setattr("scconv_lab.cost.experiment.cases", measure_module.cases)
    assert main(["cost", *QUICK, "--device", "cpu", "--batch-size", "4"]) == 0
    captured = capsys.readouterr()
    assert re.search(r"^fp32 eager inference +1 ", captured.out, re.M)
    assert re.search(r"^fp32 eager training +4 ", captured.out, re.M)
    assert "…" not in captured.out
    assert "reference backend" in captured.out
    assert captured.err.splitlines()[0] == "measuring fp32 eager inference, batch 1 ..."
    document = json.loads(cost(*QUICK, "--device", "cpu", "--batch-size", "4", "--format", "json"))
    rows = document["measured"]["cases"]
    assert [(row["step"], row["batch_size"]) for row in rows[:3]] == [
        ("inference", 1),
        ("inference", 4),
        ("training", 4),
    ]
    assert all(row["p95_ms"] >= row["p50_ms"] > 0 and row["peak_memory_mb"] > 0 and row["runs"] >= 10 for row in rows)
    assert document["measured"]["device"].endswith("1 thread")
    assert document["counted"]["macs"] == 428_672
    tidy = cost(*QUICK, "--device", "cpu", "--batch-size", "4", "--format", "csv")
    assert '\nmeasured,"fp32 eager training, batch 4",p50_ms,' in tidy


def test_a_librarys_net_without_meta_weights_is_built(cost):
    document = json.loads(
        cost(
            *QUICK,
            *("--config", "configs/net/torchvision.yaml", "--net.name", "regnet_y_400mf"),
            *("--surgery.sites", "{kernel_size: 3, groups: 1, in_channels: [16, 64]}"),
            *("--input-size", "3,64,64", "--format", "json", "--surgery.unit", "null"),
        )
    )
    assert document["counted"]["params"] > 3e6


def test_resnet_50_is_counted_in_a_process_of_its_own(command):
    """Some 7 s of an idle core, imports included; a count that runs the net would be ended by the time limit."""
    words = ["cost", "--config", "experiments/ablation_scconv.yaml", "--config", "configs/net/resnet50.yaml"]
    finished = command(*words, "--input-size", "3,224,224", timeout=120, OMP_NUM_THREADS="1")
    assert "MACs      2,610,159,616" in finished.stdout
    assert (finished.returncode, finished.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "cost needs --config FILE, such as --config experiments/ablation_sru.yaml, or --paper"),
        ([*QUICK, "--input-size", "3,512"], "--input-size 3,512 must be channels, height and width, such as 3,224,224"),
        ([*QUICK, "--input-size", "3,0,8"], "--input-size 3,0,8 must be channels, height and width"),
        ([*QUICK, "--input-size", "3,8,x"], "--input-size 3,8,x must be channels, height and width"),
        ([*QUICK, "--input-size", "1,8,8"], "CifarResNet cannot take the image of --input-size 1,8,8 (Invalid channel"),
        ([*QUICK, "--device", "tpu"], "--device tpu is not known; choose cpu, cuda, or cuda:1 and so on"),
        ([*QUICK, "--format", "xml"], "invalid choice: 'xml' (choose from"),
        ([*QUICK, "--format"], "--format: expected one argument"),
        ([*QUICK, "--batch-size", "4"], "--batch-size is for what is measured; name the device too"),
        ([*QUICK, "--batch-size", "0", "--device", "cpu"], "--batch-size 0 must be at least 1"),
        ([*QUICK, "--batch-size", "x", "--device", "cpu"], "--batch-size: invalid int value: 'x'"),
        ([*QUICK, "--layer"], "there is no key 'layer'"),
        (["--config", "experiments/ablation.yaml"], "experiments/ablation.yaml, which is not there"),
        ([*QUICK, "--surgery.unit.alpha", "2"], "`alpha` (=2.0) must lie between 0 and 1"),
        (["--paper", *QUICK], "--paper is a table of its own, and takes no --config"),
        (["--paper", "--layers"], "--paper is a table of its own, and takes no --layers"),
        (["--paper", "--seed-table"], "--paper is a table of its own, and takes no --seed-table"),
        (["--seed-table", "--input-size", "3,8,8"], "--seed-table is a table of its own, and takes no --input-size"),
    ],
    ids=lambda value: " ".join(value[-2:]) if isinstance(value, list) else "",
)
def test_a_mistake_gets_one_message(refused, arguments, message):
    assert message in refused(*arguments)


def test_a_gpu_that_is_not_there(refused, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert "--device cuda: torch finds no CUDA device here; choose cpu" in refused(*QUICK, "--device", "cuda")


def test_an_image_of_the_data_that_the_net_cannot_take(refused):
    vit = ["--config", "configs/net/timm.yaml", "--net.name", "test_vit", "--surgery.unit", "null"]
    message = refused(*QUICK, *vit)
    assert "TimmNet cannot take the image of `data`" in message
    assert "it is 3,8,8, and --input-size C,H,W gives another" in message


def test_help_is_quick_and_names_every_option(capsys):
    assert main(["cost", "--help"]) == 0
    printed = capsys.readouterr().out
    for option in ("config", "paper", "seed-table", "input-size", "device", "batch-size", "layers", "format"):
        assert f"--{option}" in printed
    program = """
import sys
from scconv_lab.cost.command import run
try:
    run(["--help"])
except SystemExit:
    print("torch" in sys.modules)
"""
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=REPOSITORY)
    assert finished.stdout.splitlines()[-1] == "False"


def test_a_reader_that_leaves_early_gets_no_traceback(workspace):
    line = f"scconv-lab cost {' '.join(QUICK)} --layers | head -1"
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    finished = subprocess.run(["bash", "-c", line], cwd=workspace, env=environment, capture_output=True, text=True)
    assert finished.stdout.startswith("====")
    assert finished.stderr == ""
