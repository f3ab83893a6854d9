"""SCConv's equations and its two public readings, transcribed value by value in plain loops.

Nothing here comes from the package. Every number is a 0-dimensional fp64 tensor, so autograd gives the gradients of
the transcription. Parameters are a dict with the keys of `scconv_lab.nn.ScConv`, so that the same values go to both.
"""

import math
from fractions import Fraction

import torch


def scalars(tensor):
    """The values of a tensor as nested lists."""
    return [scalars(part) for part in tensor.unbind()] if tensor.dim() else tensor


def stacked(nested):
    """The tensor of nested lists of values."""
    return torch.stack([stacked(part) for part in nested]) if isinstance(nested, list) else nested


def split(x, channels):
    """The first channels of each sample, and the others."""
    return [sample[:channels] for sample in x], [sample[channels:] for sample in x]


def concat(first, second):
    return [a + b for a, b in zip(first, second, strict=True)]  # + of two lists of channels


def elementwise(function, *tensors):
    if isinstance(tensors[0], list):
        return [elementwise(function, *parts) for parts in zip(*tensors, strict=True)]
    return function(*tensors)


def add(first, second):
    return elementwise(lambda a, b: a + b, first, second)


def multiply(first, second):
    return elementwise(lambda a, b: a * b, first, second)


def mean(values):
    return sum(values) / len(values)


def values_of(channels):
    return [value for channel in channels for row in channel for value in row]


def group_norm(x, gamma, beta, num_groups):
    """Equation 1: (x - mu) / sqrt(var + eps), eps = 1e-5 inside the root, the variance divided by n."""
    return _normalized(x, gamma, beta, num_groups, lambda squares: torch.sqrt(sum(squares) / len(squares) + 1e-5))


def unbiased_norm(x, gamma, beta, num_groups):
    """Jacky-Android's: torch.std, which divides by n - 1, and 1e-10 added to it outside the root."""
    return _normalized(
        x, gamma, beta, num_groups, lambda squares: torch.sqrt(sum(squares) / (len(squares) - 1)) + 1e-10
    )


def _normalized(x, gamma, beta, num_groups, scale_of):
    size = len(gamma) // num_groups
    out = []
    for sample in x:
        channels = []
        for first in range(0, len(gamma), size):
            values = values_of(sample[first : first + size])
            mu = mean(values)
            scale = scale_of([(value - mu) ** 2 for value in values])
            for c in range(first, first + size):
                channels.append([[gamma[c] * ((v - mu) / scale) + beta[c] for v in row] for row in sample[c]])
        out.append(channels)
    return out


def gate_weights(normalized, gamma):
    """Equation 2, w_i = gamma_i / sum_j gamma_j, and the sigmoid of equation 3."""
    total = sum(gamma)
    return [
        [
            [[1 / (1 + torch.exp(-(gamma[c] / total) * v)) for v in row] for row in channel]
            for c, channel in enumerate(s)
        ]
        for s in normalized
    ]


def soft_gate(w, threshold):
    """Above the threshold 1 and 0; a weight that is not above it stays what it is, in both."""
    w1 = elementwise(lambda v: torch.ones_like(v) if v > threshold else v, w)
    w2 = elementwise(lambda v: torch.zeros_like(v) if v > threshold else v, w)
    return w1, w2


def hard_gate(w, threshold):
    """Jacky-Android's two masks: w >= threshold, and w < threshold."""
    w1 = elementwise(lambda v: 1.0 if v >= threshold else 0.0, w)
    w2 = elementwise(lambda v: 1.0 if v < threshold else 0.0, w)
    return w1, w2


