"""Every file under configs/ and experiments/ means what it says: it parses, it builds, and its numbers are counted."""

import re
from functools import cache
from itertools import product
from pathlib import Path

import pytest
import torch
import yaml

from scconv_lab.complexity import count_macs, count_params
from scconv_lab.data import Digits
from scconv_lab.models import CifarResNet
from scconv_lab.nn import READINGS, ScConv
from scconv_lab.training import Classifier
from tests.fit.unbuilt import UnbuiltCLI

ROOT = Path(__file__).parent.parent
NOUNS = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("configs/*/*.yaml"))
NETS = [path for path in NOUNS if path.startswith("configs/net/")]
UNITS = [path for path in NOUNS if path.startswith("configs/unit/")]
IMAGENET = "baseline_imagenet"
EXPERIMENTS = sorted({path.stem for path in ROOT.glob("experiments/*.yaml")} - {IMAGENET})

# what Li, Wen, He (CVPR 2023) report in Table 1 for each arm
TABLE_1 = {
    "baseline": "test/acc1 0.7860, 23.71M params, 1.30 GMAC",
    "ablation_sru": "test/acc1 0.7959, 23.53M params, 1.30 GMAC",
    "ablation_cru": "test/acc1 0.7921, 14.74M params, 843.81 MMAC",
    "ablation_parallel": "test/acc1 0.7926, 14.74M params, 843.81 MMAC",
    "ablation_cru_sru": "test/acc1 0.7954, 14.74M params, 843.81 MMAC",
    "ablation_scconv": "test/acc1 0.7989, 14.74M params, 843.81 MMAC",
}

each_experiment = pytest.mark.parametrize("experiment", EXPERIMENTS)


@pytest.fixture(scope="module")
def parse():
    """Parse files, merged in order, as `scconv-lab fit --config FILE --config FILE ...` does; each set once."""
    cli = UnbuiltCLI()

    @cache
    def parse(*files):
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(ROOT)
            return cli.parse("fit", *(word for file in files for word in ("--config", file)))

    return parse


def build(settings, *, num_classes=100, image_shape=(3, 32, 32), device="meta", **override):
    """The classifier that the command would build."""
    with torch.device(device):
        return Classifier(**(settings.model.as_dict() | override), num_classes=num_classes, image_shape=image_shape)


@pytest.fixture(scope="module")
def classifier_of(parse):
    """The classifier of an experiment, on the meta device; each built once."""
    return cache(lambda experiment: build(parse(experiment_file(experiment))))


def experiment_file(experiment):
    return f"experiments/{experiment}.yaml"


def comments(experiment):
    """The comment block that opens a file: label -> text, continued by indented lines."""
    block = re.match(r"(#.*\n)*", (ROOT / experiment_file(experiment)).read_text())[0]
    entries = re.findall(r"^# (\w+) +(.*\n(?:#   .*\n)*)", block, flags=re.MULTILINE)
    return {label: " ".join(text.replace("\n#", " ").split()) for label, text in entries}


def test_there_is_something_to_test():
    assert {"configs/hardware/gpu.yaml", "configs/data/cifar100.yaml", "configs/scale/quick.yaml"} <= set(NOUNS)
    assert set(EXPERIMENTS) == set(TABLE_1)
    assert len(NETS) >= 13
    assert len(UNITS) >= 5


@pytest.mark.parametrize("path", NOUNS)
def test_every_noun_parses_on_top_of_the_baseline_and_says_something(parse, path):
    baseline, merged = parse("experiments/baseline.yaml"), parse("experiments/baseline.yaml", path)
    assert plain(merged) == overlaid(plain(merged), yaml.safe_load((ROOT / path).read_text()))
    part_of_it = Path(path).stem in ("resnet50_cifar", "cifar100", "paper_cifar")
    assert (plain(merged) == plain(baseline)) == part_of_it


def plain(settings):
    """What was settled, without the files that it came from."""
    return {key: value for key, value in settings.as_dict().items() if key not in ("bases", "config")}


def overlaid(given, values):
    """``given`` with the values of a file put over it, key by key."""
    if not isinstance(values, dict):
        return values
    return given | {key: overlaid(given[key], value) for key, value in values.items()}


