"""What surgery did."""

from dataclasses import dataclass
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
        params_before: Parameters of the one.
        params_after: Parameters of the other.
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
        """A table for ``rich.print(report)``; neighbours that change alike share a row."""
        table = Table("sites", "before", "after", box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("params", justify="right")
        for _, alike in groupby(self.edits, key=lambda edit: (edit.before, edit.after)):
            edits = list(alike)
            first, count = edits[0], len(edits)
            sites = first.site if count == 1 else f"{first.site} ... {edits[-1].site} ({count})"
            table.add_row(sites, first.before, first.after, f"{first.params_before:,} -> {first.params_after:,}")
        return table
