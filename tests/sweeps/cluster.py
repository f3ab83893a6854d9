"""A SLURM cluster on this machine: its real daemons, two nodes with made-up CPUs and GPUs, and pre-emption."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.training.processes import alive

_PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun")
# `hi` takes the place of `lo`, whose jobs are warned and have a while to end; nothing is accounted, nothing confined
_CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmctldPort={ports[0]}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmdLogFile={folder}/slurmd.%n.log
SlurmdSpoolDir={folder}/spool.%n
StateSaveLocation={folder}/state
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=2,sched_min_interval=100000
SlurmdParameters=config_overrides
SlurmctldParameters=preempt_send_user_signal
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
ReturnToService=1
KillWait=2
GresTypes=gpu
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=8 RealMemory=8000 Gres=gpu:4
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=8 RealMemory=8000 Gres=gpu:4
PartitionName=lo Nodes=n1,n2 Default=YES State=UP PriorityTier=1 PreemptMode=REQUEUE GraceTime=30
PartitionName=hi Nodes=n1,n2 State=UP PriorityTier=9 PreemptMode=OFF
"""


def why_not() -> str | None:
    """Why there can be no cluster here; None if there can."""
    missing = [name for name in _PROGRAMS if not shutil.which(name)]
    if missing:
        return f"needs SLURM: no {', '.join(missing)} (apt-get install slurmd slurmctld slurm-client munge)"
    return None if os.geteuid() == 0 else "SLURM's daemons need root"


class Cluster:
    """Daemons that run, and the commands that talk to them.

    Args:
        folder: An empty folder for all that they write.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.conf = folder / "slurm.conf"
        folder.chmod(0o755)
        for name in ("state", "spool.n1", "spool.n2"):
            (folder / name).mkdir()
        self.conf.write_text(_CONF.format(folder=folder, host=socket.gethostname().split(".")[0], ports=_ports(3)))
        for index in range(4):
            (folder / f"gpu{index}").touch()
        (folder / "gres.conf").write_text(f"Name=gpu File={folder}/gpu[0-3]\n")

    def start(self) -> None:
        """Start the daemons; each goes into the background when it is ready."""
        key = self.folder / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)
        files = {"socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        self("munged", f"--key-file={key}", *(f"--{option}={self.folder}/munge.{end}" for option, end in files.items()))
        self("slurmctld", "-c")
        for node in ("n1", "n2"):
            self("slurmd", "-N", node)
        wait_for(lambda: self.nodes() == {"n1": "idle", "n2": "idle"}, "both nodes", seconds=120)

    def end(self) -> None:
        """End every job, and then the daemons."""
        with suppress(AssertionError):  # a cluster that did not start has none
            self("scancel", "--user=root")
            wait_for(lambda: self.jobs() == {}, "the end of every job", seconds=120)
        files = [self.folder / f"{name}.pid" for name in ("slurmd.n1", "slurmd.n2", "slurmctld", "munge")]
        daemons = [int(file.read_text()) for file in files if file.exists()]
        for daemon in daemons:
            os.kill(daemon, signal.SIGTERM)
        wait_for(lambda: not any(map(alive, daemons)), "the end of the daemons", seconds=120)

    def __call__(self, *command: str) -> str:
        """What a command of SLURM answers."""
        environment = os.environ | {"SLURM_CONF": str(self.conf)}
        answer = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert answer.returncode == 0, f"{command} says {answer.stderr}"
        return answer.stdout

    def nodes(self) -> dict[str, str]:
        """The state of each node."""
        return dict(line.split("|") for line in self("sinfo", "--noheader", "--Node", "--format=%N|%t").splitlines())

    def jobs(self) -> dict[str, tuple[str, str]]:
        """Each job by its id, such as "12_3": its state, and the node that it is on."""
        lines = self("squeue", "--noheader", "--array", "--format=%i|%T|%N").splitlines()
        return {job: (state, node) for job, state, node in (line.split("|") for line in lines)}

    def lose(self, node: str) -> None:
        """Take a node down, with all that runs there."""
        self("scontrol", "update", f"nodename={node}", "state=down", "reason=test")

    def release(self, job: str) -> None:
        """Start a job that was started before, which SLURM would let wait for two minutes."""
        wait_for(lambda: self.jobs().get(job, ("",))[0] == "PENDING", f"{job} to be queued again")
        time.sleep(2)  # slurmd revokes the credentials of the job that was, which are told apart by their second
        self("scontrol", "update", f"jobid={job}", "StartTime=now")


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Have a cluster for a while, in a folder that munge finds open enough."""
    with TemporaryDirectory(prefix="slurm-") as folder:
        here = Cluster(Path(folder))
        try:
            here.start()
            yield here
        finally:
            here.end()


def wait_for(condition: Callable[[], bool], what: str, *, seconds: float = 240) -> None:
    """Look twice a second whether something has come about."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.5)


def _ports(count: int) -> list[int]:
    """Ports that are free."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
