"""What surgery does to a net, what it leaves alone, and what it refuses."""

import re
from collections import OrderedDict
from functools import partial
from typing import get_args

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck

from scconv_lab.errors import UserError
from scconv_lab.models import CifarResNet
from scconv_lab.nn import CRU, SRU, ScConv
from scconv_lab.surgery import Action, apply_surgery, select_sites

UNITS = [SRU, CRU, ScConv]
ACTIONS = list(get_args(Action))
each_unit = pytest.mark.parametrize("unit", UNITS)
each_action = pytest.mark.parametrize("action", ACTIONS)


def small_net():
    """Three basic blocks whose paper sites are 16, 32 and 64 channels wide."""
    return CifarResNet(10, depth=8)


def strided_net():
    """Two bottlenecks, 8 wide; the first one's paper site has stride 2."""
    downsample = nn.Sequential(nn.Conv2d(16, 32, 1, stride=2, bias=False), nn.BatchNorm2d(32))
    return nn.Sequential(Bottleneck(16, 8, stride=2, downsample=downsample), Bottleneck(32, 8))


def params(module):
    return sum(parameter.numel() for parameter in module.parameters())


def copied(net):
    """Every tensor of a net: the object, and its value."""
    return {name: (tensor, tensor.detach().clone()) for name, tensor in net.state_dict(keep_vars=True).items()}


# What stands where

NAMES = {
    "replace": ("conv2", [""]),
    "insert_after": ("conv2", ["", "conv", "unit"]),
    "insert_before": ("conv2", ["", "unit", "conv"]),
    "insert_before_norm": ("bn2", ["", "unit", "norm"]),
    "parallel": ("conv2", ["", "conv", "unit"]),
}


@each_action
@each_unit
def test_what_stands_where(unit, action):
    net = small_net()
    own, expected = NAMES[action]
    parts = {
        site: (net.get_submodule(site), net.get_submodule(site[:-5] + "bn2")) for site in select_sites(net, "paper")
    }
    names = [name for name, _ in net.named_modules()]
    report = apply_surgery(net, unit, action=action)
    for edit, (site, (conv, norm)) in zip(report.edits, parts.items(), strict=True):
        place = site[:-5] + own
        successor = net.get_submodule(place)
        assert edit.site == site
        assert edit.unit == (place if action == "replace" else f"{place}.unit")
        assert isinstance(net.get_submodule(edit.unit), unit)
        assert list(dict.fromkeys(n.split(".")[0] for n, _ in successor.named_modules()))[: len(expected)] == (
            expected if action != "replace" else [""]
        )
        if "conv" in expected:
            assert successor.conv is conv
        if "norm" in expected:
            assert successor.norm is norm
        assert net.get_submodule(site[:-5] + "bn2") is norm or action == "insert_before_norm"
    after = [name for name, _ in net.named_modules()]
    assert [name for name in after if name in names] == names  # none is gone, and the order of the others stays


@pytest.mark.parametrize(
    ("action", "order"),
    [
        ("replace", ["unit", "norm"]),
        ("insert_after", ["conv", "unit", "norm"]),
        ("insert_before", ["unit", "conv", "norm"]),
        ("insert_before_norm", ["conv", "relu", "unit", "norm"]),
        ("parallel", ["conv", "unit", "norm"]),
    ],
)
def test_who_runs_when(action, order):
    """In a module that puts an activation between its convolution and its norm."""

    class Between(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm, self.relu = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()

        def forward(self, x):
            return self.norm(self.relu(self.conv(x)))

    net = Between()
    kinds = {nn.Conv2d: "conv", nn.BatchNorm2d: "norm", nn.ReLU: "relu", SRU: "unit"}
    apply_surgery(net, SRU, sites="conv", action=action)
    ran = []
    for module in net.modules():
        if type(module) in kinds:
            module.register_forward_hook(lambda module, *_: ran.append(kinds[type(module)]))
    net(torch.randn(2, 8, 5, 5))
    if action != "insert_before_norm":
        order.insert(order.index("norm"), "relu")
    assert ran == order


@each_action
@pytest.mark.parametrize("unit", [CRU, partial(ScConv, kernel_size=5)])
def test_the_values_are_those_of_the_parts_put_together_by_hand(unit, action):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.BatchNorm2d(16), nn.ReLU()).double()
    conv, norm, relu = net
    report = apply_surgery(net, unit, sites="0", action=action, stride_policy="unit")
    u = net.get_submodule(report.edits[0].unit)
    x = torch.randn(2, 8, 7, 5, dtype=torch.float64)
    y = {
        "replace": lambda: u(x),
        "insert_after": lambda: u(conv(x)),
        "insert_before": lambda: conv(u(x)),
        "insert_before_norm": lambda: u(conv(x)),
        "parallel": lambda: conv(x) + u(x),
    }[action]()
    assert torch.equal(net(x), relu(norm(y)))


