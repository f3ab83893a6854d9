"""The files that a net can be written to, and how each is read back."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from scconv_lab.errors import UserError
from scconv_lab.messages import first_line

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from scconv_lab.training import Classifier

_METADATA = "hyper_parameters"
_ONE_ONNX_FILE = 2_000_000_000  # bytes of weights; protobuf, in which ONNX is written, ends at 2 GiB


def load_safetensors(path: str | Path, *, trust_code: bool = False) -> "nn.Module":
    """Rebuild a net from a file of ``scconv-lab export --format safetensors``, and from nothing else.

    Args:
        path: The file.
        trust_code: Whether it may name classes and predicates outside the lab and its libraries, whose modules are then
            imported: they run code. See `scconv_lab.training.trust`.

    Returns:
        The net on the CPU, in evaluation mode: (B, C, H, W) to logits (B, num_classes).

    Raises:
        UserError: (a ValueError) if the file is missing, damaged, without the description of a net of this lab, or asks
            for code that is not trusted.
    """
    from safetensors import SafetensorError, safe_open

    from scconv_lab.training import Classifier

    if not Path(path).is_file():
        raise UserError(f"{path} is not there; `scconv-lab export --format safetensors` writes such a file")
    try:
        with safe_open(path, framework="pt") as file:
            description = (file.metadata() or {}).get(_METADATA)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise UserError(f"{path} is not a readable safetensors file ({error}); export it again") from error
    if description is None:
        raise UserError(
            f"{path} holds tensors and no description of a net (metadata {_METADATA!r}); "
            "give a file that `scconv-lab export --format safetensors` wrote"
        )
    try:
        arguments = json.loads(description)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} holds a damaged description of its net ({error}); export it again") from error
    net = Classifier.rebuild(arguments, source=str(path), trust_code=trust_code).net
    try:
        net.load_state_dict(tensors)
    except RuntimeError as error:
        raise UserError(
            f"{path} holds other tensors than its net has ({first_line(error)}); export it again"
        ) from error
    return net.eval()


def _read_safetensors(path: Path) -> "nn.Module":
    return load_safetensors(path, trust_code=True)  # what it names is imported already, as the checkpoint's


def _write_safetensors(classifier: "Classifier", _: "Tensor", path: Path) -> None:
    import torch
    from safetensors.torch import save

    tensors = {
        name: tensor.clone(memory_format=torch.contiguous_format)  # safetensors takes no two names for one memory
        for name, tensor in classifier.net.state_dict().items()
    }
    description = {_METADATA: json.dumps(dict(classifier.hparams))}
    path.write_bytes(save(tensors, metadata={"format": "pt", **description, **_images_metadata(classifier)}))


def _images_metadata(classifier: "Classifier") -> dict[str, str]:
    """What the checkpoint says of its images, each value as JSON; nothing where no data set of the lab trained it."""
    return {key: json.dumps(value) for key, value in classifier.images.items()}


def _trace(classifier: "Classifier", images: "Tensor") -> "torch.export.ExportedProgram":
    import torch

    program = torch.export.export(classifier.net, (images,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # the folders of this machine
    return program


def _write_torch_export(classifier: "Classifier", images: "Tensor", path: Path) -> None:
    import torch

    torch.export.save(_trace(classifier, images), path, extra_files=_images_metadata(classifier))


def _read_torch_export(path: Path) -> "Callable[[Tensor], Tensor]":
    import torch

    return torch.export.load(path).module()


def _write_onnx(classifier: "Classifier", images: "Tensor", path: Path) -> None:
    import torch

    weights = sum(tensor.nbytes for tensor in classifier.net.state_dict().values())
    program = torch.onnx.export(
        _trace(classifier, images),
        dynamo=True,
        verbose=False,
        input_names=["images"],
        output_names=["logits"],
        dynamic_shapes=({0: "batch"},),
    )
    assert program is not None
    program.model.metadata_props.update(_images_metadata(classifier))
    program.save(path, external_data=weights > _ONE_ONNX_FILE)


def _read_onnx(path: Path) -> "Callable[[Tensor], Tensor]":
    import onnxruntime
    import torch

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # only errors
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda images: torch.from_numpy(session.run(["logits"], {"images": images.numpy()})[0])


@dataclass(frozen=True)
class Format:
    """How a net is written to a file and read back.

    ``write`` takes the classifier, two images and the path; ``read`` gives a function of images (B, C, H, W);
    ``needs`` are modules that only the extra "export" installs.
    """

    suffix: str
    write: "Callable[[Classifier, Tensor, Path], None]"
    read: "Callable[[Path], Callable[[Tensor], Tensor]]"
    needs: tuple[str, ...] = ()

    def require_installed(self) -> None:
        """Raise UserError if a module of ``needs`` is not installed, with the commands that install it."""
        if missing := [name for name in self.needs if not find_spec(name)]:
            raise UserError(
                f"writing {self.suffix} needs {', '.join(missing)}: not installed; `uv sync --extra export` in a clone "
                "of the repository, or `pip install 'scconv-lab[export]'`"
            )


FORMATS = {
    "onnx": Format(".onnx", _write_onnx, _read_onnx, needs=("onnx", "onnxscript", "onnxruntime")),
    "torch_export": Format(".pt2", _write_torch_export, _read_torch_export),
    "safetensors": Format(".safetensors", _write_safetensors, _read_safetensors),
}
