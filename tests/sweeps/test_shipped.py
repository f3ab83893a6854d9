"""Every shipped sweep resolves and builds, full and small, and shares with the others what they have in common."""

import os
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from scconv_lab.complexity import count_cost, count_params
from scconv_lab.cost.paper_rows import ROWS
from scconv_lab.errors import UserError
from scconv_lab.fit.dry import build_classifier, build_data
from scconv_lab.grid.expand import contrasts_of, expand, select
from scconv_lab.grid.file import read_sweep
from scconv_lab.nn import CRU
from scconv_lab.sweeps.resolve import Run, require_buildable, resolve
from scconv_lab.training import Classifier
from scconv_lab.verdicts.power import detectable, seeds_for
from tests.runs import REPOSITORY

QUICK = "configs/scale/quick.yaml"
TABLE_2 = ("ResNet-56", "ResNet-50", "ResNeXt-29", "WRN-28-10", "DenseNet-121")
EIGHTHS = [eighth / 8 for eighth in range(1, 8)]
ARMS = {
    "table1": ["plain", "S", "C", "C&S", "C+S", "S+C"],
    "alpha": [f"alpha={alpha}" for alpha in EIGHTHS],
    "squeeze_groups": [f"squeeze_ratio={ratio} groups={groups}" for ratio in (1, 2, 4) for groups in (1, 2, 4)],
    "gate_threshold": [f"gate_threshold={threshold}" for threshold in (0.4, 0.495, 0.5, 0.505, 0.6)],
    "num_groups": [f"num_groups={groups}" for groups in (1, 2, 4, 8, 16)],
    "readings": ["paper", "cheng_haha", "jacky", "jacky-replace"],
    "fusion": ["C fusion=pairwise", "C fusion=joint", "S+C fusion=pairwise", "S+C fusion=joint"],
    "placement": [
        f"action={action} {stages}"
        for action in ("replace", "insert_before", "insert_after", "parallel")
        for stages in ("all", "early", "late")
    ],
    "controls": [
        *("plain", "S+C", "matched", "group_conv", "depthwise_separable"),
        *("S", "ungated_sru", "random_gate_sru", "shuffled_gamma_sru", "se"),
    ],
    "table2": [
        f"{net} {unit} {data}" for net in TABLE_2 for unit in ("plain", "S+C") for data in ("CIFAR-10", "CIFAR-100")
    ],
    "table3": ["ResNet-50", "ResNet-50 S+C", "ResNet-50 S+C alpha=0.75", "ResNet-101", "ResNet-101 S+C"],
}
SEEDS = {
    name: list(range(seeds))
    for name, seeds in {
        "table1": 10,
        "alpha": 10,
        "squeeze_groups": 11,
        "gate_threshold": 9,
        "num_groups": 9,
        "readings": 9,
        "fusion": 8,
        "placement": 11,
        "controls": 11,
        "table2": 11,
        "table3": 6,
    }.items()
}
UNITS = ("sru", "cru", "parallel", "cru_sru", "scconv")
CONTRASTS = {
    "table1": 6,
    "alpha": 6,
    "squeeze_groups": 12,
    "gate_threshold": 4,
    "num_groups": 4,
    "readings": 3,
    "fusion": 2,
    "placement": 9,
    "controls": 9,
    "table2": 10,
    "table3": 3,
}
SHARED = [
    {
        *("table1: S+C", "alpha: alpha=0.5", "squeeze_groups: squeeze_ratio=2 groups=2"),
        *("gate_threshold: gate_threshold=0.5", "num_groups: num_groups=4", "readings: paper"),
        *("fusion: S+C fusion=pairwise", "placement: action=replace all", "controls: S+C"),
        "table2: ResNet-50 S+C CIFAR-100",
    },
    {"table1: plain", "controls: plain", "table2: ResNet-50 plain CIFAR-100"},
    {"table1: S", "controls: S"},
    {"table1: C", "fusion: C fusion=pairwise"},
    {"readings: cheng_haha", "fusion: S+C fusion=joint"},
]

each_sweep = pytest.mark.parametrize("name", ARMS)
Resolved = Callable[[str], list[Run]]


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of ImageNet's thousand classes; how many there are is all that a net needs to know."""
    folder = tmp_path_factory.mktemp("imagenet")
    for index in range(1000):
        os.makedirs(folder / f"train/n{index:08d}")
    return folder


@pytest.fixture(scope="module")
def resolved(imagenet: Path) -> Resolved:
    """The runs of a sweep as it stands, parsed once."""

    @cache
    def resolved(name: str) -> list[Run]:
        root = {"data.init_args.root": str(imagenet)} if name == "table3" else {}
        return runs_of(name, overrides=root)

    return resolved


@pytest.fixture(scope="module")
def small() -> Resolved:
    """The runs of a sweep with `configs/scale/quick.yaml`, parsed once."""
    return cache(lambda name: runs_of(name, configs=[Path(QUICK)]))


