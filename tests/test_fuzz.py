"""Thousands of spoiled files: no traceback for a user's error, no hang, and a message that names key or file."""

import io
import multiprocessing
import os
import re
import resource
import signal
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from scconv_lab.cli import main
from scconv_lab.data import CIFAR10, FashionMNIST
from scconv_lab.fit.lab_cli import LabCLI
from tests.fit.unbuilt import UnbuiltCLI
from tests.mutations import SHIPPED, mutate, nodes

FILES, ALL_FILES = 200, 10_000
PROCESSES = 2
HANG_S = 20.0
MEMORY = 3 * 2**30  # bytes that one file may cost
LENGTH = 1000  # of a message


@dataclass(frozen=True)
class Outcome:
    """What became of one file."""

    seed: int
    kind: str
    done: str
    detail: str = ""


class HangError(BaseException):
    """No `except Exception` takes this for something else."""


def _ring(*_: Any) -> None:
    raise HangError


class Fuzz:
    """Runs `scconv-lab fit` on spoiled files, up to where the training would begin: parsed, and net, optimizer, data
    and trainer built, the net on the meta device.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        cli = UnbuiltCLI()
        parser = cli._parser("fit")
        arm = ["--config", "experiments/ablation_scconv.yaml", "--config", "configs/scale/quick.yaml"]
        self.resolved = yaml.safe_load(parser.dump(cli.parse("fit", *arm), skip_link_targets=True))
        self.keys = {part for key in parser._keys() for part in key.split(".")}
        self.resolved.pop("bases")
        for content in (self.resolved, *map(yaml.safe_load, map(Path.read_text, SHIPPED))):
            self.keys |= {str(key) for parent, key in nodes(content) if isinstance(parent, dict)}

    def attempt(self, seed: int) -> Outcome:
        """Run one file, in a process that `start` has prepared."""
        file = self.folder / f"{os.getpid()}.yaml"
        data, done = mutate(seed, self.resolved)
        file.write_bytes(data)
        base = ["--config", "experiments/baseline.yaml"] if seed % 5 else []  # else a file has to stand alone
        out, err = io.StringIO(), io.StringIO()
        signal.setitimer(signal.ITIMER_REAL, HANG_S)
        try:
            with redirect_stdout(out), redirect_stderr(err), torch.device("meta"):
                code = main(["fit", *base, "--config", str(file)])
        except HangError:
            return Outcome(seed, "hang", done, traceback.format_exc()[-3000:])
        except BaseException as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(place.filename).name}:{place.lineno} {place.name}"
            return Outcome(seed, "crash", done, f"{type(error).__name__} {where}: {str(error)[:300]}")
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        message = err.getvalue().replace(str(file), "mutated.yaml")
        if code == 0 and not message:
            return Outcome(seed, "taken", done)
        complaint = self._complaint(code, message)
        return Outcome(seed, f"bad message: {complaint}" if complaint else "refused", done, message[:1500])

    def _complaint(self, code: int, message: str) -> str | None:
        if code != 2:
            return f"exit code {code}"
        if not message.startswith("scconv-lab: error: ") or message.count("\n") != 1 or not message.isprintable:
            return "not one line"
        if len(message) > LENGTH:
            return "too long"
        if re.search(r"<class |Namespace\(|<function|object at 0x|Traceback", message):
            return "speaks Python"
        words = set(re.findall(r"\w+", message))
        if "mutated.yaml" in message or "experiments/" in message or "configs/" in message or words & self.keys:
            return None
        return "names neither key nor file"


_fuzz: Fuzz


def start(fuzz: Fuzz) -> None:
    """Prepare a worker process; what is replaced here stays replaced in it alone."""
    global _fuzz
    _fuzz = fuzz
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    signal.signal(signal.SIGALRM, _ring)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, taken + MEMORY))
    CIFAR10.prepare_data = FashionMNIST.prepare_data = lambda self: None  # ty: ignore
    LabCLI._run_subcommand = lambda self, subcommand: None
    declare, declared = LabCLI.setup_parser, {}

    def setup_parser(cli: LabCLI, *arguments: Any) -> None:
        """Declaring the keys of all commands takes longer than the rest, and is the same each time."""
        if not declared:
            declare(cli, *arguments)
            declared.update(vars(cli))
        for name in ("parser", "_subcommand_method_arguments", "_subcommand_parsers"):
            setattr(cli, name, declared[name])

    LabCLI.setup_parser = setup_parser


def attempt(seed: int) -> Outcome:
    return _fuzz.attempt(seed)


def run(fuzz: Fuzz, seeds: range) -> Iterator[Outcome]:
    with multiprocessing.get_context("spawn").Pool(PROCESSES, start, (fuzz,)) as pool:
        yield from pool.imap_unordered(attempt, seeds, chunksize=5)


@pytest.mark.slow
def test_a_spoiled_file_gets_a_message(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: bool
) -> None:
    """200 files, and with `--full` 10,000."""
    monkeypatch.chdir(workspace)
    outcomes = list(run(Fuzz(tmp_path), range(ALL_FILES if full else FILES)))
    counted = Counter(outcome.kind for outcome in outcomes)
    print(dict(counted))
    assert not [outcome for outcome in outcomes if outcome.kind not in ("taken", "refused")]
    assert counted["refused"] > len(outcomes) / 2
    assert counted["taken"] > len(outcomes) / 50
