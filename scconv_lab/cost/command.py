"""The words of `scconv-lab cost`."""

import argparse
from collections.abc import Sequence

from scconv_lab.config import expand_arguments
from scconv_lab.errors import UserError
from scconv_lab.terminal.command_parser import CommandParser
from scconv_lab.terminal.loading import loading

FORMATS = ("table", "csv", "json")

_EPILOG = """\
Any other option is a key of an experiment, as after `scconv-lab fit`. The counted part needs no data, no GPU and
no weights; it is for one fp32 image and the reference implementation. With --device, latency (median, 95th percentile
and spread), throughput and peak memory are measured too, eager and compiled, at batch 1 and N, inference and training.

examples:
  scconv-lab cost --config experiments/ablation_scconv.yaml
  scconv-lab cost --config experiments/ablation_sru.yaml --input-size 3,64,64 --device cpu --batch-size 8
  scconv-lab cost --paper
"""


def run(arguments: Sequence[str]) -> int:
    """Run the command; see `scconv_lab.cli.main` for the exit codes."""
    parser = _parser()
    options, keys = parser.parse_known_args(arguments)
    if options.paper or options.seed_table:
        _run_table(options, keys, [name for name in _ONLY_FOR_CONFIG if getattr(options, name) not in (None, False)])
        return 0
    if not keys:
        raise UserError("cost needs --config FILE, such as --config experiments/ablation_sru.yaml, or --paper")
    if options.batch_size is not None and options.device is None:
        raise UserError("--batch-size is for what is measured; name the device too, such as --device cpu")
    if options.batch_size is not None and options.batch_size < 1:
        raise UserError(f"--batch-size {options.batch_size} must be at least 1")
    expanded, experiment = expand_arguments(keys)
    with loading():
        from scconv_lab.cost.experiment import report_experiment
    report_experiment(
        expanded,
        experiment=experiment,
        image_shape=_image_shape(options.input_size),
        device=options.device,
        batch_size=options.batch_size or _BATCH_SIZE,
        layers=options.layers,
        file_format=options.format,
    )
    return 0


_BATCH_SIZE = 32
_ONLY_FOR_CONFIG = ("input_size", "batch_size", "device", "layers")


def _parser() -> CommandParser:
    parser = CommandParser(
        "cost",
        usage="scconv-lab cost (--config FILE ... [--KEY VALUE ...] | --paper | --seed-table) [options]",
        description="Tell what the net of an experiment costs.",
        epilog=_EPILOG,
    )
    add = parser.add_argument
    add("--paper", action="store_true", help="the paper's Tables 1 to 3 next to what this lab counts")
    add("--seed-table", action="store_true", help="the layers of Jacky-Android's ResNet-34 with ScConv at 512 x 512")
    add("--input-size", metavar="C,H,W", help="the image; that of the experiment's data, if left out")
    add("--device", metavar="DEVICE", help="cpu or cuda: measure there too")
    add("--batch-size", metavar="N", type=int, help=f"images in a batch, 1 is measured too; {_BATCH_SIZE} if left out")
    add("--layers", action="store_true", help="torchinfo's table of the net's layers, in place of the rest")
    add("--format", choices=FORMATS, default=FORMATS[0], help="table (for reading), csv or json")
    return parser


def _run_table(options: argparse.Namespace, keys: list[str], given: list[str]) -> None:
    flag = "--paper" if options.paper else "--seed-table"
    others = [*keys, *(f"--{name.replace('_', '-')}" for name in given)]
    if options.paper and options.seed_table:
        others.insert(0, "--seed-table")
    if others:
        raise UserError(f"{flag} is a table of its own, and takes no {others[0]}; leave one of them out")
    if options.paper:
        from scconv_lab.cost.paper import report_paper

        report_paper(options.format)
    else:
        from scconv_lab.cost.seed_table import report_seed_table

        report_seed_table(options.format)


def _image_shape(text: str | None) -> tuple[int, int, int] | None:
    if text is None:
        return None
    parts = text.split(",")
    if len(parts) != 3 or not all(part.isdecimal() and int(part) for part in parts):
        raise UserError(f"--input-size {text} must be channels, height and width, such as 3,224,224")
    channels, height, width = map(int, parts)
    return channels, height, width