@pytest.mark.parametrize("path", NOUNS)
def test_every_noun_opens_with_what_it_is(path):
    assert re.match(r"# \w", (ROOT / path).read_text())


MATCHED = [net for net in NETS if "matched" in net]
PAIRS = {*product(set(NETS) - set(MATCHED), ["configs/unit/scconv_paper.yaml"])}
PAIRS |= {*product(["configs/net/cifar_resnet20.yaml", "configs/net/resnet50_cifar.yaml"], UNITS)}


@pytest.mark.parametrize("net", MATCHED)
def test_a_matched_net_meets_its_budget(parse, net):
    settings = parse("experiments/baseline.yaml", net)
    built = build(settings, num_classes=10 if "cifar_resnet" in net else 100).net
    assert count_params(built) == pytest.approx(settings.net.init_args.params, rel=0.01)


@pytest.mark.parametrize(("net", "unit"), sorted(PAIRS), ids=lambda path: Path(path).stem)
def test_a_net_builds_with_a_unit(parse, net, unit):
    net_spec = parse("experiments/baseline.yaml", net).model.net
    settings = parse("experiments/baseline.yaml", unit)
    report = build(settings, net=net_spec).surgery_report
    assert len(report.edits) >= 3
    assert all(edit.site.endswith(".conv2") for edit in report.edits)


@pytest.mark.parametrize("reading", READINGS)
def test_a_unit_file_is_the_reading(reading):
    surgery = yaml.safe_load((ROOT / f"configs/unit/scconv_{reading}.yaml").read_text())["surgery"]
    assert surgery["unit"] == {"class_path": "scconv_lab.nn.ScConv", "init_args": READINGS[reading]}
    assert surgery["action"] == ("insert_after" if reading == "jacky" else "replace")


@each_experiment
def test_an_experiment_opens_with_its_question(experiment):
    block = comments(experiment)
    assert list(block) == ["Question", "Command", "Hardware", "Expected", "Counted"]
    assert "?" in block["Question"]
    assert f"scconv-lab fit --config {experiment_file(experiment)}" in block["Command"]
    assert block["Expected"].startswith(TABLE_1[experiment])
    assert "Li, Wen, He, CVPR 2023, Table 1" in block["Expected"]


@each_experiment
def test_the_counted_line_is_what_the_net_has(classifier_of, experiment):
    counted = re.match(r"([\d,]+) params, ([\d,]+) MACs", comments(experiment)["Counted"])
    params, macs = (int(number.replace(",", "")) for number in counted.groups())
    net = classifier_of(experiment).net
    assert count_params(net) == params
    assert count_macs(net, (3, 32, 32)) == macs


def test_the_baseline_of_table_3(parse):
    """ImageNet, section 4: SGD, 0.1 divided by 10 every 30 of 100 epochs."""
    block = comments(IMAGENET)
    assert list(block) == ["Question", "Command", "Hardware", "Expected", "Counted"]
    assert f"scconv-lab fit --config {experiment_file(IMAGENET)}" in block["Command"]
    assert block["Expected"].startswith("test/acc1 0.7615, 25.56M params, 4.09 GMAC Li, Wen, He, CVPR 2023, Table 3")
    settings = parse(experiment_file(IMAGENET))
    classifier = build(settings, num_classes=1000, image_shape=(3, 224, 224))
    counted = f"{count_params(classifier.net):,} params, {count_macs(classifier.net, (3, 224, 224)):,} MACs"
    assert block["Counted"].startswith(counted)
    assert classifier.surgery_report is None
    assert settings.data.class_path == "scconv_lab.data.ImageFolder"
    assert settings.trainer.max_epochs == 100
    assert settings.model.optimizer["init_args"].items() >= {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4}.items()
    assert settings.model.lr_scheduler["init_args"].items() >= {"step_size": 30, "gamma": 0.1}.items()


@each_experiment
def test_an_experiment_holds_bases_and_its_surgery_alone(experiment):
    keys = list(yaml.safe_load((ROOT / experiment_file(experiment)).read_text()))
    assert keys in (["bases"], ["bases", "surgery"])


