"""Any classification model of torchvision."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor, nn

from scconv_lab.models.net import Net
from scconv_lab.models.pretrained import HUB, fill, hub_error, read_weights, reads_pretrained
from scconv_lab.models.wrapped import model_arguments, refusal, unknown_name

_WITH_SIDE_CLASSIFIERS = ("googlenet", "inception_v3")


class TorchvisionNet(Net):
    """A classification model of torchvision by its name, random or pretrained.

    Maps (B, 3, H, W) to (B, num_classes); the model is ``net.model``, so its sites are "model.layer1.0.conv2" and the
    like. GoogLeNet and Inception v3 are built without their auxiliary classifiers.

    Args:
        num_classes: Classes to tell apart.
        name: As in ``torchvision.models.list_models(module=torchvision.models)``: resnet50, convnext_tiny, vit_b_16.
        pretrained: "hub" for torchvision's default weights, downloaded once; or the path of a .pth, .pt or
            .safetensors file. A classifier for another number of classes is left out and starts anew. None starts at
            random; so does any value on the meta device and within `without_pretrained`.
        model_args: Further arguments of the model, such as ``{"dropout": 0.2}``.

    Raises:
        UserError: (a ValueError) on an unknown name, arguments that torchvision refuses, weights that cannot be had,
            read or fitted.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        name: str,
        pretrained: str | None = None,
        model_args: dict[str, Any] | None = None,
    ):
        super().__init__()
        names = torchvision.models.list_models(module=torchvision.models)
        if name not in names:
            raise unknown_name("torchvision", name, names)
        arguments = model_arguments(
            model_args, reserved=("num_classes", "weights", "pretrained", "progress", "aux_logits")
        )
        if name in _WITH_SIDE_CLASSIFIERS:
            arguments = {"aux_logits": False, "init_weights": True} | arguments
        if pretrained == HUB:
            arguments = _of_hub_weights(name) | arguments
        try:
            self.model = torchvision.models.get_model(name, num_classes=num_classes, **arguments)
        except Exception as error:
            raise refusal("torchvision", name, arguments, error) from error
        if reads_pretrained(pretrained):
            assert pretrained is not None
            weights = _download(name) if pretrained == HUB else read_weights(pretrained)
            fill(
                self.model,
                _renamed(name, weights),
                classifier=_classifier(self.model),
                source=f"`pretrained` (={pretrained!r})",
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map images (B, 3, H, W) to logits (B, num_classes)."""
        return self.model(x)


def _of_hub_weights(name: str) -> dict[str, Any]:
    """Arguments that torchvision's default weights ask for and that no tensor holds."""
    if name in _WITH_SIDE_CLASSIFIERS:
        return {"transform_input": True}
    if name.startswith("vit_"):
        return {"image_size": torchvision.models.get_model_weights(name)["DEFAULT"].meta["min_size"][0]}
    return {}


def _download(name: str) -> Mapping[str, Tensor]:
    weights = torchvision.models.get_model_weights(name)["DEFAULT"]
    try:
        return weights.get_state_dict(progress=False, check_hash=True)
    except Exception as error:  # no network, no room, a damaged file: urllib, ssl and torch raise many kinds
        folder = Path(torch.hub.get_dir(), "checkpoints")
        way_out = f"fetch {weights.url} elsewhere and put it into {folder}, or give the path of a file"
        raise hub_error(name, "download.pytorch.org", error, way_out) from error


def _renamed(name: str, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Leave out auxiliary classifiers, and write "norm.1" of torchvision's DenseNet files as its code does, "norm1"."""
    weights = {re.sub(r"(denselayer\d+\.[a-z]+)\.(\d)", r"\1\2", key): tensor for key, tensor in weights.items()}
    if name in _WITH_SIDE_CLASSIFIERS:
        return {key: tensor for key, tensor in weights.items() if not re.match(r"aux[12]\.|AuxLogits\.", key)}
    return weights


def _classifier(model: nn.Module) -> set[str]:
    """Names of the tensors of the last layer: in every model of torchvision that which counts the classes."""
    layers = [key for key, module in model.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    return {key for key in model.state_dict() if key.startswith(f"{layers[-1]}.")}
