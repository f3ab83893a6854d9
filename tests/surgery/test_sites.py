"""Which convolutions a word, a glob, a mapping, a list or a function selects, and what the messages say."""

import re

import pytest
import torch
import torchvision
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


def test_paper_sites_of_a_densenet_are_the_3x3_of_every_layer():
    with torch.device("meta"):
        net = torchvision.models.densenet121()
    sites = select_sites(net, "paper")
    assert len(sites) == 6 + 12 + 24 + 16
    assert sites == [name for name, _ in net.named_modules() if name.endswith(".conv2")]
    assert {net.get_submodule(site).kernel_size for site in sites} == {(3, 3)}


def test_paper_sites_by_name(resnet18):
    sites = select_sites(resnet18, PAPER)
    assert sites[:3] == ["layer1.0.conv2", "layer1.1.conv2", "layer2.0.conv2"]
    assert sites[-1] == "layer4.1.conv2"


def test_paper_sites_go_by_widths_and_not_by_names():
    net = nn.Sequential()
    net.add_module("thin", Block(reduce=1, spatial=3, expand=1))
    net.add_module("plain", nn.Sequential(Block(first=3, second=3)))
    net.add_module("dense", Block(first=1, spatial=3))
    assert select_sites(net, "paper") == ["thin.spatial", "plain.0.second", "dense.spatial"]


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
        Block(a=3, b=1),
        Block(a=1, b=3, c=1, d=1),
        nn.Sequential(conv(1), conv(3)),
    ],
    ids=["deep stem", "sequential 1-3-1", "3-3-3", "1-5-1", "3", "3-3x1", "3-1", "1-3-1-1", "sequential 1-3"],
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
    with pytest.raises(UserError, match=r"matches none of 20 convolutions; near misses: ") as info:
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
    for empty in ([], (), {"any": []}, {"not": []}, [["paper"], []]):
        with pytest.raises(UserError, match=r"`sites` is an empty list; name at least one"):
            select_sites(resnet18, empty)


def test_an_empty_all_is_an_error_of_the_same_words(resnet18):
    with pytest.raises(UserError, match=r"empty list; name at least one"):
        select_sites(resnet18, {"all": []})


@pytest.mark.parametrize("sites", ["paper", "*", ["conv1"]])
def test_a_net_without_convolutions_is_an_error(sites):
    with pytest.raises(UserError, match=r"Sequential has no nn\.Conv2d to work on"):
        select_sites(nn.Sequential(nn.Linear(2, 2), nn.ConvTranspose2d(2, 2, 3)), sites)


def test_no_block_is_an_error_that_names_convolutions():
    with pytest.raises(UserError, match=r"matches none of 2 .* of 1x1, 3x3, 1x1, .* for example one of 0, 2$"):
        select_sites(nn.Sequential(conv(3), nn.ReLU(), conv(3)), "paper")


def test_a_shared_convolution_is_found_under_each_of_its_names():
    shared = conv(3)
    net = nn.ModuleDict({"stem": shared, "block": Block(a=3), "other": conv(5)})
    net["block"].b = shared
    assert select_sites(net, "paper") == select_sites(net, "block.b") == ["block.b"]
    assert select_sites(net, "stem") == ["stem"]
    assert select_sites(net, {"kernel_size": 3}) == ["stem", "block.a", "block.b"]
    assert select_sites(net, {"kernel_size": 3, "block": "Block"}) == ["block.a", "block.b"]
    assert select_sites(net, {"not": "paper"}) == ["stem", "block.a", "other"]


# Conditions


def nested(*names, **convs):
    """A net of plain modules that holds a convolution under each qualified name."""
    net = nn.Module()
    for name in (*names, *convs):
        parent = net
        *path, own = name.split(".")
        for part in path:
            if not hasattr(parent, part):
                parent.add_module(part, nn.Module())
            parent = getattr(parent, part)
        parent.add_module(own, convs.get(name) or conv(3))
    return net


