"""Sound, signals, point clouds, recurrent networks."""

import torch
import torch.nn.functional as F
from torch import nn, randn

from .blocks import cbr, cbr1, network


class WaveNet(nn.Module):
    """van den Oord et al. 2016: causal dilated convolutions, gates, skips."""

    def __init__(self, layers=8, c=32):
        super().__init__()
        self.start = nn.Conv1d(1, c, 1)
        self.filter = nn.ModuleList(nn.Conv1d(c, c, 2, dilation=1 << i) for i in range(layers))
        self.gate = nn.ModuleList(nn.Conv1d(c, c, 2, dilation=1 << i) for i in range(layers))
        self.residual = nn.ModuleList(nn.Conv1d(c, c, 1) for _ in range(layers))
        self.skip = nn.ModuleList(nn.Conv1d(c, 64, 1) for _ in range(layers))
        self.out = nn.Sequential(nn.ReLU(), nn.Conv1d(64, 64, 1), nn.ReLU(), nn.Conv1d(64, 256, 1))

    def forward(self, x):
        x, total = self.start(x), 0
        for i in range(len(self.filter)):
            past = F.pad(x, (1 << i, 0))
            z = torch.tanh(self.filter[i](past)) * torch.sigmoid(self.gate[i](past))
            total = total + self.skip[i](z)
            x = x + self.residual[i](z)
        return self.out(total)


class Residual1d(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        tail = [nn.Dropout(), nn.Conv1d(o, o, 15, 1, 7), nn.BatchNorm1d(o)]
        self.body, self.short = nn.Sequential(cbr1(i, o, 15, stride), *tail), nn.Conv1d(i, o, 1, stride)

    def forward(self, x):
        return F.relu(self.body(x) + self.short(x))


def ecg_resnet():
    """Ribeiro et al. 2020, a smaller one: 12 leads, 5 classes."""
    blocks = [Residual1d(32, 64, 2), Residual1d(64, 64, 1), Residual1d(64, 128, 2)]
    head = [nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(128, 5)]
    return nn.Sequential(cbr1(12, 32, 15, 2), nn.MaxPool1d(3, 2, 1), *blocks, *head)


class TasBlock(nn.Module):
    def __init__(self, c, h, dilation):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(c, h, 1), nn.PReLU(), nn.GroupNorm(1, h),
            nn.Conv1d(h, h, 3, 1, dilation, dilation, h), nn.PReLU(), nn.GroupNorm(1, h), nn.Conv1d(h, c, 1),
        )  # fmt: skip

    def forward(self, x):
        return x + self.body(x)


class ConvTasNet(nn.Module):
    """Luo and Mesgarani 2019: two speakers, global layer normalisation as GroupNorm of one group."""

    def __init__(self):
        super().__init__()
        self.encode = nn.Conv1d(1, 128, 16, 8)
        blocks = [TasBlock(64, 128, 1 << i) for i in range(6)]
        self.separate = nn.Sequential(nn.Conv1d(128, 64, 1), *blocks, nn.PReLU(), nn.Conv1d(64, 256, 1))
        self.decode = nn.ConvTranspose1d(128, 1, 16, 8)

    def forward(self, x):
        e = F.relu(self.encode(x))
        masks = torch.sigmoid(self.separate(e)).view(1, 2, 128, -1)
        return self.decode((e[:, None] * masks).reshape(2, 128, -1))


class HiFiGAN(nn.Module):
    """Kong et al. 2020, two upsamplings."""

    def __init__(self):
        super().__init__()
        self.start, self.out = nn.Conv1d(80, 128, 7, 1, 3), nn.Conv1d(32, 1, 7, 1, 3)
        pairs = ((128, 64), (64, 32))
        self.up = nn.ModuleList(nn.ConvTranspose1d(i, o, 16, 8, 4) for i, o in pairs)
        self.blocks = nn.ModuleList(
            nn.ModuleList(nn.Conv1d(o, o, 3, 1, d, d) for d in (1, 3, 5)) for _, o in pairs
        )

    def forward(self, x):
        x = self.start(x)
        for up, block in zip(self.up, self.blocks):
            x = up(F.leaky_relu(x, 0.1))
            for conv in block:
                x = x + conv(F.leaky_relu(x, 0.1))
        return torch.tanh(self.out(F.leaky_relu(x)))


class PointNet(nn.Module):
    """Qi et al. 2017: points [1, 3, N], a learned 3x3 transformation first."""

    def __init__(self):
        super().__init__()
        self.look = nn.Sequential(cbr1(3, 64, 1), cbr1(64, 128, 1))
        self.transform = nn.Linear(128, 9)
        self.features = nn.Sequential(cbr1(3, 64, 1), cbr1(64, 128, 1), cbr1(128, 512, 1))
        self.head = nn.Linear(512, 40)

    def forward(self, x):
        t = self.transform(torch.max(self.look(x), 2)[0]).view(-1, 3, 3) + torch.eye(3)
        x = torch.bmm(x.transpose(2, 1), t).transpose(2, 1)
        return F.log_softmax(self.head(torch.max(self.features(x), 2)[0]), 1)


class CRNN(nn.Module):
    """Shi et al. 2017: text lines [1, 1, 32, W]; `recurrent` is nn.LSTM or nn.GRU."""

    def __init__(self, recurrent):
        super().__init__()
        self.features = nn.Sequential(
            cbr(1, 64), nn.MaxPool2d(2), cbr(64, 128), nn.MaxPool2d(2), cbr(128, 256), nn.MaxPool2d((2, 1)),
            cbr(256, 256), nn.MaxPool2d((2, 1)), cbr(256, 256, 2, p=0),
        )  # fmt: skip
        self.recurrent, self.head = recurrent(256, 128, 2, bidirectional=True), nn.Linear(256, 37)

    def forward(self, x):
        x = self.features(x).squeeze(2).permute(2, 0, 1)
        return F.log_softmax(self.head(self.recurrent(x)[0]), -1)


network("wavenet")(lambda: (WaveNet(), randn(1, 1, 4000)))
network("ecg_resnet1d")(lambda: (ecg_resnet(), randn(1, 12, 4096)))
network("conv_tasnet_groupnorm")(lambda: (ConvTasNet(), randn(1, 1, 8000)))
network("hifigan_generator")(lambda: (HiFiGAN(), randn(1, 80, 32)))
network("pointnet")(lambda: (PointNet(), randn(1, 3, 1024)))
network("crnn_bilstm")(lambda: (CRNN(nn.LSTM), randn(1, 1, 32, 100)))
network("crnn_gru")(lambda: (CRNN(nn.GRU), randn(1, 1, 32, 100)))
