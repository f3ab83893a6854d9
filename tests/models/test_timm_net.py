"""Any classification model of timm, random or from weights."""

import pytest
import timm
import torch
from safetensors.torch import save_file

from scconv_lab.errors import UserError
from scconv_lab.models import Net, TimmNet, without_pretrained
from scconv_lab.models.timm_net import _classifier

SMALL = "test_resnet"


@pytest.fixture
def hub(monkeypatch):
    """What the hub holds: nothing, until a test puts a state dict there."""
    held = []

    def load(model_id, *arguments, **options):
        if not held:
            raise OSError("no route to host")
        return dict(held[0])

    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", load)
    return held


def equal(ours, theirs, names=None):
    return all(torch.equal(ours[name], theirs[name]) for name in names or theirs)


@pytest.mark.parametrize("name", [SMALL, "test_resnet.r160_in1k"])
def test_the_model_is_timms(name):
    torch.manual_seed(1)
    net = TimmNet(7, name=name)
    torch.manual_seed(1)
    theirs = timm.create_model(SMALL, num_classes=7)
    assert isinstance(net, Net)
    assert equal(net.model.state_dict(), theirs.state_dict())
    x = torch.randn(2, 3, 33, 40)
    assert torch.equal(net.eval()(x), theirs.eval()(x))


@pytest.mark.parametrize("name", ["test_vit", "test_convnext", "test_efficientnet"])
def test_kinds_of_models(name):
    logits = TimmNet(7, name=name)(torch.randn(2, 3, 160, 160))
    assert logits.shape == (2, 7)
    assert logits.isfinite().all()


def test_model_args_reach_the_model():
    assert TimmNet(7, name=SMALL, model_args={"drop_rate": 0.25}).model.drop_rate == 0.25


@pytest.mark.parametrize(
    "name", [SMALL, "test_vit", "test_convnext", "deit_tiny_distilled_patch16_224", "mobilenetv3_small_050"]
)
def test_the_classifier_is_what_counts_the_classes(name):
    with torch.device("meta"):
        model, other = TimmNet(7, name=name).model, TimmNet(8, name=name).model.state_dict()
    ours = model.state_dict()
    assert _classifier(model) == {key for key in ours if ours[key].shape != other[key].shape}


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize("classes", [5, 7])
def test_a_file_fills_all_but_a_classifier_of_other_classes(tmp_path, suffix, classes):
    theirs = timm.create_model(SMALL, num_classes=5).state_dict()
    path = str(tmp_path / f"x.{suffix}")
    (save_file if suffix == "safetensors" else torch.save)(theirs, path)
    torch.manual_seed(1)
    net = TimmNet(classes, name=SMALL, pretrained=path).model.state_dict()
    torch.manual_seed(1)
    fresh = TimmNet(classes, name=SMALL).model.state_dict()
    head = {"fc.weight", "fc.bias"} if classes != 5 else set()
    assert equal(net, theirs, theirs.keys() - head)
    assert equal(net, fresh, head or {"fc.weight"}) == bool(head)


def test_a_file_of_another_model_is_refused(tmp_path):
    torch.save(timm.create_model("test_convnext").state_dict(), tmp_path / "x.pth")
    with pytest.raises(UserError, match=r"x.pth'\) does not fit the net; .* missing there: .* more; give weights"):
        TimmNet(5, name=SMALL, pretrained=str(tmp_path / "x.pth"))


def test_a_missing_file_is_refused_but_not_within_without_pretrained():
    with pytest.raises(UserError, match=r"`pretrained` \(='no.pth'\) is not a file"):
        TimmNet(5, name=SMALL, pretrained="no.pth")
    with without_pretrained():
        TimmNet(5, name=SMALL, pretrained="no.pth")


@pytest.mark.parametrize("classes", [5, 1000])
def test_the_hubs_weights_fill_the_model(hub, classes):
    theirs = timm.create_model(SMALL).state_dict()
    hub.append(theirs)
    net = TimmNet(classes, name=SMALL, pretrained="hub").model.state_dict()
    assert equal(net, theirs, theirs.keys() - ({"fc.weight", "fc.bias"} if classes == 5 else set()))


@pytest.mark.usefixtures("hub")
def test_without_a_network_the_way_out_is_named():
    message = (
        r"`pretrained` \(='hub'\): the weights of 'test_resnet' could not be had from the Hugging Face hub "
        r"\(OSError: no route to host\); fetch the file .* from huggingface.co/timm/test_resnet.r160_in1k elsewhere"
    )
    with pytest.raises(UserError, match=message):
        TimmNet(5, name=SMALL, pretrained="hub")
    with without_pretrained():
        TimmNet(5, name=SMALL, pretrained="hub")


def test_a_model_that_timm_never_trained_is_refused():
    with pytest.raises(UserError, match=r"`pretrained` \(='hub'\): timm has no weights of 'botnet50ts_256'; give"):
        TimmNet(5, name="botnet50ts_256", pretrained="hub")


@pytest.mark.parametrize(
    ("name", "offer"), [("resnet5", "near misses: .*resnet50"), ("resnet50.none", "near misses"), ("qqq", "it has ")]
)
def test_an_unknown_name_is_refused(name, offer):
    with pytest.raises(UserError, match=rf"`name` \(='{name}'\) is no classification model of timm; {offer}"):
        TimmNet(5, name=name)


@pytest.mark.parametrize("argument", ["features_only", "num_classes", "pretrained"])
def test_arguments_of_the_net_are_not_the_models(argument):
    with pytest.raises(UserError, match=rf"`model_args` must not hold '{argument}'"):
        TimmNet(5, name=SMALL, model_args={argument: True})


def test_what_timm_refuses_is_said():
    message = r"timm refuses to build `name` \(='test_resnet'\) with `model_args` \(={'bogus': 1}\): TypeError: .*bogus"
    with pytest.raises(UserError, match=message):
        TimmNet(5, name=SMALL, model_args={"bogus": 1})
