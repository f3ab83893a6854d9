"""Any classification model of timm."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from scconv_lab.errors import UserError
from scconv_lab.models.net import Net
from scconv_lab.models.pretrained import HUB, fill, hub_error, read_weights, reads_pretrained
from scconv_lab.models.wrapped import model_arguments, refusal, unknown_name


class TimmNet(Net):
    """A classification model of timm (Wightman, github.com/huggingface/pytorch-image-models), random or pretrained.

    Maps (B, 3, H, W) to (B, num_classes); the model is ``net.model``, so its sites are "model.layer1.0.conv2" and the
    like.

    Args:
        num_classes: Classes to tell apart.
        name: As in ``timm.list_models()``: resnet50, convnext_atto; or with the tag of its weights, resnet50.a1_in1k.
        pretrained: "hub" for timm's weights of that tag, or its default ones, downloaded once; or the path of a .pth,
            .pt or .safetensors file. A classifier for another number of classes is left out and starts anew. None
            starts at random; so does any value on the meta device and within `without_pretrained`.
        model_args: Further arguments of the model, such as ``{"drop_path_rate": 0.1}``.

    Raises:
        UserError: (a ValueError) on an unknown name, arguments that timm refuses, weights that cannot be had, read or
            fitted.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        name: str,
        pretrained: str | None = None,
        model_args: dict[str, Any] | None = None,
    ):
        import timm  # a second of imports that no other net needs

        super().__init__()
        names = [*timm.list_models(), *timm.list_pretrained()]
        if name not in names:
            raise unknown_name("timm", name, names)
        reserved = ("num_classes", "pretrained", "pretrained_cfg", "checkpoint_path", "features_only")
        arguments = model_arguments(model_args, reserved=reserved)
        try:
            self.model = timm.create_model(name, num_classes=num_classes, **arguments)
        except Exception as error:
            raise refusal("timm", name, arguments, error) from error
        if reads_pretrained(pretrained):
            assert pretrained is not None
            weights = _download(name, arguments) if pretrained == HUB else read_weights(pretrained)
            fill(self.model, weights, classifier=_classifier(self.model), source=f"`pretrained` (={pretrained!r})")

    def forward(self, x: Tensor) -> Tensor:
        """Map images (B, 3, H, W) to logits (B, num_classes)."""
        return self.model(x)


def _download(name: str, arguments: dict[str, Any]) -> Mapping[str, Tensor]:
    """Give timm's weights, by way of timm's model, which knows how to read the files of others."""
    import timm

    source = timm.models.get_pretrained_cfg(name)
    if source is None or not source.has_weights:
        raise UserError(f"`pretrained` (={HUB!r}): timm has no weights of {name!r}; give the path of a file, or null")
    try:
        return timm.create_model(name, pretrained=True, **arguments).state_dict()
    except Exception as error:  # no network, no room, a damaged file: httpx, huggingface_hub and torch raise many kinds
        place = f"huggingface.co/{source.hf_hub_id}" if source.hf_hub_id else source.url
        way_out = f"fetch the file of weights from {place} elsewhere, and give its path"
        raise hub_error(name, "the Hugging Face hub", error, way_out) from error


def _classifier(model: Any) -> set[str]:
    """Names of the tensors of what timm calls the model's classifiers; distilled models have two."""
    heads = model.get_classifier()
    heads = heads if isinstance(heads, tuple | list) else (heads,)
    names = [name for name, module in model.named_modules() if any(module is head for head in heads)]
    return {key for key in model.state_dict() if key.startswith(tuple(f"{name}." for name in names))}
