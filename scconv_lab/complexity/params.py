"""Counts parameters."""

from torch import nn


def count_params(net: nn.Module) -> int:
    """Count the parameters of a net, trainable or not, shared ones once."""
    return sum(parameter.numel() for parameter in net.parameters())
