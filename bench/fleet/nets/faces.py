"""Faces, landmarks and poses."""

import torch
import torch.nn.functional as F
from torch import nn, randn

from .blocks import cbr, network, separable


def leaky():
    return nn.LeakyReLU(0.1)


class ContextHead(nn.Module):
    """SSH's context module: 3x3, 5x5 and 7x7 as chains of 3x3."""

    def __init__(self):
        super().__init__()
        self.c3, self.c5a = cbr(64, 32, act=nn.Identity), cbr(64, 16, act=leaky)
        self.c5b, self.c7a = cbr(16, 16, act=nn.Identity), cbr(16, 16, act=leaky)
        self.c7b = cbr(16, 16, act=nn.Identity)

    def forward(self, x):
        t = self.c5a(x)
        return F.relu(torch.cat([self.c3(x), self.c5b(t), self.c7b(self.c7a(t))], 1))


class RetinaFace(nn.Module):
    """Deng et al. 2020, on MobileNet 0.25: boxes, scores, landmarks."""

    WIDTHS = (2, 4, 10)  # scores, boxes, landmarks of an anchor

    def __init__(self):
        super().__init__()

        def pair(i, o):
            return separable(i, o, 2, leaky), separable(o, o, 1, leaky)

        self.stage1 = nn.Sequential(
            cbr(3, 8, 3, 2, act=leaky), separable(8, 16, 1, leaky), *pair(16, 32), *pair(32, 64)
        )
        self.stage2 = nn.Sequential(*pair(64, 128), *[separable(128, 128, 1, leaky) for _ in range(4)])
        self.stage3 = nn.Sequential(*pair(128, 256))
        self.lateral = nn.ModuleList(cbr(c, 64, 1, act=leaky) for c in (64, 128, 256))
        self.merge = nn.ModuleList(cbr(64, 64, act=leaky) for _ in range(2))
        self.context = nn.ModuleList(ContextHead() for _ in range(3))
        self.heads = nn.ModuleList(
            nn.ModuleList(nn.Conv2d(64, 2 * n, 1) for n in self.WIDTHS) for _ in range(3)
        )

    def forward(self, x):
        a = self.stage1(x)
        b = self.stage2(a)
        c = self.stage3(b)
        a, b, c = (layer(t) for layer, t in zip(self.lateral, (a, b, c)))
        b = self.merge[1](b + F.interpolate(c, size=[b.size(2), b.size(3)], mode="nearest"))
        a = self.merge[0](a + F.interpolate(b, size=[a.size(2), a.size(3)], mode="nearest"))
        parts = [[], [], []]
        for f, context, heads in zip((a, b, c), self.context, self.heads):
            f = context(f)
            for part, head, n in zip(parts, heads, self.WIDTHS):
                part.append(head(f).permute(0, 2, 3, 1).contiguous().view(f.shape[0], -1, n))
        scores, boxes, landmarks = (torch.cat(part, 1) for part in parts)
        return boxes, F.softmax(scores, -1), landmarks


class IBlock(nn.Module):
    """The block of ArcFace's ResNet (Deng et al. 2019): normalisation first, PReLU between."""

    def __init__(self, i, o, stride):
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(i), nn.Conv2d(i, o, 3, 1, 1, bias=False), nn.BatchNorm2d(o), nn.PReLU(o),
            nn.Conv2d(o, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o),
        )  # fmt: skip
        self.short = nn.Identity()
        if stride != 1 or i != o:
            self.short = nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))

    def forward(self, x):
        return self.body(x) + self.short(x)


class ArcFace(nn.Module):
    def __init__(self):
        super().__init__()
        stages = ((64, 64), (64, 128), (128, 256), (256, 512))
        blocks = [IBlock(i if k == 0 else o, o, 2 if k == 0 else 1) for i, o in stages for k in range(2)]
        stem = [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.PReLU(64)]
        self.features = nn.Sequential(*stem, *blocks, nn.BatchNorm2d(512))
        self.embed, self.norm = nn.Linear(512 * 49, 512), nn.BatchNorm1d(512)

    def forward(self, x):
        return F.normalize(self.norm(self.embed(torch.flatten(self.features(x), 1))))


class BlazeBlock(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.stride, self.more = stride, o - i
        self.body = nn.Sequential(nn.Conv2d(i, i, 3, stride, 2 - stride, groups=i), nn.Conv2d(i, o, 1))

    def forward(self, x):
        if self.stride == 2:
            y, x = F.max_pool2d(x, 2, 2), F.pad(x, (0, 2, 0, 2))
        else:
            y = x
        if self.more:
            y = F.pad(y, (0, 0, 0, 0, 0, self.more))
        return F.relu(self.body(x) + y)


class BlazeFace(nn.Module):
    """Bazarevsky et al. 2019: channels padded on the shortcut, padding as TensorFlow does it."""

    BLOCKS = ((24, 24, 1), (24, 28, 1), (28, 32, 2), (32, 36, 1), (36, 42, 1), (42, 48, 2), (48, 56, 1))
    BLOCKS += ((56, 64, 1), (64, 88, 1))

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 24, 5, 2)
        self.blocks = nn.Sequential(*[BlazeBlock(*block) for block in self.BLOCKS])
        self.scores, self.boxes = nn.Conv2d(88, 2, 1), nn.Conv2d(88, 32, 1)

    def forward(self, x):
        x = self.blocks(F.relu(self.stem(F.pad(x, (1, 2, 1, 2)))))
        boxes, scores = (t.permute(0, 2, 3, 1) for t in (self.boxes(x), self.scores(x)))
        return boxes.reshape(1, -1, 16), scores.reshape(1, -1, 1)


class Hourglass(nn.Module):
    """Newell et al. 2016, `depth` levels."""

    def __init__(self, depth, c):
        super().__init__()
        self.skip, self.down, self.up = cbr(c, c), cbr(c, c), cbr(c, c)
        self.inner = Hourglass(depth - 1, c) if depth > 1 else cbr(c, c)

    def forward(self, x):
        y = self.up(self.inner(self.down(F.max_pool2d(x, 2))))
        return self.skip(x) + F.interpolate(y, scale_factor=2, mode="nearest")


def stacked_hourglass(c=48):
    stem = [cbr(3, c, 7, 2), nn.MaxPool2d(2)]
    return nn.Sequential(*stem, Hourglass(4, c), Hourglass(4, c), nn.Conv2d(c, 16, 1))


class CenterNet(nn.Module):
    """Zhou et al. 2019: peaks of a heat map by max pooling and top 50."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(cbr(3, 32, 3, 2), cbr(32, 64, 3, 2), cbr(64, 64))
        self.heat = nn.Sequential(nn.Conv2d(64, 64, 3, 1, 1), nn.ReLU(), nn.Conv2d(64, 8, 1))
        self.extent = nn.Conv2d(64, 2, 1)

    def forward(self, x):
        f = self.backbone(x)
        heat = torch.sigmoid(self.heat(f))
        heat = heat * (F.max_pool2d(heat, 3, 1, 1) == heat).float()
        scores, places = torch.topk(heat.flatten(1), 50)
        return scores, places, self.extent(f)


network("retinaface_mobile025")(lambda: (RetinaFace(), randn(1, 3, 320, 320)))
network("arcface_iresnet18")(lambda: (ArcFace(), randn(1, 3, 112, 112)))
network("blazeface")(lambda: (BlazeFace(), randn(1, 3, 128, 128)))
network("stacked_hourglass")(lambda: (stacked_hourglass(), randn(1, 3, 256, 256)))
network("centernet_topk")(lambda: (CenterNet(), randn(1, 3, 128, 128)))
