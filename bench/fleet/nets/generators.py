"""Generators of pictures."""

import torch
import torch.nn.functional as F
from torch import nn, randn

from .blocks import network


class Residual(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        self.body = nn.Sequential(*layers)

    def forward(self, x):
        return x + self.body(x)


def reflected(i, o, k, s=1, up=False):
    """Reflection padding, convolution, instance normalisation, ReLU; `up` doubles first."""
    before = [nn.Upsample(scale_factor=2, mode="nearest")] if up else []
    norm = nn.InstanceNorm2d(o, affine=True)
    return nn.Sequential(*before, nn.ReflectionPad2d(k // 2), nn.Conv2d(i, o, k, s), norm, nn.ReLU())


def fast_neural_style():
    """Johnson et al. 2016."""

    def block(c):
        tail = [nn.ReflectionPad2d(1), nn.Conv2d(c, c, 3), nn.InstanceNorm2d(c, affine=True)]
        return Residual(reflected(c, c, 3), *tail)

    return nn.Sequential(
        reflected(3, 32, 9), reflected(32, 64, 3, 2), reflected(64, 128, 3, 2), *[block(128) for _ in range(5)],
        reflected(128, 64, 3, up=True), reflected(64, 32, 3, up=True), nn.ReflectionPad2d(4), nn.Conv2d(32, 3, 9),
    )  # fmt: skip


def cyclegan():
    """Zhu et al. 2017, with batch normalisation."""

    def half(c):
        return [nn.ReflectionPad2d(1), nn.Conv2d(c, c, 3), nn.BatchNorm2d(c)]

    def down(i, o):
        return [nn.Conv2d(i, o, 3, 2, 1), nn.BatchNorm2d(o), nn.ReLU()]

    def up(i, o):
        return [nn.ConvTranspose2d(i, o, 3, 2, 1, 1), nn.BatchNorm2d(o), nn.ReLU()]

    blocks = [Residual(*half(128), nn.ReLU(), *half(128)) for _ in range(6)]
    return nn.Sequential(
        nn.ReflectionPad2d(3), nn.Conv2d(3, 32, 7), nn.BatchNorm2d(32), nn.ReLU(), *down(32, 64), *down(64, 128),
        *blocks, *up(128, 64), *up(64, 32), nn.ReflectionPad2d(3), nn.Conv2d(32, 3, 7), nn.Tanh(),
    )  # fmt: skip


def dcgan():
    """Radford et al. 2016."""
    widths = (100, 512, 256, 128, 64)
    layers = []
    for i, (a, b) in enumerate(zip(widths, widths[1:])):
        stride, padding = (1, 0) if i == 0 else (2, 1)
        layers += [nn.ConvTranspose2d(a, b, 4, stride, padding, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
    return nn.Sequential(*layers, nn.ConvTranspose2d(64, 3, 4, 2, 1, bias=False), nn.Tanh())


class Pix2Pix(nn.Module):
    """The U-Net of Isola et al. 2017."""

    def __init__(self, widths=(32, 64, 128, 256, 256)):
        super().__init__()
        last = len(widths) - 1
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for j, (i, o) in enumerate(zip((3, *widths), widths)):
            before = nn.LeakyReLU(0.2) if j else nn.Identity()
            norm = nn.BatchNorm2d(o) if 0 < j < last else nn.Identity()
            self.down.append(nn.Sequential(before, nn.Conv2d(i, o, 4, 2, 1), norm))
        for j in range(last, 0, -1):
            i, o = widths[j] * (1 if j == last else 2), widths[j - 1]
            layers = [nn.ReLU(), nn.ConvTranspose2d(i, o, 4, 2, 1), nn.BatchNorm2d(o), nn.Dropout(0.5)]
            self.up.append(nn.Sequential(*layers))
        self.out = nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(2 * widths[0], 3, 4, 2, 1), nn.Tanh())

    def forward(self, x):
        skips = []
        for block in self.down:
            x = block(x)
            skips.append(x)
        skips.pop()
        for block in self.up:
            x = torch.cat([block(x), skips.pop()], 1)
        return self.out(x)


class Modulated(nn.Module):
    """StyleGAN2's convolution (Karras et al. 2020): the weights depend on the input."""

    def __init__(self, i, o):
        super().__init__()
        self.weight, self.affine = nn.Parameter(randn(o, i, 3, 3)), nn.Linear(64, i)

    def forward(self, x, style):
        kernel = self.weight[None] * (self.affine(style)[:, None, :, None, None] + 1)
        kernel = kernel * torch.rsqrt(kernel.pow(2).sum([2, 3, 4], keepdim=True) + 1e-8)
        x = F.interpolate(x, scale_factor=2, mode="bilinear")
        return F.leaky_relu(F.conv2d(x, kernel[0], padding=1), 0.2)


class StyleGAN(nn.Module):
    def __init__(self):
        super().__init__()
        self.start = nn.Parameter(randn(1, 64, 4, 4))
        self.mapping = nn.Sequential(nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64))
        self.blocks = nn.ModuleList([Modulated(64, 64), Modulated(64, 32), Modulated(32, 3)])

    def forward(self, z):
        style, x = self.mapping(z), self.start
        for block in self.blocks:
            x = block(x, style)
        return x


network("fast_neural_style")(lambda: (fast_neural_style(), randn(1, 3, 128, 128)))
network("cyclegan_batchnorm")(lambda: (cyclegan(), randn(1, 3, 128, 128)))
network("dcgan_generator")(lambda: (dcgan(), randn(1, 100, 1, 1)))
network("pix2pix_unet")(lambda: (Pix2Pix(), randn(1, 3, 128, 128)))
network("stylegan2_like_dynamic_weights")(lambda: (StyleGAN(), randn(1, 64)))
