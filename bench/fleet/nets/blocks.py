"""What several networks are made of, and the register of networks."""

from torch import nn

REG = {}


def network(name):
    """Registers the decorated function under a name of the table."""

    def add(function):
        REG[name] = function
        return function

    return add


def cbr(i, o, k=3, s=1, p=None, g=1, act=nn.ReLU, d=1):
    """Convolution, batch normalisation, activation; the same extent where `p` is not given and s = 1."""
    padding = (k // 2) * d if p is None else p
    return nn.Sequential(nn.Conv2d(i, o, k, s, padding, d, g, bias=False), nn.BatchNorm2d(o), act())


def double_cbr(i, o):
    return nn.Sequential(cbr(i, o), cbr(o, o))


def separable(i, o, s=1, act=nn.ReLU):
    """A depthwise convolution, then a pointwise one."""
    return nn.Sequential(cbr(i, i, 3, s, g=i, act=act), cbr(i, o, 1, act=act))


def cbr1(i, o, k, s=1, d=1, g=1):
    """The same in one dimension."""
    return nn.Sequential(nn.Conv1d(i, o, k, s, k // 2 * d, d, g, bias=False), nn.BatchNorm1d(o), nn.ReLU())


def cbr3(i, o, k=3, s=1):
    """The same in three dimensions."""
    kernel = (k,) * 3 if isinstance(k, int) else k
    padding = tuple(n // 2 for n in kernel)
    return nn.Sequential(nn.Conv3d(i, o, kernel, s, padding, bias=False), nn.BatchNorm3d(o), nn.ReLU())
