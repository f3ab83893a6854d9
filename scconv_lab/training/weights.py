"""Loads a file of weights into a net that units have come into."""

import re
from collections.abc import Iterable

from torch import Tensor

from scconv_lab.errors import UserError
from scconv_lab.models.pretrained import fill, read_weights
from scconv_lab.nn import convert_public_state_dict, holds_public_units
from scconv_lab.surgery import SurgeryReport
from scconv_lab.training.classifier import Classifier

_OF_A_UNIT = re.compile(r"^(.*?)(?:sru\.(?:weight|bias)|cru\..+)$")


def load_weights(classifier: Classifier, path: str) -> None:
    """Fill a classifier's net, units included, from a file.

    The file is a checkpoint of this lab, or a state dict of the net with this lab's or public code's ScConv in it,
    wherever its ScConv stand: they are paired with the net's in their order. Where surgery let a convolution stand,
    the file may call it as it was called before.

    Args:
        classifier: Its net receives the weights.
        path: A .ckpt, .pth, .pt or .safetensors file; read with weights_only.

    Raises:
        UserError: (a ValueError) if the file cannot be read, or a tensor of it or of the net finds no counterpart.
    """
    tensors = dict(read_weights(path, key="weights"))
    if all(name.startswith("net.") for name in tensors):
        tensors = {name.removeprefix("net."): tensor for name, tensor in tensors.items()}
    if holds_public_units(tensors):
        tensors = convert_public_state_dict(tensors)
    tensors = _as_the_net_names_units(tensors, classifier.net.state_dict(), path)
    if classifier.surgery_report:
        tensors = _as_surgery_names_the_rest(tensors, classifier.surgery_report)
    way_out = "give the net, the unit and the placement that the file was made with"
    fill(classifier.net, tensors, classifier=set(), source=f"`weights` (={path!r})", way_out=way_out)


def _as_the_net_names_units(tensors: dict[str, Tensor], own: Iterable[str], path: str) -> dict[str, Tensor]:
    there, here = _places_of_units(tensors), _places_of_units(own)
    if set(there) == set(here):
        return tensors
    if len(there) != len(here):
        raise UserError(
            f"`weights` (={path!r}) holds {len(there)} ScConv and the net {len(here)}; "
            "give the unit and the placement that the file was made with"
        )
    places = dict(zip(there, here, strict=True))
    renamed = {}
    for name, tensor in tensors.items():
        unit = _OF_A_UNIT.match(name)
        renamed[places[unit[1]] + name.removeprefix(unit[1]) if unit else name] = tensor
    return renamed


def _places_of_units(names: Iterable[str]) -> list[str]:
    units = (_OF_A_UNIT.match(name) for name in names)
    return list(dict.fromkeys(unit[1] for unit in units if unit))


def _as_surgery_names_the_rest(tensors: dict[str, Tensor], report: SurgeryReport) -> dict[str, Tensor]:
    """Call what stood at a site "conv" or "norm" within it, where units were inserted next to it."""
    if report.action == "replace":
        return tensors
    kept = "norm" if report.action == "insert_before_norm" else "conv"
    renamed = {}
    places = [edit.unit.removesuffix(".unit") if kept == "norm" else edit.site for edit in report.edits]
    for name, tensor in tensors.items():
        place, _, leaf = name.rpartition(".")
        renamed[f"{place}.{kept}.{leaf}" if place in places else name] = tensor
    return renamed
