"""Which convolutions a word, a glob or a list selects."""

import pytest
import torch
from torch import nn

from scconv_lab.errors import UserError
from scconv_lab.models import CifarResNet, ResNet, ResNeXt
from scconv_lab.surgery import PAPER, select_sites


def conv(kernel_size, channels=8):
    return nn.Conv2d(channels, channels, kernel_size, padding="same")


class Block(nn.Module):
    """Convolutions under the names and of the widths that are asked for, with norms between."""

    def __init__(self, **widths):
        super().__init__()
        for name, width in widths.items():
            self.add_module(name, conv(width))
            self.add_module(f"{name}_norm", nn.BatchNorm2d(8))


@pytest.fixture(scope="module")
def resnet18():
    with torch.device("meta"):
        return ResNet(10, depth=18)


@pytest.mark.parametrize(
    ("cls", "depth", "count"),
    [
        (ResNet, 18, 8),
        (ResNet, 34, 16),
        (ResNet, 50, 16),
        (ResNet, 101, 33),
        (ResNeXt, 50, 16),
        (CifarResNet, 8, 3),
        (CifarResNet, 20, 9),
        (CifarResNet, 56, 27),
    ],
)
def test_paper_sites_are_the_second_convolution_of_every_block(cls, depth, count):
    with torch.device("meta"):
        net = cls(10, depth=depth)
    sites = select_sites(net, "paper")
    assert len(sites) == count
    assert sites == [name for name, _ in net.named_modules() if name.endswith(".conv2")]
    assert all(net.get_submodule(site).kernel_size == (3, 3) for site in sites)


def test_paper_sites_by_name(resnet18):
    sites = select_sites(resnet18, PAPER)
    assert sites[:3] == ["layer1.0.conv2", "layer1.1.conv2", "layer2.0.conv2"]
    assert sites[-1] == "layer4.1.conv2"


def test_paper_sites_go_by_widths_and_not_by_names():
    net = nn.Sequential()
    net.add_module("thin", Block(reduce=1, spatial=3, expand=1))
    net.add_module("plain", nn.Sequential(Block(first=3, second=3)))
    assert select_sites(net, "paper") == ["thin.spatial", "plain.0.second"]


def test_a_net_may_be_one_block():
    assert select_sites(Block(a=3, b=3), "paper") == ["b"]


@pytest.mark.parametrize(
    "other",
    [
        nn.Sequential(conv(3), nn.ReLU(), conv(3)),  # a deep stem
        nn.Sequential(conv(1), conv(3), conv(1)),
        Block(a=3, b=3, c=3),
        Block(a=1, b=5, c=1),
        Block(a=3),
        Block(a=3, b=(3, 1)),
        Block(a=1, b=3),
    ],
    ids=["deep stem", "sequential 1-3-1", "3-3-3", "1-5-1", "3", "3-3x1", "1-3"],
)
def test_other_groups_of_convolutions_are_no_blocks(other):
    net = nn.ModuleDict({"other": other, "block": Block(a=3, b=3)})
    assert select_sites(net, "paper") == ["block.b"]


@pytest.mark.parametrize(
    ("glob", "expected"),
    [
        ("conv1", ["conv1"]),
        ("layer4.*.conv2", ["layer4.0.conv2", "layer4.1.conv2"]),
        ("layer[34].0.conv1", ["layer3.0.conv1", "layer4.0.conv1"]),
        ("layer?.1.conv2", [f"layer{stage}.1.conv2" for stage in (1, 2, 3, 4)]),
        ("*downsample*", [f"layer{stage}.0.downsample.0" for stage in (2, 3, 4)]),
        ("layer1.*", [f"layer1.{block}.conv{number}" for block in (0, 1) for number in (1, 2)]),
    ],
)
def test_globs_match_whole_names_of_convolutions(resnet18, glob, expected):
    assert select_sites(resnet18, glob) == expected


def test_a_list_is_a_union_in_the_order_of_the_net(resnet18):
    sites = select_sites(resnet18, ["layer4.1.conv2", "conv1", "layer4.*.conv2"])
    assert sites == ["conv1", "layer4.0.conv2", "layer4.1.conv2"]
    assert select_sites(resnet18, ["paper", "conv1"]) == ["conv1", *select_sites(resnet18, "paper")]
    assert select_sites(resnet18, ("conv1",)) == ["conv1"]


@pytest.mark.parametrize("word", ["layer4.0.conv3", "Layer4.0.conv2", "layer4.0.bn2", "layer4.0", "", "papre"])
def test_nothing_matched_is_an_error_with_near_misses(resnet18, word):
    with pytest.raises(UserError, match=r"matches none of the 20 convolutions of ResNet") as info:
        select_sites(resnet18, word)
    message = str(info.value)
    assert f"(={word!r})" in message
    near = message.partition("near misses: ")[2].split(", ")
    names = {name for name, module in resnet18.named_modules() if isinstance(module, nn.Conv2d)} | {PAPER}
    assert near
    assert set(near) <= names
    if "layer4.0" in word:
        assert "layer4.0.conv2" in near
    if word == "papre":
        assert near[0] == "paper"


def test_one_idle_entry_of_a_list_is_an_error(resnet18):
    with pytest.raises(UserError, match=r"`sites` \(='layer9\.\*'\) matches none"):
        select_sites(resnet18, ["paper", "layer9.*"])


def test_an_empty_list_is_an_error(resnet18):
    with pytest.raises(UserError, match=r"`sites` is an empty list; name at least one"):
        select_sites(resnet18, [])


@pytest.mark.parametrize("sites", ["paper", "*", ["conv1"]])
def test_a_net_without_convolutions_is_an_error(sites):
    with pytest.raises(UserError, match=r"Sequential has no nn\.Conv2d to work on"):
        select_sites(nn.Sequential(nn.Linear(2, 2), nn.ConvTranspose2d(2, 2, 3)), sites)


def test_no_block_is_an_error_that_names_convolutions():
    with pytest.raises(UserError, match=r"\(='paper'\): Sequential has no block .* for example one of 0, 2$"):
        select_sites(nn.Sequential(conv(3), nn.ReLU(), conv(3)), "paper")


@pytest.mark.parametrize("sites", ["paper", "block.b", ["block.b"]])
def test_a_shared_convolution_is_found_under_each_of_its_names(sites):
    shared = conv(3)
    net = nn.ModuleDict({"stem": shared, "block": Block(a=3)})
    net["block"].b = shared
    assert len(select_sites(net, sites)) == 1
