"""Any classification model of torchvision, random or from weights."""

import re
from collections import OrderedDict
from urllib.error import URLError

import pytest
import torch
import torchvision
from safetensors.torch import save_file

from scconv_lab.complexity import count_params
from scconv_lab.errors import UserError
from scconv_lab.models import Net, TorchvisionNet, without_pretrained
from scconv_lab.models.torchvision_net import _classifier

NAMES = torchvision.models.list_models(module=torchvision.models)
SMALL = "shufflenet_v2_x0_5"


@pytest.fixture
def hub(monkeypatch):
    """What the hub holds: nothing, until a test puts a state dict there."""
    held = []

    def load(url, **options):
        if not held:
            raise URLError("Name or service not known")
        return held[0]

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", load)
    return held


def equal(ours, theirs, names=None):
    return all(torch.equal(ours[name], theirs[name]) for name in names or theirs)


def test_the_model_is_torchvisions():
    torch.manual_seed(1)
    net = TorchvisionNet(7, name="resnet18")
    torch.manual_seed(1)
    theirs = torchvision.models.resnet18(num_classes=7)
    assert isinstance(net, Net)
    assert equal(net.model.state_dict(), theirs.state_dict())
    x = torch.randn(2, 3, 33, 40)
    assert torch.equal(net.eval()(x), theirs.eval()(x))
    assert "model.layer1.0.conv2" in dict(net.named_modules())


@pytest.mark.parametrize("name", ["squeezenet1_1", "mnasnet0_5", "regnet_y_400mf", "mobilenet_v3_small"])
def test_kinds_of_models(name):
    net = TorchvisionNet(7, name=name)
    assert net(torch.randn(2, 3, 64, 64)).shape == (2, 7)
    expected = getattr(torchvision.models, name)(num_classes=7)
    assert count_params(net) == count_params(expected)


@pytest.mark.parametrize(("name", "size"), [("googlenet", 32), ("inception_v3", 75)])
def test_auxiliary_classifiers_are_left_out(name, size):
    net = TorchvisionNet(7, name=name).train()
    logits = net(torch.randn(2, 3, size, size))
    assert logits.shape == (2, 7)
    logits.square().sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("regnet")])  # these need real tensors
def test_every_model_builds_and_its_classifier_is_what_counts_classes(name):
    with torch.device("meta"):
        model = TorchvisionNet(7, name=name).model
        other = TorchvisionNet(8, name=name).model.state_dict()
    ours = model.state_dict()
    assert _classifier(model) == {key for key in ours if ours[key].shape != other[key].shape}


def test_model_args_reach_the_model():
    assert TorchvisionNet(7, name="mobilenet_v3_small", model_args={"dropout": 0.4}).model.classifier[2].p == 0.4


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize("classes", [5, 7])
def test_a_file_fills_all_but_a_classifier_of_other_classes(tmp_path, suffix, classes):
    theirs = getattr(torchvision.models, SMALL)(num_classes=5).state_dict()
    path = str(tmp_path / f"x.{suffix}")
    (save_file if suffix == "safetensors" else torch.save)(theirs, path)
    torch.manual_seed(1)
    net = TorchvisionNet(classes, name=SMALL, pretrained=path).model.state_dict()
    torch.manual_seed(1)
    fresh = TorchvisionNet(classes, name=SMALL).model.state_dict()
    head = {"fc.weight", "fc.bias"} if classes != 5 else set()
    assert equal(net, theirs, theirs.keys() - head)
    assert equal(net, fresh, head or {"fc.weight"}) == bool(head)


def test_a_file_of_a_model_with_versions_fits(tmp_path):
    """MNASNet refuses a state dict that does not tell its version, as a safetensors file cannot."""
    theirs = torchvision.models.mnasnet0_5(num_classes=5).state_dict()
    save_file(theirs, tmp_path / "x.safetensors")
    net = TorchvisionNet(5, name="mnasnet0_5", pretrained=str(tmp_path / "x.safetensors"))
    assert equal(net.model.state_dict(), theirs)


def test_a_file_of_another_model_is_refused(tmp_path):
    torch.save(torchvision.models.squeezenet1_1().state_dict(), tmp_path / "x.pth")
    with pytest.raises(UserError, match=r"x.pth'\) does not fit the net; .* missing there: conv1.0.weight, .* more;"):
        TorchvisionNet(5, name=SMALL, pretrained=str(tmp_path / "x.pth"))


