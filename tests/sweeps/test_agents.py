"""W&B's own `wandb sweep` and `wandb agent` take a sweep's runs from the file that is written for them."""

import json
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from wandb.sdk.launch.sweeps import utils as wandb_sweeps
from wandb.sdk.lib import config_util

from scconv_lab.errors import UserError
from scconv_lab.grid.expand import expand
from scconv_lab.grid.file import read_sweep
from scconv_lab.run_folder.results import write_results
from scconv_lab.run_folder.state import state_of
from scconv_lab.sweeps import ledger
from scconv_lab.sweeps.agents import commands, define
from scconv_lab.sweeps.resolve import Run, resolve
from tests.runs import REPOSITORY, command_environment
from tests.runs import Run as Recorded
from tests.training.wandb_server import WandbServer

EPOCHS = 3
SWEEP = "abcd1234"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def runs_of(arms: Sequence[str] = ("plain", "S"), **overrides: Any) -> list[Run]:
    """Small runs of some arms of table1."""
    arms_of_file = expand(
        read_sweep(REPOSITORY / "experiments/sweeps/table1.yaml"),
        configs=[REPOSITORY / "configs/scale/quick.yaml"],
        overrides={"trainer.max_epochs": EPOCHS, "trainer.accelerator": "cpu", **overrides},
    )
    return resolve([(arm, 0) for arm in arms_of_file if arm.name in arms])


def values(file: Path) -> list[str]:
    return yaml.safe_load(file.read_text())["parameters"]["config"]["values"]


def test_the_definition_is_a_grid_over_the_runs_files(here: Path) -> None:
    runs = runs_of()
    file = define(runs, "table1")
    assert file == Path("runs/sweeps/wandb/table1.yaml")
    assert yaml.safe_load(file.read_text()) == {
        "name": "table1",
        "project": "scconv_lab",
        "program": "scconv-lab",
        "command": ["${program}", "fit", "${args}"],
        "method": "grid",
        "parameters": {"config": {"values": [f"runs/sweeps/{run.id}/run.yaml" for run in runs]}},
    }
    assert all(Path(value).is_file() for value in values(file))


def test_an_agent_makes_the_command_of_a_fit_of_it(here: Path) -> None:
    file = define(runs_of(), "table1")
    for value in values(file):
        assert words(file, value) == ["scconv-lab", "fit", f"--config={value}"]


def words(file: Path, value: str) -> list[str]:
    """The process that an agent starts for one value, by W&B's own rules."""
    definition = yaml.safe_load(file.read_text())
    macros = wandb_sweeps.create_sweep_command_args({"args": {"config": {"value": value}}})
    macros["program"] = [definition["program"]]
    command = wandb_sweeps.create_sweep_command(definition["command"])
    return [word for part in command for word in (macros[part[2:-1]] if part.startswith("${") else [part])]


def test_what_a_person_types(here: Path) -> None:
    assert commands(define(runs_of(), "table1")) == (
        "uv run wandb sweep --project scconv_lab runs/sweeps/wandb/table1.yaml",
        "uv run wandb agent SWEEP_ID",
    )


def test_the_project_is_that_of_the_runs(here: Path) -> None:
    runs = runs_of(**{"trainer.logger.init_args.project": "mine", "trainer.default_root_dir": "a b"})
    sweep, _ = commands(define(runs, "table1"))
    assert shlex.split(sweep)[-2:] == ["mine", "a b/sweeps/wandb/table1.yaml"]
    assert "scconv_lab" in commands(define(runs_of(**{"trainer.logger": False}), "table1"))[0]


def test_only_what_is_left_to_run_is_in_it(here: Path) -> None:
    done, failed, stopped, new = runs = runs_of(["plain", "S", "C", "S+C"])
    for run in runs:
        ledger.prepare(run)
    write_results(done.folder, {})
    for _ in range(2):
        ledger.note(failed, code=1)
    ledger.note(stopped, stopped="hopeless")
    assert values(define(runs, "table1")) == [str(ledger.run_file(new))]
    ledger.forgive(failed)
    assert values(define(runs, "table1")) == [str(ledger.run_file(run)) for run in (failed, new)]
    with pytest.raises(UserError, match="sweep 'table1' has no run left for agents; --status shows"):
        define([done, stopped], "table1")


def of_an_agent(here: Path, run_id: str, value: str) -> dict[str, str]:
    """The environment that an agent gives a run."""
    parameters = here / f"wandb/sweep-{SWEEP}/config-{run_id}.yaml"
    parameters.parent.mkdir(parents=True, exist_ok=True)
    config_util.save_config_file_from_dict(str(parameters), {"config": {"value": value}})
    return command_environment(here) | {
        "WANDB_DIR": str(here),
        "WANDB_ENTITY": "tester",
        "WANDB_PROJECT": "scconv_lab",
        "WANDB_RUN_ID": run_id,
        "WANDB_SWEEP_ID": SWEEP,
        "WANDB_SWEEP_PARAM_PATH": str(parameters),
    }


def recorded(folder: Path) -> Recorded:
    return Recorded(f"folder   {folder.name}", folder.parent)


