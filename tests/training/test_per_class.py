"""Accuracies by class, and a confusion matrix as file and picture."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scconv_lab.training.per_class import accuracies_of, confusion_of, draw_confusion, write_confusion

FOUND = {"label": np.array([0, 0, 1, 1, 1], dtype=np.int16), "prediction": np.array([0, 2, 1, 1, 0], dtype=np.int16)}
COUNTS = np.array([[1, 0, 1], [1, 2, 0], [0, 0, 0]])


def test_rows_are_labels() -> None:
    assert confusion_of(FOUND, 3).tolist() == COUNTS.tolist()


def test_a_class_without_images_has_no_accuracy() -> None:
    assert accuracies_of(COUNTS) == [0.5, pytest.approx(2 / 3), None]


def test_the_file_names_the_classes(tmp_path: Path) -> None:
    write_confusion(tmp_path / "x.csv", COUNTS, ["cat", "dog, small", "cow"])
    assert (tmp_path / "x.csv").read_text().splitlines()[:2] == ['label,cat,"dog, small",cow', "cat,1,0,1"]


@pytest.mark.parametrize("classes", [3, 200])
def test_the_picture_is_readable_and_has_an_end(tmp_path: Path, classes: int) -> None:
    confusion = np.zeros((classes, classes), dtype=int)
    confusion[:3, :3] = COUNTS
    assert draw_confusion(tmp_path / "x.png", confusion, [f"class {index}" for index in range(classes)], "title")
    with Image.open(tmp_path / "x.png") as picture:
        assert max(picture.size) < 2000


def test_without_matplotlib_there_is_no_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert not draw_confusion(tmp_path / "x.png", COUNTS, ["a", "b", "c"], "title")
    assert not (tmp_path / "x.png").exists()
