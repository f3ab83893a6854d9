"""Silences what Lightning and torch print unasked."""

import logging
import warnings


def silence() -> None:
    """Silence messages of Lightning and torch that users do not need."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # lightning 2.6.6 asks torch 2.15 in the old way
    warnings.filterwarnings("ignore", message=".*LeafSpec.* is deprecated", category=FutureWarning)
    # a fit on the machine from which jobs are submitted is no mistake
    warnings.filterwarnings("ignore", message="The `srun` command is available", category=UserWarning)
    # a checkpoint knows the folder of the run that made it, and an evaluation makes none
    warnings.filterwarnings("ignore", message="The dirpath has changed", category=UserWarning)
    warnings.filterwarnings("ignore", message="Be aware that when using `ckpt_path`, callbacks", category=UserWarning)
    # what is logged each few steps is logged each epoch, too
    warnings.filterwarnings("ignore", message="The number of training batches .* is smaller", category=UserWarning)
    # a resumed run keeps its folder
    warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty", category=UserWarning)
