"""Oct-ResNet for small pictures: OctConv with the reference semantics, alpha 0.5.

A feature map is a pair (high, low); low has half the sides and may be None (alpha 0). Stride 2 is
an average pool followed by a stride-1 conv; each pooled map is computed once and shared by every
conv that reads it.
"""

import torch.nn as nn
import torch.nn.functional as F



def conv(c_in, c_out, kernel):
    return nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2, bias=False)


class Source:
    """A pair (high, low) with its pooled maps, made on first use."""

    def __init__(self, high, low, stride):
        self.high = F.avg_pool2d(high, 2) if stride == 2 else high
        self.low, self.stride = low, stride
        self._high_pooled = self._low_pooled = None

    def high_pooled(self):
        if self._high_pooled is None:
            self._high_pooled = F.avg_pool2d(self.high, 2)
        return self._high_pooled

    def low_pooled(self):
        if self._low_pooled is None:
            self._low_pooled = F.avg_pool2d(self.low, 2) if self.stride == 2 else self.low
        return self._low_pooled


class OctConvBn(nn.Module):
    """Y_H = BN(conv(X_H) + up2(conv(X_L))), Y_L = BN(conv(X_L) + conv(pool(X_H)))."""

    def __init__(self, c_in, c_out, kernel, alpha_in=0.5, alpha_out=0.5):
        super().__init__()
        l_in, l_out = int(alpha_in * c_in), int(alpha_out * c_out)
        h_in, h_out = c_in - l_in, c_out - l_out
        self.hh = conv(h_in, h_out, kernel)
        self.lh = conv(l_in, h_out, kernel) if l_in else None
        self.hl = conv(h_in, l_out, kernel) if l_out else None
        self.ll = conv(l_in, l_out, kernel) if l_in and l_out else None
        self.bn_h = nn.BatchNorm2d(h_out)
        self.bn_l = nn.BatchNorm2d(l_out) if l_out else None

    def forward(self, src):
        high, low = self.hh(src.high), None
        if self.lh is not None:
            from_low = self.lh(src.low)
            if src.stride == 1:  # at stride 2 the low input has the size of the high output
                from_low = F.interpolate(from_low, scale_factor=2, mode="nearest")
            high = high + from_low
        if self.hl is not None:
            low = self.hl(src.high_pooled())
            if self.ll is not None:
                low = low + self.ll(src.low_pooled())
            low = self.bn_l(low)
        return self.bn_h(high), low


class Block(nn.Module):
    """Two 3x3 OctConvs with a shortcut: the identity, or a 1x1 OctConv where shapes differ."""

    def __init__(self, c_in, c_out, stride=1, alpha_in=0.5, alpha_out=0.5):
        super().__init__()
        self.stride = stride
        self.conv1 = OctConvBn(c_in, c_out, 3, alpha_in, alpha_out)
        self.conv2 = OctConvBn(c_out, c_out, 3, alpha_out, alpha_out)
        same = stride == 1 and c_in == c_out and alpha_in == alpha_out
        self.shortcut = None if same else OctConvBn(c_in, c_out, 1, alpha_in, alpha_out)

    def forward(self, high, low):
        src = Source(high, low, self.stride)
        kept = (high, low) if self.shortcut is None else self.shortcut(src)
        h, l = self.conv1(src)
        h, l = self.conv2(Source(F.relu(h), None if l is None else F.relu(l), 1))
        return F.relu(h + kept[0]), None if l is None else F.relu(l + kept[1])


class OctResNet(nn.Module):
    """[n, 3, h, w] (h, w multiples of 8) -> logits [n, classes]: a vanilla stem, three stages of two blocks."""

    def __init__(self, classes=10, widths=(16, 32, 64)):
        super().__init__()
        a, b, c = widths
        self.stem = conv(3, a, 3)
        self.stem_bn = nn.BatchNorm2d(a)
        self.blocks = nn.ModuleList(
            [
                Block(a, a, alpha_in=0.0),
                Block(a, a),
                Block(a, b, stride=2),
                Block(b, b),
                Block(b, c, stride=2),
                Block(c, c, alpha_out=0.0),
            ]
        )
        self.fc = nn.Linear(c, classes)

    def forward(self, x):
        high, low = F.relu(self.stem_bn(self.stem(x))), None
        for block in self.blocks:
            high, low = block(high, low)
        return self.fc(F.adaptive_avg_pool2d(high, 1).flatten(1))