@pytest.fixture(scope="module")
def various():
    """Convolutions of which each differs from the first in one thing."""
    return nested(
        plain=nn.Conv2d(8, 8, 3),
        wide=nn.Conv2d(8, 8, 7),
        flat=nn.Conv2d(8, 8, (1, 3)),
        strided=nn.Conv2d(8, 8, 3, stride=2),
        half_strided=nn.Conv2d(8, 8, 3, stride=(1, 2)),
        dilated=nn.Conv2d(8, 8, 3, dilation=2),
        grouped=nn.Conv2d(8, 8, 3, groups=4),
        widening=nn.Conv2d(8, 16, 3),
        thinning=nn.Conv2d(16, 8, 3),
        big=nn.Conv2d(16, 16, 3),
    )


def all_but(net, *names):
    return [name for name, module in net.named_modules() if isinstance(module, nn.Conv2d) and name not in names]


@pytest.mark.parametrize(
    ("conditions", "left_out"),
    [
        ({"kernel_size": 3}, ["wide", "flat"]),
        ({"kernel_size": [3, 7]}, ["flat"]),
        ({"kernel_size": (1, 3)}, ["wide"]),
        ({"stride": 1}, ["strided", "half_strided"]),
        ({"stride": [1, 2]}, []),
        ({"dilation": 1}, ["dilated"]),
        ({"dilation": [1, 2]}, []),
        ({"groups": 1}, ["grouped"]),
        ({"groups": [1, 4]}, []),
        ({"channels": 8}, ["widening", "thinning", "big"]),
        ({"channels": [8, 16]}, []),
        ({"in_channels": 8}, ["thinning", "big"]),
        ({"out_channels": 8}, ["widening", "big"]),
        ({"in_channels": [0, 15], "out_channels": [0, 15]}, ["widening", "thinning", "big"]),
        ({"name": "*strided"}, ["plain", "wide", "flat", "dilated", "grouped", "widening", "thinning", "big"]),
        (
            {"kernel_size": 3, "stride": 1, "channels": 8, "groups": 1},
            [
                "wide",
                "flat",
                "strided",
                "half_strided",
                "grouped",
                "widening",
                "thinning",
                "big",
            ],
        ),
    ],
    ids=str,
)
def test_a_mapping_selects_what_meets_all_of_its_conditions(various, conditions, left_out):
    assert select_sites(various, conditions) == all_but(various, *left_out)


def test_both_sizes_of_a_convolution_have_to_meet_a_number(various):
    assert select_sites(various, {"stride": 2}) == ["strided"]
    assert select_sites(various, {"channels": 16}) == ["big"]
    assert select_sites(various, {"kernel_size": 7}) == ["wide"]
    assert select_sites(various, {"dilation": 2}) == ["dilated"]
    assert select_sites(various, {"groups": [2, 4]}) == ["grouped"]


STAGES = {
    "conv1": None,
    "features.3": None,
    "layer3.0.conv2": 3,
    "layer3.0.downsample.0": 3,
    "model.layer2.1.conv1": 2,
    "stages.2.blocks.0.conv1": 2,
    "stages.10.conv": 10,
    "features.denseblock1.denselayer2.conv2": 1,
    "features.transition1.conv": 1,
    "stem.0": None,
    "stem.2.conv": None,
    "backbone.stem_4.conv": None,
    "head.conv": None,
}


def test_the_stage_is_the_number_in_the_first_numbered_part():
    """The last part is a convolution's own, and a stem is no stage."""
    net = nested(*STAGES)
    for stage in {stage for stage in STAGES.values() if stage is not None}:
        expected = {name for name, number in STAGES.items() if number == stage}
        assert set(select_sites(net, {"stage": stage})) == expected
    assert set(select_sites(net, {"not": {"stage": [0, 1000]}})) == {
        n for n, number in STAGES.items() if number is None
    }
    assert set(select_sites(net, {"stage": [2, 3]})) == {n for n, number in STAGES.items() if number in (2, 3)}


