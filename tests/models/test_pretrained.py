"""Weights that somebody else trained: read from a file, fitted but for the classifier, or left alone."""

import re
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from scconv_lab.errors import UserError
from scconv_lab.models import without_pretrained
from scconv_lab.models.pretrained import fill, read_weights, reads_pretrained


def net(classes=3, seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, classes))


HEAD = {"3.weight", "3.bias"}


@pytest.mark.parametrize("wrapped", [lambda s: s, lambda s: {"state_dict": s, "epoch": 3}, lambda s: {"model": s}])
@pytest.mark.parametrize("suffix", ["pth", "pt"])
def test_what_torch_saved_is_read(tmp_path, suffix, wrapped):
    weights = net().state_dict()
    torch.save(wrapped(weights), tmp_path / f"x.{suffix}")
    read = read_weights(str(tmp_path / f"x.{suffix}"))
    assert list(read) == list(weights)
    assert all(torch.equal(read[name], weights[name]) for name in weights)


def test_safetensors_are_read_and_home_is_known(tmp_path, monkeypatch):
    weights = net().state_dict()
    save_file(weights, tmp_path / "x.safetensors")
    monkeypatch.setenv("HOME", str(tmp_path))
    read = read_weights("~/x.safetensors")
    assert read.keys() == weights.keys()
    assert all(torch.equal(read[name], weights[name]) for name in weights)


@pytest.mark.parametrize("name", ["none.pth", "folder"])
def test_no_file_is_said(tmp_path, name):
    (tmp_path / "folder").mkdir()
    path = str(tmp_path / name)
    message = rf"`pretrained` \(={re.escape(repr(path))}\) is not a file; give the path of .* 'hub' for"
    with pytest.raises(UserError, match=message):
        read_weights(path)


@pytest.mark.parametrize("name", ["x.pth", "x.safetensors"])
def test_a_damaged_file_is_said(tmp_path, name):
    path = tmp_path / name
    if name == "x.pth":
        torch.save(net().state_dict(), path)
    else:
        save_file(net().state_dict(), path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UserError, match=rf"{re.escape(name)}'\) is not a readable file of weights \(\w+Error: "):
        read_weights(str(path))


@pytest.mark.parametrize("content", [{}, [1, 2], {"a": 1}, torch.zeros(3), {"state_dict": {"a": "b"}}])
def test_a_file_of_other_things_is_said(tmp_path, content):
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(UserError, match=r"x.pth'\) is not a readable file of weights \("):
        read_weights(str(tmp_path / "x.pth"))


def test_code_in_a_file_does_not_run(tmp_path):
    torch.save(net(), tmp_path / "x.pth")
    with pytest.raises(UserError, match=r"is not a readable file of weights .*weights_only"):
        read_weights(str(tmp_path / "x.pth"))


def test_all_tensors_are_taken_over():
    filled, source = net(seed=1), net(seed=2).state_dict()
    fill(filled, source, classifier=HEAD, source="x")
    assert all(torch.equal(tensor, source[name]) for name, tensor in filled.state_dict().items())


def test_a_classifier_of_other_classes_starts_anew():
    filled, fresh, source = net(5, seed=1), net(5, seed=1).state_dict(), net(3, seed=2).state_dict()
    fill(filled, source, classifier=HEAD, source="x")
    expected = {name: fresh[name] if name in HEAD else source[name] for name in source}
    assert all(torch.equal(tensor, expected[name]) for name, tensor in filled.state_dict().items())


def test_half_a_classifier_is_none():
    filled, fresh, source = net(seed=1), net(seed=1).state_dict(), net(seed=2).state_dict()
    del source["3.bias"]
    fill(filled, source, classifier=HEAD, source="x")
    assert all(torch.equal(filled.state_dict()[name], fresh[name]) for name in HEAD)


def test_old_files_without_counters_fit():
    source = net(seed=2).state_dict()
    del source["1.num_batches_tracked"]
    filled = net(seed=1)
    fill(filled, dict(source), classifier=HEAD, source="x")
    assert torch.equal(filled[1].running_mean, source["1.running_mean"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("0.weight"), r"are missing there: 0.weight; give weights of the same `name`"),
        (lambda s: s.update({f"a{i}": s["0.bias"] for i in range(5)}), r"are unknown here: a0, a1, a2 and 2 more;"),
        (lambda s: s.update({"0.bias": torch.ones(2)}), r"another shape: 0.bias is \(2,\) there and \(4,\) here;"),
    ],
)
def test_a_misfit_is_named_and_changes_nothing(change, message):
    filled, fresh, source = net(seed=1), net(seed=1).state_dict(), net(seed=2).state_dict()
    change(source)
    with pytest.raises(UserError, match=rf"`pretrained` \(='x.pth'\) does not fit the net; tensors that .*{message}"):
        fill(filled, source, classifier=HEAD, source="`pretrained` (='x.pth')")
    assert all(torch.equal(tensor, fresh[name]) for name, tensor in filled.state_dict().items())


def test_when_weights_are_read():
    assert not reads_pretrained(None)
    assert reads_pretrained("x.pth")
    with torch.device("meta"):
        assert not reads_pretrained("x.pth")
    with without_pretrained():
        assert not reads_pretrained("x.pth")
        with without_pretrained():
            pass
        assert not reads_pretrained("x.pth")
    assert reads_pretrained("x.pth")


def test_an_exception_ends_without_pretrained():
    with pytest.raises(KeyError), without_pretrained():
        raise KeyError
    assert reads_pretrained("x.pth")


def test_importing_the_nets_imports_neither_timm_nor_safetensors():
    program = "import sys, scconv_lab.models; assert not {'timm', 'safetensors'} & {*sys.modules}"
    subprocess.run([sys.executable, "-c", program], check=True)