@each_action
@each_unit
def test_the_rest_of_the_net_stays(unit, action):
    net = small_net()
    sites = select_sites(net, "paper")
    tensors = copied(net)
    apply_surgery(net, unit, action=action)
    after = net.state_dict(keep_vars=True)
    kept = {"insert_before_norm": ("bn2.", "bn2.norm.")}.get(action, ("conv2.", "conv2.conv."))
    for name, (tensor, value) in tensors.items():
        if action == "replace" and name.rpartition(".")[0] in sites:
            continue
        tensor_after = after[name.replace(*kept)]
        assert tensor_after is tensor
        assert torch.equal(tensor_after, value)


@each_action
def test_loaded_weights_stay_bit_for_bit(tmp_path, action):
    """Weights of a file, running statistics too: all but those of a replaced convolution, and those of none else."""
    generator = torch.Generator().manual_seed(7)
    donor = torchvision.models.resnet18(num_classes=5)
    state = {
        name: torch.rand(value.shape, generator=generator) + 0.3 if value.is_floating_point() else value + 17
        for name, value in donor.state_dict().items()
    }
    torch.save(state, tmp_path / "weights.pt")
    net = torchvision.models.resnet18(num_classes=5)
    net.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    report = apply_surgery(net, ScConv, action=action)
    after = net.state_dict()
    kept = {"insert_before_norm": ("bn2.", "bn2.norm.")}.get(action, ("conv2.", "conv2.conv."))
    compared = set()
    for name, value in state.items():
        replaced = action == "replace" and name.rpartition(".")[0] in {edit.site for edit in report.edits}
        if not replaced:
            new_name = name.replace(*kept) if "layer" in name else name
            assert torch.equal(after[new_name], value), name
            compared.add(new_name)
    assert len(compared) == len(state) - (8 if action == "replace" else 0)
    new = set(after) - compared
    assert new == {f"{edit.unit}.{name}" for edit in report.edits for name in ScConv(8).state_dict()}


@pytest.mark.parametrize("size", [(8, 8), (7, 7), (5, 9), (33, 2)], ids=str)
@each_action
@each_unit
def test_outputs_keep_their_shape(unit, action, size):
    net = strided_net()
    x = torch.randn(2, 16, *size)
    plain = net(x)
    apply_surgery(net, unit, action=action)
    y = net(x)
    assert y.shape == plain.shape
    assert y.isfinite().all()
    assert not torch.equal(y, plain)


def test_an_inserted_unit_sees_what_the_convolution_makes():
    net = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU())
    x = torch.randn(2, 3, 9, 9)
    conv = net[0]
    apply_surgery(net, CRU, sites="0", action="insert_after")
    assert torch.equal(net(x), net[0].unit(conv(x)).relu())


@pytest.mark.parametrize(
    "conv",
    [nn.Conv2d(4, 8, 3), nn.Conv2d(8, 16, 3, padding=2, dilation=2), nn.Conv2d(8, 4, (1, 3), stride=(2, 1))],
    ids=["not padded", "dilated", "asymmetric"],
)
def test_an_insertion_asks_nothing_of_the_convolution(conv):
    x = torch.randn(2, conv.in_channels, 9, 9)
    expected = conv(x).shape
    for action, channels in (("insert_after", conv.out_channels), ("insert_before", conv.in_channels)):
        net = nn.Sequential(conv)
        apply_surgery(net, SRU, sites="0", action=action)
        assert net[0].unit.channels == channels
        assert net(x).shape == expected


