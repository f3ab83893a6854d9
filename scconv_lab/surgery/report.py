"""What surgery did."""

from dataclasses import dataclass, replace
from itertools import groupby

from rich import box
from rich.table import Table


@dataclass(frozen=True)
class Edit:
    """One site's change.

    Attributes:
        site: The convolution that was chosen.
        unit: Where the unit stands now: its qualified name.
        before: The module that was there, in one line.
        after: The module that is there now, in one line.
        params_before: Parameters of the one, without those that leave the net nowhere as they are tied to others.
        params_after: Parameters of the other, each counted once in the net.
    """

    site: str
    unit: str
    before: str
    after: str
    params_before: int
    params_after: int


@dataclass(frozen=True)
class SurgeryReport:
    """Every edit of one surgery, in the order of the net, and the class name of the unit and the action behind it."""

    unit: str
    action: str
    edits: tuple[Edit, ...]

    @property
    def params_added(self) -> int:
        """Parameters that the net has more than before; negative where the units are smaller."""
        return sum(edit.params_after - edit.params_before for edit in self.edits)

    def __str__(self) -> str:
        sites = f"{len(self.edits)} site{'s' * (len(self.edits) != 1)}"
        return f"{self.unit} {self.action} at {sites}, {self.params_added:+,} params"

    def __rich__(self) -> Table:
        """A table for ``rich.print(report)``; neighbours that change alike share a row, its params count for each."""
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for name in ("sites", "before", "after"):
            table.add_column(name, overflow="fold")
        table.add_column("params", justify="right", no_wrap=True)
        for _, alike in groupby(self.edits, key=lambda edit: replace(edit, site="", unit="")):
            edits = list(alike)
            first = edits[0]
            sites = first.site if len(edits) == 1 else f"{_shared_name([e.site for e in edits])} ({len(edits)})"
            table.add_row(sites, first.before, first.after, f"{first.params_after - first.params_before:+,}")
        return table


def _shared_name(sites: list[str]) -> str:
    """Names as one, with a star for what differs: "layer3.*.conv2"."""
    parts = [site.split(".") for site in sites]
    if len({len(names) for names in parts}) > 1:
        return f"{sites[0]} ... {sites[-1]}"
    return ".".join(names[0] if len(set(names)) == 1 else "*" for names in zip(*parts, strict=True))