def reconstruct(x1, x2):
    """Equation 4: concat(X11 + X22, X12 + X21). An odd number has no halves: X2 moves on by (C - 1) / 2 channels."""
    channels = len(x1[0])
    if channels % 2:
        moved = [[sample[(c - (channels - 1) // 2) % channels] for c in range(channels)] for sample in x2]
        return add(x1, moved)
    half = channels // 2
    x11, x12 = split(x1, half)
    x21, x22 = split(x2, half)
    return concat(add(x11, x22), add(x12, x21))


def conv(x, weight, bias=None, groups=1, stride=1, dilation=1):
    """Group-wise convolution centred on every stride-th row and column, with zeros around."""
    in_size, out_size = len(weight[0]), len(weight) // groups
    kernel = len(weight[0][0])
    middle = kernel // 2
    out = []
    for sample in x:
        height, width = len(sample[0]), len(sample[0][0])
        maps = []
        for o, kernels in enumerate(weight):
            first = (o // out_size) * in_size
            rows = []
            for h in range(0, height, stride):
                row = []
                for w in range(0, width, stride):
                    value = torch.zeros_like(kernels[0][0][0]) if bias is None else bias[o]
                    for i in range(in_size):
                        for dh in range(kernel):
                            for dw in range(kernel):
                                y, z = h + (dh - middle) * dilation, w + (dw - middle) * dilation
                                if 0 <= y < height and 0 <= z < width:
                                    value = value + kernels[i][dh][dw] * sample[first + i][y][z]
                    row.append(value)
                rows.append(row)
            maps.append(rows)
        out.append(maps)
    return out


def window_means(x, stride):
    """The mean of every window of stride x stride values, of what is there where the border cuts one."""
    height, width = len(x[0][0]), len(x[0][0][0])
    return [
        [
            [
                [
                    mean(values_of([[row[w : w + stride] for row in channel[h : h + stride]]]))
                    for w in range(0, width, stride)
                ]
                for h in range(0, height, stride)
            ]
            for channel in sample
        ]
        for sample in x
    ]


def pooled(y):
    """Equation 7: the mean of every channel of every sample."""
    return [[mean(values_of([channel])) for channel in sample] for sample in y]


def scaled(y, beta):
    return [
        [[[b * v for v in row] for row in channel] for channel, b in zip(sample, betas, strict=True)]
        for sample, betas in zip(y, beta, strict=True)
    ]


def fuse_pairwise(y1, y2):
    """Equations 8 and 9: beta1 = exp(S1) / (exp(S1) + exp(S2)) channel by channel, beta2 = exp(S2) / the same."""
    e1, e2 = elementwise(torch.exp, pooled(y1)), elementwise(torch.exp, pooled(y2))
    total = add(e1, e2)
    beta1 = elementwise(lambda e, t: e / t, e1, total)
    beta2 = elementwise(lambda e, t: e / t, e2, total)
    return add(scaled(y1, beta1), scaled(y2, beta2))


def fuse_joint(y1, y2):
    """Public code: one softmax over the 2C means of concat(Y1, Y2), then the halves are added."""
    y = concat(y1, y2)
    betas = []
    for means in pooled(y):
        exps = [torch.exp(m) for m in means]
        betas.append([e / sum(exps) for e in exps])
    out1, out2 = split(scaled(y, betas), len(y1[0]))
    return add(out1, out2)


def branches(x, p, alpha, groups, *, stride=1, stride_in="squeeze", dilation=1):
    """The split of alpha C and the other channels, the squeezes, and equations 5 and 6."""
    squeeze_stride, gwc_stride = (stride, 1) if stride_in == "squeeze" else (1, stride)
    up, low = split(x, math.floor(Fraction(str(alpha)) * len(x[0])))
    up = conv(up, p["cru.squeeze_up.weight"], stride=squeeze_stride)
    low = window_means(conv(low, p["cru.squeeze_low.weight"], stride=squeeze_stride), gwc_stride)
    gwc = conv(up, p["cru.gwc.weight"], p["cru.gwc.bias"], groups, gwc_stride, dilation)
    y1 = add(gwc, conv(up, p["cru.pwc_up.weight"], stride=gwc_stride))
    y2 = concat(conv(low, p["cru.pwc_low.weight"]), low) if "cru.pwc_low.weight" in p else low
    return y1, y2


def paper(x, p, *, num_groups=4, gate_threshold=0.5, alpha=0.5, groups=2):
    """Equations 1-9: soft gate on X, a softmax over the pair of each channel."""
    x, p = scalars(x), {key: scalars(value) for key, value in p.items()}
    gamma = p["sru.weight"]
    w1, w2 = soft_gate(gate_weights(group_norm(x, gamma, p["sru.bias"], num_groups), gamma), gate_threshold)
    xw = reconstruct(multiply(w1, x), multiply(w2, x))
    y1, y2 = branches(xw, p, alpha, groups)
    return stacked(fuse_pairwise(y1, y2))


def cheng_haha(x, p, *, num_groups=4, gate_threshold=0.5, alpha=0.5, groups=2):
    """cheng-haha/ScConv: as the paper, but one softmax over all 2C channels."""
    x, p = scalars(x), {key: scalars(value) for key, value in p.items()}
    gamma = p["sru.weight"]
    w1, w2 = soft_gate(gate_weights(group_norm(x, gamma, p["sru.bias"], num_groups), gamma), gate_threshold)
    xw = reconstruct(multiply(w1, x), multiply(w2, x))
    y1, y2 = branches(xw, p, alpha, groups)
    return stacked(fuse_joint(y1, y2))


def jacky(x, p, *, num_groups=4, gate_threshold=0.5, alpha=0.5, groups=2):
    """Jacky-Android/ResNet-ScConv: own norm, hard masks on the normalised tensor, joint softmax."""
    x, p = scalars(x), {key: scalars(value) for key, value in p.items()}
    gamma = p["sru.weight"]
    gn_x = unbiased_norm(x, gamma, p["sru.bias"], num_groups)
    w1, w2 = hard_gate(gate_weights(gn_x, gamma), gate_threshold)
    xw = reconstruct(multiply(w1, gn_x), multiply(w2, gn_x))
    y1, y2 = branches(xw, p, alpha, groups)
    return stacked(fuse_joint(y1, y2))


READINGS = {"paper": paper, "cheng_haha": cheng_haha, "jacky": jacky}


def sru(x, gamma, beta, *, gate_mode, gate_input, norm, num_groups=4, gate_threshold=0.5):
    """Nested lists to nested lists, with one choice for each point on which the readings differ."""
    gn_x = {"group_norm": group_norm, "unbiased": unbiased_norm}[norm](x, gamma, beta, num_groups)
    w1, w2 = {"soft": soft_gate, "hard": hard_gate}[gate_mode](gate_weights(gn_x, gamma), gate_threshold)
    value = {"x": x, "normalized": gn_x}[gate_input]
    return reconstruct(multiply(w1, value), multiply(w2, value))


def scconv(x, p, *, order, fusion, stride=1, stride_in="squeeze", dilation=1, groups=2, **sru_choices):
    """Any mixture of the readings, in any order and shape."""
    x, p = scalars(x), {key: scalars(value) for key, value in p.items()}
    fuse = {"pairwise": fuse_pairwise, "joint": fuse_joint}[fusion]

    def s(x):
        y = sru(x, p["sru.weight"], p["sru.bias"], **sru_choices)
        return conv(y, p["sru.project.weight"]) if "sru.project.weight" in p else y

    def c(x):
        return fuse(*branches(x, p, 0.5, groups, stride=stride, stride_in=stride_in, dilation=dilation))

    return stacked(
        {
            "sru_cru": lambda: c(s(x)),
            "cru_sru": lambda: s(c(x)),
            "parallel": lambda: add(s(window_means(x, stride)), c(x)),
        }[order]()
    )


# The same by whole tensors, for the many shapes: a convolution weighs the window around each place


def conv_by_windows(x, weight, bias=None, groups=1, stride=1, dilation=1):
    kernel, (height, width) = weight.shape[2], x.shape[2:]
    reach = dilation * (kernel // 2)
    padded = x.new_zeros(*x.shape[:2], height + 2 * reach, width + 2 * reach)
    padded[:, :, reach : reach + height, reach : reach + width] = x
    windows = padded.unfold(2, 2 * reach + 1, stride).unfold(3, 2 * reach + 1, stride)[..., ::dilation, ::dilation]
    parts = zip(windows.chunk(groups, dim=1), weight.chunk(groups), strict=True)
    y = torch.cat([torch.einsum("bihwkl,oikl->bohw", part, kernels) for part, kernels in parts], dim=1)
    return y if bias is None else y + bias.view(-1, 1, 1)


def window_means_of(x, stride):
    rows = [part.mean((2, 3), keepdim=True) for row in x.split(stride, dim=2) for part in row.split(stride, dim=3)]
    columns = -(-x.shape[3] // stride)
    return torch.cat([torch.cat(rows[i : i + columns], dim=3) for i in range(0, len(rows), columns)], dim=2)


def cru_by_windows(x, p, *, stride, stride_in, dilation, groups, prefix=""):
    """Pairwise fusion, alpha 1/2."""
    squeeze_stride, gwc_stride = (stride, 1) if stride_in == "squeeze" else (1, stride)
    p = {name.removeprefix(prefix): value for name, value in p.items()}
    half = x.shape[1] // 2
    up = conv_by_windows(x[:, :half], p["squeeze_up.weight"], stride=squeeze_stride)
    low = window_means_of(conv_by_windows(x[:, half:], p["squeeze_low.weight"], stride=squeeze_stride), gwc_stride)
    y1 = conv_by_windows(up, p["gwc.weight"], p["gwc.bias"], groups, gwc_stride, dilation)
    y1 = y1 + conv_by_windows(up, p["pwc_up.weight"], stride=gwc_stride)
    y2 = torch.cat((conv_by_windows(low, p["pwc_low.weight"]), low), dim=1) if "pwc_low.weight" in p else low
    e1, e2 = y1.mean((2, 3), keepdim=True).exp(), y2.mean((2, 3), keepdim=True).exp()
    return (e1 * y1 + e2 * y2) / (e1 + e2)


def sru_by_tensors(x, gamma, beta, num_groups):
    """Soft gate on x, at a threshold of 1/2, and the paper's norm."""
    grouped = x.unflatten(1, (num_groups, -1))
    mu = grouped.mean((2, 3, 4), keepdim=True)
    var = (grouped - mu).square().mean((2, 3, 4), keepdim=True)
    gn_x = ((grouped - mu) / (var + 1e-5).sqrt()).flatten(1, 2) * gamma.view(-1, 1, 1) + beta.view(-1, 1, 1)
    w = 1 / (1 + (-gn_x * (gamma / gamma.sum()).view(-1, 1, 1)).exp())
    w1, w2 = torch.where(w > 0.5, 1.0, w), torch.where(w > 0.5, 0.0, w)
    order = [(c - x.shape[1] // 2) % x.shape[1] for c in range(x.shape[1])]
    return w1 * x + (w2 * x)[:, order]


def scconv_by_windows(x, p, *, order, num_groups, **shape):
    def s(x):
        y = sru_by_tensors(x, p["sru.weight"], p["sru.bias"], num_groups)
        return conv_by_windows(y, p["sru.project.weight"]) if "sru.project.weight" in p else y

    def c(x):
        return cru_by_windows(x, p, prefix="cru.", **shape)

    if order == "parallel":
        return s(window_means_of(x, shape["stride"])) + c(x)
    return c(s(x)) if order == "sru_cru" else s(c(x))


def assert_same(actual, expected):
    """Equal to nine digits, or to eleven digits of the largest value where terms cancel; None only equals None."""
    if expected is None or actual is None:
        assert actual is expected is None
        return
    scale = expected.abs().max().item() if expected.numel() else 0.0
    torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-11 * scale)


def randomize(module, seed=0):
    """Give every parameter fp64 values of its own; gammas of both signs whose sum is not near zero.

    With 16 channels one gamma is 0, which puts a whole channel on the threshold, w = 1/2.
    """
    generator = torch.Generator().manual_seed(seed)
    module.double()
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
            if parameter.dim() == 1 and name.endswith("weight"):
                parameter.copy_(torch.linspace(-0.5, 2.0, len(parameter), dtype=torch.float64)[parameter.argsort()])
    return module


def check_parity(module, literal_function, x):
    """Compare the output, and the gradients of the input and of every parameter, with a transcription's."""
    p = {name: value.detach().clone().requires_grad_() for name, value in module.named_parameters()}
    x_literal = x.detach().clone().requires_grad_()
    expected = literal_function(x_literal, p)
    cotangent = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    expected_grads = torch.autograd.grad(expected, [x_literal, *p.values()], cotangent, allow_unused=True)

    x = x.detach().clone().requires_grad_()
    module.zero_grad()
    actual = module(x)
    actual.backward(cotangent)
    assert_same(actual, expected)
    for name, tensor, grad in zip(["input", *p], [x, *module.parameters()], expected_grads, strict=True):
        try:
            assert_same(tensor.grad, grad)
        except AssertionError as error:
            raise AssertionError(f"gradient of {name}: {error}") from error


def random_input(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