def test_a_missing_file_is_refused_but_not_within_without_pretrained():
    with pytest.raises(UserError, match=r"`pretrained` \(='no.pth'\) is not a file"):
        TorchvisionNet(5, name=SMALL, pretrained="no.pth")
    with without_pretrained():
        TorchvisionNet(5, name=SMALL, pretrained="no.pth")


@pytest.mark.parametrize("classes", [5, 1000])
def test_the_hubs_weights_fill_the_model(hub, classes):
    theirs = getattr(torchvision.models, SMALL)().state_dict()
    hub.append(theirs)
    net = TorchvisionNet(classes, name=SMALL, pretrained="hub").model.state_dict()
    assert equal(net, theirs, theirs.keys() - ({"fc.weight", "fc.bias"} if classes == 5 else set()))


def test_the_hubs_densenet_has_names_of_old(hub):
    theirs = torchvision.models.densenet121().state_dict()
    old = OrderedDict((re.sub(r"(denselayer\d+\.[a-z]+)(\d)\.", r"\1.\2.", key), theirs[key]) for key in theirs)
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    hub.append(old)
    assert equal(TorchvisionNet(1000, name="densenet121", pretrained="hub").model.state_dict(), theirs)


def test_the_hubs_googlenet_has_auxiliary_classifiers_and_another_normalisation(hub):
    theirs = torchvision.models.googlenet(aux_logits=True, init_weights=False).state_dict()
    hub.append(theirs)
    net = TorchvisionNet(1000, name="googlenet", pretrained="hub").model
    assert net.transform_input
    assert equal(theirs, net.state_dict())
    with without_pretrained():
        assert TorchvisionNet(5, name="googlenet", pretrained="hub").model.transform_input
    assert not TorchvisionNet(5, name="googlenet").model.transform_input


def test_the_hubs_image_size_is_the_models():
    with torch.device("meta"):
        assert TorchvisionNet(5, name="vit_h_14", pretrained="hub").model.image_size == 518
        assert TorchvisionNet(5, name="vit_h_14").model.image_size == 224


@pytest.mark.usefixtures("hub")
def test_without_a_network_the_way_out_is_named():
    message = (
        rf"`pretrained` \(='hub'\): the weights of '{SMALL}' could not be had from download.pytorch.org "
        r"\(URLError: .*not known.*\); fetch https://download.pytorch.org/models/shufflenetv2_x0.5-\w+.pth elsewhere "
        r"and put it into .*checkpoints, or give the path of a file"
    )
    with pytest.raises(UserError, match=message):
        TorchvisionNet(5, name=SMALL, pretrained="hub")
    with without_pretrained():
        TorchvisionNet(5, name=SMALL, pretrained="hub")


@pytest.mark.parametrize(
    ("name", "offer"), [("resnet5", "near misses: .*resnet50"), ("fcn_resnet50", "near misses"), ("qqq", "it has 80")]
)
def test_an_unknown_name_is_refused(name, offer):
    with pytest.raises(UserError, match=rf"`name` \(='{name}'\) is no classification model of torchvision; {offer}"):
        TorchvisionNet(5, name=name)


@pytest.mark.parametrize("argument", ["aux_logits", "num_classes", "weights", "pretrained"])
def test_arguments_of_the_net_are_not_the_models(argument):
    with pytest.raises(UserError, match=rf"`model_args` must not hold '{argument}'"):
        TorchvisionNet(5, name="googlenet", model_args={argument: True})


@pytest.mark.parametrize(
    ("name", "argument", "error"),
    [("resnet18", {"bogus": 1}, "TypeError: .*'bogus'"), ("vit_b_16", {"image_size": 33}, "AssertionError: Input")],
)
def test_what_torchvision_refuses_is_said(name, argument, error):
    message = rf"refuses to build `name` \(='{name}'\) with `model_args` \(={re.escape(str(argument))}\): {error}"
    with pytest.raises(UserError, match=f"torchvision {message}.*; correct `model_args`"):
        TorchvisionNet(5, name=name, model_args=argument)
