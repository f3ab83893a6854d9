"""What the planned seeds of a sweep can show, before they are run."""

import math
from collections.abc import Sequence

from scconv_lab.grid.file import SweepFile
from scconv_lab.results.compare import Comparison
from scconv_lab.verdicts.design import Contrast
from scconv_lab.verdicts.power import detectable, pooled_sd, seeds_for, seeds_for_equivalence


def power_lines(file: SweepFile, contrasts: Sequence[Contrast], comparison: Comparison | None) -> list[str]:
    """Say which difference the planned seeds see, and how many see the margin.

    Args:
        file: The sweep's.
        contrasts: What it lists.
        comparison: Of its runs, whose standard deviation counts if there are any; else that of the file.
    """
    design = file.design
    if not contrasts or design.margin is None:
        return ["shows    nothing is compared: the file has neither `contrasts` nor `pairs`"]
    arms = [(row.sd, row.n) for row in comparison.arms if row.sd is not None] if comparison else []
    found = pooled_sd(arms)
    if found is None and file.sd is None:
        return ["shows    not known: no run is finished, and the file has no `sd`, the spread of an arm over seeds"]
    sd, source = (
        (found[0], f"of {sum(n for _, n in arms)} finished runs") if found else (file.sd or 0.0, "assumed in the file")
    )
    unit = design.metric.unit
    lines = [f"spread   {sd:.2f} {unit} over seeds, {source}"]
    if not sd:
        return lines
    seeds, level = len(file.seeds), design.level(len(contrasts), len(design.looks) - 1)
    more = min((len(extra) for extra in file.more_seeds.values()), default=0)
    reference = None if design.paired else seeds + more
    sees = detectable(seeds, sd=sd, level=level, reference_seeds=reference)
    seen = f"a difference of {sees:.2f} {unit}" if math.isfinite(sees) else "no difference"
    lines.append(f"shows    {seen} in 4 of 5 experiments, with {seeds} seeds and {len(contrasts)} contrasts")
    ratio = None if reference is None else reference / seeds
    enough = seeds_for(design.margin, sd=sd, level=level, ratio=ratio)
    equal = seeds_for_equivalence(design.margin, sd=sd, level=level)
    numbers = ["over 10,000" if number is None else str(number) for number in (enough, equal)]
    lines.append(
        f"margin   {design.margin:g} {unit}: {numbers[0]} seeds see it, and {numbers[1]} call equal arms equivalent"
    )
    if design.scope == "images":
        lines.append("scope    images: their own spread comes on top, and no number of seeds makes it smaller")
    return lines
