"""Plain ResNets that meet a budget: the search, its counts, and what it refuses."""

import pytest
import torch

from scconv_lab.complexity import count_macs, count_params
from scconv_lab.errors import UserError
from scconv_lab.models import CifarResNet, MatchedCifarResNet, MatchedResNet, Net, ResNet
from scconv_lab.models.matched import Geometry
from scconv_lab.models.resnet import block_and_layers
from scconv_lab.models.width_search import nearest_widths


def meta_net(cls, num_classes=10, **arguments):
    with torch.device("meta"):
        return cls(num_classes, **arguments)


@pytest.mark.parametrize("widths", [(16, 32, 64), (5, 5, 3), (1, 7, 2)])
@pytest.mark.parametrize(("depth", "size"), [(8, 32), (20, 13)])
def test_the_geometry_counts_what_a_cifar_resnet_has(widths, depth, size):
    geometry = Geometry(False, ((depth - 2) // 6,) * 3, "cifar", 10)
    net = meta_net(CifarResNet, depth=depth, widths=widths)
    assert geometry.params(widths) == count_params(net)
    assert geometry.macs(widths, size) == count_macs(net, (3, size, size))


@pytest.mark.parametrize("widths", [(64, 128, 256, 512), (7, 5, 13, 3)])
@pytest.mark.parametrize("stem", ["imagenet", "cifar"])
@pytest.mark.parametrize(("depth", "size"), [(18, 32), (34, 45), (50, 37)])
def test_the_geometry_counts_what_a_resnet_has(widths, stem, depth, size):
    geometry = Geometry(depth >= 50, tuple(block_and_layers(depth)[1]), stem, 10)
    net = meta_net(ResNet, depth=depth, stem=stem, widths=widths)
    assert geometry.params(widths) == count_params(net)
    assert geometry.macs(widths, size) == count_macs(net, (3, size, size))


@pytest.mark.parametrize("params", [20_000, 78_000, 157_562, 272_474, 1_000_000])
def test_a_cifar_resnet_meets_its_parameters(params):
    net = meta_net(MatchedCifarResNet, params=params)
    assert isinstance(net, CifarResNet)
    assert count_params(net) == pytest.approx(params, rel=0.01)


@pytest.mark.parametrize(("macs", "size"), [(3_000_000, 32), (23_855_744, 32), (40_813_184, 32), (10_000_000, 25)])
def test_a_cifar_resnet_meets_its_macs(macs, size):
    net = meta_net(MatchedCifarResNet, macs=macs, image_size=size)
    assert count_macs(net, (3, size, size)) == pytest.approx(macs, rel=0.01)


@pytest.mark.parametrize(
    ("depth", "stem", "params"),
    [(50, "cifar", 14_678_500), (50, "imagenet", 16_530_000), (18, "cifar", 1_000_000), (34, "imagenet", 40_000_000)],
)
def test_a_resnet_meets_its_parameters(depth, stem, params):
    net = meta_net(MatchedResNet, 100, depth=depth, stem=stem, params=params)
    assert isinstance(net, ResNet)
    assert isinstance(net, Net)
    assert count_params(net) == pytest.approx(params, rel=0.002)


@pytest.mark.parametrize(
    ("depth", "stem", "macs", "size"),
    [
        (50, "cifar", 815_669_248, 32),
        (50, "imagenet", 2_610_000_000, 224),
        (18, "cifar", 100_000_000, 31),
        (34, "imagenet", 500_000_000, 113),
    ],
)
def test_a_resnet_meets_its_macs(depth, stem, macs, size):
    net = meta_net(MatchedResNet, 100, depth=depth, stem=stem, macs=macs, image_size=size)
    assert count_macs(net, (3, size, size)) == pytest.approx(macs, rel=0.002)


def test_every_budget_of_a_resnet_20_is_met():
    """From a tenth of its parameters to ten times as many."""
    geometry = Geometry(False, (3, 3, 3), "cifar", 10)
    for step in range(41):
        budget = round(27_000 * 10 ** (step / 20))
        widths = nearest_widths(geometry.params, (16, 32, 64), budget)
        assert geometry.params(widths) == pytest.approx(budget, rel=0.01)


def test_the_net_of_scale_1_is_found_as_it_is():
    assert meta_net(MatchedCifarResNet, params=272_474).widths == (16, 32, 64)
    assert meta_net(MatchedResNet, 1000, params=25_557_032).widths == (64, 128, 256, 512)


def test_stages_keep_nearly_their_ratio():
    widths = meta_net(MatchedResNet, 100, stem="cifar", params=14_678_500).widths
    assert [width / widths[0] for width in widths] == pytest.approx([1, 2, 4, 8], rel=0.05)


def test_of_equally_near_widths_the_least_changed_are_taken():
    assert nearest_widths(sum, (10, 10), 1000) == (500, 500)
    assert nearest_widths(lambda widths: 3 * widths[0] + widths[1], (10, 10), 43) == (11, 10)


def test_within_a_thousandth_the_ratio_is_kept():
    assert nearest_widths(sum, (10, 10), 2001) == (1000, 1000)
    assert nearest_widths(sum, (10, 10), 201) in [(100, 101), (101, 100)]


def test_the_search_is_determined_and_counts_few_nets():
    counted = []

    def cost(widths):
        counted.append(widths)
        return Geometry(True, (3, 4, 6, 3), "cifar", 100).params(widths)

    search = {"base": (64, 128, 256, 512), "budget": 14_678_500}
    first = nearest_widths(cost, **search)
    assert len(counted) < 1000
    assert nearest_widths(cost, **search) == first


def test_the_net_says_what_was_found_and_maps_images():
    net = MatchedCifarResNet(7, depth=8, params=30_000)
    assert repr(net).splitlines()[1].strip() == f"widths={net.widths}"
    assert net(torch.randn(2, 3, 9, 9)).shape == (2, 7)
    assert repr(meta_net(MatchedResNet, depth=18, params=10**6)).splitlines()[1].strip().startswith("widths=(")


@pytest.mark.parametrize("cls", [MatchedCifarResNet, MatchedResNet])
@pytest.mark.parametrize("budgets", [{}, {"params": 100_000, "macs": 100_000}])
def test_exactly_one_budget_is_given(cls, budgets):
    given = rf"`params` \(={budgets.get('params')}\) or `macs` \(={budgets.get('macs')}\), exactly one of them"
    with pytest.raises(UserError, match=given):
        meta_net(cls, **budgets)


@pytest.mark.parametrize("params", [-1, 0, 200, 300])
def test_a_budget_out_of_reach_names_the_nearest(params):
    nearest = r"the nearest, \(1, 1, 1\), have 253"
    with pytest.raises(UserError, match=rf"`params` \(={params}\) is met by no widths of ResNet-20 .* {nearest}"):
        meta_net(MatchedCifarResNet, params=params)


def test_macs_out_of_reach_name_the_nearest():
    least = count_macs(meta_net(ResNet, depth=18, widths=(1, 1, 1, 1)), (3, 224, 224))
    with pytest.raises(UserError, match=rf"`macs` \(=1,000\) .* ResNet-18 .*, \(1, 1, 1, 1\), have {least:,}; ask"):
        meta_net(MatchedResNet, depth=18, macs=1000)


def test_other_arguments_are_refused():
    with pytest.raises(UserError, match=r"`depth` \(=21\) must be 6n \+ 2"):
        meta_net(MatchedCifarResNet, depth=21, params=100_000)
    with pytest.raises(UserError, match=r"`depth` \(=20\) must be one of 18"):
        meta_net(MatchedResNet, depth=20, params=100_000)
    with pytest.raises(UserError, match=r"`stem` \(='cifr'\) must be one of"):
        meta_net(MatchedResNet, stem="cifr", params=100_000)
    with pytest.raises(UserError, match=r"`image_size` \(=0\) must be at least 1 pixel"):
        meta_net(MatchedResNet, macs=100_000, image_size=0)


def test_a_budget_beyond_any_net_is_refused():
    with pytest.raises(UserError, match=r"`params` must be at most 1e\+15"):
        MatchedCifarResNet(10, params=10**400)
