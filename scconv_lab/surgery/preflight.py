"""Looks for what would spoil a training after surgery, before it starts."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from scconv_lab.errors import UserError
from scconv_lab.messages import first_line
from scconv_lab.meta import meta_copy, without_hooks
from scconv_lab.nn import CRU
from scconv_lab.surgery.norms import is_norm
from scconv_lab.surgery.report import SurgeryReport
from scconv_lab.surgery.sites import site_of


def preflight(net: nn.Module, report: SurgeryReport, image_shape: tuple[int, int, int]) -> list[str]:
    """Warn, one line each, of what a surgery's author may not have meant.

    - A CRU whose output no norm takes: its softmax makes the output smaller, by about 1/C with the joint fusion.
    - Parameters that get no gradient, as SRU's gamma and beta behind a hard gate on raw input.
    - Replacements that have more parameters than what they replace.

    One training step of two images on a copy of the net on the meta device: nothing is computed, the net stays as it
    is.

    Args:
        net: The net after surgery.
        report: What the surgery did.
        image_shape: C, H and W of an image.

    Returns:
        The warnings; none where all is well.
    """
    copied = without_hooks(meta_copy(net)).train()
    normalised = _outputs_into_norms(copied, {edit.site for edit in report.edits})
    dtype = next(net.parameters()).dtype
    with named_sites():
        try:
            output = copied(torch.empty(2, *image_shape, device="meta", dtype=dtype))
        except (TypeError, ValueError, AssertionError, RuntimeError) as error:
            raise UserError(
                f"{type(net).__name__}.forward does not take a batch of images of {image_shape} alone "
                f"({type(error).__name__}: {first_line(error)}); look through such a net by hand"
            ) from error
    losses = [part.sum() for part in _tensors(output) if part.requires_grad]
    if losses:
        torch.stack(losses).sum().backward()
    return [*_without_norm(copied, report, normalised), *_without_gradient(copied), *_grown(report)]


@contextmanager
def named_sites() -> Iterator[None]:
    """Name the site where code that reads a convolution's attributes meets a unit.

    Raises:
        UserError: (a ValueError) in place of the AttributeError of a unit that surgery has put there.
    """
    try:
        yield
    except AttributeError as error:
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        module = trace.tb_frame.f_locals.get("self") if trace is not None else None
        site = site_of(module) if isinstance(module, nn.Module) else None
        if site is None:
            raise
        raise UserError(
            f"the net reads an attribute of the convolution at {site} that the unit there does not have "
            f"({first_line(error)}); leave {site} out of `sites`, or choose another action"
        ) from error


def _tensors(output: Any) -> list[Tensor]:
    """The tensors of what a net puts out: one, or tuples, lists and mappings of them."""
    if isinstance(output, Tensor):
        return [output]
    parts = output.values() if isinstance(output, Mapping) else output if isinstance(output, tuple | list) else ()
    return [tensor for part in parts for tensor in _tensors(part)]


def _outputs_into_norms(net: nn.Module, places: set[str]) -> set[str]:
    """Watch which places' outputs reach a norm as they are; the set fills when the net runs."""
    reached: set[str] = set()
    made: dict[int, tuple[str, Tensor]] = {}

    def note_output(name: str, output: Any) -> None:
        made[id(_whole(output))] = (name, output)

    def note_input(inputs: tuple[Any, ...]) -> None:
        reached.update(made[id(_whole(x))][0] for x in inputs if id(_whole(x)) in made)

    for name, module in net.named_modules(remove_duplicate=False):
        if name in places:
            module.register_forward_hook(lambda module, inputs, output, name=name: note_output(name, output))
        if is_norm(module):
            module.register_forward_pre_hook(lambda module, inputs: note_input(inputs))
    return reached


def _whole(x: Any) -> Any:
    """What a permuted view, or a flattened one, shows."""
    return x if getattr(x, "_base", None) is None else x._base


def _without_norm(net: nn.Module, report: SurgeryReport, normalised: set[str]) -> list[str]:
    if report.action in ("insert_before", "insert_before_norm"):
        return []
    sites: dict[str, list[str]] = {}
    for edit in report.edits:
        fusions = {part.fusion for part in net.get_submodule(edit.unit).modules() if isinstance(part, CRU)}
        if fusions and edit.site not in normalised:
            sites.setdefault(fusions.pop(), []).append(edit.site)
    shrinks = {
        "joint": "the joint fusion makes its output about 1/C as large",
        "pairwise": "the fusion makes its output smaller",
    }
    return [f"no norm takes the output of the unit at {_listed(names)}: {shrinks[key]}" for key, names in sites.items()]


def _without_gradient(net: nn.Module) -> list[str]:
    names = [name for name, p in net.named_parameters() if p.requires_grad and p.grad is None]
    if not names:
        return []
    return [
        f"no gradient reaches {_listed(names)}: they keep their first values; several processes need "
        "--trainer.strategy ddp_find_unused_parameters_true"
    ]


def _grown(report: SurgeryReport) -> list[str]:
    grown = [edit for edit in report.edits if edit.params_after > edit.params_before]
    if report.action != "replace" or not grown:
        return []
    added = sum(edit.params_after - edit.params_before for edit in grown)
    return [f"the replacement has {added:,} params more than the convolution at {_listed([e.site for e in grown])}"]


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