@each_action
@each_unit
def test_gradients_reach_every_parameter(unit, action):
    net = strided_net()
    apply_surgery(net, unit, action=action)
    net(torch.randn(2, 16, 9, 9)).square().sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


@each_action
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64], ids=str)
def test_units_take_the_dtype(dtype, action):
    net = strided_net().to(dtype)
    apply_surgery(net, ScConv, action=action)
    assert {parameter.dtype for parameter in net.parameters()} == {dtype}
    y = net(torch.randn(2, 16, 9, 9, dtype=dtype))
    assert y.dtype == dtype
    assert y.isfinite().all()


@each_action
@pytest.mark.parametrize("policy", ["unit", "project_before", "project_after"])
def test_units_take_the_device(action, policy):
    net = nn.Sequential(nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.BatchNorm2d(16)).to("meta")
    apply_surgery(net, ScConv, sites="0", action=action, channel_policy=policy)
    assert {tensor.device.type for tensor in net.state_dict().values()} == {"meta"}


@each_action
@pytest.mark.parametrize("channels_last", [True, False])
def test_units_take_the_memory_format(channels_last, action):
    memory_format = torch.channels_last if channels_last else torch.contiguous_format
    net = strided_net().to(memory_format=memory_format)
    apply_surgery(net, partial(ScConv, groups=1), action=action)
    kernels = [weight for weight in net.parameters() if weight.dim() == 4]
    assert all(weight.is_contiguous(memory_format=memory_format) for weight in kernels)
    assert any(not weight.is_contiguous() for weight in kernels) == channels_last


@each_action
@pytest.mark.parametrize("training", [True, False])
def test_units_take_the_training_mode_of_their_convolution(training, action):
    net = strided_net().train(training)
    net[1].train(not training)
    before = {module: module.training for module in net.modules()}
    report = apply_surgery(net, ScConv, action=action)
    for edit, expected in zip(report.edits, (training, not training), strict=True):
        parts = [*net.get_submodule(edit.unit).modules()]
        assert parts
        assert {part.training for part in parts} == {expected}
    assert all(module.training == mode for module, mode in before.items())


@each_action
def test_a_whole_net_in_eval_mode_stays_in_it(action):
    net = strided_net().eval()
    apply_surgery(net, ScConv, action=action)
    assert {name for name, module in net.named_modules() if module.training} == set()


@each_action
def test_a_frozen_norm_stays_in_eval_mode_beside_a_convolution_that_trains(action):
    net = strided_net().train()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    apply_surgery(net, ScConv, action=action)
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    means = [norm.running_mean.clone() for norm in norms]
    net(torch.randn(2, 16, 9, 9))
    assert not any(norm.training for norm in norms)
    assert all(torch.equal(norm.running_mean, mean) for norm, mean in zip(norms, means, strict=True))
    assert all(module.training for module in net.modules() if isinstance(module, SRU | CRU | ScConv))


@each_action
def test_requires_grad_of_what_stays_stays(action):
    net = strided_net()
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    before = set(net.parameters())
    apply_surgery(net, ScConv, action=action)
    assert {parameter.requires_grad for parameter in net.parameters() if parameter in before} == {False}
    assert {parameter.requires_grad for parameter in net.parameters() if parameter not in before} == {True}


@each_action
def test_a_shared_convolution_gets_one_shared_unit(action):
    conv, norm = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8)
    net = nn.Sequential(OrderedDict(first=conv, norm=norm, relu=nn.ReLU(), second=conv, again=norm))
    before = params(net)
    report = apply_surgery(net, CRU, sites="*", action=action)
    assert net.first is net.second
    assert net.norm is net.again
    assert [edit.site for edit in report.edits] == ["first"]
    assert report.params_added == params(net) - before == params(CRU(8)) - (9 * 64 + 8 if action == "replace" else 0)
    assert net(torch.randn(2, 8, 5, 5)).shape == (2, 8, 5, 5)


