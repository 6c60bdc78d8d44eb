"""Train the classifier that evaluation asks: the pack's real pictures with augmentation only, one style of each noun held out.

It knows no autoencoder, no denoiser and no text: its label is the name of the picture's concept. All augmentation is tensors
on the training device, so one process is enough. In the pack `flat` and `3d` are two renderings by one publisher and often
share their outlines; `--held-out sticker` or `cartoon` asks for more.
  python -m training.train_classifier --pack .train/pack --out .train/out/classifier --minutes 4
"""

import argparse
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .classifier import Classifier, ClassifierNetwork, load, rates, save
from .drawing import paint
from .optimizing import Optimizer, rate_at
from .pack import Pack, pack_folder
from .scenes import BACKGROUNDS, PLACES, SLOTS

STYLE_WORDS = ("3d", "flat", "cartoon", "sticker")  # the first words of scenes.STYLES
KEEP, SMOOTHING = 0.999, 0.05  # of the average; of the labels
REPORT, SAVE, SETTLING = 100, 45, 40  # steps, seconds, batches
TURNED, MIRRORED = 0.3, 0.35  # shares of the pictures
# Their colour is what tells them apart: turned in hue, a lemon is a lime.
COLOUR_IS_NAME = frozenset(
    {"lemon", "lime", "tangerine", "tomato", "peach", "mango", "melon", "bear", "four leaf clover"}
)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pack", default=".train/pack")
    parser.add_argument("--out", type=Path, default=Path(".train/out/classifier"))
    parser.add_argument("--minutes", type=float, default=4)
    parser.add_argument("--held-out", choices=STYLE_WORDS, default="flat")
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--lr", type=float, default=1.5e-3)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--views", type=int, default=4, help="how often each held-out picture is drawn")
    parser.add_argument("--check", type=int, help="look at so many held-out pictures only (for a quick try)")
    parser.add_argument("--no-compile", action="store_true")
    return parser.parse_args()


@dataclass(frozen=True)
class Material:
    """The pack on the device: pictures [N, 4, 112, 112] uint8, per picture its class and whether its hue may be turned."""

    names: tuple[str, ...]
    store: Tensor
    label: Tensor
    turnable: Tensor
    seen: Tensor  # rows to train on
    held: Tensor  # rows of the held-out style

    @classmethod
    def of(cls, pack: Pack, style: int, device: str) -> "Material":
        names = tuple(sorted({entry.name for entry in pack.entries}))
        styles: dict[str, set[int]] = {name: set() for name in names}
        for entry in pack.entries:
            styles[entry.name].add(entry.style)
        held = [entry.style == style and len(styles[entry.name]) == len(STYLE_WORDS) for entry in pack.entries]
        turnable = [e.recolour and e.bare == e.name and e.name not in COLOUR_IS_NAME for e in pack.entries]
        number = {name: i for i, name in enumerate(names)}
        out = torch.tensor(held, device=device)
        return cls(
            names,
            pack.pictures(device),
            torch.tensor([number[entry.name] for entry in pack.entries], device=device),
            torch.tensor(turnable, device=device),
            (~out).nonzero()[:, 0],
            out.nonzero()[:, 0],
        )

    def chances(self) -> Tensor:
        """How often each row of `seen` is to be drawn: every name as often as any other."""
        label = self.label[self.seen]
        return 1 / torch.bincount(label, minlength=len(self.names))[label]


def _between(low: float, high: float, *shape: int, device: torch.device) -> Tensor:
    return low + (high - low) * torch.rand(*shape, device=device)


def random_things(rows: Tensor, turnable: Tensor, least: float = 0.4) -> Tensor:
    """One picture of the pack per row, anywhere inside the frame, sizes `least`..0.95: [n, 3, 6] as drawing.paint takes it."""
    n, device = len(rows), rows.device
    things = torch.full((n, SLOTS, 6), -1.0, device=device)
    size = least + (0.95 - least) * torch.rand(n, device=device) ** 0.7  # large ones are more frequent
    room = (1 - size) / 2 + 0.04
    turn = turnable & (torch.rand(n, device=device) < TURNED)
    things[:, 0, 0] = rows.float()
    things[:, 0, 1] = torch.where(turn, _between(0.02, 0.98, n, device=device), torch.zeros(n, device=device))
    for axis in (2, 3):
        things[:, 0, axis] = 0.5 + room * _between(-1, 1, n, device=device) * torch.rand(n, device=device)
    things[:, 0, 4] = size
    things[:, 0, 5] = (torch.rand(n, device=device) < MIRRORED).float()
    return things


