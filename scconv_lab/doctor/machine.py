"""Checks of the machine: interpreter, torch, GPUs, SLURM, folders."""

import os
import shutil
import subprocess
import sys
import tempfile
import warnings
from importlib.metadata import metadata, version
from pathlib import Path

from scconv_lab.doctor.check import Check

_PATIENCE_S = 10.0
"""Seconds that another program may take to answer."""
_BUSY = 0.1
"""Share of a GPU's memory above which another program seems to use it."""


def python() -> Check:
    """The interpreter and the lab."""
    wanted = metadata("scconv-lab")["Requires-Python"]
    found = f"{sys.version.split()[0]} in {sys.prefix}, scconv-lab {version('scconv-lab')}, which needs {wanted}"
    return Check("python", "ok", found)


def torch() -> Check:
    """Whether torch and torchvision load and fit each other."""
    remedy = "make the environment anew: `uv sync --locked`"
    try:
        import torch
        import torchvision

        torchvision.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)  # missing where the two are of different builds
    except (ImportError, RuntimeError, AttributeError) as error:
        return Check("torch", "fail", f"does not load: {' '.join(str(error).split())}", remedy)
    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "the CPU"
    return Check("torch", "ok", f"{torch.__version__} for {build}, torchvision {torchvision.__version__}")


def gpus(wanted: int | None) -> list[Check]:
    """The driver, and each GPU that torch sees, with how much of its memory is taken.

    Args:
        wanted: GPUs that the configuration asks for; None without a configuration.
    """
    import torch

    driver, rows = _nvidia_smi()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        seen = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if driver.state == "ok" and not seen:
        reason = " ".join(str(said[0].message).split()) if said else f"CUDA_VISIBLE_DEVICES is {_visible()!r}"
        state = "fail" if wanted else "warn"
        todo = "take a driver that this torch's CUDA needs, or a torch for this driver; free CUDA_VISIBLE_DEVICES"
        return [driver, Check("GPUs", state, f"torch sees none: {reason}", todo)]
    if wanted and seen < wanted:
        todo = "give a machine with them, lower --trainer.devices, or --trainer.accelerator cpu"
        return [driver, Check("GPUs", "fail", f"{seen} of the {wanted} that the configuration asks for", todo)]
    if not seen:
        return [driver, Check("GPUs", "skip", "none; runs use the CPU")]
    busy = [row for row in rows if row["used"] > _BUSY * row["total"]]
    found = "; ".join(f"{row['index']}: {row['name']}, {row['used']:,} of {row['total']:,} MiB taken" for row in rows)
    if busy:
        return [driver, Check("GPUs", "warn", found, "wait, or choose others by CUDA_VISIBLE_DEVICES")]
    return [driver, Check("GPUs", "ok", found or f"{seen} that torch sees")]


def _visible() -> str | None:
    return os.environ.get("CUDA_VISIBLE_DEVICES")


def _nvidia_smi() -> tuple[Check, list[dict]]:
    """The driver, and what it says of each GPU: index, name, used and total memory in MiB."""
    fields = "driver_version,index,name,memory.used,memory.total"
    if not shutil.which("nvidia-smi"):
        return Check("driver", "skip", "no nvidia-smi, so no NVIDIA driver"), []
    code, answer = _ask("nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader,nounits")
    lines = [[word.strip() for word in line.split(",")] for line in answer.splitlines()] if code == 0 else []
    if not lines or any(len(words) != 5 for words in lines):
        return Check("driver", "fail", f"nvidia-smi says: {_first(answer)}", "repair or restart the NVIDIA driver"), []
    rows = [
        {"index": index, "name": name, "used": _number(used), "total": _number(total)}
        for _, index, name, used, total in lines
    ]
    return Check("driver", "ok", f"NVIDIA {lines[0][0]}"), rows


def _number(word: str) -> int:
    return int(word) if word.isdigit() else 0  # a GPU that is cut into parts says "[N/A]"


def slurm() -> Check:
    """Whether a SLURM client is there, and its controller answers."""
    if not shutil.which("sinfo"):
        return Check("SLURM", "skip", "no client (sinfo); runs start on this machine")
    code, answer = _ask("sinfo", "--noheader", "--format=%P %a %D")
    if code or not answer.strip():
        return Check("SLURM", "warn", f"sinfo says: {_first(answer)}", "ask the cluster's people; runs here start")
    partitions = ", ".join(line.split()[0] for line in answer.splitlines() if line.strip())
    job = os.environ.get("SLURM_JOB_ID")
    return Check("SLURM", "ok", f"partitions {partitions}{f'; this is job {job}' if job else ''}")


def _ask(*words: str) -> tuple[int, str]:
    """Run a program: its exit code, and what it printed."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_PATIENCE_S, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return 1, f"nothing within {_PATIENCE_S:.0f} seconds"
    except OSError as error:
        return 1, str(error)
    return done.returncode, done.stdout or done.stderr


def _first(answer: str) -> str:
    return next((line.strip() for line in answer.splitlines() if line.strip()), "nothing")


def writable(name: str, folder: Path, *, needed: bool, way_out: str) -> Check:
    """Whether a folder, or the one that it would be made in, takes files.

    Args:
        name: What the check is called.
        folder: The folder; it is not made.
        needed: Whether a run stops where it does not.
        way_out: Which folder to give instead, and how.
    """
    place = existing(folder)
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"0")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        state = "fail" if needed else "warn"
        return Check(name, state, f"{folder} cannot be written to ({error.strerror})", way_out)
    return Check(name, "ok", f"{folder} {'takes files' if place == folder else f'can be made in {place}'}")


def existing(folder: Path) -> Path:
    """The folder itself, or the nearest above it that is there."""
    return next(place for place in (folder, *folder.absolute().parents) if place.exists())


def disk(folder: Path, planned: int | None) -> Check:
    """Whether a folder's file system has room.

    Args:
        folder: Where runs go.
        planned: Bytes that the run's checkpoints may take; None if they are not known.
    """
    free = shutil.disk_usage(existing(folder)).free
    need = f"; the run's checkpoints take up to {_size(planned)}" if planned is not None else ""
    found = f"{_size(free)} free for {folder}{need}"
    todo = "make room, or choose another place with --trainer.default_root_dir"
    if free < (planned or 0):
        return Check("disk", "fail", found, todo)
    return Check("disk", "warn", found, todo) if free < 2 * (planned or 0) + 1e9 else Check("disk", "ok", found)


def _size(count: float) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"
