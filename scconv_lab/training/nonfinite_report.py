"""What is known of a step that was not finite, for a person to read."""

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from scconv_lab import ops
from scconv_lab.nn import SRU
from scconv_lab.nn.unit import Unit
from scconv_lab.training.exact_resume import drawing_as


def write_autopsy(
    folder: Path,
    module: LightningModule,
    *,
    batch: tuple[Tensor, Tensor],
    loss: float,
    generators: dict[str, Any],
    place: dict[str, int],
) -> str:
    """Write ``report.json``, to be read, and ``state.pt``, to go back to the step.

    report.json: step, epoch and batch; the loss; whether the images are finite; the names of parameters, buffers and
    gradients that are not; the first module whose output is not, when the net is run on the batch again; and of each
    unit the range of its input and output, and of an SRU that of gamma and the share of values that its gate takes for
    informative. state.pt, which loads with weights_only: images, labels, weights, and torch's random generators as
    they were before the batch.

    Returns:
        One sentence: what was not finite first, and where the report is.
    """
    state = {name: tensor.detach().cpu() for name, tensor in module.state_dict().items()}
    gradients = {name: parameter.grad for name, parameter in module.named_parameters() if parameter.grad is not None}
    with drawing_as(generators):
        first, units = _run_again(module.net, batch[0])  # pyrefly: ignore[bad-argument-type]
    bad_gradients, seen = names_of_nonfinite(gradients), _range(batch[0])
    report = {
        **place,
        "loss": _plain(loss),
        "images": seen,
        "nonfinite_parameters": names_of_nonfinite(dict(module.named_parameters())),
        "nonfinite_buffers": names_of_nonfinite(dict(module.named_buffers())),
        "nonfinite_gradients": bad_gradients,
        "first_nonfinite_output": first,
        "units": units,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(f"{json.dumps(report, indent=2)}\n", encoding="utf-8")
    images, labels = (tensor.cpu() for tensor in batch)
    torch.save({"images": images, "labels": labels, "generators": generators, "state_dict": state}, folder / "state.pt")
    if seen["nonfinite"]:
        cause = "the batch holds values that are not finite"
    elif first:
        cause = f"the output of {first} is the first that is not finite"
    else:
        cause = f"{len(bad_gradients)} gradients are not finite"
    return f"{cause} ({folder / 'report.json'})"


def names_of_nonfinite(tensors: Mapping[str, Tensor]) -> list[str]:
    """Names of the floating-point tensors that hold NaN or infinity; one wait for the device if none does."""
    floating = {name: tensor for name, tensor in tensors.items() if tensor.is_floating_point() and tensor.numel()}
    if not floating or _finite(floating.values()):
        return []
    return [name for name, tensor in floating.items() if not _finite([tensor])]


def _finite(tensors: Iterable[Tensor]) -> bool:
    return math.isfinite(get_total_norm([tensor.detach() for tensor in tensors], norm_type=math.inf).item())


@torch.no_grad()
def _run_again(net: nn.Module, images: Tensor) -> tuple[str | None, dict[str, Any]]:
    """Find (the first module with an output that is not finite, what each unit saw); the buffers stay as they are."""
    buffers = [buffer.clone() for buffer in net.buffers()]
    first: list[str] = []
    units: dict[str, Any] = {}

    def look(name: str) -> Any:
        def hook(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            if isinstance(output, Tensor) and not first and not _finite([output]):
                first.append(name)
            if isinstance(module, Unit):
                units[name] = _of_unit(module, inputs[0], output)

        return hook

    hooks = [module.register_forward_hook(look(name)) for name, module in net.named_modules() if name]
    try:
        net(images)
    finally:
        for hook in hooks:
            hook.remove()
        for buffer, before in zip(net.buffers(), buffers, strict=True):
            buffer.copy_(before)
    return (first[0] if first else None), units


def _of_unit(unit: Unit, x: Tensor, y: Tensor) -> dict[str, Any]:
    seen: dict[str, Any] = {"class": type(unit).__name__, "input": _range(x), "output": _range(y)}
    if isinstance(unit, SRU):
        seen["gamma"] = _range(unit.weight)
    if type(unit) is SRU:  # its controls have other gates, or none
        gamma, beta = unit.weight.float(), unit.bias.float()
        gn_x = ops.group_normalize(x.float(), gamma, beta, num_groups=unit.num_groups, norm=unit.norm)
        w1, _ = ops.gate(ops.gate_weights(gn_x, gamma), gate_threshold=unit.gate_threshold, gate_mode=unit.gate_mode)
        seen["informative"] = (w1 == 1).float().mean().item()
    return seen


def _range(tensor: Tensor) -> dict[str, Any]:
    """Range of the finite values, and how many are not."""
    values = tensor.detach().float()
    finite = values[values.isfinite()]
    least, most = (finite.min().item(), finite.max().item()) if finite.numel() else (None, None)
    return {"min": least, "max": most, "nonfinite": values.numel() - finite.numel()}


def _plain(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)
