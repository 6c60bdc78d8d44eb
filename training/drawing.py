"""Scenes to pixels, a batch at a time on the training device. It knows no caption and no network."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from .rubric import rubric
from .scenes import SLOTS, Scene

SIZE = 128


def to_arrays(scenes: Sequence[Scene]) -> dict[str, Tensor]:
    """Scenes as tensors: things [n, 3, 6] (picture, hue shift, x, y, size, mirrored; picture -1: none), backdrop [n, 8].

    looks [n]: the number of what the rubric sees.
    """
    index = rubric().index
    things = torch.full((len(scenes), SLOTS, 6), -1.0)
    for row, scene in enumerate(scenes):
        for slot, t in enumerate(scene.things):
            things[row, slot] = torch.tensor([t.picture, t.hue_shift, t.x, t.y, t.size, float(t.mirrored)])
    backdrop = torch.tensor([(*s.sky, *s.ground, s.horizon, s.softness) for s in scenes])
    looks = torch.tensor([index[scene.looks] for scene in scenes])
    return {"things": things, "backdrop": backdrop, "looks": looks}


@torch.no_grad()
def paint(store: Tensor, things: Tensor, backdrop: Tensor, size: int = SIZE) -> Tensor:
    """Draw scenes with the pack's pictures `store` [N, 4, s, s] uint8: [n, 3, size, size] in -1..1."""
    device = store.device
    things, backdrop = things.to(device), backdrop.to(device)
    axis = (torch.arange(size, device=device) + 0.5) / size
    fade = torch.sigmoid((axis[None] - backdrop[:, 6:7]) / backdrop[:, 7:8] * 3)[:, None, :, None]
    canvas = (backdrop[:, 0:3, None, None] * (1 - fade) + backdrop[:, 3:6, None, None] * fade) / 255
    canvas = canvas.expand(-1, 3, size, size).clone()
    for slot in range(SLOTS):
        picture, hue, x, y, scale, mirrored = things[:, slot].unbind(-1)
        for small in (False, True):  # small things are shrunk first, or they alias
            rows = ((picture >= 0) & ((scale < 0.62) == small)).nonzero()[:, 0]
            if len(rows):
                rgba = _premultiplied(store[picture[rows].long()], hue[rows])
                rgba = functional.avg_pool2d(rgba, 2) if small else rgba
                grid_x = (axis[None] - x[rows, None]) * 2 / scale[rows, None] * (1 - 2 * mirrored[rows, None])
                grid_y = (axis[None] - y[rows, None]) * 2 / scale[rows, None]
                grid = torch.stack(
                    [grid_x[:, None, :].expand(-1, size, -1), grid_y[:, :, None].expand(-1, -1, size)], -1
                )
                placed = functional.grid_sample(rgba, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
                canvas[rows] = placed[:, :3] + canvas[rows] * (1 - placed[:, 3:])
    return canvas.clamp(0, 1) * 2 - 1


def _premultiplied(pictures: Tensor, hue: Tensor) -> Tensor:
    rgba = pictures.float() / 255
    rgb, alpha = rgba[:, :3], rgba[:, 3:]
    turned = (hue != 0).nonzero()[:, 0]
    if len(turned):
        rgb = rgb.index_copy(0, turned, turn_hue(rgb[turned], hue[turned]))
    return torch.cat([rgb * alpha, alpha], 1)


def turn_hue(rgb: Tensor, shift: Tensor) -> Tensor:
    """Turn the hue of rgb [n, 3, h, w] in 0..1 by `shift` [n] of a full circle, keeping saturation and value (HSV)."""
    value, low = rgb.amax(1), rgb.amin(1)
    chroma = value - low
    safe = chroma.clamp_min(1e-5)
    red, green, blue = rgb.unbind(1)
    hue = torch.where(
        value == red,
        ((green - blue) / safe) % 6,
        torch.where(value == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    hue = (hue / 6 + shift[:, None, None]) % 1.0

    def channel(n: int) -> Tensor:
        k = (n + hue * 6) % 6
        return value - chroma * torch.minimum(torch.minimum(k, 4 - k), torch.ones_like(k)).clamp_min(0)

    return torch.stack([channel(5), channel(3), channel(1)], 1)
