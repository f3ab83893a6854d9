"""The exported files: what they compute, what they hold, and what a mistake or a wrong file gets."""

import json
import os
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch
from lightning.pytorch import Trainer
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from scconv_lab import export
from scconv_lab.cli import main
from scconv_lab.data import Digits
from scconv_lab.errors import UserError
from scconv_lab.export import FORMATS, ParityError, load_safetensors
from scconv_lab.models.pretrained import without_pretrained
from scconv_lab.nn import READINGS
from scconv_lab.training import Classifier
from tests.full import others_in_full
from tests.runs import Command, Run
from tests.wrong_exports import no_statistics, not_a_number, wrong_weights

Checkpoint = Callable[[str], tuple[Path, nn.Module]]

PACKAGE = Path(export.__file__).parent.parent
IMAGE = (3, 9, 7)  # odd sizes: the windows before a replaced stride are cut by the border
NEAR = (
    1e-5  # of the largest output; ONNX Runtime adds in another order than torch (1e-7 is usual), and no gate flips here
)

SITES = ["layer2.0.conv1", "layer3.0.conv2"]  # the first has stride 2 and doubles the channels
REPLACING = {"sites": SITES, "action": "replace"}
INSERTED = {"sites": SITES, "action": "insert_after"}


def surgery(unit: str, placement: dict[str, Any], **arguments: Any) -> dict[str, Any]:
    return {"unit": {"class_path": f"scconv_lab.nn.{unit}", "init_args": arguments}, **placement}


ARMS: dict[str, dict[str, Any] | None] = {
    "plain": None,
    **{f"{reading}, replacing": surgery("ScConv", REPLACING, **READINGS[reading]) for reading in READINGS},
    **{f"{reading}, inserted": surgery("ScConv", INSERTED, **READINGS[reading]) for reading in READINGS},
    "SRU": surgery("SRU", INSERTED),
    "CRU": surgery("CRU", REPLACING),
    "channels last": surgery("ScConv", REPLACING),
}


def save(classifier: Classifier, path: Path) -> None:
    """As Lightning does."""
    trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_model_summary=False)
    trainer.strategy.connect(classifier)
    trainer.save_checkpoint(path)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """A checkpoint of an arm, as a fit leaves it, and its net in evaluation mode."""
    folder = tmp_path_factory.mktemp("checkpoints")
    made: dict[str, tuple[Path, nn.Module]] = {}

    def make(arm: str) -> tuple[Path, nn.Module]:
        if arm not in made:
            torch.manual_seed(0)
            classifier = Classifier(
                {"class_path": "scconv_lab.models.CifarResNet", "init_args": {"depth": 8}},
                num_classes=10,
                image_shape=IMAGE,
                surgery=ARMS[arm],
                channels_last=arm == "channels last",
            )
            for _ in range(3):  # batch norms learn their statistics, so that training and evaluation differ
                classifier.net(torch.randn(16, *IMAGE))
            path = folder / f"{arm.replace(' ', '_')}.ckpt"
            save(classifier, path)
            made[arm] = path, classifier.net.eval()
        return made[arm]

    return make


def read(file_format: str, path: Path) -> Callable[[Tensor], Tensor]:
    """The file as its users read it, with nothing of `scconv_lab.export` but for safetensors."""
    if file_format == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        (images,), (logits,) = session.get_inputs(), session.get_outputs()
        assert (images.name, images.shape) == ("images", ["batch", *IMAGE])
        assert (logits.name, logits.shape) == ("logits", ["batch", 10])
        return lambda images: torch.from_numpy(session.run(None, {"images": images.numpy()})[0])
    if file_format == "torch_export":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.export.load(path).module()
    return load_safetensors(path)


def parts(file: Path) -> list[bytes]:
    """What a file holds; a .pt2 is an archive."""
    if not zipfile.is_zipfile(file):
        return [file.read_bytes()]
    with zipfile.ZipFile(file) as archive:
        return [archive.read(name) for name in archive.namelist()]


def default_or_slow() -> list[Any]:
    """All arms in all formats; those that add little to the readings wait for `-m slow`, as each takes seconds."""
    return [
        pytest.param(
            arm,
            file_format,
            marks=() if file_format == "safetensors" or "replacing" in arm else pytest.mark.slow,
        )
        for arm in ARMS
        for file_format in FORMATS
    ]


