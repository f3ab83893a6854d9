"""The words of `scconv-lab export`."""

from collections.abc import Sequence
from pathlib import Path

from scconv_lab.errors import UserError
from scconv_lab.export.write import export
from scconv_lab.messages import nearest

_HELP = """usage: scconv-lab export --ckpt FILE --format FORMAT [--output FILE] [--trust-code]

Write a checkpoint's net, in evaluation mode and fp32, for other programs. The file is read back and has to agree
with the net. It takes images (batch, C, H, W), prepared as in training, at any batch size, and gives logits.

options:
  --ckpt FILE      a checkpoint of a fit: RUN_FOLDER/checkpoints/best.ckpt
  --format FORMAT  onnx         .onnx, for ONNX Runtime and others
                   torch_export .pt2, for torch.export.load
                   safetensors  .safetensors, weights and description, for scconv_lab.export.load_safetensors
  --output FILE    the file to write; if left out, next to the checkpoint, with its name
  --trust-code     import the classes that the checkpoint names, of the lab or not: their modules run code
  -h, --help       this text
"""

_TRUST = "--trust-code"
_EXAMPLES = {
    "--ckpt": "RUN_FOLDER/checkpoints/best.ckpt",
    "--format": "onnx",
    "--output": "net.onnx",
}


def run(arguments: Sequence[str]) -> int:
    """Run the command; see `scconv_lab.cli.main` for the exit codes."""
    if "-h" in arguments or "--help" in arguments:
        print(_HELP, end="")
        return 0
    trust_code = _TRUST in arguments
    given = _parse([argument for argument in arguments if argument != _TRUST])
    for option in ("--ckpt", "--format"):
        if option not in given:
            raise UserError(f"export needs {option}, such as {option} {_EXAMPLES[option]}")
    output = given.get("--output")
    output = Path(output) if output else None
    export(Path(given["--ckpt"]), file_format=given["--format"], output=output, trust_code=trust_code)
    return 0


def _parse(arguments: Sequence[str]) -> dict[str, str]:
    given: dict[str, str] = {}
    rest = iter(arguments)
    for argument in rest:
        option, equals, value = argument.partition("=")
        if option not in _EXAMPLES:
            raise UserError(f"export has no option {argument!r}{nearest(option, [*_EXAMPLES, _TRUST])}")
        value = value if equals else next(rest, "")
        if not value or value.startswith("--"):
            raise UserError(f"{option} needs a value, such as {option} {_EXAMPLES[option]}")
        given[option] = value
    return given
