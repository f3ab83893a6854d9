"""A run is known by what its result depends on, and what cannot be run is refused with its arm."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from scconv_lab.errors import UserError
from scconv_lab.fit.dry import FitParser
from scconv_lab.grid.expand import expand
from scconv_lab.grid.file import read_sweep
from scconv_lab.run_folder.configuration import identify
from scconv_lab.sweeps.resolve import Run, launched, require_buildable, resolve
from tests.runs import REPOSITORY

UNITS = REPOSITORY / "configs/unit"
QUICK = REPOSITORY / "configs/scale/quick.yaml"


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(arms: dict[str, Any], *, seeds: tuple[int, ...] = (0,), experiment: str = "baseline") -> Path:
    content = {
        "name": "x",
        "experiment": str(REPOSITORY / f"experiments/{experiment}.yaml"),
        "grid": {"arm": arms},
        "seeds": [*seeds],
    }
    file = Path("x.yaml")
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    return file


def runs_of(arms: dict[str, Any], *, seeds: tuple[int, ...] = (0,), quick: bool = True, **given: Any) -> list[Run]:
    """The runs of a sweep of these arms."""
    file = read_sweep(write(arms, seeds=seeds, **given))
    return resolve([(arm, seed) for arm in expand(file, configs=[QUICK] if quick else []) for seed in file.seeds])


def named(run: Run, config: dict[str, Any]) -> str:
    """The id of a run's configuration when some keys are replaced."""
    return identify(config, FitParser().defaults(run.config))


def refusal(arms: dict[str, Any]) -> str:
    with pytest.raises(UserError) as refused:
        require_buildable(runs_of(arms))
    assert str(refused.value).count("\n") == 0
    return str(refused.value)


SRU, CRU, SCCONV = ({"config": str(UNITS / f"{name}.yaml")} for name in ("sru", "cru", "scconv_paper"))


def test_an_arm_is_parsed_as_a_fit_would() -> None:
    """Experiment, the files given, the arm's own files, its keys."""
    first, second = runs_of({"S": SRU | {"optimizer.lr": 1e-5, "trainer.max_epochs": 3}}, seeds=(0, 7))
    assert first.config["net"]["init_args"]["depth"] == 8
    assert first.config["surgery"]["unit"]["class_path"] == "scconv_lab.nn.SRU"
    assert first.config["optimizer"]["init_args"]["lr"] == 1e-5
    assert first.config["trainer"]["max_epochs"] == 3
    assert (first.config["experiment"], first.config["arm"]) == ("x", "S")
    assert [run.config["seed_everything"] for run in (first, second)] == [0, 7]
    assert first.config == second.config | {"seed_everything": 0}


def test_a_run_has_its_folder_and_its_launchers_file() -> None:
    (run,) = runs_of({"S": SRU})
    assert run.folder == Path("runs/sweeps") / run.id
    assert len(run.id) == 12
    assert set(run.id) <= set("0123456789abcdef")
    assert launched(run) == run.config | {"run_id": run.id, "resume": "auto"}
    assert launched(run)["trainer"]["enable_progress_bar"] is False
    assert yaml.safe_load(yaml.safe_dump(launched(run))) == launched(run)
    assert json.loads(json.dumps(run.config)) == run.config


def test_the_same_by_hand_has_the_seed_and_no_name() -> None:
    (run,) = runs_of({"S": SRU}, seeds=(3,))
    assert run.by_hand[:3] == ["fit", "--config", str(REPOSITORY / "experiments/baseline.yaml")]
    assert run.by_hand[-2:] == ["--seed_everything", "3"]
    assert not {"--run_id", "--resume"} & {*run.by_hand}


# what a run's result does not depend on, in keys and values
SAME = {
    "root": {"trainer.default_root_dir": "elsewhere"},
    "data": {"data.init_args.root": "elsewhere"},
    "workers": {"data.init_args.num_workers": 3},
    "logger": {"trainer.logger": False},
    "other logger": {"trainer.logger": "CSVLogger", "trainer.logger.save_dir": "csv"},
    "wandb": {"trainer.logger.init_args.project": "mine", "trainer.logger.init_args.tags": ["a"]},
    "threads": {"threads": 7},
    "devices": {"trainer.devices": 2, "trainer.strategy": "ddp", "trainer.accelerator": "cpu"},
    "strategy": {"trainer.strategy": {"class_path": "DDPStrategy", "init_args": {"find_unused_parameters": True}}},
    "nodes": {"trainer.num_nodes": 2},
    "bar": {"trainer.enable_progress_bar": True, "trainer.log_every_n_steps": 1},
    "cost": {"measure_cost": True, "final_test": False, "save_every": 100},
    "null": {"surgery.unit": None},
}
# what it does depend on
OTHER = {
    "precision": {"trainer.precision": "bf16-mixed"},
    "unit": SRU,
    "unit's argument": SRU | {"surgery.unit.num_groups": 2},
    "unit at another place": SRU | {"surgery.sites": "layer3.*.conv2"},
    "net": {"net.depth": 14},
    "epochs": {"trainer.max_epochs": 3},
    "batch": {"data.batch_size": 32},
    "rate": {"optimizer.lr": 0.2},
    "schedule": {"lr_scheduler.T_max": 14},
    "smoothing": {"model.label_smoothing": 0.1},
    "layout of memory": {"model.channels_last": True},
    "weights": {"weights": "w.pth"},
}


