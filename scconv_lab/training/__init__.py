"""Trains one arm: the LightningModule, its callbacks and its record."""

from scconv_lab.training.classifier import Classifier
from scconv_lab.training.tracking import WandbLogger

__all__ = ["Classifier", "WandbLogger"]