@each_action
def test_a_shared_convolution_that_one_name_selects_changes_under_all(action):
    """So that it stays shared."""
    shared = nn.Conv2d(8, 8, 3, padding=1)
    branch = nn.ModuleList([nn.Sequential(shared, nn.BatchNorm2d(8)) for _ in range(2)])
    report = apply_surgery(branch, SRU, sites="1.0", action=action)
    assert [edit.site for edit in report.edits] == ["1.0"]
    if action == "insert_before_norm":
        assert type(branch[0][1]) is nn.BatchNorm2d
        assert branch[0][0] is branch[1][0] is shared
    else:
        assert branch[0][0] is branch[1][0] is not shared
    for part in branch:
        assert part(torch.randn(2, 8, 4, 4)).shape == (2, 8, 4, 4)


@each_action
def test_a_shared_block_stays_shared(action):
    block = BasicBlock(8, 8)
    net = nn.Sequential(block, block)
    report = apply_surgery(net, CRU, action=action)
    assert [edit.site for edit in report.edits] == ["0.conv2"]
    assert net[0] is net[1]
    assert net(torch.randn(2, 8, 5, 5)).shape == (2, 8, 5, 5)


def test_every_site_gets_a_unit_of_its_own():
    net = nn.Sequential(BasicBlock(8, 8), BasicBlock(8, 8))
    apply_surgery(net, SRU)
    assert net[0].conv2 is not net[1].conv2


def refuses_and_changes_nothing(net, pattern, unit=SRU, **placement):
    """Assert that surgery fails with a message, and that the net is as it was; return the error."""
    modules = list(net.named_modules())
    values = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    with pytest.raises(UserError, match=pattern) as info:
        apply_surgery(net, unit, **placement)
    after = list(net.named_modules())
    assert [name for name, _ in after] == [name for name, _ in modules]
    assert all(new is old for (_, new), (_, old) in zip(after, modules, strict=True))
    assert all(torch.equal(tensor, values[name]) for name, tensor in net.state_dict().items())
    return info.value


def narrow_net(count):
    """Convolutions of which only the first is wide enough."""
    wide = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8))
    return nn.Sequential(wide, *(nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6)) for _ in range(count)))


REASON = "`channels` (=6) must be divisible by `num_groups` (=4); choose one of 3, 2, 6, 1 groups, or 'auto'"


@each_action
@pytest.mark.parametrize("count", [1, 3, 4, 11, 12])
def test_every_site_that_cannot_be_edited_is_named(action, count):
    """The first three with their reasons, and eight more by name."""
    error = refuses_and_changes_nothing(narrow_net(count), "^no unit fits", sites="*", action=action)
    sites = [f"{n}.0" for n in range(1, count + 1)]
    message = f"no unit fits {count} of the {count + 1} selected sites: "
    message += "; ".join(f"{site}: {REASON}" for site in sites[:3])
    if count > 3:
        message += f"; also {', '.join(sites[3:11])}" + ", ..." * (count > 11)
    message += "; leave them out of `sites` ({'all': [..., {'not': ...}]}), or change the unit or the policy"
    assert str(error) == message


def test_the_way_out_of_a_refusal_works():
    net = narrow_net(2)
    apply_surgery(net, SRU, sites={"all": ["*", {"not": {"channels": 6}}]})
    assert isinstance(net[0][0], SRU)


def test_another_action_is_refused():
    refuses_and_changes_nothing(
        small_net(), r"`action` \(='replce'\) must be one of 'replace', 'insert_after', ", action="replce"
    )


@each_action
@pytest.mark.parametrize(
    ("policy", "choices"),
    [
        ("stride_policy", "'pool_before', 'pool_after', 'unit'"),
        ("channel_policy", "'unit', 'project_before', 'project_after'"),
        ("kernel_policy", "'unit', 'site'"),
        ("dilation_policy", "'site', 'unit'"),
    ],
)
def test_another_policy_is_refused(action, policy, choices):
    pattern = re.escape(f"`{policy}` (='pool') must be one of {choices}")
    refuses_and_changes_nothing(strided_net(), f"^{pattern}$", action=action, **{policy: "pool"})