def plain_backdrop(n: int, device: torch.device, *, white: bool = False) -> Tensor:
    """One of the background colours, or white, a little tinted: [n, 8] (sky, ground, horizon, softness)."""
    colours = torch.tensor(list(BACKGROUNDS.values()), dtype=torch.float32, device=device)
    pick = (
        torch.zeros(n, dtype=torch.long, device=device) if white else torch.randint(len(colours), (n,), device=device)
    )
    colour = (colours[pick] + _between(-8, 8, n, 3, device=device)).clamp(0, 255)
    shape = torch.tensor([0.5, 0.3], device=device).expand(n, 2)
    return torch.cat([colour, colour, shape], 1)


def random_backdrop(n: int, device: torch.device) -> Tensor:
    """White, a named or any plain colour, a place, or any two colours with any horizon: [n, 8]."""
    kind = torch.rand(n, 1, device=device)
    places = torch.tensor([[*sky, *ground] for sky, ground, _ in PLACES.values()], dtype=torch.float32, device=device)
    place = places[torch.randint(len(places), (n,), device=device)] + _between(-10, 10, n, 6, device=device)
    free = _between(0, 255, n, 6, device=device)
    flat = _between(0, 255, n, 3, device=device).repeat(1, 2)
    colours = torch.where(kind < 0.9, place.clamp(0, 255), free)
    colours = torch.where(kind < 0.65, flat, colours)
    colours = torch.where(kind < 0.5, plain_backdrop(n, device)[:, :6], colours)
    colours = torch.where(kind < 0.25, plain_backdrop(n, device, white=True)[:, :6], colours)
    horizon, softness = _between(0.3, 0.8, n, 1, device=device), _between(0.03, 0.4, n, 1, device=device)
    return torch.cat([colours, horizon, softness], 1)


def disturb(x: Tensor) -> Tensor:
    """Pictures [n, 3, s, s] in 0..1, bent, softened, off in light, noisy, partly hidden; each of these not always."""
    return _hide(_noise(_light(_soften(_bend(x))))).clamp(0, 1)


def _bend(x: Tensor) -> Tensor:
    n, device = len(x), x.device
    much = (torch.rand(n, device=device) < 0.7).float()
    angle = _between(-1, 1, n, device=device) * math.radians(14) * much
    shear, stretch = (_between(-1, 1, n, device=device) * 0.12 * much for _ in range(2))
    zero, cos, sin = torch.zeros_like(angle), angle.cos(), angle.sin()
    top = torch.stack([cos * (1 + stretch), shear - sin, zero], 1)
    low = torch.stack([sin, cos * (1 - stretch), zero], 1)
    grid = functional.affine_grid(torch.stack([top, low], 1), list(x.shape), align_corners=False)
    return functional.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _soften(x: Tensor) -> Tensor:
    """Towards half or a quarter of the detail, as a small autoencoder's pictures look; some are sharpened instead."""
    n, size = len(x), x.shape[-1]
    half, quarter = (
        functional.interpolate(functional.avg_pool2d(x, by), size=(size, size), mode="bilinear") for by in (2, 4)
    )
    chance = torch.rand(n, 1, 1, 1, device=x.device)
    amount = torch.rand(n, 1, 1, 1, device=x.device)
    soft = torch.where(chance < 0.4, x + (half - x) * amount * 1.3, x)
    soft = torch.where(chance < 0.15, x + (quarter - x) * amount, soft)
    return torch.where(chance > 0.85, x - (half - x) * amount, soft)


def _light(x: Tensor) -> Tensor:
    n, device = len(x), x.device
    middle = x.mean((1, 2, 3), keepdim=True)
    x = middle + (x - middle) * _between(0.75, 1.25, n, 1, 1, 1, device=device)
    gray = x.mean(1, keepdim=True)
    x = gray + (x - gray) * _between(0.7, 1.3, n, 1, 1, 1, device=device)
    return x + _between(-0.1, 0.1, n, 1, 1, 1, device=device) + _between(-0.05, 0.05, n, 3, 1, 1, device=device)


def _noise(x: Tensor) -> Tensor:
    much = 0.06 * torch.rand(len(x), 1, 1, 1, device=x.device) * (torch.rand(len(x), 1, 1, 1, device=x.device) < 0.5)
    return x + much * torch.randn_like(x)


def _hide(x: Tensor) -> Tensor:
    """A rectangle of any colour over a quarter of the pictures, sides of 10 to 40 per cent."""
    n, size, device = len(x), x.shape[-1], x.device
    axis = (torch.arange(size, device=device) + 0.5) / size
    inside = []
    for _ in range(2):
        middle, side = _between(0, 1, n, 1, device=device), _between(0.1, 0.4, n, 1, device=device)
        inside.append((axis[None] - middle).abs() < side / 2)
    hit = (torch.rand(n, 1, 1, device=device) < 0.25) & inside[0][:, :, None] & inside[1][:, None, :]
    return torch.where(hit[:, None], torch.rand(n, 3, 1, 1, device=device), x)