def runs_of(name: str, **given: Any) -> list[Run]:
    file = read_sweep(path(name))
    return resolve([(arm, seed) for arm in expand(file, **given) for seed in file.seeds])


def path(name: str) -> Path:
    return Path(f"experiments/sweeps/{name}.yaml")


def built(run: Run) -> Classifier:
    return build_classifier(run.settings, build_data(run.settings), with_values=False)


def heading(name: str) -> dict[str, str]:
    """The comment block that opens a file: label -> text, continued by indented lines."""
    block = re.match(r"(#.*\n)*", path(name).read_text())
    assert block is not None
    entries = re.findall(r"^# (\w+) +(.*\n(?:#   .*\n)*)", block[0], flags=re.MULTILINE)
    return {label: " ".join(text.replace("\n#", " ").split()) for label, text in entries}


def test_every_shipped_sweep_is_tested_here() -> None:
    assert {file.stem for file in REPOSITORY.glob("experiments/sweeps/*.yaml")} == {*ARMS}


@each_sweep
def test_a_sweep_has_its_arms_and_seeds(name: str, resolved: Resolved) -> None:
    assert [(run.arm.name, run.seed) for run in resolved(name)] == [
        (arm, seed) for arm in ARMS[name] for seed in SEEDS[name]
    ]
    assert read_sweep(path(name)).name == name


@each_sweep
def test_a_sweep_opens_with_its_question(name: str) -> None:
    block = heading(name)
    protocol = ["Protocol"] if name.startswith("table") else []
    assert list(block) == ["Question", "Command", "Hardware", "Design", *protocol, "Expected"]
    assert "?" in block["Question"]
    assert block["Command"].startswith(f"uv run --locked scconv-lab sweep {path(name)} ")
    assert f"--config {QUICK}" in block["Command"]
    assert block["Hardware"].startswith(f"{len(ARMS[name]) * len(SEEDS[name])} runs of ")
    assert re.search(r"Li, Wen, He, CVPR 2023, (Table \d|Figure 4 and Table 1)", block["Expected"])


@each_sweep
def test_a_sweep_can_be_judged(name: str) -> None:
    """It has contrasts, and the seeds that see its margin at the standard deviation that it names."""
    file = read_sweep(path(name))
    contrasts = contrasts_of(file, expand(file))
    assert len(contrasts) == CONTRASTS[name]
    assert file.design.margin is not None
    assert file.sd is not None
    level = 0.05 / len(contrasts)
    assert seeds_for(file.design.margin, sd=file.sd, level=level) == len(file.seeds)
    seen = detectable(len(file.seeds), sd=file.sd, level=level)
    power = f"{len(file.seeds)} seeds see {seen:.2f} points in 4 of 5 experiments"
    assert heading(name)["Design"] == f"{len(contrasts)} contrasts; {power}, if seeds vary by {file.sd:.2f} points"


@each_sweep
def test_a_heading_says_what_the_sweep_costs(name: str, resolved: Resolved) -> None:
    """Six floating point operations for each MAC of a training step: two forward, four backward."""
    images = 1_271_167 if name == "table3" else 45_000
    operations = 0.0
    for run in resolved(name):
        if run.seed == 0:
            macs = count_cost(built(run).net, build_data(run.settings).image_shape).macs
            operations += 6 * macs * images * run.config["trainer"]["max_epochs"] * len(SEEDS[name])
    assert f"at least {operations / 30e12 / 3600:.0f} GPU hours" in heading(name)["Hardware"]


@pytest.mark.parametrize("name", ["table1", "table2", "table3"])
def test_what_the_paper_has_stands_beside_runs_like_its_own_only(name: str) -> None:
    file = read_sweep(path(name))
    assert file.published is not None
    assert set(file.published.values) <= {arm.name for arm in expand(file)}
    assert file.published.source in " ".join(heading(name)["Expected"].split())
    like = {"data": file.published.data[0], "epochs": file.published.epochs}
    assert file.published.of([like, {}]) == file.published.values
    assert not file.published.of([like, {"data": "Digits", "epochs": file.published.epochs}])
    assert not file.published.of([like | {"epochs": 15}])
    assert not file.published.of([{}])


@each_sweep
def test_the_files_that_a_heading_names_are_there(name: str) -> None:
    named = re.findall(r"(?:configs|experiments)/\S+?\.yaml", " ".join(heading(name).values()))
    assert len(named) >= 3
    assert not [file for file in named if not Path(file).is_file()]


@each_sweep
def test_a_sweep_builds(name: str, resolved: Resolved) -> None:
    require_buildable(resolved(name))


@pytest.mark.slow
@each_sweep
def test_a_sweep_builds_small(name: str, small: Resolved) -> None:
    require_buildable([run for run in small(name) if run.arm.name != "squeeze_ratio=4 groups=4"])
    if name != "table2":
        assert {run.config["data"]["class_path"] for run in small(name)} == {"scconv_lab.data.Digits"}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "arms"), [("squeeze_groups", 6), ("table2", 10)])