@each_action
def test_a_value_error_of_any_unit_names_the_site(action):
    def picky(channels):
        if channels > 16:
            raise ValueError(f"at most 16 channels, not {channels}")
        return nn.Identity()

    refuses_and_changes_nothing(
        small_net(),
        r"no unit fits 2 of the 3 selected sites: layer2.0.conv2: at most 16 channels, not 32; layer3.0.conv2: .* 64;",
        picky,
        action=action,
    )


def test_a_defect_of_a_unit_is_not_disguised():
    with pytest.raises(ZeroDivisionError):
        apply_surgery(small_net(), lambda channels: 1 / 0)


def test_unmatched_sites_change_nothing():
    refuses_and_changes_nothing(small_net(), r"'layer9\.\*' ?\) matches none", sites=["paper", "layer9.*"])


# Wrapped and compiled nets


@pytest.fixture
def one_process(monkeypatch):
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def test_a_net_in_ddp_is_refused(one_process):
    net = nn.parallel.DistributedDataParallel(small_net())
    refuses_and_changes_nothing(net, r"^the net is a DistributedDataParallel; operate on its \.module, before")
    refuses_and_changes_nothing(nn.Sequential(net), r"^'0' in the net is a DistributedDataParallel; operate on its")


@pytest.mark.parametrize("name", ["FullyShardedDataParallel", "FSDPModule"])
def test_a_sharded_net_is_refused(name):
    """FSDP2 makes a class of the net's own, with FSDPModule among its bases."""
    net = small_net()
    wrapper = type(name, (), {})
    net.__class__ = type("FSDPCifarResNet", (wrapper, CifarResNet), {})
    refuses_and_changes_nothing(net, rf"^the net is an? {name}; operate on the net before")


def test_other_wrapped_nets_are_refused():
    refuses_and_changes_nothing(nn.DataParallel(small_net()), r"is a DataParallel; operate on its \.module")
    compiled = torch.compile(small_net())
    refuses_and_changes_nothing(compiled, r"^the net is compiled \(an OptimizedModule\); .* before torch\.compile")
    net = small_net()
    net.layer2[0] = torch.compile(net.layer2[0])
    pattern = r"^'layer2\.0' in the net is compiled \(an OptimizedModule\); .*_orig_mod"
    refuses_and_changes_nothing(net, pattern, sites="layer1.*")
    net = small_net()
    net.compile()
    refuses_and_changes_nothing(net, r"^the net is compiled; operate on it before \.compile\(\)")
    net = small_net()
    net.layer3.compile()
    refuses_and_changes_nothing(net, r"^'layer3' in the net is compiled; operate on it before")


@pytest.mark.filterwarnings("ignore:.torch.jit.script:FutureWarning")
def test_a_scripted_part_is_refused():
    net = small_net()
    net.layer1 = torch.jit.script(net.layer1)
    with pytest.raises(UserError, match=r"^'layer1' in the net is a ScriptModule; operate on the net before it is"):
        apply_surgery(net, SRU, sites="layer3.0.conv2")


def test_what_a_refusal_advises_works(one_process):
    net = nn.parallel.DistributedDataParallel(small_net())
    apply_surgery(net.module, SRU)
    net = torch.compile(small_net())
    apply_surgery(net._orig_mod, SRU)
    assert isinstance(net._orig_mod.layer1[0].conv2, SRU)


def test_hooks_of_a_convolution_stay_where_it_stays():
    net = strided_net()
    calls = []
    net[1].conv2.register_forward_hook(lambda *_: calls.append(1))
    apply_surgery(net, SRU, action="insert_after")
    net(torch.randn(2, 16, 8, 8))
    assert calls == [1]


def test_surgery_after_surgery():
    """A unit's own convolutions are candidates like any; the names of the first surgery are those of its report."""
    net = small_net()
    first = apply_surgery(net, CRU, action="insert_after")
    apply_surgery(net, SRU, sites=[f"{edit.unit}.gwc" for edit in first.edits], action="insert_after")
    assert isinstance(net.layer1[0].conv2.unit.gwc.unit, SRU)
    assert net(torch.randn(2, 3, 8, 8)).shape == (2, 10)
