"""Super-resolution and restoration."""

import torch
from torch import nn, randn

from .blocks import network


class SRResNet(nn.Module):
    """Ledig et al. 2017; `edsr` is Lim et al. 2017: without normalisation, blocks scaled by 0.1."""

    def __init__(self, edsr):
        super().__init__()
        self.scale = 0.1 if edsr else 1.0
        kernel = 3 if edsr else 9

        def norm():
            return nn.Identity() if edsr else nn.BatchNorm2d(64)

        def block():
            act = nn.ReLU() if edsr else nn.PReLU()
            return nn.Sequential(nn.Conv2d(64, 64, 3, 1, 1), norm(), act, nn.Conv2d(64, 64, 3, 1, 1), norm())

        def doubling():
            act = nn.Identity() if edsr else nn.PReLU()
            return nn.Sequential(nn.Conv2d(64, 256, 3, 1, 1), nn.PixelShuffle(2), act)

        self.head = nn.Conv2d(3, 64, kernel, 1, kernel // 2)
        self.act = nn.Identity() if edsr else nn.PReLU()
        self.blocks = nn.ModuleList(block() for _ in range(8))
        self.middle = nn.Conv2d(64, 64, 3, 1, 1)
        self.up = nn.Sequential(doubling(), doubling())
        self.tail = nn.Conv2d(64, 3, kernel, 1, kernel // 2)

    def forward(self, x):
        x = y = self.act(self.head(x))
        for block in self.blocks:
            change = block(y)
            y = y + (change * self.scale if self.scale != 1.0 else change)
        return self.tail(self.up(x + self.middle(y)))


def fsrcnn(scale):
    """Dong et al. 2016."""
    mapping = [layer for _ in range(4) for layer in (nn.Conv2d(12, 12, 3, 1, 1), nn.PReLU(12))]
    return nn.Sequential(
        nn.Conv2d(1, 56, 5, 1, 2), nn.PReLU(56), nn.Conv2d(56, 12, 1), nn.PReLU(12), *mapping,
        nn.Conv2d(12, 56, 1), nn.PReLU(56),
        nn.ConvTranspose2d(56, 1, 9, scale, 4, output_padding=scale - 1),
    )  # fmt: skip


class NAFBlock(nn.Module):
    """NAFNet (Chen et al. 2022): layer normalisation by hand, simple gate, channel attention."""

    def __init__(self, c):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(c)), nn.Parameter(torch.zeros(c))
        self.expand, self.depthwise = nn.Conv2d(c, 2 * c, 1), nn.Conv2d(2 * c, 2 * c, 3, 1, 1, groups=2 * c)
        self.attend, self.project = nn.Conv2d(c, c, 1), nn.Conv2d(c, c, 1)
        self.beta = nn.Parameter(torch.full((1, c, 1, 1), 0.3))

    def forward(self, x):
        mean = x.mean(1, keepdim=True)
        variance = (x - mean).pow(2).mean(1, keepdim=True)
        y = (x - mean) / (variance + 1e-6).sqrt()
        y = self.weight.view(1, -1, 1, 1) * y + self.bias.view(1, -1, 1, 1)
        a, b = self.depthwise(self.expand(y)).chunk(2, 1)
        y = a * b
        y = y * self.attend(y.mean((2, 3), keepdim=True))
        return x + self.beta * self.project(y)


def nafnet(c=32):
    blocks = [NAFBlock(c) for _ in range(4)]
    return nn.Sequential(nn.Conv2d(3, c, 3, 1, 1), *blocks, nn.Conv2d(c, 12, 3, 1, 1), nn.PixelShuffle(2))


network("srresnet_x4")(lambda: (SRResNet(edsr=False), randn(1, 3, 48, 48)))
network("edsr_x4")(lambda: (SRResNet(edsr=True), randn(1, 3, 48, 48)))
network("fsrcnn_x3")(lambda: (fsrcnn(3), randn(1, 1, 96, 96)))
network("nafnet_small")(lambda: (nafnet(), randn(1, 3, 96, 96)))
