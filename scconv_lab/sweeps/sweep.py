"""A sweep, from its file to its table."""

import signal
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property

from scconv_lab.errors import UserError
from scconv_lab.grid.expand import Arm, contrasts_of, select
from scconv_lab.grid.file import SweepFile
from scconv_lab.messages import nearest
from scconv_lab.results.collect import of_sweep
from scconv_lab.results.compare import Comparison, compare
from scconv_lab.results.plan import power_lines
from scconv_lab.results.show import print_comparison
from scconv_lab.run_folder.attempts import stopped_early
from scconv_lab.run_folder.members import Launch, Member, note_launch
from scconv_lab.run_folder.progress import progress_of
from scconv_lab.run_folder.state import damage, state_of
from scconv_lab.sweeps import agents, ledger, slurm
from scconv_lab.sweeps.estimate import plan_arms
from scconv_lab.sweeps.local import Local
from scconv_lab.sweeps.resolve import Run, require_buildable, resolve
from scconv_lab.sweeps.show import Board, duration, print_failures, print_runs, tested
from scconv_lab.sweeps.slots import cores
from scconv_lab.sweeps.slots import gpus as find_gpus


class Sweep:
    """The runs of a file that were chosen; what cannot be run is refused here.

    Args:
        file: The sweep's file, read.
        arms: Its arms.
        only: Conditions of the runs that are chosen.
        configs: The files for all runs, as they were given.
        keys: The keys for all runs, as KEY=VALUE.

    Raises:
        UserError: (a ValueError) if an arm or a net cannot be as asked; nothing is launched then.
    """

    def __init__(
        self,
        file: SweepFile,
        arms: Sequence[Arm],
        *,
        only: Sequence[str] = (),
        configs: Sequence[str] = (),
        keys: Sequence[str] = (),
    ) -> None:
        self.file = file
        self._given = tuple(configs), tuple(keys)
        names = [arm.name for arm in arms]
        for name in self.file.more_seeds:
            if name not in names:
                raise UserError(f"{self.file.path}: `more_seeds` names {name!r}, which is no arm{nearest(name, names)}")
        self.contrasts = contrasts_of(self.file, arms)
        every = [(arm, seed) for arm in arms for seed in self.file.seeds_of(arm.name)]
        if self.file.early_stop:
            _require_arm(self.file, self.file.early_stop.reference, arms)
        chosen = select(every, only)
        self.members: list[Run] = resolve(every)
        self.runs: list[Run] = [run for run in self.members if (run.arm, run.seed) in chosen]
        require_buildable([run for run in self.runs if state_of(run.files) != "done"])

    def _note_members(self) -> None:
        members = tuple(Member(run.id, run.arm.name, run.seed) for run in self.members)
        note_launch(self.runs[0].root, self.file.name, Launch(*self._given, members))

    def states(self) -> dict[str, str]:
        """The state of each run by its id, what waits in SLURM's queue included."""
        found = {run.id: state_of(run.files) for run in self.runs}
        return {
            run: "queued" if run in self._queued and state in ("new", "interrupted") else state
            for run, state in found.items()
        }

    @cached_property
    def _queued(self) -> dict[str, str]:
        """What SLURM says of the runs in its queue, asked once."""
        return slurm.queued(self.runs[0].root, self.file.name)

    def forgive(self) -> None:
        """Let what failed or was stopped early be tried again."""
        for run in self.runs:
            if state_of(run.files) in ("failed", "stopped"):
                ledger.forgive(run)

    def redo_changed(self) -> None:
        """Set aside what other code or versions have made, so that it is run again."""
        for run in self.runs:
            if why := ledger.made_otherwise(run):
                ledger.set_aside(run)
                print(f"again    {run.arm.name}, seed {run.seed}: {why}")

    def say_what_changed(self) -> None:
        """Print which of the runs that are done were made by other code or versions."""
        changed = [(run, why) for run in self.runs if (why := ledger.made_otherwise(run))]
        for run, why in changed:
            print(f"changed  {run.arm.name}, seed {run.seed}: {why}")
        if changed:
            print(f"         {len(changed)} runs count as done all the same; --redo-changed runs them again")

    def launch(self, *, gpus: str | None = None, workers: int | None = None) -> int:
        """Run what is not done on this machine, and print the results.

        Returns:
            0 if every run is done or was stopped by the file's own rule, 1 if one has failed, 128 + n if signal n
            ended the sweep.
        """
        states = Counter(self.states().values())
        print(f"sweep    {self.file.name}, {len(self.runs)} runs: {_counted(states)}")
        self.say_what_changed()
        with Board(self.runs, self.file.design.checkpoint) as board:
            local = Local(
                self.runs,
                gpus=find_gpus(gpus),
                workers=workers or cores(),
                board=board,
                early_stop=self.file.early_stop,
            )
            local.launch()
        self._note_members()
        print()
        print_comparison(self._compared(), with_runs=False)
        print_failures(self.runs)
        left = Counter(self.states().values())
        if local.signum and left["done"] < len(self.runs):
            name = signal.Signals(local.signum).name
            print(f"\nended by {name}: {_counted(left)}; the same command resumes it")
            return 128 + local.signum
        return 0 if left["done"] + left["stopped"] == len(self.runs) else 1

    def _compared(self) -> Comparison:
        configs, keys = self._given
        question, runs, _ = of_sweep(self.file, root=self.runs[0].root, configs=configs, keys=keys)
        return compare(question, runs)

    def submit(self, given: Sequence[str], *, dry_run: bool, verbose: bool) -> int:
        """Hand what is neither done, failed, under way nor queued to SLURM.

        Args:
            given: Options of sbatch as KEY=VALUE.
            dry_run: Print the heads of the scripts, and submit nothing.
            verbose: Print all of them.
        """
        states = self.states()
        todo = [run for run in self.runs if states[run.id] in ("new", "interrupted")]
        print(f"sweep    {self.file.name}, {len(self.runs)} runs: {_counted(Counter(states.values()))}")
        self.say_what_changed()
        if not todo:
            return 0
        self._tell_what_is_for_here()
        jobs = slurm.scripts(todo, self.file.name, slurm.options(self.file.slurm, given), datetime.now())
        if dry_run:
            for job in jobs:
                print(f"\n# {job.script}\n{job.text if verbose else job.head}", end="")
            if not verbose:
                print("\nEach task runs `scconv-lab fit` for one run and resumes it; --verbose prints that part too")
            return 0
        self._note_members()
        for job, job_id in zip(jobs, slurm.submit(jobs), strict=True):
            print(f"job      {job_id}, {len(job.runs)} runs: {job.script}")
        print("\n--status shows them; typed again, the command submits what is neither done nor queued")
        return 0

    def define_for_agents(self) -> int:
        """Write the sweep's definition for W&B, and print the commands that start its agents."""
        self._note_members()
        file = agents.define(self.runs, self.file.name)
        self._tell_what_is_for_here()
        make, start = agents.commands(file)
        print(f"written  {file}")
        print(f"once     {make}")
        print(f"agents   {start}  (as often as you like, wherever {self.runs[0].root} is)")
        return 0

    def _tell_what_is_for_here(self) -> None:
        shared = any(run.arm.resources.runs_per_gpu > 1 for run in self.runs)
        for key, asked in (("early_stop", self.file.early_stop), ("resources.runs_per_gpu", shared)):
            if asked:
                print(f"note     `{key}` only works with --launcher local; ignored here")

    def print_status(self) -> int:
        """Print what has become of each run."""
        rows = []
        states = self.states()
        for run in self.runs:
            progress, reached = progress_of(run.files), tested(ledger.results(run), self.file.design.checkpoint)
            accuracy = reached.get("val/acc1", progress.accuracies.get(progress.epoch))
            rows.append(
                [
                    run.arm.name,
                    str(run.seed),
                    run.id,
                    states[run.id],
                    str(progress),
                    f"{accuracy:.4f}" if accuracy is not None else "",
                    f"{reached['test/acc1']:.4f}" if "test/acc1" in reached else "",
                    damage(run.files)
                    or ledger.made_otherwise(run)
                    or stopped_early(run.files)
                    or self._queued.get(run.id, ""),
                ]
            )
        print_runs(rows, "arm", "seed", "run", "state", "epoch", "val/acc1", "test/acc1", "found")
        print(f"\n{_counted(Counter(states.values()))}; folders are {self.runs[0].root}/RUN")
        return 0

    def print_plan(self, *, probe: bool) -> int:
        """Print each run with what it costs, and an estimate of the time of those that are not done."""
        plans, states = plan_arms(self.runs, probe=probe), self.states()
        rows = []
        device_seconds, unknown, sources = 0.0, 0, set()
        for run in self.runs:
            plan, state = plans[run.arm.name], states[run.id]
            rows.append(
                [
                    run.arm.name,
                    str(run.seed),
                    run.id,
                    state,
                    f"{plan.params:,}",
                    f"{plan.macs:,}",
                    duration(plan.seconds) if plan.seconds else "",
                ]
            )
            if state == "done":
                continue
            if plan.seconds is None:
                unknown += 1
            else:
                device_seconds += plan.seconds * (run.processes or 1)
                sources.add(plan.source)
        print_runs(rows, "arm", "seed", "run", "state", "params", "MACs", "time")
        print(f"\n{_counted(Counter(states.values()))}")
        self.say_what_changed()
        if sources:
            print(f"to do    {device_seconds / 3600:.2f} device-hours, by {' and '.join(sorted(sources))}")
        if unknown:
            print(f"to do    {unknown} runs that nothing is known of; --probe times a few steps of each arm here")
        begun = any(state != "new" for state in states.values())
        if begun:
            self._note_members()
        for line in power_lines(self.file, self.contrasts, self._compared() if begun else None):
            print(line)
        return 0


def _require_arm(file: SweepFile, name: str, arms: Sequence[Arm]) -> None:
    names = [arm.name for arm in arms]
    if name not in names:
        raise UserError(f"{file.path}: `early_stop.reference` (={name!r}) is no arm{nearest(name, names)}")


def _counted(states: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in states.items())
