"""What is kept of each test image, on one process and on two."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from scconv_lab.data import IGNORE_INDEX
from scconv_lab.training.per_image import columns, figures_of, label_hash, write_predictions
from tests.runs import Command, Run

LOGITS = torch.tensor(
    [[2.0, 1.0, 0.0, -1.0, -2.0, -3.0], [0.0, 0.0, 5.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0, 0.0, 9.0]]
)
LABELS = torch.tensor([5, 2, IGNORE_INDEX])


def test_columns_are_what_the_probabilities_say() -> None:
    found = {name: values.numpy() for name, values in columns(LOGITS, LABELS).items()}
    p = LOGITS.softmax(dim=1).numpy()
    assert found["label"].tolist() == [5, 2, IGNORE_INDEX]
    assert found["prediction"].tolist() == [0, 2, 5]
    assert found["confidence"] == pytest.approx(p.max(axis=1))
    assert found["log_p_label"][:2] == pytest.approx(np.log([p[0, 5], p[1, 2]]), rel=1e-5)
    assert found["top5"][:2].tolist() == [False, True]
    assert found["sum_p2"] == pytest.approx((p**2).sum(axis=1))


def test_brier_is_the_squared_distance_from_the_truth() -> None:
    found = {name: values.numpy()[:2] for name, values in columns(LOGITS, LABELS).items()}
    truth = np.eye(6)[[5, 2]]
    known = ((LOGITS[:2].softmax(dim=1).numpy() - truth) ** 2).sum(axis=1).mean()
    assert figures_of(found) == {"test/brier": pytest.approx(known)}
    assert figures_of({}) == {}


def test_more_classes_than_int16_holds() -> None:
    assert columns(torch.zeros(1, 40_000), torch.tensor([39_999]))["label"].tolist() == [39_999]


def test_a_file_of_the_same_values_has_the_same_bytes(tmp_path: Path) -> None:
    found = {name: values.numpy() for name, values in columns(LOGITS, LABELS).items()}
    for name in "ab":
        write_predictions(tmp_path / name, {"last": found})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    with np.load(tmp_path / "a") as arrays:
        assert set(arrays) == {"label", *(f"last.{name}" for name in found if name != "label")}


def test_a_test_set_is_named_by_its_labels_in_their_order() -> None:
    labels = np.array([3, 1, 2], dtype=np.int16)
    assert label_hash(labels) == label_hash(labels.astype(np.int64)) != label_hash(labels[::-1])


class TestFit:
    """The quick run."""

    def test_it_tests_the_best_checkpoint_and_the_last(self, quick_run: Run) -> None:
        results = json.loads((quick_run.folder / "results.json").read_text())
        assert results["test/acc1"] == results["best"]["test/acc1"]
        assert quick_run.console("test/acc1") == [round(results[name]["test/acc1"], 4) for name in ("best", "last")]
        assert quick_run.output.count("(best.ckpt)") == quick_run.output.count("(last.ckpt)") == 1

    def test_the_file_agrees_with_the_figures(self, quick_run: Run) -> None:
        results = json.loads((quick_run.folder / "results.json").read_text())
        with np.load(quick_run.folder / "predictions.npz") as arrays:
            assert results["test_images"] == len(arrays["label"]) == 360
            assert results["test_labels"] == label_hash(arrays["label"])
            for name in ("best", "last"):
                figures = results[name]
                assert np.mean(arrays[f"{name}.prediction"] == arrays["label"]) == pytest.approx(figures["test/acc1"])
                assert np.mean(arrays[f"{name}.top5"]) == pytest.approx(figures["test/acc5"])
                assert -np.mean(arrays[f"{name}.log_p_label"]) == pytest.approx(figures["test/loss"], rel=1e-5)
                assert 0 < figures["test/brier"] < 2

    def test_wandb_has_both(self, quick_run: Run) -> None:
        results = json.loads((quick_run.folder / "results.json").read_text())
        summary = quick_run.wandb()["summary"]
        assert summary["test/acc1"] == pytest.approx(results["best"]["test/acc1"])
        assert summary["last/test/acc1"] == pytest.approx(results["last"]["test/acc1"])

    def test_it_says_what_it_was_made_of(self, quick_run: Run) -> None:
        results = json.loads((quick_run.folder / "results.json").read_text())
        known = {"seed": 0, "arm": None, "experiment": "ablation_sru", "data": "Digits", "device": "cpu"}
        known |= {"precision": "32-true", "processes": 1, "epochs": 15, "torch": str(torch.__version__)}
        assert {key: results[key] for key in known} == known
        assert results["seconds"] > 0
        accuracies = quick_run.console("val/acc1")
        assert accuracies[results["best_epoch"] - 1] == max(accuracies)


def test_without_validation_images_only_the_last_is_tested(command: Command, workspace: Path) -> None:
    arguments = ["fit", "--config", "experiments/baseline.yaml", "--config", "configs/scale/quick.yaml"]
    finished = command(*arguments, "--trainer.max_epochs=1", "--data.val_size=0", "--trainer.logger=false")
    assert (finished.returncode, finished.stderr) == (0, "")
    run = Run(finished.stdout, workspace)
    results = json.loads((run.folder / "results.json").read_text())
    assert "best" not in results
    assert results["best_epoch"] is None
    assert results["test/acc1"] == results["last"]["test/acc1"]


@pytest.mark.slow
def test_two_processes_keep_what_one_does(command: Command, workspace: Path) -> None:
    """The checkpoints of a run on two, tested by it and again by one process: the same images in the same order."""
    arguments = ["fit", "--config", "experiments/baseline.yaml", "--config", "configs/scale/quick.yaml"]
    short = ["--trainer.max_epochs=2", "--trainer.logger=false"]
    finished = command(*arguments, "--config", "configs/hardware/ddp_cpu.yaml", *short)
    assert finished.returncode == 0, finished.stderr
    run = Run(finished.stdout, workspace)
    results = json.loads((run.folder / "results.json").read_text())
    assert (results["processes"], results["test_images"]) == (2, 360)
    with np.load(run.folder / "predictions.npz") as arrays:
        right = arrays["last.prediction"] == arrays["label"]
        assert np.mean(right) == pytest.approx(results["last"]["test/acc1"])
        assert label_hash(arrays["label"]) == results["test_labels"]
    one = command(*arguments, *short)
    with np.load(Run(one.stdout, workspace).folder / "predictions.npz") as arrays:
        assert label_hash(arrays["label"]) == results["test_labels"]
