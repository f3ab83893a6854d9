"""The command, run as a user runs it, and the runs it leaves."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parent.parent
BIN = Path(sys.executable).parent

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def new_workspace(folder: Path) -> Path:
    """Make a folder that looks like a fresh clone from inside, and takes runs."""
    folder.mkdir()
    for name in ("configs", "experiments"):
        (folder / name).symlink_to(REPOSITORY / name)
    return folder


def command_environment(home: Path) -> dict[str, str]:
    """No W&B account, nothing of this machine's, gloo on the loopback interface."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB_", "PL_", "SCCONV_LAB_"))}
    return kept | {
        "HOME": str(home),
        "NETRC": str(home / "netrc"),
        "GLOO_SOCKET_IFNAME": "lo",
        "MASTER_ADDR": "127.0.0.1",
        "OMP_NUM_THREADS": "1",
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    }


class Run:
    """A finished run: what it printed, and what it left."""

    def __init__(self, output: str, workspace: Path):
        self.output = output
        self.folder = workspace / next(line.split()[1] for line in output.splitlines() if line.startswith("folder"))

    def console(self, key: str) -> list[float]:
        """Every value that was printed behind ``key``, in order."""
        words = self.output.split()
        return [float(after) for word, after in pairwise(words) if word == key]

    def wandb_records(self) -> list[Path]:
        """The offline records, one of each process that worked on the run, the newest last."""
        return sorted(self.folder.glob("wandb/offline-run-*/*.wandb"))

    def wandb(self) -> dict[str, Any]:
        """What W&B's own reader finds in the newest offline record: config, summary, state, console."""
        inspect = [str(BIN / "wandb"), "leet", "inspect", "--summary", "--json", str(self.wandb_records()[-1])]
        return json.loads(subprocess.run(inspect, capture_output=True, text=True, check=True).stdout)

    def wandb_rows(self) -> list[dict[str, Any]]:
        """Every row of the newest offline record."""
        inspect = [str(BIN / "wandb"), "leet", "inspect", "--json", str(self.wandb_records()[-1])]
        lines = subprocess.run(inspect, capture_output=True, text=True, check=True).stdout.splitlines()
        return [json.loads(line) for line in lines]

    def wandb_history(self, key: str) -> list[float]:
        """Every value that the newest offline record keeps of one metric, in order."""
        items = [row["history"]["item"] for row in self.wandb_rows() if row["type"] == "history"]
        return [item[key] for item in items if key in item]