@each_experiment
def test_an_experiment_differs_from_the_baseline_in_surgery_alone(parse, experiment):
    ours, baseline = (plain(parse(experiment_file(name))) for name in (experiment, "baseline"))
    expected = set() if experiment == "baseline" else {"surgery", "model"}
    assert {key for key in ours if ours[key] != baseline[key]} == expected
    assert {key for key in ours["model"] if ours["model"][key] != baseline["model"][key]} == expected & {"surgery"}


@pytest.mark.parametrize(
    ("experiment", "unit", "action"),
    [
        ("baseline", None, "replace"),
        ("ablation_sru", "scconv_lab.nn.SRU", "insert_after"),
        ("ablation_cru", "scconv_lab.nn.CRU", "replace"),
        ("ablation_scconv", "scconv_lab.nn.ScConv", "replace"),
        ("ablation_cru_sru", "scconv_lab.nn.ScConv", "replace"),
        ("ablation_parallel", "scconv_lab.nn.ScConv", "replace"),
    ],
)
def test_the_arms(parse, classifier_of, experiment, unit, action):
    surgery = parse(experiment_file(experiment)).model.surgery
    assert (surgery["unit"] and surgery["unit"]["class_path"]) == unit
    assert surgery["sites"] == "paper"
    assert surgery["action"] == action
    report = classifier_of(experiment).surgery_report
    assert (report and len(report.edits)) == (16 if unit else None)


@pytest.mark.parametrize(
    ("experiment", "order"),
    [("ablation_scconv", "sru_cru"), ("ablation_cru_sru", "cru_sru"), ("ablation_parallel", "parallel")],
)
def test_the_ablation_of_order(parse, classifier_of, experiment, order):
    """The paper's reading in everything else."""
    given = parse(experiment_file(experiment)).model.surgery["unit"]["init_args"]
    assert given["order"] == order
    assert given.items() >= READINGS["paper"].items()
    units = [module for module in classifier_of(experiment).modules() if isinstance(module, ScConv)]
    assert [unit.order for unit in units] == 16 * [order]


def test_the_recipe_is_the_papers(parse):
    """Section 4: CIFAR-100, batch 128, SGD, 0.05 divided by 10 at epochs 100 and 150 of 200."""
    settings = parse("experiments/baseline.yaml")
    assert settings.data.class_path == "scconv_lab.data.CIFAR100"
    assert settings.data.init_args.batch_size == 128
    assert settings.trainer.max_epochs == 200
    assert settings.model.optimizer["class_path"] == "torch.optim.SGD"
    assert settings.model.optimizer["init_args"].items() >= {"lr": 0.05, "momentum": 0.9, "weight_decay": 5e-4}.items()
    assert settings.model.lr_scheduler["class_path"] == "torch.optim.lr_scheduler.MultiStepLR"
    assert settings.model.lr_scheduler["init_args"].items() >= {"milestones": [100, 150], "gamma": 0.1}.items()


@each_experiment
def test_quick_is_the_same_arm_on_digits(parse, experiment):
    full, quick = parse(experiment_file(experiment)), parse(experiment_file(experiment), "configs/scale/quick.yaml")
    assert quick.surgery == full.surgery
    assert quick.data.class_path == "scconv_lab.data.Digits"
    data = Digits(**quick.data.init_args.as_dict())
    classifier = build(quick, num_classes=data.num_classes, image_shape=data.image_shape, device="cpu")
    assert isinstance(classifier.net, CifarResNet)
    assert len(classifier.net.layer1) == 1
    report = classifier.surgery_report
    assert (report and len(report.edits)) == (None if experiment == "baseline" else 3)
    logits = classifier(torch.randn(2, *data.image_shape))
    assert logits.shape == (2, 10)
    assert logits.isfinite().all()


@pytest.mark.parametrize("path", [path for path in NOUNS if path.startswith(("configs/recipe", "configs/scale"))])
def test_every_recipe_makes_an_optimizer_and_a_schedule(parse, path):
    settings = parse("experiments/baseline.yaml", path)
    made = build(settings, net=parse("experiments/baseline.yaml", "configs/net/cifar_resnet8.yaml").model.net)
    made = made.configure_optimizers()
    assert type(made["optimizer"]).__name__ == settings.optimizer.class_path.rpartition(".")[2]
    assert type(made["lr_scheduler"]["scheduler"]).__name__ == settings.lr_scheduler.class_path.rpartition(".")[2]