@pytest.mark.parametrize(("arm", "file_format"), default_or_slow())
def test_the_file_computes_what_the_net_does(
    arm: str,
    file_format: str,
    checkpoint: Checkpoint,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    path, net = checkpoint(arm)
    output = tmp_path / "net"
    capfd.readouterr()
    assert main(["export", "--ckpt", str(path), "--format", file_format, "--output", str(output)]) == 0
    printed = capfd.readouterr()
    assert printed.err == ""
    *parities, written = printed.out.splitlines()
    assert [line.split()[0] for line in parities] == ["parity", "parity"]
    assert written == f"written  {output}, {output.stat().st_size / 1e6:.2f} MB"
    assert list(tmp_path.iterdir()) == [output]
    assert not [part for part in parts(output) if str(PACKAGE).encode() in part]  # no folder of this machine

    exported = read(file_format, output)
    for batch in (1, 2, 3, 5, 8):  # exported with 2, compared with 1 and 3; 5 and 8 are new
        images = torch.randn(batch, *IMAGE, generator=torch.Generator().manual_seed(batch))
        with torch.no_grad():
            expected, actual = net(images), exported(images)
        if file_format == "onnx":
            torch.testing.assert_close(actual, expected, rtol=0, atol=NEAR * expected.abs().max().item())
        else:
            assert torch.equal(actual, expected)  # the same operators of torch


def test_safetensors_is_rebuilt_from_the_file_alone(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path, net = checkpoint("jacky, replacing")
    output = export.export(path, file_format="safetensors", output=tmp_path / "net.safetensors")
    rebuilt = load_safetensors(str(output))
    assert not rebuilt.training
    assert type(rebuilt) is type(net)
    assert repr(rebuilt) == repr(net)
    assert rebuilt.state_dict().keys() == net.state_dict().keys()
    assert all(torch.equal(tensor, rebuilt.state_dict()[name]) for name, tensor in net.state_dict().items())


def test_weights_of_half_precision_leave_as_fp32(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """What ``--trainer.precision bf16-true`` saves."""
    path, _ = checkpoint("paper, replacing")
    content = torch.load(path, weights_only=True)
    state = {
        name: tensor.bfloat16() if tensor.is_floating_point() else tensor
        for name, tensor in content["state_dict"].items()
    }
    torch.save(content | {"state_dict": state}, tmp_path / "half.ckpt")
    rebuilt = load_safetensors(export.export(tmp_path / "half.ckpt", file_format="safetensors")).state_dict()
    assert {tensor.dtype for tensor in rebuilt.values()} == {torch.float32, torch.int64}
    assert all(torch.equal(tensor, state[f"net.{name}"].to(tensor.dtype)) for name, tensor in rebuilt.items())


def test_pretrained_weights_need_not_be_there_any_more(tmp_path: Path) -> None:
    arguments = {"name": "squeezenet1_1", "pretrained": str(tmp_path / "gone.pth")}
    with without_pretrained():
        net = {"class_path": "scconv_lab.models.TorchvisionNet", "init_args": arguments}
        classifier = Classifier(net, num_classes=10, image_shape=(3, 32, 32))
    save(classifier, tmp_path / "net.ckpt")
    rebuilt = load_safetensors(export.export(tmp_path / "net.ckpt", file_format="safetensors"))
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(rebuilt(images), classifier.net.eval()(images))


def test_a_checkpoint_of_a_fit(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Left by the command, with the hyper-parameters that it gives; the file goes beside it."""
    monkeypatch.chdir(workspace)
    experiment = ["--config", "experiments/ablation_scconv.yaml", "--config", "configs/scale/quick.yaml"]
    short = ["--trainer.max_epochs=1", "--trainer.logger=false", "--trainer.accelerator=cpu", "--final_test=false"]
    assert main(["fit", *experiment, *short]) == 0
    ckpt = Run(capsys.readouterr().out, workspace).folder / "checkpoints/best.ckpt"
    assert main(["export", f"--ckpt={ckpt}", "--format=safetensors"]) == 0
    output = ckpt.with_suffix(".safetensors")
    assert capsys.readouterr().out.endswith(f"written  {output}, {output.stat().st_size / 1e6:.2f} MB\n")
    net = Classifier.load_from_checkpoint(ckpt, weights_only=True, map_location="cpu").net.eval()
    images = torch.randn(2, 3, 8, 8)
    assert torch.equal(load_safetensors(output)(images), net(images))
    for file_format in ("onnx", "torch_export"):
        assert main(["export", f"--ckpt={ckpt}", f"--format={file_format}"]) == 0
    metadata = (
        safe_open(output, framework="pt").metadata(),
        onnxruntime.InferenceSession(ckpt.with_suffix(".onnx")).get_modelmeta().custom_metadata_map,
        dict.fromkeys(Digits().description, ""),
    )
    torch.export.load(ckpt.with_suffix(".pt2"), extra_files=metadata[2])
    for of_file in metadata:
        assert {key: json.loads(of_file[key]) for key in Digits().description} == {
            "image_shape": [3, 8, 8],
            "mean": [0.3054] * 3,
            "std": [0.3760] * 3,
            "class_names": [str(digit) for digit in range(10)],
        }


@pytest.mark.slow
def test_onnx_of_many_weights_keeps_them_in_a_second_file(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("scconv_lab.export.formats._ONE_ONNX_FILE", 0)
    path, net = checkpoint("plain")
    output = export.export(path, file_format="onnx", output=tmp_path / "net.onnx")
    weights = tmp_path / "net.onnx.data"
    assert set(tmp_path.iterdir()) == {output, weights}
    total = output.stat().st_size + weights.stat().st_size
    assert f"{total / 1e6:.2f} MB" in capsys.readouterr().out
    images = torch.randn(2, *IMAGE)
    torch.testing.assert_close(read("onnx", output)(images), net(images), rtol=0, atol=1e-5)


# A file that disagrees


@pytest.mark.parametrize("write", [wrong_weights, no_statistics, not_a_number])
@pytest.mark.parametrize("arm", ["plain", "SRU"])
def test_a_wrong_file_is_a_defect_and_leaves_nothing(
    arm: str,
    write: Callable[[Classifier, Tensor, Path], None],
    checkpoint: Checkpoint,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A file of that name from before stays as it was."""
    path, _ = checkpoint(arm)
    output = tmp_path / "net.safetensors"
    output.write_text("an older file")
    monkeypatch.setitem(FORMATS, "safetensors", replace(FORMATS["safetensors"], write=write))
    with pytest.raises(ParityError, match="disagrees with its net, and was removed"):
        main(["export", "--ckpt", str(path), "--format", "safetensors", "--output", str(output)])
    printed = capsys.readouterr()
    assert "scconv-lab: error" not in printed.err
    assert "written" not in printed.out
    assert [(file, file.read_text()) for file in tmp_path.iterdir()] == [(output, "an older file")]


def test_parity_allows_for_a_gate_that_flips() -> None:
    """A value on the step may fall on either side of it, which moves the output by 0.01; elsewhere that is wrong."""

    def net(images: Tensor) -> Tensor:
        return images.mean((1, 2, 3)) + 0.01 * (images[:, 0, 0, 0] > 0)

    def other_side(images: Tensor) -> Tensor:
        return images.mean((1, 2, 3)) + 0.01 * (images[:, 0, 0, 0] >= 0)

    def wrong(images: Tensor) -> Tensor:
        return net(images) + 0.01

    images = torch.full((4, *IMAGE), 0.5)
    with pytest.raises(ParityError):
        export.require_parity(net, wrong, images)
    images[:, 0, 0, 0] = 0
    export.require_parity(net, other_side, images)


def test_a_net_that_diverged_is_not_exported(
    checkpoint: Checkpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, _ = checkpoint("plain")
    content = torch.load(path, weights_only=True)
    content["state_dict"]["net.fc.bias"][0] = torch.nan
    torch.save(content, tmp_path / "nan.ckpt")
    assert mistake(["--ckpt", str(tmp_path / "nan.ckpt"), "--format", "safetensors"], capsys).count("not finite") == 1
    assert [file.name for file in tmp_path.iterdir()] == ["nan.ckpt"]


# Mistakes


def mistake(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that a mistake gets."""
    capsys.readouterr()
    assert main(["export", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("scconv-lab: error: ")
    assert printed.err.count("\n") == 1
    return printed.err


@pytest.mark.parametrize("missing", ["onnx", "onnxscript", "onnxruntime"])
def test_onnx_without_its_libraries_names_what_installs_them(
    missing: str, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, _ = checkpoint("SRU")
    monkeypatch.setitem(sys.modules, missing, None)
    assert main(["export", "--ckpt", str(path), "--format", "onnx"]) == 2
    error = capsys.readouterr().err
    assert f"writing .onnx needs {missing}: not installed; `uv sync --extra export`" in error
    assert "`pip install 'scconv-lab[export]'`" in error
    assert error.count("\n") == 1
    assert not path.with_suffix(".onnx").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ["export needs --ckpt, such as --ckpt RUN_FOLDER/checkpoints/best.ckpt"]),
        (["--format", "onnx"], ["export needs --ckpt"]),
        (["--ckpt", "CKPT"], ["export needs --format, such as --format onnx"]),
        (["--ckpt"], ["argument --ckpt: expected one argument"]),
        (["--ckpt", "--format", "onnx"], ["argument --ckpt: expected one argument"]),
        (["--ckpt="], ["export needs --ckpt"]),
        (["--ckpt", "CKPT", "--format", "onxx"], ["--format onxx is not known; did you mean 'onnx'?"]),
        (["--ckpt", "CKPT", "--format", "tflite"], ["choose one of onnx, safetensors, torch_export"]),
        (["--ckpt_path", "CKPT"], ["export has no option '--ckpt_path'; did you mean '--ckpt'?"]),
        (["CKPT"], ["export: unrecognized arguments: "]),
        (["--ckpt", "nowhere.ckpt", "--format", "onnx"], ["--ckpt nowhere.ckpt is not there"]),
        (["--ckpt", "TMP", "--format", "onnx"], ["is not there; a fit leaves its own in RUN_FOLDER/checkpoints"]),
        (["--ckpt", "CKPT", "--format", "onnx", "--output", "TMP/no/net"], ["there is no folder", "make it"]),
        (["--ckpt", "CKPT", "--format", "onnx", "--output", "TMP"], ["is a folder; name a file in it"]),
        (["--ckpt", "CKPT", "--format", "onnx", "--output", "CKPT"], ["is the checkpoint itself"]),
        (["--ckpt", "TMP/text.ckpt", "--format", "onnx"], ["text.ckpt is not a readable checkpoint of this lab"]),
        (["--ckpt", "TMP/cut.ckpt", "--format", "onnx"], ["cut.ckpt is not a readable checkpoint of this lab"]),
        (["--ckpt", "TMP/other.ckpt", "--format", "onnx"], ["other.ckpt is not a readable checkpoint of this lab"]),
        (
            ["--ckpt", "TMP/weights.ckpt", "--format", "onnx"],
            ["is not a readable checkpoint of this lab (RuntimeError: "],
        ),
        (["--ckpt", "TMP/depth.ckpt", "--format", "onnx"], ["`depth` (=9) must be 6n + 2"]),
    ],
    ids=lambda value: " ".join(value)[:40],
)
def test_a_mistake_gets_one_line_and_leaves_nothing(
    arguments: list[str],
    expected: list[str],
    checkpoint: Checkpoint,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path, _ = checkpoint("plain")
    content = torch.load(path, weights_only=True)
    (tmp_path / "text.ckpt").write_text("not a checkpoint")
    (tmp_path / "cut.ckpt").write_bytes(path.read_bytes()[:1000])
    torch.save({"model": {"weight": torch.ones(2)}}, tmp_path / "other.ckpt")
    torch.save(content | {"state_dict": {}}, tmp_path / "weights.ckpt")
    net = {"class_path": "scconv_lab.models.CifarResNet", "init_args": {"depth": 9}}
    torch.save(content | {"hyper_parameters": content["hyper_parameters"] | {"net": net}}, tmp_path / "depth.ckpt")
    before = set(tmp_path.iterdir()) | set(path.parent.iterdir())
    error = mistake([word.replace("TMP", str(tmp_path)).replace("CKPT", str(path)) for word in arguments], capsys)
    assert not [part for part in expected if part not in error]
    assert set(tmp_path.iterdir()) | set(path.parent.iterdir()) == before


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_to(
    checkpoint: Checkpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tmp_path.chmod(0o500)
    arguments = ["--ckpt", str(checkpoint("plain")[0]), "--format", "safetensors", "--output", str(tmp_path / "net")]
    assert "the folder cannot be written to" in mistake(arguments, capsys)


def test_a_safetensors_file_that_is_no_export(checkpoint: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not there"):
        load_safetensors(tmp_path / "nowhere.safetensors")
    (tmp_path / "text.safetensors").write_text("not tensors")
    with pytest.raises(UserError, match="is not a readable safetensors file"):
        load_safetensors(tmp_path / "text.safetensors")
    save_file({"weight": torch.ones(2)}, tmp_path / "bare.safetensors")
    with pytest.raises(UserError, match="holds tensors and no description of a net"):
        load_safetensors(tmp_path / "bare.safetensors")


# The command


def test_help_and_a_file_that_is_not_there_import_nothing_heavy() -> None:
    program = """
import sys
from scconv_lab.cli import main
assert main(["export", "--help"]) == 0
assert main(["export", "--ckpt", "nowhere.ckpt", "--format", "onnx"]) == 2
assert {"torch", "lightning", "wandb", "jsonargparse"}.isdisjoint(sys.modules)
"""
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    assert all(word in finished.stdout for word in ("--ckpt", "--format", "--output", *FORMATS))
    assert len(finished.stdout.splitlines()) <= 24


def test_the_commands_help_lists_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "  export      write a checkpoint's net as ONNX" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("file_format", others_in_full([*FORMATS], "onnx"))
def test_the_process_prints_its_lines_alone(
    file_format: str, checkpoint: Checkpoint, command: Command, tmp_path: Path
) -> None:
    """What libraries write past Python, straight to the terminal, would show here."""
    path, _ = checkpoint("jacky, inserted")
    finished = command("export", "--ckpt", str(path), "--format", file_format, "--output", str(tmp_path / "net"))
    assert finished.returncode == 0
    assert finished.stderr == ""
    assert [line.split()[0] for line in finished.stdout.splitlines()] == ["parity", "parity", "written"]


@pytest.mark.slow
def test_a_defect_exits_with_1_and_a_traceback(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path, _ = checkpoint("plain")
    program = f"""
import dataclasses, sys
from scconv_lab import export
from scconv_lab.cli import main
from tests.wrong_exports import wrong_weights
broken = dataclasses.replace(export.FORMATS["safetensors"], write=wrong_weights)
export.FORMATS["broken"] = broken
sys.exit(main(["export", "--ckpt", {str(path)!r}, "--format", "broken", "--output", {str(tmp_path / "net")!r}]))
"""
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=PACKAGE.parent)
    assert finished.returncode == 1
    assert "Traceback" in finished.stderr
    assert "ParityError: the exported file disagrees with its net" in finished.stderr
    assert not list(tmp_path.iterdir())


def test_ones_own_unit_is_exported_where_it_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The checkpoint says where its run found the unit."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "ours.py").write_text("from scconv_lab.nn import SRU\n\n\nclass Ours(SRU):\n    pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    classifier = Classifier(
        {"class_path": "scconv_lab.models.CifarResNet", "init_args": {"depth": 8}},
        num_classes=10,
        image_shape=IMAGE,
        surgery={"unit": {"class_path": "ours.Ours"}, "sites": "paper", "action": "insert_after"},
    )
    save(classifier, tmp_path / "own.ckpt")
    content = torch.load(tmp_path / "own.ckpt", weights_only=True)
    torch.save(content | {"configuration": {"own_code": [str(tmp_path)]}}, tmp_path / "own.ckpt")
    monkeypatch.delitem(sys.modules, "ours")
    sys.path.remove(str(tmp_path))
    arguments = ["export", "--ckpt", str(tmp_path / "own.ckpt"), "--format", "safetensors"]
    assert main(arguments) == 2
    assert "'ours.Ours'" in capsys.readouterr().err
    assert main([*arguments, "--trust-code"]) == 0
    monkeypatch.delitem(sys.modules, "ours")