def test_a_run_is_the_same_wherever_and_by_whomever_it_is_run() -> None:
    """Each arm has a seed of its own here, for two that are the same would be refused."""
    arms = expand(read_sweep(write({"plain": {}} | SAME)), configs=[QUICK])
    runs = resolve([(arm, seed) for seed, arm in enumerate(arms)])
    ids = {run.arm.name: named(run, run.config | {"seed_everything": 0}) for run in runs}
    assert [name for name, found in ids.items() if found != ids["plain"]] == []
    assert len({run.id for run in runs}) == len(arms)
    assert len({json.dumps(run.config | {"seed_everything": 0, "arm": ""}) for run in runs}) == len(arms) - 1


def test_a_run_is_another_where_its_result_is() -> None:
    arms = {"plain": {}} | OTHER
    runs = runs_of(arms, seeds=(0, 1))
    assert len({run.id for run in runs}) == 2 * len(arms)


def test_a_run_is_the_same_in_every_sweep() -> None:
    """By whatever file or key, under whatever name."""
    (by_key,) = runs_of({"half": {"surgery.unit.alpha": 0.5}}, quick=False, experiment="ablation_scconv")
    (by_file,) = runs_of({"S+C": SCCONV}, quick=False)
    (by_default,) = runs_of({"other": {}}, quick=False, experiment="ablation_scconv")
    assert by_key.id == by_file.id == by_default.id
    (another,) = runs_of({"half": {"surgery.unit.alpha": 0.25}}, quick=False, experiment="ablation_scconv")
    assert another.id != by_key.id


def test_a_folder_of_an_earlier_version_is_found_by_the_name_it_has() -> None:
    (run,) = runs_of({"S": SRU})
    old = run.root / "ef06d0d4a20f"
    old.mkdir(parents=True)
    (found,) = runs_of({"S": SRU})
    assert found.folder == old
    run.folder.mkdir()
    (found,) = runs_of({"S": SRU})
    assert found.folder == run.folder


def test_the_order_of_keys_does_not_count() -> None:
    (run,) = runs_of({"a": SRU})

    def turned(value: Any) -> Any:
        return {key: turned(value[key]) for key in reversed(value)} if isinstance(value, dict) else value

    assert list(turned(run.config)) != list(run.config)
    assert named(run, turned(run.config)) == run.id


def test_the_same_arm_under_two_names_is_refused() -> None:
    message = refusal({"a": CRU, "b": {}, "c": CRU | {"surgery.unit.alpha": 0.5}})
    assert message.startswith("arms 'a' and 'c' are the same run (seed 0)")
    assert message.endswith("remove one of them")


@pytest.mark.parametrize(
    ("arm", "parts"),
    [
        (CRU | {"surgery.unit.alhpa": 0.5}, ["alhpa", "'alpha'"]),
        ({"trainer.max_epoch": 3}, ["trainer.max_epoch", "trainer.max_epochs"]),
        ({"modle.x": 1}, ["modle.x"]),
        ({"optimizer.lr": "fast"}, ["optimizer", "lr", "fast"]),
        ({"surgery.action": "replce"}, ["surgery.action", "replce"]),
        ({"surgery.unit": "SRUU"}, ["surgery.unit", "'SRU'"]),
        ({"config": "no.yaml"}, ["no.yaml", "is not there"]),
        ({"run_id": "abc"}, ["`run_id` (='abc') is the sweep's own; leave it out"]),
        ({"resume": "auto"}, ["`resume` (='auto') is the sweep's own"]),
        ({"ckpt_path": "x.ckpt"}, ["`ckpt_path` (='x.ckpt') is the sweep's own"]),
        # impossible, but not before it is built
        (SRU | {"surgery.unit.num_groups": 3}, ["`num_groups` (=3)"]),
        (CRU | {"surgery.unit.alpha": 1.5}, ["`alpha` (=1.5)"]),
        (CRU | {"surgery.unit.groups": 5}, ["`groups` (=5)"]),
        (SRU | {"surgery.sites": "layer9.*"}, ["layer9.*"]),
        ({"net.depth": 9}, ["`depth` (=9)"]),
        ({"optimizer.momentum": -1}, ["optimizer", "momentum", "-1"]),
        (SRU | {"trainer.devices": 7}, ["batch_size", "7"]),
    ],
    ids=lambda value: " ".join(map(str, [*value][-1:])) if isinstance(value, dict) else "",
)
def test_what_cannot_be_run_is_refused_with_arm_and_key(arm: dict[str, Any], parts: list[str]) -> None:
    message = refusal({"good": {}, "the bad": arm})
    assert message.startswith("arm 'the bad': ")
    assert not [part for part in parts if part not in message]


def test_seeds_are_refused_with_the_arm() -> None:
    with pytest.raises(UserError, match=r"^arm 'a': `seed_everything` \(=-1\)"):
        runs_of({"a": {}}, seeds=(-1,))


def test_what_can_be_run_is_taken_without_data_or_files() -> None:
    runs = runs_of({"S": SRU, "C": CRU}, quick=False)
    require_buildable(runs)
    assert [path.name for path in Path().iterdir()] == ["x.yaml"]