def test_the_stage_in_a_wrapped_net():
    with torch.device("meta"):
        net = nn.ModuleDict({"model": ResNet(10, depth=18)})
    assert select_sites(net, {"stage": [3, 4], "kernel_size": 3, "stride": 2}) == [
        "model.layer3.0.conv1",
        "model.layer4.0.conv1",
    ]


def test_block_kinds_and_class_names():
    with torch.device("meta"):
        basic, bottleneck = ResNet(10, depth=18), ResNet(10, depth=50)
        dense = torchvision.models.densenet121()
    assert select_sites(basic, {"block": "basic"}) == [n for n in all_but(basic) if ".conv" in n]
    assert select_sites(bottleneck, {"block": "bottleneck", "kernel_size": 3}) == select_sites(bottleneck, "paper")
    assert select_sites(dense, {"block": "dense", "kernel_size": 3}) == select_sites(dense, "paper")
    assert len(select_sites(dense, {"block": "dense"})) == 2 * 58
    assert select_sites(bottleneck, {"block": "Bottleneck"}) == all_but(bottleneck, "conv1")
    assert select_sites(bottleneck, {"block": "ResNet"}) == all_but(bottleneck)
    assert select_sites(dense, {"block": "_Transition"}) == [f"features.transition{n}.conv" for n in (1, 2, 3)]
    downsamples = select_sites(bottleneck, {"not": {"block": "bottleneck"}})
    assert downsamples == ["conv1", *(f"layer{stage}.0.downsample.0" for stage in (1, 2, 3, 4))]


def is_strided(site):
    return site.conv.stride != (1, 1)


@pytest.mark.parametrize("predicate", [is_strided, "tests.surgery.test_sites.is_strided"])
def test_a_predicate_is_a_function_or_its_path(various, predicate):
    assert select_sites(various, {"predicate": predicate}) == ["strided", "half_strided"]
    assert select_sites(various, {"predicate": predicate, "stride": 2}) == ["strided"]


def fails(site):
    raise RuntimeError(f"no {site.name}")


def answers_a_word(site):
    return site.name


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("tests.surgery.test_sites.fails", "fails at plain: RuntimeError: no plain; correct it"),
        ("tests.surgery.test_sites.answers_a_word", "answers 'plain' for plain; it must answer true or false"),
    ],
)
def test_a_function_that_tells_nothing_of_a_site(various, path, rule):
    with pytest.raises(UserError, match=re.escape(f"'predicate' (={path!r}) {rule}")):
        select_sites(various, {"predicate": path})


def test_a_function_is_told_all_of_a_site(resnet18):
    seen = []
    select_sites(resnet18, lambda site: seen.append(site) or True)
    assert [site.name for site in seen] == all_but(resnet18)
    site = next(site for site in seen if site.name == "layer3.1.conv2")
    assert site.conv is resnet18.layer3[1].conv2
    assert (site.stage, site.paper) == (3, True)
    assert site.blocks == {"ResNet", "Sequential", "BasicBlock", "basic"}
    stem = seen[0]
    assert (stem.name, stem.stage, stem.paper, stem.blocks) == ("conv1", None, False, {"ResNet"})


PREDICATE_PATHS = [
    *("os.path.nope", "nowhere.at.all", "tests.surgery.test_sites.STAGES", "", "a b", 3, None, ["os"]),
    *("os.system", "os:system", "shutil.rmtree", "builtins.print", "antigravity.geohash"),  # Python's own
    *("torch.add", "torch.nn.Conv2d", "torch.hub.load", "tests.surgery.test_sites.all_but_one"),  # not of one argument
]


def all_but_one():
    raise AssertionError("it takes no site")


@pytest.mark.parametrize("value", PREDICATE_PATHS, ids=str)
def test_a_path_that_leads_to_no_function(various, value):
    rule = re.escape(f"'predicate' (={value!r}) must be a function of a site, or its dotted path")
    with pytest.raises(UserError, match=rule):
        select_sites(various, {"predicate": value})


