from torch import nn

from scconv_lab.complexity import count_params


def test_weights_and_biases_count_and_buffers_do_not():
    assert count_params(nn.Conv2d(3, 8, 5)) == 3 * 8 * 25 + 8
    assert count_params(nn.BatchNorm2d(8)) == 16
    assert count_params(nn.ReLU()) == 0


def test_frozen_parameters_count():
    assert count_params(nn.Linear(4, 5).requires_grad_(False)) == 25


def test_shared_parameters_count_once():
    linear = nn.Linear(4, 4)
    tied = nn.Linear(4, 4)
    tied.weight = linear.weight
    assert count_params(nn.Sequential(linear, linear)) == 20
    assert count_params(nn.Sequential(linear, tied)) == 24