class Augmented:
    """Endless training batches: pictures [n, 3, 128, 128] in 0..1 and their classes [n]."""

    def __init__(self, material: Material) -> None:
        self._material, self._chances = material, material.chances()

    @torch.no_grad()
    def __call__(self, n: int) -> tuple[Tensor, Tensor]:
        m = self._material
        rows = m.seen[torch.multinomial(self._chances, n, replacement=True)]
        pictures = paint(m.store, random_things(rows, m.turnable[rows]), random_backdrop(n, m.store.device))
        return disturb((pictures + 1) / 2), m.label[rows]


@torch.no_grad()
def settle(network: ClassifierNetwork, draw: Augmented, batch: int) -> ClassifierNetwork:
    """Measure the batch norms of averaged weights: their running figures belong to no average."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over what follows
    network.train()
    for _ in range(SETTLING if next(network.parameters()).is_cuda else 3):
        pictures, _ = draw(batch)
        network(pictures.contiguous(memory_format=torch.channels_last))
    return network.eval()


def train(
    optimizer: Optimizer[ClassifierNetwork], forward: Any, draw: Augmented, material: Material, args: argparse.Namespace
) -> None:
    """Steps for `args.minutes`, a line each hundred; weights every 45 seconds and at the end."""
    device = material.store.device
    began, duration, mean = time.time(), args.minutes * 60, torch.zeros((), device=device)
    next_save = began + SAVE
    while (elapsed := time.time() - began) < duration:
        pictures, target = draw(args.batch)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            logits = forward(pictures.contiguous(memory_format=torch.channels_last))
        loss = functional.cross_entropy(logits.float(), target, label_smoothing=SMOOTHING)
        optimizer.step(loss, rate_at(args.lr, optimizer.steps, elapsed / duration, warm_up=100, flat=0.3, floor=0.005))
        mean += loss.detach() / REPORT
        if optimizer.steps % REPORT == 0:
            value = float(mean)
            mean.zero_()
            if math.isfinite(value):
                optimizer.remember()
            else:
                optimizer.step_back()
            line = {"step": optimizer.steps, "s": round(elapsed), "loss": round(value, 4)}
            print(json.dumps(line), flush=True)
            if time.time() > next_save:  # only here, where the loss is known to be a number
                save(settle(optimizer.mean, draw, args.batch), material.names, args.out)
                next_save = time.time() + SAVE
    if not math.isfinite(float(mean)):
        optimizer.step_back()
    save(settle(optimizer.mean, draw, args.batch), material.names, args.out)


@torch.no_grad()
def figures(
    classifier: Classifier, material: Material, draw: Augmented, views: int, check: int | None
) -> dict[str, Any]:
    """The held-out style in plain scenes and on white, and new augmentations of the seen styles."""
    held = material.held[torch.randperm(len(material.held), device=material.held.device)][:check]
    rows = held.repeat_interleave(views)
    still = torch.zeros(len(rows), dtype=torch.bool, device=rows.device)
    things = random_things(rows, still, least=0.5)
    device = material.store.device
    backdrops = {"plain": plain_backdrop(len(rows), device), "white": plain_backdrop(len(rows), device, white=True)}
    found: dict[str, Any] = {}
    for name, backdrop in backdrops.items():
        parts = zip(torch.split(things, 512), torch.split(backdrop, 512), strict=True)
        pictures = torch.cat([paint(material.store, *part) for part in parts])
        found[f"held_out_style_{name}"] = rates(classifier, (pictures + 1) / 2, material.label[rows])
    drawn = [draw(min(512, check or 512)) for _ in range(1 if check else 8)]
    pictures, label = torch.cat([p for p, _ in drawn]), torch.cat([t for _, t in drawn])
    return found | {"seen_styles_augmented": rates(classifier, pictures, label)}


def main() -> None:
    args = arguments()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.benchmark = True
    torch.manual_seed(args.seed)
    material = Material.of(Pack(pack_folder(args.pack)), STYLE_WORDS.index(args.held_out), device)
    draw = Augmented(material)
    network = ClassifierNetwork(len(material.names))
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = Optimizer(network, betas=(0.9, 0.98), weight_decay=0.05, keep=KEEP)
    train(optimizer, network if args.no_compile else torch.compile(network), draw, material, args)
    torch.manual_seed(args.seed + 1)
    settings = {"steps": optimizer.steps, "batch": args.batch, "held_out": args.held_out}
    found = settings | figures(load(args.out), material, draw, args.views, args.check)
    (args.out / "figures.json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
