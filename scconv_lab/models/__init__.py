"""Backbones: ``Net(num_classes, *, ...)`` maps (B, 3, H, W) to (B, num_classes), with torchvision's state dict keys."""

from scconv_lab.models.cifar_resnet import CifarResNet
from scconv_lab.models.cifar_resnext import CifarResNeXt
from scconv_lab.models.densenet import DenseNet
from scconv_lab.models.matched import MatchedCifarResNet, MatchedResNet
from scconv_lab.models.net import Net
from scconv_lab.models.pretrained import without_pretrained
from scconv_lab.models.resnet import ResNet, ResNeXt
from scconv_lab.models.timm_net import TimmNet
from scconv_lab.models.torchvision_net import TorchvisionNet
from scconv_lab.models.wide_resnet import WideResNet

__all__ = [
    "CifarResNeXt",
    "CifarResNet",
    "DenseNet",
    "MatchedCifarResNet",
    "MatchedResNet",
    "Net",
    "ResNeXt",
    "ResNet",
    "TimmNet",
    "TorchvisionNet",
    "WideResNet",
    "without_pretrained",
]
