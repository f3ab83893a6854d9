"""The words of `scconv-lab export`."""

from collections.abc import Sequence
from pathlib import Path

from scconv_lab.errors import UserError
from scconv_lab.export.write import export
from scconv_lab.terminal.command_parser import CommandParser

_EXAMPLES = {"ckpt": "RUN_FOLDER/checkpoints/best.ckpt", "format": "onnx"}
_DESCRIPTION = """\
Write a checkpoint's net, in evaluation mode and fp32, for other programs. The file is read back and has to agree with
the net. It takes images (batch, C, H, W), prepared as in training, at any batch size, and gives logits. Its metadata
say how images are prepared, as JSON: image_shape, mean, std (of intensities in 0 to 1), class_names.
"""
_EPILOG = """\
formats:
  onnx          .onnx, for ONNX Runtime and others
  torch_export  .pt2, for torch.export.load
  safetensors   .safetensors, weights and description, for scconv_lab.export.load_safetensors
"""


def run(arguments: Sequence[str]) -> int:
    """Run the command; see `scconv_lab.cli.main` for the exit codes."""
    parser = CommandParser("export", description=_DESCRIPTION, epilog=_EPILOG)
    add = parser.add_argument
    add("--ckpt", metavar="FILE", help=f"a checkpoint of a fit, such as {_EXAMPLES['ckpt']}")
    add("--format", metavar="FORMAT", help="what to write; see below")
    add("--output", metavar="FILE", help="the file to write; beside the checkpoint and named as it, if left out")
    trust = "import the classes that the checkpoint names, of the lab or not: their modules run code"
    add("--trust-code", action="store_true", help=trust)
    options = parser.parse_args(arguments)
    for option, example in _EXAMPLES.items():
        if not getattr(options, option):
            raise UserError(f"export needs --{option}, such as --{option} {example}")
    output = Path(options.output) if options.output else None
    export(Path(options.ckpt), file_format=options.format, output=output, trust_code=options.trust_code)
    return 0