def test_what_a_heading_selects_for_a_small_run_is_small(name: str, arms: int, small: Resolved) -> None:
    """The arms of squeeze_groups that fit 16 channels, and those of table2 that take the data as given."""
    only = re.search(r"--only (\S+?),? ", heading(name)["Command"])
    assert only is not None
    selected = select([(run.arm, run.seed) for run in small(name)], [only[1]])
    runs = [run for run in small(name) if (run.arm, run.seed) in selected]
    require_buildable(runs)
    assert {run.config["data"]["class_path"] for run in runs} == {"scconv_lab.data.Digits"}
    assert len({run.arm.name for run in runs}) == arms


@pytest.mark.slow
def test_a_squeeze_that_leaves_too_few_channels_names_its_arm(small: Resolved) -> None:
    with pytest.raises(UserError, match=r"^arm 'squeeze_ratio=4 groups=4': .*`squeeze_ratio` \(=4\)"):
        require_buildable(small("squeeze_groups"))


@pytest.mark.slow
@each_sweep
def test_small_runs_are_others_than_full_ones(name: str, resolved: Resolved, small: Resolved) -> None:
    ids = {run.id for run in [*resolved(name), *small(name)]}
    assert len(ids) == 2 * len(ARMS[name]) * len(SEEDS[name])


def test_sweeps_share_the_runs_that_they_have_in_common(resolved: Resolved) -> None:
    arms: dict[str, set[str]] = {}
    for name in ARMS:
        for run in resolved(name):
            if run.seed == 0:
                arms.setdefault(run.id, set()).add(f"{name}: {run.arm.name}")
    shared = [names for names in arms.values() if len(names) > 1]
    assert sorted(map(sorted, shared)) == sorted(map(sorted, SHARED))


def test_groups_that_fit_themselves_are_two_in_the_full_net(resolved: Resolved) -> None:
    """So that the arms of alpha differ in alpha alone."""
    for run in resolved("alpha"):
        if run.seed == 0:
            units = [module for module in built(run).modules() if isinstance(module, CRU)]
            assert {unit.gwc.groups for unit in units} == {2}
            assert {unit.alpha for unit in units} == {float(run.arm.name.partition("=")[2])}
            assert len(units) == 16


ROW_OF_ARM = {
    **{f"table2: {net} plain": net for net in TABLE_2},
    **{f"table2: {net} S+C": f"{net} SCConv" for net in TABLE_2},
    "table3: ResNet-50": "ResNet-50",
    "table3: ResNet-50 S+C": "ResNet-50 alpha 1/2",
    "table3: ResNet-50 S+C alpha=0.75": "ResNet-50 alpha 3/4",
    "table3: ResNet-101": "ResNet-101",
    "table3: ResNet-101 S+C": "ResNet-101 SCConv",
}


@pytest.mark.slow
@pytest.mark.parametrize("arm", ROW_OF_ARM)
def test_the_nets_of_tables_2_and_3_are_those_of_the_papers_rows(arm: str, resolved: Resolved) -> None:
    """Params of `scconv-lab cost --paper`, but for the linear layer's where the number of classes is another."""
    name, _, net = arm.partition(": ")
    row = next(row for row in ROWS if (row.table, row.name) == (int(name[-1]), ROW_OF_ARM[arm]))
    expected = count_params(row.arm.build())
    runs = [run for run in resolved(name) if run.arm.name in (net, f"{net} CIFAR-10", f"{net} CIFAR-100")]
    assert expected in {count_params(built(run).net) for run in runs}


def test_the_published_numbers_are_those_of_the_experiments() -> None:
    """One for each arm; what is in Table 1 is in the heading of the arm's own file, and some of it in Table 2."""
    files = {name: read_sweep(path(name)) for name in ("table1", "table2", "table3")}
    values = {name: file.published.values for name, file in files.items() if file.published}
    assert {name: len(published) for name, published in values.items()} == {"table1": 6, "table2": 20, "table3": 5}
    of_arms = dict(zip(ARMS["table1"], ("baseline", *(f"ablation_{name}" for name in UNITS)), strict=True))
    for arm, file in of_arms.items():
        assert f"test/acc1 {values['table1'][arm] / 100:.4f}," in Path(f"experiments/{file}.yaml").read_text()
    for unit in ("plain", "S+C"):
        assert values["table2"][f"ResNet-50 {unit} CIFAR-100"] == values["table1"][unit]


@each_sweep
def test_no_key_stands_twice(name: str) -> None:
    """YAML would take the last one in silence."""

    def require_once(node: yaml.Node) -> None:
        if isinstance(node, yaml.MappingNode):
            keys = [key.value for key, _ in node.value]
            assert len(keys) == len({*keys})
            for _, value in node.value:
                require_once(value)
        elif isinstance(node, yaml.SequenceNode):
            for item in node.value:
                require_once(item)

    require_once(yaml.compose(path(name).read_text()))
