"""The words of fit, validate, test and predict: one screen of help, and the rest where it is asked for."""

import shutil
import textwrap
from collections.abc import Sequence
from functools import partial

from scconv_lab.config import expand_arguments
from scconv_lab.terminal.loading import loading

_WHAT = {
    "fit": "Train one arm, test its best checkpoint once, and log to W&B.",
    "validate": "Evaluate a checkpoint on the validation split.",
    "test": "Evaluate a checkpoint on the test set.",
    "predict": "Write a checkpoint's predictions for a split, or for a folder of images, to a CSV file.",
}
_KEYS = {
    "config FILE": "an experiment or a part of one, as YAML; several are merged, the last wins",
    "net.depth N": "depth of the net; --net CLASS is another net, of torchvision too",
    "surgery.unit CLASS": "what goes into the net: SRU, CRU, ScConv, or a class of your own file",
    "surgery.unit.ARG": "its arguments, such as --surgery.unit.alpha 0.5",
    "surgery.action ACTION": "replace a convolution, insert_after it, insert_before it, and so on",
    "surgery.sites": "which convolutions: a name such as paper, or conditions such as {stage: 3, stride: 1}",
    "data CLASS": "CIFAR10, CIFAR100, FashionMNIST, Digits, ImageFolder, or a class of your own file",
    "data.root FOLDER": "where its files are, or are downloaded to",
    "data.batch_size N": "images of a step, over all processes",
    "data.val_size N": "training images set aside to choose the epoch; a number or a share",
    "optimizer CLASS": "one of torch.optim; --optimizer.lr and its other arguments",
    "lr_scheduler CLASS": "one of torch.optim.lr_scheduler; --lr_interval epoch or step says when it moves",
    "trainer.max_epochs N": "length of the run",
    "trainer.devices N": "processes, each with a GPU or CPU cores of its own",
    "trainer.precision P": "32-true, bf16-mixed, 16-mixed",
    "trainer.logger.project P": "W&B project; --trainer.logger false logs nowhere",
    "trainer.default_root_dir": "folder of the runs' folders",
    "seed_everything N": "seed of weights, order and augmentation",
    "resume auto": "resume the newest run of this configuration, or the run in the FOLDER that is given",
    "save_every N": "steps between checkpoints within an epoch",
    "weights FILE": "weights that the net starts from",
    "ckpt_path FILE": "checkpoint to evaluate, or to train on from as a new run",
    "measure_cost true": "measure latency, throughput and memory before training",
}
_OF_PREDICT = {
    "split SPLIT": "val (the images set aside for validation), train or test",
    "images FOLDER": "a folder of images without labels, in place of a split",
}
_MORE = {
    "help-all": "every key, with its default (takes seconds)",
    "KEY.help CLASS": "the arguments of a class, such as --surgery.unit.help CRU",
    "print_config": "the configuration that the arguments stand for",
}
_INDENT = 32


def short_help(command: str, *, width: int = 120) -> str:
    """Return the help of a command that parses a configuration, in lines of at most ``width`` characters."""
    texts = [
        f"usage: scconv-lab {command} [--config FILE ...] [--KEY VALUE ...]\n\n{_WHAT[command]}\n\n",
        "The keys that people use most; a file has them too:\n",
        *(_line(key, text, width) for key, text in (_OF_PREDICT if command == "predict" else {}).items()),
        *(_line(key, text, width) for key, text in _KEYS.items()),
        "\n",
        *(_line(key, text, width) for key, text in _MORE.items()),
    ]
    return "".join(texts)


def _line(key: str, text: str, width: int) -> str:
    first = f"  --{key:<{_INDENT - 4}}"
    return f"{textwrap.fill(text, width, initial_indent=first, subsequent_indent=' ' * _INDENT)}\n"


def _run(command: str, arguments: Sequence[str]) -> int:
    """Answer ``--help`` at once, and import what trains only for the rest."""
    if {"-h", "--help"} & set(arguments):
        print(short_help(command, width=shutil.get_terminal_size((120, 24)).columns), end="")
        return 0
    given = ["--help" if argument == "--help-all" else argument for argument in arguments]
    expanded, experiment = expand_arguments([command, *given])
    with loading():
        from scconv_lab.fit.command import run
    return run(expanded, experiment=experiment)


fit, validate, test, predict = (partial(_run, command) for command in _WHAT)