@pytest.mark.parametrize(
    ("sites", "expected"),
    [
        ({"any": ["plain", "big"]}, ["plain", "big"]),
        ({"any": [{"channels": 16}, {"kernel_size": 7}]}, ["wide", "big"]),
        ({"all": ["*strided", {"stride": 2}]}, ["strided"]),
        ({"not": {"any": [{"channels": 8}, "*ning"]}}, ["big"]),
        ({"all": [{"in_channels": 16}, {"not": {"out_channels": 16}}]}, ["thinning"]),
        ({"any": [{"all": ["*strided", {"not": "half*"}]}, {"dilation": 2}]}, ["strided", "dilated"]),
        ({"not": {"not": "plain"}}, ["plain"]),
        ({"any": ["*strided", "big"], "not": "half*"}, ["strided", "big"]),
        pytest.param(
            [{"channels": 16}, "plain", is_strided], ["plain", "strided", "half_strided", "big"], id="a function"
        ),
        (["big", ["wide", ["plain"]]], ["plain", "wide", "big"]),
        ({"any": ["plain", "big"], "in_channels": 16}, ["big"]),
        ({"every": 3}, ["plain", "strided", "grouped", "big"]),
        ({"every": 1, "stride": 2}, ["strided"]),
        ({"every": 2, "out_channels": 16}, ["widening"]),
        ({"every": 100}, ["plain"]),
        ({"all": [{"every": 2}, {"not": "flat"}]}, ["plain", "half_strided", "grouped", "thinning"]),
        ({"any": [{"every": 5}, "big"]}, ["plain", "dilated", "big"]),
    ],
    ids=str,
)
def test_selectors_nest(various, sites, expected):
    """Always in the order of the net; `every` counts among what the other conditions of its mapping leave."""
    assert select_sites(various, sites) == expected


def test_every_counts_after_all_other_conditions_wherever_it_stands(various):
    expected = select_sites(various, {"kernel_size": 3})[::2]
    assert select_sites(various, {"every": 2, "kernel_size": 3}) == expected
    assert select_sites(various, {"kernel_size": 3, "every": 2}) == expected


@pytest.mark.parametrize(
    ("sites", "message"),
    [
        ({"kernel_size": 5}, "'kernel_size' (=5) matches no convolution; there are 1, 3, 7"),
        ({"stride": [3, 4]}, "'stride' (=[3, 4]) matches no convolution; there are 1, 2"),
        ({"channels": [9, 15]}, "'channels' (=[9, 15]) matches no convolution; there are 8, 16"),
        ({"groups": 2}, "'groups' (=2) matches no convolution; there are 1, 4"),
        ({"stage": 1}, "'stage' (=1) matches no convolution; there are"),
        ({"block": "basic"}, "'block' (='basic') surrounds no convolution; there are Module"),
        ({"name": "strode"}, "(='strode') matches none of 10 convolutions; near misses: strided"),
        ({"not": "nowhere"}, "(='nowhere') matches none of 10"),
        ({"not": "*"}, "no convolution meets all conditions at once, of 10 they meet: not (='*') 0"),
        (
            {"kernel_size": 7, "stride": 2},
            "no convolution meets all conditions at once, of 10 they meet: kernel_size (=7) 1, stride (=2) 1",
        ),
        (
            {"all": ["*strided", {"channels": 16}]},
            "no convolution meets all of 'all' at once, of 10 they meet: '*strided' 2, {'channels': 16} 1",
        ),
        ({"any": ["plain", {"groups": 3}]}, "'groups' (=3) matches no convolution; there are 1, 4"),
        ({"all": ["plain", "absent"]}, "(='absent') matches none of 10"),
        pytest.param({"predicate": lambda site: False}, "matches none of 10 convolutions", id="a function"),
    ],
    ids=str,
)
def test_what_matches_nothing_says_what_there_is(various, sites, message):
    with pytest.raises(UserError, match=re.escape(message)):
        select_sites(various, sites)


