"""Public ScConv code's structure, names and forward pass, in its own words."""

import torch
import torch.nn.functional as F
from torch import nn


class OwnGroupNorm(nn.Module):
    def __init__(self, channels, names, groups=4, eps=1e-10):
        super().__init__()
        self.names, self.groups, self.eps = names, groups, eps
        self.register_parameter(names[0], nn.Parameter(torch.randn(channels, 1, 1)))
        self.register_parameter(names[1], nn.Parameter(torch.zeros(channels, 1, 1)))

    def forward(self, x):
        n, c, h, w = x.shape
        x = x.reshape(n, self.groups, -1)
        x = (x - x.mean(dim=2, keepdim=True)) / (x.std(dim=2, keepdim=True) + self.eps)
        return x.view(n, c, h, w) * getattr(self, self.names[0]) + getattr(self, self.names[1])


class PublicSRU(nn.Module):
    def __init__(self, channels, reading, names):
        super().__init__()
        self.reading = reading
        self.gn = nn.GroupNorm(4, channels) if reading == "cheng_haha" else OwnGroupNorm(channels, names)

    def forward(self, x):
        gn_x = self.gn(x)
        gamma = next(self.gn.parameters())
        w = torch.sigmoid(gn_x * (gamma / gamma.sum()).view(1, -1, 1, 1))
        if self.reading == "cheng_haha":
            x1 = torch.where(w > 0.5, torch.ones_like(w), w) * x
            x2 = torch.where(w > 0.5, torch.zeros_like(w), w) * x
        else:
            x1, x2 = (w >= 0.5) * gn_x, (w < 0.5) * gn_x
        x11, x12 = torch.split(x1, x1.size(1) // 2, dim=1)
        x21, x22 = torch.split(x2, x2.size(1) // 2, dim=1)
        return torch.cat([x11 + x22, x12 + x21], dim=1)


class PublicCRU(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.up, self.low = channels // 2, channels - channels // 2
        self.squeeze1 = nn.Conv2d(self.up, self.up // 2, kernel_size=1, bias=False)
        self.squeeze2 = nn.Conv2d(self.low, self.low // 2, kernel_size=1, bias=False)
        self.GWC = nn.Conv2d(self.up // 2, channels, kernel_size=3, padding=1, groups=2)
        self.PWC1 = nn.Conv2d(self.up // 2, channels, kernel_size=1, bias=False)
        self.PWC2 = nn.Conv2d(self.low // 2, channels - self.low // 2, kernel_size=1, bias=False)

    def forward(self, x):
        up, low = torch.split(x, [self.up, self.low], dim=1)
        up, low = self.squeeze1(up), self.squeeze2(low)
        out = torch.cat([self.GWC(up) + self.PWC1(up), torch.cat([self.PWC2(low), low], dim=1)], dim=1)
        out = F.softmax(F.adaptive_avg_pool2d(out, 1), dim=1) * out
        out1, out2 = torch.split(out, out.size(1) // 2, dim=1)
        return out1 + out2


class PublicScConv(nn.Module):
    def __init__(self, channels, reading, names=("gamma", "beta")):
        super().__init__()
        self.SRU = PublicSRU(channels, reading, names)
        self.CRU = PublicCRU(channels)

    def forward(self, x):
        return self.CRU(self.SRU(x))


def randomized(module):
    """All parameters at random, and gamma of a sum away from zero."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in module.double().named_parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
            if ".gn." in f".{name}" and name.endswith(("gamma", "weight")):
                parameter.abs_().add_(0.1)
    return module
