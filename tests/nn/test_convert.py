"""What becomes of the state dict of public code."""

import pytest
import torch
from torch import nn

from scconv_lab.errors import UserError
from scconv_lab.nn import READINGS, ScConv, convert_public_state_dict
from tests.nn.literal import random_input
from tests.nn.public import PublicScConv, randomized

FORMS = {
    "cheng_haha": ("cheng_haha", ("weight", "bias")),
    "jacky": ("jacky", ("gamma", "beta")),
    "jacky, with the norm's parameters called weight and bias": ("jacky", ("weight", "bias")),
}


@pytest.mark.parametrize(("reading", "names"), FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("channels", [8, 32])
def test_converted_weights_give_the_public_output(reading, names, channels):
    public = randomized(PublicScConv(channels, reading, names))
    unit = ScConv(channels, **READINGS[reading]).double()
    unit.load_state_dict(convert_public_state_dict(public.state_dict()), strict=True)
    x = random_input(2, channels, 5, 4)
    torch.testing.assert_close(unit(x), public(x), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("reading", "names"), FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("prefix", ["", "module.", "layer1.0.conv2.", "module._orig_mod.net.layer3.10.scconv."])
def test_any_prefix(prefix, reading, names):
    public = randomized(PublicScConv(8, reading, names))
    state = {prefix + key: value for key, value in public.state_dict().items()}
    converted = convert_public_state_dict(state)
    assert set(converted) == {prefix + key for key in ScConv(8).state_dict()}
    ScConv(8).double().load_state_dict({key.removeprefix(prefix): value for key, value in converted.items()})


def test_a_prefix_may_look_like_ours():
    """A net may call the module that holds the public one whatever it likes."""
    public = randomized(PublicScConv(8, "cheng_haha"))
    for prefix in ("sru.", "net_sru.0.", "cru.", "my.sru.weight."):
        converted = convert_public_state_dict({prefix + key: value for key, value in public.state_dict().items()})
        ScConv(8).double().load_state_dict({key.removeprefix(prefix): value for key, value in converted.items()})


def test_a_whole_net():
    """Two public units in a net of other layers: theirs are renamed, the order is kept, the rest is left alone."""

    def net(first, second):
        conv, norm = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)
        return nn.Sequential(conv, norm, nn.Sequential(first, nn.GroupNorm(2, 8)), second, nn.Conv2d(8, 2, 1))

    public = randomized(net(PublicScConv(8, "cheng_haha"), PublicScConv(8, "cheng_haha")))
    state = public.state_dict()
    converted = convert_public_state_dict(state)
    ours = net(ScConv(8, **READINGS["cheng_haha"]), ScConv(8, **READINGS["cheng_haha"])).double()
    ours.load_state_dict(converted, strict=True)
    x = random_input(2, 3, 6, 5)
    torch.testing.assert_close(ours.eval()(x), public.eval()(x), rtol=1e-10, atol=1e-12)
    untouched = {key: value for key, value in state.items() if "SRU" not in key and "CRU" not in key}
    assert untouched.keys() <= converted.keys()
    assert all(converted[key] is value for key, value in untouched.items())
    assert "1.num_batches_tracked" in untouched


def test_given_state_dict_is_left_alone_and_tensors_are_shared():
    state = PublicScConv(8, "jacky").state_dict()
    before = dict(state)
    converted = convert_public_state_dict(state)
    assert list(state) == list(before)
    assert all(state[key] is value for key, value in before.items())
    assert converted["cru.gwc.weight"].data_ptr() == state["CRU.GWC.weight"].data_ptr()
    assert converted["sru.weight"].data_ptr() == state["SRU.gn.gamma"].data_ptr()
    assert converted["sru.weight"].shape == (8,)


@pytest.mark.parametrize(
    "key",
    [
        "mySRU.gn.weight",
        "SRU.gn.weight_g",
        "SRU.gn.weights",
        "SRU.gn2.weight",
        "SRU.weight",
        "SRU.gn.weight.original",
        "CRU.squeeze3.weight",
        "CRU.GWC.bias.x",
        "XCRU.GWC.bias",
        "layer.CRUXGWC.bias",
        "SRUxgn.weight",
        "cru.gwc.weight",
    ],
)
def test_other_keys_stay(key):
    tensor = torch.zeros(2, 1, 1)
    converted = convert_public_state_dict({key: tensor, "CRU.GWC.bias": torch.ones(2)})
    assert list(converted) == [key, "cru.gwc.bias"]
    assert converted[key] is tensor


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("SRU.gn.weight", "SRU.gn.gamma"),
        ("sru.weight", "SRU.gn.weight"),
        ("SRU.gn.weight", "sru.weight"),
        ("a.CRU.GWC.bias", "a.cru.gwc.bias"),
    ],
)
def test_two_keys_of_one_name(first, second):
    with pytest.raises(UserError, match="both mean") as caught:
        convert_public_state_dict({first: torch.ones(2), second: torch.ones(2)})
    assert repr(second) in str(caught.value)
    assert "leave one of them out" in str(caught.value)


def test_same_key_under_two_prefixes_is_no_clash():
    converted = convert_public_state_dict({"a.CRU.GWC.bias": torch.ones(2), "b.CRU.GWC.bias": torch.ones(2)})
    assert list(converted) == ["a.cru.gwc.bias", "b.cru.gwc.bias"]


@pytest.mark.parametrize("state", [{}, {"conv1.weight": torch.ones(1)}])
def test_no_public_key(state):
    with pytest.raises(UserError, match=r"SRU\.gn\.weight") as caught:
        convert_public_state_dict(state)
    for key in state:
        assert key in str(caught.value)


def test_own_state_dict_is_told_from_public_ones():
    with pytest.raises(UserError, match="load it as it is if it is this lab's own"):
        convert_public_state_dict(ScConv(8).state_dict())
