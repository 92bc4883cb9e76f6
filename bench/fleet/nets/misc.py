"""What no family holds: games, two inputs, other element types, rarer operators."""

import torch
import torch.nn.functional as F
from torch import nn, randn

from .blocks import cbr, network


def pooled_head(c, classes):
    return nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, classes)


def alexnet_lrn():
    """Krizhevsky et al. 2012, with its local response normalisation and groups."""

    def norm():
        return nn.ReLU(), nn.LocalResponseNorm(5, 1e-4, 0.75, 2), nn.MaxPool2d(3, 2)

    return nn.Sequential(
        nn.Conv2d(3, 96, 11, 4), *norm(), nn.Conv2d(96, 256, 5, 1, 2, groups=2), *norm(),
        nn.Conv2d(256, 128, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Flatten(), nn.Linear(128 * 36, 100),
    )  # fmt: skip


class SpatialTransformer(nn.Module):
    """Jaderberg et al. 2015."""

    def __init__(self):
        super().__init__()

        def stage(i, o, k):
            return nn.Conv2d(i, o, k), nn.MaxPool2d(2), nn.ReLU()

        self.locate = nn.Sequential(*stage(1, 8, 7), *stage(8, 10, 5), nn.Flatten(), nn.Linear(90, 6))
        self.classify = nn.Sequential(*stage(1, 10, 5), nn.Flatten(), nn.Linear(1440, 10))

    def forward(self, x):
        unit = torch.tensor([[[1.0, 0, 0], [0, 1, 0]]])
        theta = self.locate(x).view(-1, 2, 3) * 0.1 + unit
        grid = F.affine_grid(theta, x.size(), align_corners=False)
        return self.classify(F.grid_sample(x, grid, align_corners=False))


class NonLocal(nn.Module):
    """Wang et al. 2018: attention over all pixels."""

    def __init__(self, c):
        super().__init__()
        self.theta, self.phi, self.g = (nn.Conv2d(c, c // 2, 1) for _ in range(3))
        self.out = nn.Conv2d(c // 2, c, 1)

    def forward(self, x):
        b, c, h, w = x.shape
        theta, phi, g = (f(x).view(b, -1, h * w) for f in (self.theta, self.phi, self.g))
        attention = torch.softmax(theta.transpose(1, 2) @ phi, -1)
        y = (attention @ g.transpose(1, 2)).transpose(1, 2).reshape(b, c // 2, h, w)
        return x + self.out(y)


class Shuffle(nn.Module):
    """The unit of ShuffleNet (Zhang et al. 2018)."""

    def __init__(self, c, groups=3):
        super().__init__()
        self.groups = groups
        self.before = nn.Sequential(nn.Conv2d(c, c, 1, groups=groups, bias=False), nn.BatchNorm2d(c), nn.ReLU())
        self.after = nn.Sequential(
            nn.Conv2d(c, c, 3, 1, 1, groups=c, bias=False), nn.BatchNorm2d(c),
            nn.Conv2d(c, c, 1, groups=groups, bias=False), nn.BatchNorm2d(c),
        )  # fmt: skip

    def forward(self, x):
        y = self.before(x)
        n, c, h, w = y.shape
        y = y.view(n, self.groups, c // self.groups, h, w).transpose(1, 2).reshape(n, c, h, w)
        return F.relu(x + self.after(y))


def shufflenet():
    units = [Shuffle(240) for _ in range(3)]
    stem = [cbr(3, 24, 3, 2), nn.MaxPool2d(3, 2, 1), cbr(24, 240, 1)]
    return nn.Sequential(*stem, *units, *pooled_head(240, 1000))


class Siamese(nn.Module):
    """Two pictures through the same weights: cosine similarity and distance."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Sequential(cbr(3, 32, 3, 2), cbr(32, 64, 3, 2), *pooled_head(64, 32))

    def forward(self, a, b):
        a, b = self.embed(a), self.embed(b)
        return F.cosine_similarity(a, b), F.pairwise_distance(a, b)


class BytePicture(nn.Module):
    """A picture of bytes [1, H, W, 3]; the normalisation is part of the graph."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(cbr(3, 32, 3, 2), cbr(32, 64, 3, 2), *pooled_head(64, 10))

    def forward(self, x):
        mean, deviation = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
        x = x.permute(0, 3, 1, 2).float() / 255
        x = (x - torch.tensor(mean).view(1, 3, 1, 1)) / torch.tensor(deviation).view(1, 3, 1, 1)
        return self.body(x)


class DuelingDQN(nn.Module):
    """Wang et al. 2016."""

    def __init__(self):
        super().__init__()
        layers = [nn.Conv2d(4, 32, 8, 4), nn.ReLU(), nn.Conv2d(32, 64, 4, 2), nn.ReLU(), nn.Conv2d(64, 64, 3)]
        self.features = nn.Sequential(*layers, nn.ReLU(), nn.Flatten())
        self.value, self.advantage = nn.Linear(3136, 1), nn.Linear(3136, 6)

    def forward(self, x):
        f = self.features(x)
        a = self.advantage(f)
        return self.value(f) + a - a.mean(1, keepdim=True)


class AlphaZero(nn.Module):
    """Silver et al. 2017, for 19x19 Go, six blocks."""

    def __init__(self):
        super().__init__()

        def block():
            return nn.Sequential(cbr(64, 64), nn.Conv2d(64, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64))

        self.stem, self.blocks = cbr(17, 64), nn.ModuleList(block() for _ in range(6))
        self.policy = nn.Sequential(cbr(64, 2, 1), nn.Flatten(), nn.Linear(722, 362))
        head = [nn.Linear(361, 64), nn.ReLU(), nn.Linear(64, 1), nn.Tanh()]
        self.value = nn.Sequential(cbr(64, 1, 1), nn.Flatten(), *head)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = F.relu(x + block(x))
        return F.log_softmax(self.policy(x), 1), self.value(x)


class Correlation(nn.Module):
    """The cost volume of PWC-Net (Sun et al. 2018): 81 shifts."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Sequential(cbr(3, 16, 3, 2), cbr(16, 32, 3, 2))
        self.flow = nn.Conv2d(81 + 32, 2, 3, 1, 1)

    def forward(self, a, b):
        a, b = self.embed(a), self.embed(b)
        padded = F.pad(b, (4, 4, 4, 4))
        h, w = a.shape[2:]
        shifted = [padded[:, :, i : i + h, j : j + w] for i in range(9) for j in range(9)]
        cost = torch.cat([(a * s).mean(1, keepdim=True) for s in shifted], 1)
        return self.flow(torch.cat([F.leaky_relu(cost, 0.1), a], 1))


class Focus(nn.Module):
    """Strided slices, pixel unshuffle and shuffle, a flip."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.out = cbr(12, 32), cbr(128, 32), nn.Conv2d(32, 12, 3, 1, 1)

    def forward(self, x):
        quarters = [x[..., i::2, j::2] for j in (0, 1) for i in (0, 1)]
        x = self.b(F.pixel_unshuffle(self.a(torch.cat(quarters, 1)), 2))
        return F.pixel_shuffle(self.out(x), 2).flip(3)


def pictures(count, side=96):
    return tuple(randn(1, 3, side, side) for _ in range(count))


def nonlocal_net():
    return nn.Sequential(cbr(3, 32, 3, 4), NonLocal(32), cbr(32, 64), *pooled_head(64, 10))


network("alexnet_lrn")(lambda: (alexnet_lrn(), randn(1, 3, 227, 227)))
network("spatial_transformer")(lambda: (SpatialTransformer(), randn(1, 1, 28, 28)))
network("nonlocal_net")(lambda: (nonlocal_net(), *pictures(1)))
network("shufflenet_v1")(lambda: (shufflenet(), randn(1, 3, 224, 224)))
network("siamese_two_inputs")(lambda: (Siamese(), pictures(2)))
network("uint8_nhwc_input")(
    lambda: (BytePicture(), torch.randint(0, 256, (1, 96, 96, 3), dtype=torch.uint8))
)
network("dueling_dqn")(lambda: (DuelingDQN(), randn(1, 4, 84, 84)))
network("alphazero_go")(lambda: (AlphaZero(), randn(1, 17, 19, 19)))
network("pwc_correlation")(lambda: (Correlation(), pictures(2)))
network("focus_unshuffle_flip")(lambda: (Focus(), *pictures(1)))
