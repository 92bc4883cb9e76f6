"""Oct-ResNet (Chen et al. 2019) in PyTorch, as public implementations write it: post-activation bottlenecks,
reference semantics (average pooling down, nearest upsampling, no strided convolution)."""

from torch import nn
from torch.nn import functional as F


class OctConv(nn.Module):
    """Four convolutions between a high and a low half; a half without channels does not exist. Stride 2
    pools first, and what goes from low to high then needs no upsampling. With `any_size` upsampling goes to
    the extents of the high half, which may be odd, rather than by a factor of 2."""

    any_size = False

    def __init__(self, c_in, c_out, kernel, alpha_in, alpha_out, stride=1):
        super().__init__()
        self.stride = stride
        low_in, low_out = int(alpha_in * c_in), int(alpha_out * c_out)
        high_in, high_out = c_in - low_in, c_out - low_out
        conv = lambda i, o: nn.Conv2d(i, o, kernel, 1, kernel // 2, bias=False) if i and o else None  # noqa: E731
        self.hh, self.hl = conv(high_in, high_out), conv(high_in, low_out)
        self.lh, self.ll = conv(low_in, high_out), conv(low_in, low_out)

    def forward(self, x):
        high, low = x
        if self.stride == 2:
            high = F.avg_pool2d(high, 2)
        y_high = self.hh(high)
        if self.lh is not None:
            up = self.lh(low)
            if self.stride != 2:
                to = {"size": y_high.shape[-2:]} if self.any_size else {"scale_factor": 2}
                up = F.interpolate(up, mode="nearest", **to)
            y_high = y_high + up
        y_low = None
        if self.hl is not None:
            y_low = self.hl(F.avg_pool2d(high, 2))
            if self.ll is not None:
                low = F.avg_pool2d(low, 2) if self.stride == 2 else low
                y_low = self.ll(low) + y_low
        return y_high, y_low


class OctConvBn(nn.Module):
    """OctConv, a normalisation of each output, and ReLU unless `relu` is False."""

    def __init__(self, c_in, c_out, kernel, alpha_in, alpha_out, stride=1, relu=True):
        super().__init__()
        self.conv = OctConv(c_in, c_out, kernel, alpha_in, alpha_out, stride)
        low = int(alpha_out * c_out)
        self.bn_high = nn.BatchNorm2d(c_out - low)
        self.bn_low = nn.BatchNorm2d(low) if low else None
        self.relu = relu

    def forward(self, x):
        high, low = self.conv(x)
        high, low = self.bn_high(high), None if low is None else self.bn_low(low)
        if self.relu:
            high, low = F.relu(high), None if low is None else F.relu(low)
        return high, low


class OctBottleneck(nn.Module):
    def __init__(self, c_in, width, alpha_in, alpha_out, stride=1):
        super().__init__()
        c_out = 4 * width
        self.conv1 = OctConvBn(c_in, width, 1, alpha_in, alpha_out)
        self.conv2 = OctConvBn(width, width, 3, alpha_out, alpha_out, stride)
        self.conv3 = OctConvBn(width, c_out, 1, alpha_out, alpha_out, relu=False)
        self.shortcut = None
        if c_in != c_out or stride == 2:
            self.shortcut = OctConvBn(c_in, c_out, 1, alpha_in, alpha_out, stride, relu=False)
        self.last_norms = [n for n in (self.conv3.bn_high, self.conv3.bn_low) if n is not None]

    def forward(self, x):
        high, low = self.conv3(self.conv2(self.conv1(x)))
        other_high, other_low = x if self.shortcut is None else self.shortcut(x)
        return F.relu(high + other_high), None if low is None else F.relu(low + other_low)


class OctResNet(nn.Module):
    """Every convolution but the stem is an OctConv; the last stage has no low half."""

    def __init__(self, blocks, alpha, classes=1000):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
        )
        stages, channels, alpha_in = [], 64, 0.0
        for i, n in enumerate(blocks):
            width, alpha_out = 64 << i, alpha if i < 3 else 0.0
            for j in range(n):
                stride = 2 if i and j == 0 else 1
                stages.append(OctBottleneck(channels, width, alpha_in, alpha_out, stride))
                channels, alpha_in = 4 * width, alpha_out
        self.stages = nn.ModuleList(stages)
        self.fc = nn.Linear(channels, classes)

    def forward(self, x):
        x = self.stem(x), None
        for stage in self.stages:
            x = stage(x)
        return self.fc(F.adaptive_avg_pool2d(x[0], 1).flatten(1))
