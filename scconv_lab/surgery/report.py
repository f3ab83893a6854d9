"""What surgery did."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Edit:
    """One site's change.

    ``before`` and ``after`` show the module there in one line; the counts are of its parameters.
    """

    site: str
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
