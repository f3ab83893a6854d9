"""Counts parameters."""

from torch import nn

from scconv_lab.nn import Unit
from scconv_lab.surgery.norms import is_norm

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
PARTS = ("convs", "norms", "head", "units", "other")
"""Where a net's parameters are; see `params_by_part`."""


def count_params(net: nn.Module) -> int:
    """Count the parameters of a net, trainable or not, shared ones once."""
    return sum(parameter.numel() for parameter in net.parameters())


def count_trainable(net: nn.Module) -> int:
    """Count the parameters that an optimizer may change, shared ones once."""
    return sum(parameter.numel() for parameter in net.parameters() if parameter.requires_grad)


def params_by_part(net: nn.Module) -> dict[str, int]:
    """Count the parameters of each of `PARTS`; together they are `count_params`.

    "units" are all parameters inside a `scconv_lab.nn.Unit`, its convolutions and norms included. Of the rest, "convs"
    and "norms" are those of convolutions and norms, "head" the last ``nn.Linear`` in the order of definition, and
    "other" whatever remains. A parameter that is shared counts once, where it is met first.
    """
    parts = dict.fromkeys(PARTS, 0)
    in_units = {part for module in net.modules() if isinstance(module, Unit) for part in module.modules()}
    linears = [module for module in net.modules() if isinstance(module, nn.Linear) and module not in in_units]
    seen: set[nn.Parameter] = set()
    for module in net.modules():
        if module in in_units:
            part = "units"
        elif isinstance(module, CONVOLUTIONS):
            part = "convs"
        elif is_norm(module):
            part = "norms"
        else:
            part = "head" if linears and module is linears[-1] else "other"
        own = set(module.parameters(recurse=False)) - seen
        parts[part] += sum(parameter.numel() for parameter in own)
        seen |= own
    return parts
