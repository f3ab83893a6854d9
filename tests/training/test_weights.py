"""Weights from files, public ScConv code's among them, in a net that surgery has been at."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from scconv_lab.errors import UserError
from scconv_lab.models import CifarResNet
from scconv_lab.nn import READINGS
from scconv_lab.training import Classifier
from scconv_lab.training.weights import load_weights
from tests.nn.public import PublicScConv, randomized

NET = {"class_path": "scconv_lab.models.CifarResNet", "init_args": {"depth": 8}}
SITES = ("layer1.0.conv2", "layer2.0.conv2", "layer3.0.conv2")


def classifier(action: str = "replace", reading: str = "cheng_haha", **changes: Any) -> Classifier:
    unit = {"class_path": "scconv_lab.nn.ScConv", "init_args": READINGS[reading]}
    settings: dict[str, Any] = {"surgery": {"unit": unit, "action": action}, "num_classes": 10}
    return Classifier(NET, image_shape=(3, 8, 8), **settings | changes).eval()


def public_net(action: str, reading: str = "cheng_haha") -> nn.Module:
    """A net with public code's ScConv where surgery would put this lab's, under public code's names."""
    net = CifarResNet(10, depth=8)
    for site in SITES:
        block = net.get_submodule(site.rpartition(".")[0])
        conv = block.conv2
        unit = PublicScConv(conv.out_channels, reading, ("weight", "bias"))
        if action == "replace":
            block.conv2 = unit
            continue
        block.scconv = unit  # beside conv2, and called by the hook
        hooks = {
            "insert_after": (conv.register_forward_hook, lambda m, x, y, unit=unit: unit(y)),
            "insert_before": (conv.register_forward_pre_hook, lambda m, x, unit=unit: (unit(x[0]),)),
            "insert_before_norm": (block.bn2.register_forward_pre_hook, lambda m, x, unit=unit: (unit(x[0]),)),
            "parallel": (conv.register_forward_hook, lambda m, x, y, unit=unit: y + unit(x[0])),
        }
        register, hook = hooks[action]
        register(hook)
    return randomized(net).eval()


@pytest.mark.parametrize("reading", ["cheng_haha", "jacky"])
@pytest.mark.parametrize("action", ["replace", "insert_after", "insert_before", "insert_before_norm", "parallel"])
def test_a_public_checkpoint_gives_the_public_output(action: str, reading: str, tmp_path: Path) -> None:
    public = public_net(action, reading)
    torch.save({"state_dict": {f"module.{k}": v for k, v in public.state_dict().items()}}, tmp_path / "public.pth")
    ours = classifier(action, reading).double()
    load_weights(ours, str(tmp_path / "public.pth"))
    images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), public(images), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("file", ["own.safetensors", "own.pth", "own.ckpt"])
def test_own_weights_load_from_every_kind_of_file(file: str, tmp_path: Path) -> None:
    model, other = classifier("insert_after"), classifier("insert_after")
    if file.endswith(".safetensors"):
        save_file(model.net.state_dict(), tmp_path / file)
    else:
        state = model.net.state_dict() if file.endswith(".pth") else {"state_dict": model.state_dict()}
        torch.save(state, tmp_path / file)
    load_weights(other, str(tmp_path / file))
    for name, tensor in model.net.state_dict().items():
        assert torch.equal(other.net.state_dict()[name], tensor)


def test_weights_of_a_plain_net(tmp_path: Path) -> None:
    torch.save(CifarResNet(10, depth=8).state_dict(), tmp_path / "plain.pth")
    load_weights(classifier(surgery=None), str(tmp_path / "plain.pth"))
    with pytest.raises(UserError, match=r"holds 0 ScConv and the net 3; give the unit and the placement"):
        load_weights(classifier(), str(tmp_path / "plain.pth"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("fc.bias"), r"tensors that are missing there: fc.bias; give the net"),
        (lambda state: state.update(extra=torch.zeros(1)), r"tensors that are unknown here: extra"),
        (
            lambda state: state.update({"fc.bias": torch.zeros(7)}),
            r"tensors that have another shape: fc.bias is \(7,\) there and \(10,\) here",
        ),
        (lambda state: [state.pop(k) for k in list(state) if "layer1.0.conv2" in k], "holds 2 ScConv and the net 3"),
    ],
)
def test_what_does_not_fit_is_named(change: Any, message: str, tmp_path: Path) -> None:
    model = classifier()
    state = {name: tensor.clone() for name, tensor in model.net.state_dict().items()}
    change(state)
    torch.save(state, tmp_path / "odd.pth")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(UserError, match=rf"`weights` \(='.*odd.pth'\).*{message}"):
        load_weights(model, str(tmp_path / "odd.pth"))
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize(("content", "message"), [(None, "is not a file"), (b"no weights", "is not a readable file")])
def test_a_file_that_is_missing_or_damaged(content: bytes | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(UserError, match=rf"`weights` \(='.*w.pth'\) {message}"):
        load_weights(classifier(), str(tmp_path / "w.pth"))
