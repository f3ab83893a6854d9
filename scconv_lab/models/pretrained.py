"""Fills a net with weights that somebody else trained."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import torch
from torch import Tensor, nn

from scconv_lab.errors import UserError
from scconv_lab.messages import first_line

HUB = "hub"
"""The value of ``pretrained`` that stands for the library's default weights, downloaded."""

_MOST_NAMED = 3
_wanted: ContextVar[bool] = ContextVar("pretrained_weights_wanted", default=True)


@contextmanager
def without_pretrained() -> Iterator[None]:
    """Build nets without reading their ``pretrained``, which need not exist then.

    For a net whose every tensor is about to be loaded from a checkpoint, on a machine that has neither the file of the
    pretrained weights nor a network.
    """
    token = _wanted.set(False)
    try:
        yield
    finally:
        _wanted.reset(token)


def reads_pretrained(pretrained: str | None) -> bool:
    """Tell whether there are weights to read: not within `without_pretrained`, nor on the meta device."""
    return pretrained is not None and _wanted.get() and torch.get_default_device().type != "meta"


def read_weights(path: str, *, key: str = "pretrained") -> Mapping[str, Tensor]:
    """Read a file's tensors by name: a state dict, or what wraps one under "state_dict" or "model".

    Args:
        path: A .safetensors file, or what ``torch.save`` wrote (.pth, .pt, .ckpt); read with weights_only.
        key: The argument that names the file, for the message.

    Raises:
        UserError: (a ValueError) if there is no such file, or it holds anything else.
    """
    from timm.models import load_state_dict  # a second of imports that only a file is worth

    file = Path(path).expanduser()
    if not file.is_file():
        others = f", {HUB!r} for the library's own weights, or null for none" if key == "pretrained" else ""
        raise UserError(f"`{key}` (={path!r}) is not a file; give the path of a .pth, .pt or .safetensors file{others}")
    try:
        tensors = load_state_dict(str(file), weights_only=True)
    except Exception as error:  # torch and safetensors raise many kinds on a damaged file
        raise _unreadable(key, path, f"{type(error).__name__}: {first_line(error)}") from error
    if not tensors or not all(isinstance(tensor, Tensor) for tensor in tensors.values()):
        raise _unreadable(key, path, "it holds other things than named tensors")
    return tensors


def fill(
    net: nn.Module,
    weights: Mapping[str, Tensor],
    *,
    classifier: set[str],
    source: str,
    way_out: str = "give weights of the same `name` and `model_args`",
) -> None:
    """Copy weights into a net; its classifier keeps its random start unless all of it is there in the same shape.

    Args:
        net: The net to fill, in place.
        weights: Tensors by name.
        classifier: Names of the tensors of the net that depend on the number of classes.
        source: Where the weights are from, for the message: "`pretrained` (='hub')".
        way_out: What to do where they do not fit, for the message.

    Raises:
        UserError: (a ValueError) if a tensor outside the classifier is missing, unexpected or of another shape or type.
    """
    own = net.state_dict()
    whole = all(name in weights and weights[name].shape == own[name].shape for name in classifier)
    kept = {name: weights[name] for name in weights if whole or name not in classifier}
    optional = classifier | {name for name in own if name.endswith(".num_batches_tracked")}  # old files have no such
    reshaped = [
        f"{name} is {_shape(tensor)} there and {_shape(own[name])} here"
        for name, tensor in kept.items()
        if name in own and tensor.shape != own[name].shape
    ]
    misfits = {
        "are missing there": [name for name in own if name not in kept and name not in optional],
        "are unknown here": [name for name in kept if name not in own],
        "have another shape": reshaped,
        "have another type": retyped(kept, own),
    }
    for how, entries in misfits.items():
        if entries:
            more = f" and {len(entries) - _MOST_NAMED} more" if len(entries) > _MOST_NAMED else ""
            raise UserError(
                f"{source} does not fit the net; tensors that {how}: "
                f"{', '.join(entries[:_MOST_NAMED])}{more}; {way_out}"
            )
    own.update(kept)
    net.load_state_dict(own)


def retyped(tensors: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> list[str]:
    """The tensors whose type a net does not have, in words; torch would convert them in silence.

    Floating point of another width is of the same type, as are whole numbers.

    Args:
        tensors: Those of a file, by name.
        own: Those of the net, by name.
    """
    return [
        f"{name} is {tensor.dtype} there and {own[name].dtype} here".replace("torch.", "")
        for name, tensor in tensors.items()
        if name in own and _kind(tensor) != _kind(own[name])
    ]


def _kind(tensor: Tensor) -> tuple[bool, bool, bool]:
    return tensor.is_floating_point(), tensor.is_complex(), tensor.dtype == torch.bool


def hub_error(name: str, host: str, error: Exception, way_out: str) -> UserError:
    """Say that the default weights of a model did not arrive."""
    return UserError(
        f"`pretrained` (={HUB!r}): the weights of {name!r} could not be had from {host} "
        f"({type(error).__name__}: {first_line(error)}); {way_out}"
    )


def _unreadable(key: str, path: str, reason: str) -> UserError:
    return UserError(
        f"`{key}` (={path!r}) is not a readable file of weights ({reason}); give a state dict saved by torch.save "
        "as .pth or .pt, or a .safetensors file, or fetch the file again if it is damaged"
    )


def _shape(tensor: Tensor) -> str:
    return str(tuple(tensor.shape))
