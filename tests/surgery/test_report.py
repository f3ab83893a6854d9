"""What the report of a surgery says, and how it reads."""

import io

import pytest
from rich.console import Console
from torch import nn
from torchvision.models.resnet import Bottleneck

from scconv_lab.models import CifarResNet
from scconv_lab.nn import CRU, SRU, ScConv
from scconv_lab.surgery import apply_surgery


def params(module):
    return sum(parameter.numel() for parameter in module.parameters())


def printed(report):
    console = Console(file=io.StringIO(), width=120)
    console.print(report)
    return [" ".join(line.split()) for line in console.file.getvalue().splitlines() if line.strip()]


AFTER = {
    "replace": "{unit}",
    "insert_after": "Conv2d({c}, {c}, 3x3) -> {unit}",
    "insert_before": "{unit} -> Conv2d({c}, {c}, 3x3)",
    "insert_before_norm": "{unit} -> BatchNorm2d",
    "parallel": "Conv2d({c}, {c}, 3x3) + {unit}",
}


@pytest.mark.parametrize("action", AFTER)
@pytest.mark.parametrize("unit", [SRU, CRU, ScConv])
def test_the_report_tells_every_edit(unit, action):
    net = CifarResNet(10, depth=8)
    before = params(net)
    report = apply_surgery(net, unit, action=action)
    assert (report.unit, report.action) == (unit.__name__, action)
    assert report.params_added == params(net) - before
    assert [edit.site for edit in report.edits] == ["layer1.0.conv2", "layer2.0.conv2", "layer3.0.conv2"]
    for edit, channels in zip(report.edits, (16, 32, 64), strict=True):
        stays = {"replace": 0, "insert_before_norm": 2 * channels}.get(action, 9 * channels**2)
        assert edit.before == ("BatchNorm2d" if "norm" in action else f"Conv2d({channels}, {channels}, 3x3)")
        assert edit.after == AFTER[action].format(unit=unit.__name__, c=channels)
        assert edit.params_before == (2 * channels if "norm" in action else 9 * channels**2)
        assert edit.params_after == stays + params(unit(channels))
        assert isinstance(net.get_submodule(edit.unit), unit)


@pytest.mark.parametrize(
    ("conv", "text"),
    [
        (nn.Conv2d(8, 16, 3), "Conv2d(8, 16, 3x3)"),
        (nn.Conv2d(8, 16, (1, 7), stride=(2, 2)), "Conv2d(8, 16, 1x7/2)"),
        (nn.Conv2d(8, 16, 3, stride=(2, 1)), "Conv2d(8, 16, 3x3/2x1)"),
        (nn.Conv2d(8, 16, 3, dilation=2), "Conv2d(8, 16, 3x3, dilation 2)"),
        (nn.Conv2d(8, 16, 3, dilation=(1, 2)), "Conv2d(8, 16, 3x3, dilation 1x2)"),
        (nn.Conv2d(8, 16, 3, groups=4, stride=3, dilation=2), "Conv2d(8, 16, 3x3/3, dilation 2, groups 4)"),
        (type("Own", (nn.Conv2d,), {})(8, 16, 1), "Own(8, 16, 1x1)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_convolution_in_one_line(conv, text):
    assert apply_surgery(nn.Sequential(conv), SRU, sites="0", action="insert_after").edits[0].before == text


def test_pools_and_projections_are_told():
    net = nn.Sequential(nn.Conv2d(8, 16, 3, stride=2, padding=1))
    (edit,) = apply_surgery(net, CRU, sites="0", channel_policy="project_after").edits
    assert edit.after == "AvgPool2d -> CRU -> Conv2d(8, 16, 1x1)"
    assert edit.unit == "0.unit"
    net = nn.Sequential(nn.Conv2d(8, 16, 3, stride=2, padding=1))
    (edit,) = apply_surgery(net, CRU, sites="0", action="parallel", stride_policy="pool_after").edits
    assert edit.after == "Conv2d(8, 16, 3x3/2) + CRU -> AvgPool2d"
    assert edit.unit == "0.unit.unit"
    assert isinstance(net.get_submodule(edit.unit), CRU)


@pytest.mark.parametrize(
    ("sites", "text"),
    [
        ("layer1.0.conv2", "ScConv replace at 1 site, -1,792 params"),
        ("paper", "ScConv replace at 3 sites, -38,304 params"),
    ],
)
def test_the_report_in_a_line(sites, text):
    assert str(apply_surgery(CifarResNet(10, depth=8), ScConv, sites=sites)) == text


def test_the_report_as_a_table():
    """Neighbours that change alike share a row."""
    lines = printed(apply_surgery(CifarResNet(10, depth=20), ScConv, sites={"block": "basic", "stride": 1}))
    rows = [line for line in lines if "Conv2d" in line]
    assert lines[0].split() == ["sites", "before", "after", "params"]
    assert [row.count("ScConv") for row in rows] == [1] * 3
    for row, stage, count, channels in zip(rows, (1, 2, 3), (6, 5, 5), (16, 32, 64), strict=True):
        assert row.startswith(f"layer{stage}.")
        assert f"({count})" in row
        assert f"Conv2d({channels}, {channels}, 3x3)" in row
        assert row.endswith(f"{params(ScConv(channels)) - 9 * channels**2:+,}")


def test_a_row_of_one_site_shows_its_name():
    first = Bottleneck(16, 8, stride=2, downsample=nn.Sequential(nn.Conv2d(16, 32, 1, stride=2)))
    rows = [row for row in printed(apply_surgery(nn.Sequential(first, Bottleneck(32, 8)), CRU)) if "conv2" in row]
    added = params(CRU(8)) - 9 * 8**2
    assert rows == [f"0.conv2 Conv2d(8, 8, 3x3/2) AvgPool2d -> CRU {added}", f"1.conv2 Conv2d(8, 8, 3x3) CRU {added}"]
