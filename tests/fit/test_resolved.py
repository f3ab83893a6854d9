import enum
from pathlib import Path

import pytest
import torch
import yaml
from jsonargparse import Namespace

from scconv_lab.cli import main
from scconv_lab.fit.resolved import with_words, without_unwritable
from tests.runs import Run

UNWRITABLE = "Unable to serialize instance <object object at 0x7f0000000000>"


class Kind(enum.Enum):
    ONE = "one"


def test_devices_and_choices_become_words() -> None:
    given = Namespace(device=torch.device("cpu"), inner=[Namespace(kind=Kind.ONE), (torch.device("meta"), 1)])
    said = with_words(given)
    assert (said.device, said.inner[0].kind, said.inner[1]) == ("cpu", "one", ("meta", 1))
    assert with_words({"a": Kind.ONE}) == {"a": "one"}


def test_what_no_text_stands_for_is_left_out() -> None:
    assert without_unwritable({"a": UNWRITABLE, "b": [1, UNWRITABLE, {"c": UNWRITABLE, "d": "x"}]}) == {
        "b": [1, {"d": "x"}]
    }


def test_the_file_of_a_run_with_averaged_weights_can_be_read_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The callback has a device as its default."""
    arguments = ["--config", "experiments/ablation_sru.yaml", "--config", "configs/scale/quick.yaml"]
    arguments += ["--trainer.callbacks+=StochasticWeightAveraging", "--trainer.callbacks.swa_lrs=0.05"]
    arguments += ["--trainer.max_epochs=1", "--trainer.limit_train_batches=2", "--trainer.limit_val_batches=1"]
    arguments += ["--final_test=false", "--trainer.logger=false", f"--trainer.default_root_dir={tmp_path}"]
    assert main(["fit", *arguments]) == 0
    config = Run(capsys.readouterr().out, tmp_path).folder / "config.yaml"
    assert "Unable to serialize" not in config.read_text()
    callback = yaml.safe_load(config.read_text())["trainer"]["callbacks"][0]
    assert callback["init_args"]["device"] == "cpu"
    assert main(["fit", "--config", str(config), "--print_config"]) == 0
