"""Networks of three dimensions."""

import torch
import torch.nn.functional as F
from torch import nn, randn

from .blocks import cbr3, network


def c3d():
    """Tran et al. 2015."""
    pool = nn.MaxPool3d
    return nn.Sequential(
        cbr3(3, 32), pool((1, 2, 2)), cbr3(32, 64), pool(2), cbr3(64, 128), cbr3(128, 128), pool(2),
        cbr3(128, 128), pool(2), nn.Flatten(), nn.Linear(128 * 2 * 7 * 7, 101),
    )  # fmt: skip


class Inception3(nn.Module):
    def __init__(self, i, a, b1, b2, c1, c2, d):
        super().__init__()
        self.branches = nn.ModuleList([
            cbr3(i, a, 1),
            nn.Sequential(cbr3(i, b1, 1), cbr3(b1, b2)),
            nn.Sequential(cbr3(i, c1, 1), cbr3(c1, c2)),
            nn.Sequential(nn.MaxPool3d(3, 1, 1), cbr3(i, d, 1)),
        ])  # fmt: skip

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.branches], 1)


def i3d():
    """Carreira and Zisserman 2017, its first blocks."""

    def pool():
        return nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))

    return nn.Sequential(
        cbr3(3, 64, 7, 2), pool(), cbr3(64, 64, 1), cbr3(64, 96), pool(), Inception3(96, 64, 48, 64, 16, 32, 32),
        nn.MaxPool3d(3, 2, 1, ceil_mode=True), Inception3(192, 96, 48, 104, 16, 24, 32),
        nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(256, 400),
    )  # fmt: skip


class SlowFast(nn.Module):
    """Feichtenhofer et al. 2019: two rates of frames, joined once."""

    def __init__(self):
        super().__init__()
        self.slow1, self.fast1 = cbr3(3, 32, (1, 7, 7), (1, 2, 2)), cbr3(3, 8, (5, 7, 7), (1, 2, 2))
        self.join = nn.Conv3d(8, 16, (5, 1, 1), (4, 1, 1), (2, 0, 0))
        self.slow2 = nn.Sequential(cbr3(48, 32, 1), cbr3(32, 32, (1, 3, 3), (1, 2, 2)), cbr3(32, 64, 1))
        self.fast2 = nn.Sequential(cbr3(8, 8, (3, 1, 1)), cbr3(8, 8, (1, 3, 3), (1, 2, 2)), cbr3(8, 16, 1))
        self.head = nn.Linear(80, 400)

    def forward(self, slow, fast):
        def pool(t):
            return F.max_pool3d(t, (1, 3, 3), (1, 2, 2), (0, 1, 1))

        a, b = pool(self.slow1(slow)), pool(self.fast1(fast))
        a, b = self.slow2(torch.cat([a, self.join(b)], 1)), self.fast2(b)
        return self.head(torch.cat([a.mean((2, 3, 4)), b.mean((2, 3, 4))], 1))


class X3DBlock(nn.Module):
    """Feichtenhofer 2020: depthwise 3x3x3 with squeeze and excitation."""

    def __init__(self, c, e):
        super().__init__()
        self.expand = cbr3(c, e, 1)
        self.depthwise = nn.Sequential(nn.Conv3d(e, e, 3, 1, 1, groups=e, bias=False), nn.BatchNorm3d(e))
        squeeze = [nn.AdaptiveAvgPool3d(1), nn.Conv3d(e, 8, 1), nn.ReLU(), nn.Conv3d(8, e, 1), nn.Sigmoid()]
        self.squeeze = nn.Sequential(*squeeze)
        self.project = nn.Sequential(nn.Conv3d(e, c, 1, bias=False), nn.BatchNorm3d(c))

    def forward(self, x):
        y = self.depthwise(self.expand(x))
        return F.relu(x + self.project(F.silu(y * self.squeeze(y))))


def x3d():
    return nn.Sequential(
        nn.Conv3d(3, 24, (1, 3, 3), (1, 2, 2), (0, 1, 1)),
        nn.Conv3d(24, 24, (5, 1, 1), 1, (2, 0, 0), groups=24),
        nn.BatchNorm3d(24), nn.ReLU(), X3DBlock(24, 54), X3DBlock(24, 54),
        nn.AvgPool3d((1, 7, 7)), nn.Flatten(), nn.Linear(24 * 8 * 64, 10),
    )  # fmt: skip


network("c3d")(lambda: (c3d(), randn(1, 3, 16, 112, 112)))
network("i3d")(lambda: (i3d(), randn(1, 3, 16, 112, 112)))
network("slowfast_like")(lambda: (SlowFast(), (randn(1, 3, 4, 112, 112), randn(1, 3, 16, 112, 112))))
network("x3d_like")(lambda: (x3d(), randn(1, 3, 8, 112, 112)))
