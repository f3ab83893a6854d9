"""Reads checkpoints of public ScConv code."""

import re
from collections.abc import Iterable, Mapping

from torch import Tensor

from scconv_lab.errors import UserError

_RENAMES = {
    "SRU.gn.weight": "sru.weight",
    "SRU.gn.bias": "sru.bias",
    "SRU.gn.gamma": "sru.weight",
    "SRU.gn.beta": "sru.bias",
    "CRU.squeeze1.weight": "cru.squeeze_up.weight",
    "CRU.squeeze2.weight": "cru.squeeze_low.weight",
    "CRU.GWC.weight": "cru.gwc.weight",
    "CRU.GWC.bias": "cru.gwc.bias",
    "CRU.PWC1.weight": "cru.pwc_up.weight",
    "CRU.PWC2.weight": "cru.pwc_low.weight",
}
_PUBLIC_KEY = re.compile(rf"(?:^|(?<=\.))({'|'.join(map(re.escape, _RENAMES))})$")


def holds_public_units(names: Iterable[str]) -> bool:
    """Whether any of a state dict's names is public ScConv code's."""
    return any(_PUBLIC_KEY.search(name) for name in names)


def convert_public_state_dict(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the parameters of public ScConv code to those of `ScConv`, under any prefix.

    ``layer1.0.SRU.gn.weight`` becomes ``layer1.0.sru.weight``, and so on for the group norm (also where it calls its
    parameters gamma and beta, of shape (C, 1, 1)), the squeezes, GWC and the PWCs. Keys of other modules stay as they
    are; tensors are not copied.

    Args:
        state_dict: As saved by cheng-haha/ScConv, Jacky-Android/ResNet-ScConv or a copy of theirs.

    Raises:
        UserError: (a ValueError) if no key is public ScConv code's, or two keys get one name.
    """
    converted: dict[str, Tensor] = {}
    found = 0
    for key, tensor in state_dict.items():
        name, count = _PUBLIC_KEY.subn(lambda match: _RENAMES[match[1]], key)
        found += count
        if name in converted:
            raise UserError(
                f"two keys of the state dict both mean {name!r}, the second is {key!r}; leave one of them out"
            )
        converted[name] = tensor.flatten() if count and name.endswith(("sru.weight", "sru.bias")) else tensor
    if not found:
        raise UserError(
            f"no key of the state dict is public ScConv code's (such as {', '.join(list(_RENAMES)[:5:2])}); "
            f"its keys are like {list(state_dict)[:3]}; load it as it is if it is this lab's own"
        )
    return converted
