"""The command line: its speed, its answers to mistakes, and what each subcommand leaves."""

import csv
import json
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from scconv_lab.cli import COMMANDS, main
from scconv_lab.data import Digits
from scconv_lab.models import CifarResNet
from tests.full import others_in_full
from tests.nn.public import PublicScConv
from tests.runs import REPOSITORY, Command, Run, new_workspace
from tests.training.processes import start, wait

QUICK = ["--config", "configs/scale/quick.yaml"]
FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
SHORT = ["--trainer.max_epochs", "1", "--trainer.logger", "false", "--trainer.accelerator", "cpu"]
ARMS = {
    "baseline": "plain",
    "ablation_sru": "sru",
    "ablation_cru": "cru",
    "ablation_scconv": "scconv",
    "ablation_cru_sru": "scconv-cru_sru",
    "ablation_parallel": "scconv-parallel",
}


@pytest.fixture
def here(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(workspace)
    return workspace


def fit(experiment: str, *arguments: str) -> int:
    return main(["fit", "--config", f"experiments/{experiment}.yaml", *QUICK, *SHORT, *arguments])


def test_help_imports_nothing_heavy() -> None:
    program = """
import sys
from scconv_lab.cli import main
assert main(["--help"]) == 0
assert {"torch", "lightning", "wandb", "jsonargparse"}.isdisjoint(sys.modules)
"""
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert all(name in finished.stdout for name in ("fit", "validate", "test", "predict"))


def test_few_batches_are_no_cause_for_a_warning(here: Path) -> None:
    """Lightning's, that they are fewer than `log_every_n_steps`; a warning is an error in the tests."""
    logger = ["--trainer.logger=CSVLogger", "--trainer.logger.save_dir=runs"]
    assert fit("baseline", "--trainer.limit_train_batches=3", *logger) == 0


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_table_is_there(name: str) -> None:
    module, _, function = COMMANDS[name][1].partition(":")
    assert callable(getattr(import_module(f"scconv_lab.{module}"), function))


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == "scconv-lab 0.1.0\n"


@pytest.mark.parametrize("experiment", ARMS)
def test_every_arm_trains(experiment: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fit(experiment) == 0
    printed = capsys.readouterr()
    run = Run(printed.out, here)
    assert run.folder.parent.name == f"cifarresnet8-{ARMS[experiment]}-digits-s0"
    assert len(run.console("val/acc1")) == 1
    assert run.console("test/acc1")[0] > 0.1
    assert {path.name for path in (run.folder / "checkpoints").iterdir()} == {
        f"{name}.ckpt{suffix}" for name in ("best", "last") for suffix in ("", ".sha256")
    }
    assert printed.err == ""


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["--surgery.unit.num_groups", "3"],
            ["layer1.0.conv2", "`channels` (=16)", "`num_groups` (=3)", "choose one of"],
        ),
        (["--surgery.sites", "layer9.*"], ["`sites` (='layer9.*')", "near misses", "layer3.0.conv2"]),
        (["--surgery.sites", "{kernel_siz: 3}"], ["no condition 'kernel_siz'", "kernel_size"]),
        (["--surgery.sites", "{stage: 4}"], ["'stage' (=4) matches no convolution", "there are 1, 2, 3"]),
        (["--surgery.sites", "{predicate: os.sep}"], ["'predicate' (='os.sep')", "dotted path"]),
        (["--surgery.sites", "{predicate: os.system}"], ["'predicate' (='os.system')", "must be a function of a site"]),
        (
            ["--surgery.sites", "{predicate: torch.load}"],
            ["'predicate' (='torch.load') fails at conv1: AttributeError"],
        ),
        (
            ["--surgery.sites", "conv1", "--surgery.action", "replace", "--surgery.unit", "CRU"],
            ["1 of the 1 selected sites: conv1", "leave them out of `sites`"],
        ),
        (
            [f"--surgery.{key}" for key in ("sites={stride: 2}", "action=replace", "stride_policy=unit")],
            ["layer2.0.conv1", "layer3.0.conv1", "choose `stride_policy` pool_before or pool_after"],
        ),
        (["--weights", "nowhere.pth"], ["`weights` (='nowhere.pth')", "is not a file"]),
        (["--weights", "a.pth", "--ckpt_path", "b.ckpt"], ["--weights and --ckpt_path", "leave one out"]),
        (["--optimizer.lr", "-1"], ["`optimizer`", "-1"]),
        (["--lr_scheduler", "LinearLR", "--lr_scheduler.start_factor", "2"], ["`lr_scheduler`", "factor"]),
        (["--data.batch_size", "65", "--trainer.devices", "2"], ["`batch_size` (=65)", "divisible", "choose 64"]),
        (["--data.val_size", "5000"], ["`val_size` (=5000)", "1437"]),
        (["--net.depth", "9"], ["`depth` (=9)", "6n + 2"]),
        (["--data.batch_size", "-1"], ["`batch_size` (=-1)", "at least 1"]),
        (["--trainer.devices", "0"], ["trainer:", "devices"]),
        (["--net.widths", "[16, 32, 100000000000000]"], ["`net`", "cannot be built of these values"]),
        (["--model.label_smoothing", "1"], ["`label_smoothing` (=1.0)"]),
        (["--trainer.precision", "17"], ["`trainer.precision`", "17"]),
        (["--trainer.strategy", "dpp"], ["trainer:", "dpp"]),
        (["--threads", "0"], ["`threads` (=0)"]),
        (["--save_every", "0"], ["`save_every` (=0)"]),
        (["--on_nonfinite", "ignore"], ["`on_nonfinite`", "ignore"]),
        (["--resume", "nowhere"], ["--resume nowhere is not the folder of a run", "config.yaml", "auto"]),
        (["--resume", "auto", "--ckpt_path", "a.ckpt"], ["--resume finds the checkpoint", "without --ckpt_path"]),
        (["--trainer.use_distributed_sampler", "true"], ["use_distributed_sampler", "leave it out"]),
        (["--data", "CIFAR10", "--data.download", "false", "--data.root", "nowhere"], ["nowhere", "download"]),
        (["--ckpt_path", "nowhere.ckpt"], ["nowhere.ckpt is not there"]),
        (["--ckpt_path", "configs/scale/quick.yaml"], ["quick.yaml is not a readable checkpoint"]),
        (["--config", "configs/scale/quik.yaml"], ["quik.yaml", "did you mean 'configs/scale/quick.yaml'"]),
        (["--trainer.max_epoch", "2"], ["'trainer.max_epoch'", "'trainer.max_epochs'"]),
    ],
    ids=lambda value: "-".join(value)[:40],
)
def test_a_mistake_gets_one_message_and_leaves_nothing(
    arguments: list[str], expected: list[str], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = set(here.glob("runs/*/*"))
    assert fit("ablation_sru", *arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("scconv-lab: error: ")
    assert error.count("\n") == 1
    assert not [part for part in expected if part not in error]
    assert set(here.glob("runs/*/*")) == before


def test_a_message_is_one_line_that_can_be_read(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fit("baseline", "--config", "\x1b[31m\n\x00größe " + 5000 * "x") == 2
    error = capsys.readouterr().err
    assert error.startswith("scconv-lab: error: --config names \\x1b[31m \\x00größe xxx")
    assert " [...] xxx" in error
    assert error.count("\n") == 1
    assert len(error) < 900


@pytest.mark.skipif(not FASHION_MNIST.is_dir(), reason="needs Debian's package dataset-fashion-mnist")
def test_another_data_set_by_its_class(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    limits = [f"--trainer.limit_{stage}_batches=0.02" for stage in ("train", "val", "test")]
    assert fit("ablation_sru", "--data", "scconv_lab.data.FashionMNIST", *limits) == 0
    run = Run(capsys.readouterr().out, here)
    assert run.folder.parent.name == "cifarresnet8-sru-fashionmnist-s0"
    assert "image of 3 x 28 x 28" in run.output


def test_unknown_command_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fti"]) == 2
    assert capsys.readouterr().err == "scconv-lab: error: there is no command 'fti'; did you mean 'fit'?\n"


@pytest.mark.parametrize("name", ["validate", "test", "predict"])
def test_evaluation_without_weights_is_refused(name: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--config", "experiments/baseline.yaml", *QUICK]) == 2
    assert f"{name} needs the weights to evaluate: --ckpt_path" in capsys.readouterr().err


def test_conditions_and_policies_reach_the_surgery(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sites = "{all: [{kernel_size: 3}, {not: {stage: 3}}], in_channels: [16, 64], every: 2}"
    policies = ["--surgery.channel_policy", "project_after", "--surgery.stride_policy", "pool_after"]
    assert fit("ablation_cru", "--surgery.sites", sites, *policies) == 0
    run = Run(capsys.readouterr().out, here)
    table = [line.split() for line in run.output.splitlines() if line.strip().startswith("layer")]
    assert [words[0] for words in table] == ["layer1.0.conv1", "layer2.0.conv1"]
    assert "CRU -> AvgPool2d -> Conv2d(16, 32, 1x1)" in run.output


def test_a_mapping_of_sites_replaces_the_one_before(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, sites in {"first": "{kernel_size: 3, stage: [1, 2]}", "second": "{stage: 3, stride: 1}"}.items():
        (here / f"{name}.yaml").write_text(f"surgery:\n  sites: {sites}\n")
    assert fit("ablation_sru", "--config", str(here / "first.yaml"), "--config", str(here / "second.yaml")) == 0
    assert "SRU insert_after at 1 site," in capsys.readouterr().out


def test_a_fit_warns_of_what_spoils_it(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fit("ablation_scconv", "--surgery.unit.gate_mode", "hard", "--surgery.sites", "{kernel_size: 1}") == 0
    run = Run(capsys.readouterr().out, here)
    warnings = [line for line in run.output.splitlines() if line.startswith("warning  ")]
    assert [" ".join(line.split()[1:3]) for line in warnings] == [
        "no gradient",
        "the replacement",
        "`lr_scheduler` (CosineAnnealingLR)",  # whose length is that of 15 epochs
    ]
    assert max(map(len, run.output.split("epoch 1/1")[0].splitlines())) <= 120


def test_a_public_checkpoint_is_evaluated_and_trained_further(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = CifarResNet(10, depth=8)
    for stage, channels in enumerate((16, 32, 64), start=1):
        net.set_submodule(f"layer{stage}.0.conv2", PublicScConv(channels, "cheng_haha"))
    torch.save({"state_dict": net.state_dict()}, here / "public.pth")
    arguments = ["--config", "experiments/ablation_scconv.yaml", "--config", "configs/unit/scconv_cheng_haha.yaml"]
    arguments += [*QUICK, "--weights", str(here / "public.pth")]
    assert main(["test", *arguments]) == 0
    tested = re.search(r"test/loss (\S+)", capsys.readouterr().out)
    assert tested
    data = Digits(batch_size=360)
    data.prepare_data()
    data.setup("test")
    images, labels = next(iter(data.test_dataloader()))
    with torch.no_grad():
        loss = torch.nn.functional.cross_entropy(net.eval()(images), labels)
    assert float(tested[1]) == pytest.approx(loss.item(), abs=2e-3)
    assert main(["fit", *arguments, *SHORT]) == 0
    assert "test/acc1" in capsys.readouterr().out


def test_a_defect_keeps_its_traceback(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ValueError("a defect of ours")

    monkeypatch.setattr("scconv_lab.training.classifier.Classifier.training_step", broken)
    with pytest.raises(ValueError, match="a defect of ours"):
        fit("baseline")


def test_a_run_repeats_from_its_own_config(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fit("ablation_scconv", "--seed_everything", "3")
    first = Run(capsys.readouterr().out, here)
    assert main(["fit", "--config", str(first.folder / "config.yaml")]) == 0
    second = Run(capsys.readouterr().out, here)
    assert second.folder != first.folder
    assert (second.folder / "config.yaml").read_text() == (first.folder / "config.yaml").read_text()
    assert second.console("val/loss") == first.console("val/loss")


def test_csv_logger(here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fit("ablation_cru", "--trainer.logger", "CSVLogger", "--trainer.logger.save_dir", str(tmp_path)) == 0
    run = Run(capsys.readouterr().out, here)
    (metrics,) = tmp_path.rglob("metrics.csv")
    values = {
        key: value for row in csv.DictReader(metrics.read_text().splitlines()) for key, value in row.items() if value
    }
    assert float(values["complexity/macs"]) == 428672
    assert float(values["test/acc1"]) == pytest.approx(run.console("test/acc1")[0], abs=1e-4)
    (hparams,) = tmp_path.rglob("hparams.yaml")
    assert "git_commit" in hparams.read_text()


class TestEvaluation:
    """The quick run's checkpoint, evaluated again."""

    def arguments(self, run: Run) -> list[str]:
        checkpoint = str(run.folder / "checkpoints/best.ckpt")
        return ["--config", str(run.folder / "config.yaml"), "--ckpt_path", checkpoint, "--trainer.logger", "false"]

    def test_test_repeats_the_final_test(self, quick_run: Run, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["test", *self.arguments(quick_run)]) == 0
        again = Run(f"{capsys.readouterr().out}\nfolder .", here)
        assert again.console("test/acc1") == quick_run.console("test/acc1")[:1]
        figures = json.loads((quick_run.folder / "test-best.json").read_text())
        assert figures["test/acc1"] == pytest.approx(quick_run.console("test/acc1")[0], abs=5.1e-5)
        assert figures["weights"].endswith("best.ckpt")

    def test_a_checkpoint_that_cannot_be_verified_is_said(
        self, quick_run: Run, here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        copy = tmp_path / "copy.ckpt"
        copy.write_bytes((quick_run.folder / "checkpoints/best.ckpt").read_bytes())
        arguments = self.arguments(quick_run)
        arguments[arguments.index("--ckpt_path") + 1] = str(copy)
        assert main(["validate", *arguments, "--trainer.default_root_dir", str(tmp_path / "runs")]) == 0
        output = capsys.readouterr().out
        assert f"warning  {copy} has no checksum next to it" in output
        assert Path(output.split()[-1]).is_relative_to(tmp_path / "runs" / "evaluations")

    def test_validate_repeats_the_best_epoch(
        self, quick_run: Run, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["validate", *self.arguments(quick_run)]) == 0
        again = Run(f"{capsys.readouterr().out}\nfolder .", here)
        assert again.console("val/acc1") == [max(quick_run.console("val/acc1"))]

    def test_predict_of_some_batches_names_the_first_samples(
        self, quick_run: Run, here: Path, command: Command
    ) -> None:
        """Each in its own process: where scikit-learn was imported before Lightning, typing reads 1 as 1.0, so all."""
        written = []
        for limit in ([], ["--trainer.limit_predict_batches", "1"], ["--trainer.limit_predict_batches", "0.5"]):
            finished = command("predict", *self.arguments(quick_run), *limit)
            assert (finished.returncode, finished.stderr) == (0, "")
            written.append((here / finished.stdout.split()[-1]).read_text().splitlines())
        everything, one, half = written
        assert one == everything[: 1 + 64]
        assert half == everything[: 1 + 2 * 64]

    def test_predict_writes_each_sample_once(
        self, quick_run: Run, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["predict", *self.arguments(quick_run)]) == 0
        path = here / capsys.readouterr().out.split()[-1]
        assert path == quick_run.folder / "predictions-best.csv"
        rows = list(csv.DictReader(path.read_text().splitlines()))
        assert len({int(row["sample"]) for row in rows}) == len(rows) == 240
        for row in rows:
            probabilities = {str(digit): float(row[f"p({digit})"]) for digit in range(10)}
            assert sum(probabilities.values()) == pytest.approx(1, abs=1e-4)
            assert row["prediction"] == max(probabilities, key=lambda digit: probabilities[digit])
        hits = sum(row["label"] == row["prediction"] for row in rows)
        assert hits / len(rows) == pytest.approx(max(quick_run.console("val/acc1")), abs=1e-4)

    @pytest.mark.parametrize(("split", "images"), [("test", 360), ("train", 1197)])
    def test_predict_of_another_split(
        self, split: str, images: int, quick_run: Run, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["predict", *self.arguments(quick_run), "--split", split]) == 0
        path = here / capsys.readouterr().out.split()[-1]
        assert path == quick_run.folder / f"predictions-best-{split}.csv"
        rows = list(csv.DictReader(path.read_text().splitlines()))
        assert len({int(row["sample"]) for row in rows}) == len(rows) == images
        if split == "test":
            hits = sum(row["label"] == row["prediction"] for row in rows)
            assert hits / len(rows) == pytest.approx(quick_run.console("test/acc1")[0], abs=1e-4)

    def test_predict_of_a_folder_of_images(
        self, quick_run: Run, here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Eight times as large as the net's images; with a folder inside, and a file that is no image."""
        pictures, labels = load_digits(return_X_y=True)
        (tmp_path / "pictures/more").mkdir(parents=True)
        (tmp_path / "pictures/notes.txt").write_text("no image")
        truth = {}
        for index in range(20):
            name = f"{'more/' if index % 2 else ''}{index}.png"
            grey = (pictures[index].reshape(8, 8) / 16 * 255).astype("uint8")
            Image.fromarray(grey).resize((64, 64)).save(tmp_path / "pictures" / name)
            truth[name] = str(labels[index])
        assert main(["predict", *self.arguments(quick_run), "--images", str(tmp_path / "pictures")]) == 0
        path = here / capsys.readouterr().out.split()[-1]
        assert path == quick_run.folder / "predictions-best-pictures.csv"
        rows = list(csv.DictReader(path.read_text().splitlines()))
        assert {row["sample"] for row in rows} == {*truth}
        assert {row["label"] for row in rows} == {""}
        assert sum(row["prediction"] == truth[row["sample"]] for row in rows) > 12

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["--images", "none"], "--images none must be a folder of images; it is not there"),
            (["--images", "empty"], "--images empty holds no image"),
            (["--images", "empty", "--split", "test"], "--images empty and --split test are two sets of images"),
            (["--split", "valid"], "`split`: Expected one of ['val', 'train', 'test']. Got value: valid"),
        ],
    )
    def test_what_cannot_be_predicted(
        self, words: list[str], message: str, quick_run: Run, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (here / "empty").mkdir(exist_ok=True)
        assert main(["predict", *self.arguments(quick_run), *words]) == 2
        assert message in capsys.readouterr().err

    def test_test_says_how_each_class_does(
        self, quick_run: Run, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["test", *self.arguments(quick_run)]) == 0
        assert "classes  " in capsys.readouterr().out
        figures = json.loads((quick_run.folder / "test-best.json").read_text())
        table = list(csv.reader((quick_run.folder / "confusion-best.csv").read_text().splitlines()))
        counts = [[int(count) for count in row[1:]] for row in table[1:]]
        assert table[0] == ["label", *map(str, range(10))]
        assert sum(map(sum, counts)) == 360
        assert sum(counts[digit][digit] for digit in range(10)) / 360 == pytest.approx(figures["test/acc1"])
        by_class = figures["acc1 by class"]
        assert [by_class[str(digit)] for digit in range(10)] == pytest.approx(
            [counts[digit][digit] / sum(counts[digit]) for digit in range(10)]
        )
        with Image.open(quick_run.folder / "confusion-best.png") as picture:
            assert min(picture.size) > 300

    def test_another_net_is_refused(self, quick_run: Run, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["test", *self.arguments(quick_run), "--net.depth", "14"]) == 2
        error = capsys.readouterr().err
        assert "net.init_args.depth is 8 there and 14 here" in error

    def test_another_learning_rate_is_refused_for_training_alone(
        self, quick_run: Run, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        arguments = [*self.arguments(quick_run), "--optimizer.lr", "0.7"]
        assert main(["validate", *arguments]) == 0
        assert main(["fit", *arguments]) == 2
        assert "optimizer.init_args.lr is 0.1 there and 0.7 here" in capsys.readouterr().err

    @pytest.mark.parametrize("val_size", [241, 1])
    def test_two_processes_count_as_one_does(
        self, val_size: int, quick_run: Run, here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        arguments = ["validate", *self.arguments(quick_run), "--data.val_size", str(val_size)]
        two = start([*arguments, "--trainer.devices", "2", "--trainer.accelerator", "cpu"], tmp_path, processes=2)
        assert wait(two, timeout=240) == [0, 0], (tmp_path / "errors-0.txt").read_text()
        assert main(arguments) == 0
        one = Run(f"{capsys.readouterr().out}\nfolder .", here)
        shared = Run(f"{(tmp_path / 'output-0.txt').read_text()}\nfolder .", here)
        assert shared.console("val/acc1") == one.console("val/acc1")
        assert shared.console("val/acc5") == one.console("val/acc5")
        assert shared.console("val/loss") == pytest.approx(one.console("val/loss"), abs=2e-4)


@pytest.mark.slow
@pytest.mark.parametrize("experiment", others_in_full(ARMS, "ablation_parallel"))
def test_every_arm_trains_on_two_processes(experiment: str, tmp_path: Path) -> None:
    """README's command of two processes starts the second one itself; these are started beside each other."""
    here = new_workspace(tmp_path / "workspace")
    arguments = ["fit", "--config", f"experiments/{experiment}.yaml", *QUICK, *SHORT]
    arguments += ["--config", "configs/hardware/ddp_cpu.yaml", "--trainer.devices", "2"]
    codes = wait(start(arguments, here, processes=2), timeout=240)
    assert codes == [0, 0], (here / "errors-0.txt").read_text()
    run = Run((here / "output-0.txt").read_text(), here)
    assert len(run.console("val/acc1")) == 1
    assert run.console("test/acc1")[0] > 0.1


@pytest.mark.slow
@pytest.mark.full
@pytest.mark.skipif(not FASHION_MNIST.is_dir(), reason="needs Debian's package dataset-fashion-mnist")
def test_resnet20_learns_fashion_mnist(command: Command, here: Path) -> None:
    """Minutes: three epochs of 55,000 images."""
    arguments = ["fit", "--config", "experiments/baseline.yaml", "--config", "configs/scale/small.yaml"]
    finished = command(*arguments, "--trainer.logger", "false", timeout=3600, OMP_NUM_THREADS="2")
    assert finished.returncode == 0, finished.stderr
    assert Run(finished.stdout, here).console("test/acc1")[0] > 0.88


def test_repository_is_what_the_tests_import() -> None:
    import scconv_lab

    assert Path(scconv_lab.__file__).is_relative_to(REPOSITORY)