@pytest.mark.parametrize("value", [True, 3.0, "3", None, [3.0, 5], [True, 2], ["3", "5"], -1, [-1, 2]], ids=repr)
def test_a_condition_on_numbers_takes_whole_numbers(various, value):
    for key in ("kernel_size", "stride", "channels", "stage"):
        with pytest.raises(UserError, match=rf"`sites`: '{key}' \(=.*\) must be a whole number of at least 0"):
            select_sites(various, {key: value})


@pytest.mark.parametrize("value", [[1, 2, 3], [1], [], [5, 3]], ids=repr)
def test_a_range_is_the_lowest_and_the_highest(various, value):
    rule = re.escape(f"'kernel_size' (={value!r}) must be a number or a range [lowest, highest]")
    with pytest.raises(UserError, match=rule):
        select_sites(various, {"kernel_size": value})


@pytest.mark.parametrize("value", [0, -2, True, 2.0, "2", [1, 2], None], ids=repr)
def test_every_is_a_whole_number(various, value):
    rule = re.escape(f"'every' (={value!r}) must be a whole number of at least 1")
    with pytest.raises(UserError, match=rule):
        select_sites(various, {"every": value})


@pytest.mark.parametrize("key", ["any", "all"])
@pytest.mark.parametrize("value", ["paper", {"stage": 2}, 3, None], ids=repr)
def test_any_and_all_take_lists(various, key, value):
    with pytest.raises(UserError, match=re.escape(f"{key!r} (={value!r}) must be a list of selectors")):
        select_sites(various, {key: value})


@pytest.mark.parametrize("value", [3, 2.5, None, True], ids=repr)
def test_another_kind_of_selector(various, value):
    rule = re.escape(f"`sites` (={value!r}) must be 'paper', a glob, a mapping of conditions or a list of these")
    for sites in (value, [value], {"not": value}, {"any": [value]}):
        with pytest.raises(UserError, match=rule):
            select_sites(various, sites)


@pytest.mark.parametrize("value", [3, None, ["plain", "big"], {"stage": 2}], ids=repr)
def test_a_name_is_one_glob(various, value):
    with pytest.raises(UserError, match=re.escape(f"'name' (={value!r}) must be a glob; list several in 'any'")):
        select_sites(various, {"name": value})


@pytest.mark.parametrize("sites", [{}, {"any": [{}]}, {"not": {}}], ids=repr)
def test_a_mapping_without_conditions(various, sites):
    with pytest.raises(UserError, match="`sites` is an empty mapping; name at least one site"):
        select_sites(various, sites)


def test_no_convolution_has_a_stage():
    with pytest.raises(UserError, match=r"'stage' \(=1\) matches no convolution; there are none"):
        select_sites(torch.nn.ModuleDict({"a": torch.nn.Conv2d(2, 2, 1)}), {"stage": 1})


@pytest.mark.parametrize("value", [3, None, ["basic", "bottleneck"], {"basic": 1}], ids=repr)
def test_another_kind_of_block(various, value):
    with pytest.raises(UserError, match=r"`sites`: 'block' \(="):
        select_sites(various, {"block": value})


@pytest.mark.parametrize("key", ["kernel", "Stage", "", 3, None], ids=repr)
def test_an_unknown_condition_lists_the_known(various, key):
    rule = re.escape(f"`sites` has no condition {key!r}; choose one of name, kernel_size, stride, dilation, groups, ")
    with pytest.raises(UserError, match=rule):
        select_sites(various, {"kernel_size": 3, key: 1})


def test_long_lists_of_what_there_is_are_cut():
    net = nested(**{f"layer{n}.conv": nn.Conv2d(n, n, 1, device="meta") for n in range(1, 31)})
    with pytest.raises(UserError, match=r"there are 1, 2, .*, 16, \.\.\.$"):
        select_sites(net, {"stage": 99})