@pytest.mark.slow
def test_a_fit_in_an_agents_environment_ends_without_a_word_of_w_and_b(here: Path) -> None:
    """Offline. W&B gives the run its own id, whatever the logger asks for."""
    (run,) = runs_of(["S"])
    file = define([run], "table1")
    (value,) = values(file)
    finished = subprocess.run(
        words(file, value), cwd=here, env=of_an_agent(here, "first123", value), capture_output=True, text=True
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stderr == ""
    assert not re.search(r"wandb.*warning|ignor", finished.stdout, re.IGNORECASE)
    assert state_of(run.files) == "done"
    record = recorded(run.folder)
    assert [path.name for path in record.wandb_records()] == ["run-first123.wandb"]
    assert record.wandb()["summary"]["test/acc1"] == pytest.approx(ledger.results(run)["test/acc1"])
    assert len(record.wandb_history("val/acc1")) == EPOCHS


@pytest.mark.slow
def test_a_run_that_another_agent_goes_on_with_has_one_whole_curve(here: Path) -> None:
    """Inside of a sweep W&B resumes no run: the second one has the rows of the first, too."""
    (run,) = runs_of(["S"])
    file = define([run], "table1")
    (value,) = values(file)
    with subprocess.Popen(
        words(file, value),
        cwd=here,
        env=of_an_agent(here, "first123", value),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as first:
        assert first.stdout is not None
        for line in first.stdout:
            if line.startswith("epoch 1/"):
                first.send_signal(signal.SIGTERM)
        assert first.wait() == 143
    assert state_of(run.files) == "interrupted"
    assert values(define([run], "table1")) == [value]
    second = subprocess.run(
        words(file, value), cwd=here, env=of_an_agent(here, "second12", value), capture_output=True, text=True
    )
    assert (second.returncode, second.stderr) == (0, "")
    assert state_of(run.files) == "done"
    record = recorded(run.folder)
    assert [path.name for path in record.wandb_records()] == ["run-first123.wandb", "run-second12.wandb"]
    assert len(record.wandb_history("val/acc1")) == EPOCHS
    assert record.wandb()["summary"]["test/acc1"] == pytest.approx(ledger.results(run)["test/acc1"])


@pytest.mark.slow
def test_a_server_that_gives_an_agents_run_no_record_leaves_it_offline(here: Path) -> None:
    """With an id of its own, for W&B holds on to the sweep's, and with nothing else to upload."""
    (run,) = runs_of(["S"])
    file = define([run], "table1")
    (value,) = values(file)
    with WandbServer(trouble=lambda body: "upsertBucket" in body, later="fail") as server:
        finished = subprocess.run(
            words(file, value),
            cwd=here,
            env=of_an_agent(here, "first123", value) | server.environment,
            capture_output=True,
            text=True,
            timeout=200,
        )
    assert finished.returncode == 0, finished.stderr
    assert "W&B      offline; the server gave no run" in finished.stdout
    assert state_of(run.files) == "done"
    (record,) = run.folder.glob("wandb/*run-*/*.wandb")
    assert record.parent.name.startswith("offline-run-")
    assert "first123" not in record.name
    assert len(recorded(run.folder).wandb_history("val/acc1")) == EPOCHS


class SweepServer(WandbServer):
    """Makes a sweep of a grid over one parameter, and hands its values to one agent, one after the other."""

    definition: dict[str, Any]
    given = 0

    def _query(self, asked: dict[str, Any]) -> dict[str, Any]:
        query, variables = asked["query"], asked.get("variables") or {}
        if "viewer" in query:
            return {"viewer": {"id": "viewer", "username": "tester", "entity": "tester", "email": "", "flags": "{}"}}
        if "upsertSweep" in query:
            self.definition = yaml.safe_load(variables["config"])
            project = {"id": "project", "name": variables["projectName"], "entity": {"id": "e", "name": "tester"}}
            return {"upsertSweep": {"sweep": {"name": SWEEP, "project": project}, "configValidationWarnings": []}}
        if "SweepWithRuns" in query:
            sweep = {"id": "sweep", "name": SWEEP, "config": yaml.safe_dump(self.definition), "runs": {"edges": []}}
            return {"project": {"sweep": sweep}}
        if "createAgent" in query:
            return {"createAgent": {"agent": {"id": "agent"}}}
        if "agentHeartbeat" in query:
            commands = [] if any(json.loads(variables["runState"]).values()) else [self._next()]
            return {"agentHeartbeat": {"agent": {"id": "agent"}, "commands": json.dumps(commands)}}
        return super()._query(asked)

    def _next(self) -> dict[str, Any]:
        wanted = self.definition["parameters"]["config"]["values"]
        if self.given == len(wanted):
            return {"type": "exit"}
        self.given += 1
        arguments = {"config": {"value": wanted[self.given - 1]}}
        return {
            "type": "run",
            "run_id": f"agentrun{self.given}",
            "program": self.definition["program"],
            "args": arguments,
        }


@pytest.mark.slow
def test_an_agent_takes_every_run(here: Path) -> None:
    """`wandb sweep`, then `wandb agent`, as they are printed, with a server that is not W&B's."""
    runs = runs_of(["plain", "S"])
    sweep, agent = (command.removeprefix("uv run ") for command in commands(define(runs, "table1")))
    with SweepServer() as server:
        environment = command_environment(here) | server.environment
        for command in (sweep, agent.replace("SWEEP_ID", f"tester/scconv_lab/{SWEEP}")):
            finished = subprocess.run(
                shlex.split(command),
                cwd=here,
                env=environment | {"PYTHONPATH": os.environ.get("PYTHONPATH", "")},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=400,
            )
            assert finished.returncode == 0, finished.stdout + finished.stderr
        assert finished.stdout.count(f"epoch {EPOCHS}/{EPOCHS} ") == 2
        assert finished.stdout.count("W&B      online, ") == 2
        assert not re.search(r"wandb.*warning|ignoring", finished.stdout + finished.stderr, re.IGNORECASE)
        assert server.runs == ["agentrun1", "agentrun2"]
        assert [state_of(run.files) for run in runs] == ["done", "done"]
        for run, name in zip(runs, server.runs, strict=True):
            accuracies = server.curve(name, "val/acc1")
            assert len(accuracies) == EPOCHS
            assert max(accuracies) == pytest.approx(ledger.results(run)["val/acc1"])
