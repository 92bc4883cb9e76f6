"""U-Nets and other segmentation networks."""

import torch
import torch.nn.functional as F
from torch import nn, randn

from .blocks import cbr, double_cbr, network


class UNet(nn.Module):
    """Ronneberger et al. 2015, upsampling by transposed convolutions."""

    def __init__(self, width=32, classes=2):
        super().__init__()
        widths = [width << i for i in range(5)]
        self.down = nn.ModuleList(double_cbr(i, o) for i, o in zip([3, *widths], widths))
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * c, c, 2, 2) for c in widths[:4])
        self.merge = nn.ModuleList(double_cbr(2 * c, c) for c in widths[:4])
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, x):
        skips = []
        for i, block in enumerate(self.down):
            x = block(x)
            if i < 4:
                skips.append(x)
                x = F.max_pool2d(x, 2)
        for i in (3, 2, 1, 0):
            x = self.up[i](x)
            dy, dx = (skips[i].size(a) - x.size(a) for a in (2, 3))
            x = F.pad(x, [dx // 2, dx - dx // 2, dy // 2, dy - dy // 2])
            x = self.merge[i](torch.cat([skips[i], x], 1))
        return self.head(x)


class UNetPP(nn.Module):
    """U-Net++ (Zhou et al. 2018): node (i, j) joins all nodes (i, < j) and (i + 1, j - 1)."""

    def __init__(self, widths=(16, 32, 64, 128)):
        super().__init__()
        self.nodes, self.depth = nn.ModuleDict(), len(widths)
        for j in range(self.depth):
            for i in range(self.depth - j):
                first = 3 if i == 0 else widths[i - 1]
                joined = first if j == 0 else widths[i] * j + widths[i + 1]
                self.nodes[f"{i}_{j}"] = double_cbr(joined, widths[i])
        self.head = nn.Conv2d(widths[0], 1, 1)

    def forward(self, x):
        t = {}
        for i in range(self.depth):
            t[i, 0] = self.nodes[f"{i}_0"](x if i == 0 else F.max_pool2d(t[i - 1, 0], 2))
        for j in range(1, self.depth):
            for i in range(self.depth - j):
                below = F.interpolate(t[i + 1, j - 1], scale_factor=2, mode="nearest")
                t[i, j] = self.nodes[f"{i}_{j}"](torch.cat([*(t[i, k] for k in range(j)), below], 1))
        return torch.sigmoid(self.head(t[0, self.depth - 1]))


class Gate(nn.Module):
    """Attention gate (Oktay et al. 2018)."""

    def __init__(self, coarse, c):
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(coarse, c, 1), nn.Conv2d(c, c, 1), nn.Conv2d(c, 1, 1)

    def forward(self, g, x):
        return x * torch.sigmoid(self.c(F.relu(self.a(g) + self.b(x))))


class AttentionUNet(nn.Module):
    def __init__(self, c=16):
        super().__init__()
        self.e1, self.e2, self.e3 = cbr(3, c), cbr(c, 2 * c), cbr(2 * c, 4 * c)
        self.g2, self.g1 = Gate(4 * c, 2 * c), Gate(2 * c, c)
        self.d2, self.d1, self.head = cbr(6 * c, 2 * c), cbr(3 * c, c), nn.Conv2d(c, 1, 1)

    def forward(self, x):
        a = self.e1(x)
        b = self.e2(F.max_pool2d(a, 2))
        c = F.interpolate(self.e3(F.max_pool2d(b, 2)), scale_factor=2.0)
        d = self.d2(torch.cat([self.g2(c, b), c], 1))
        d = F.interpolate(d, size=a.shape[2:], mode="bilinear", align_corners=False)
        return self.head(self.d1(torch.cat([self.g1(d, a), d], 1)))


class BiSeNet(nn.Module):
    """Spatial and context paths (Yu et al. 2018), classes by argmax."""

    def __init__(self):
        super().__init__()
        self.spatial = nn.Sequential(cbr(3, 32, 7, 2), cbr(32, 32, 3, 2), cbr(32, 64, 3, 2))
        self.context1 = nn.Sequential(cbr(3, 32, 3, 4), cbr(32, 64, 3, 4))
        self.context2 = cbr(64, 64, 3, 2)
        self.refine1, self.refine2 = nn.Conv2d(64, 64, 1), nn.Conv2d(64, 64, 1)
        self.fuse, self.head = cbr(128, 64, 1), nn.Conv2d(64, 19, 1)

    def forward(self, x):
        def enlarged(t, **settings):
            return F.interpolate(t, mode="bilinear", align_corners=True, **settings)

        s, a = self.spatial(x), self.context1(x)
        b = self.context2(a)
        tail = b.mean([2, 3], keepdim=True)
        b = b * torch.sigmoid(self.refine2(F.adaptive_avg_pool2d(b, 1))) + tail
        a = a * torch.sigmoid(self.refine1(F.adaptive_avg_pool2d(a, 1)))
        both = enlarged(a, size=s.shape[2:]) + enlarged(b, size=s.shape[2:])
        logits = self.head(self.fuse(torch.cat([s, both], 1)))
        return torch.argmax(enlarged(logits, scale_factor=8), 1)


class PSPNet(nn.Module):
    """Pyramid pooling (Zhao et al. 2017) over a small dilated backbone."""

    def __init__(self):
        super().__init__()
        stem = [cbr(3, 32, 3, 2), cbr(32, 64, 3, 2), cbr(64, 64, d=2), cbr(64, 64, d=4)]
        self.backbone = nn.Sequential(*stem)
        self.levels = nn.ModuleList(cbr(64, 16, 1) for _ in range(4))
        self.head = nn.Conv2d(128, 8, 1)

    def forward(self, x):
        def enlarged(t, size):
            return F.interpolate(t, size=size, mode="bilinear", align_corners=False)

        f = self.backbone(x)
        parts = [f]
        for bins, level in zip((1, 2, 3, 6), self.levels):
            parts.append(enlarged(level(F.adaptive_avg_pool2d(f, bins)), f.shape[2:]))
        return enlarged(self.head(torch.cat(parts, 1)), x.shape[2:])


network("unet_convtranspose")(lambda: (UNet(), randn(1, 3, 128, 128)))
network("unetpp")(lambda: (UNetPP(), randn(1, 3, 128, 128)))
network("attention_unet")(lambda: (AttentionUNet(), randn(1, 3, 128, 128)))
network("bisenet_argmax")(lambda: (BiSeNet(), randn(1, 3, 256, 256)))
network("pspnet_own")(lambda: (PSPNet(), randn(1, 3, 192, 192)))
