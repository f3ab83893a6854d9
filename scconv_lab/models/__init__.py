"""Backbones: ``Net(num_classes, *, ...)`` maps (B, 3, H, W) to (B, num_classes), with torchvision's state dict keys."""

from scconv_lab.models.cifar_resnet import CifarResNet
from scconv_lab.models.net import Net
from scconv_lab.models.resnet import ResNet, ResNeXt

__all__ = ["CifarResNet", "Net", "ResNeXt", "ResNet"]
