"""Train the network of the `local` judge: pictures against texts and pictures (symmetric InfoNCE), and the rubric's points.

It sees what a judge sees: half of the pictures are blurred, noisy or off in brightness, as previews of early steps are.
  python -m training.train_scorer --pack .train/pack --out .train/out/scorer --minutes 6
The held-out judge of the evaluation, another network that sees other cuts of the pictures:
  python -m training.train_scorer --pack .train/pack --out .train/out/second --seed 2 --width 256 --layers 4 --crop
"""

import argparse
import json
import random
import time
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from embedded.quantization import quantize
from embedded.scorer import ScorerNetwork, Seen
from embedded.text import TextEncoder

from .drawing import paint
from .measuring import agreement, likeness, retrieval
from .optimizing import Optimizer, rate_at
from .pack import Pack, pack_folder
from .rubric import rubric, unseen
from .stream import Batch, batches

KEEP, REPORT = 0.999, 200  # of the average; steps


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pack", default=".train/pack")
    parser.add_argument("--out", type=Path, default=Path(".train/out"))
    parser.add_argument("--minutes", type=float, default=4)
    parser.add_argument("--batch", type=int, default=768)
    parser.add_argument("--lr", type=float, default=8e-4)
    parser.add_argument("--width", type=int, default=192)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=10)
    parser.add_argument("--crop", action="store_true", help="cut pictures at random")
    parser.add_argument("--no-compile", action="store_true")
    return parser.parse_args()


def as_previews(x: Tensor) -> Tensor:
    """Pictures [n, 3, s, s] in 0..1 as half-finished steps show them: soft, off in brightness, noisy, in random parts."""
    n, chance = len(x), torch.rand(len(x), 1, 1, 1, device=x.device)
    soft = functional.interpolate(functional.avg_pool2d(x, 8), size=x.shape[-1], mode="bilinear")
    x = torch.where(chance < 0.35, x + (soft - x) * torch.rand(n, 1, 1, 1, device=x.device), x)
    x = x + 0.06 * torch.randn(n, 3, 1, 1, device=x.device) * (chance > 0.5)
    return (x + torch.randn_like(x) * 0.06 * torch.rand(n, 1, 1, 1, device=x.device) * (chance > 0.4)).clamp(0, 1)


def cropped(x: Tensor) -> Tensor:
    """A random cut of 75 to 100 % of the sides of each picture [n, 3, s, s], at the old size."""
    n, device = len(x), x.device
    side = torch.empty(n, device=device).uniform_(0.75, 1)
    shift = (torch.rand(n, 2, device=device) * 2 - 1) * (1 - side)[:, None]
    zero = torch.zeros_like(side)
    turn = torch.stack([side, zero, shift[:, 0], zero, side, shift[:, 1]], 1).view(n, 2, 3)
    return functional.grid_sample(
        x, functional.affine_grid(turn, list(x.shape), align_corners=False), align_corners=False
    )


def contrast(logits: Tensor, same: Tensor) -> Tensor:
    """Symmetric InfoNCE over [n, n] logits; pairs marked `same` off the diagonal are no negatives."""
    logits = logits.masked_fill(same & ~torch.eye(len(logits), dtype=torch.bool, device=logits.device), -1e4)
    target = torch.arange(len(logits), device=logits.device)
    return (functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)) / 2


class Objective:
    """The losses: text against picture, picture against picture, points of the rubric."""

    def __init__(self, net: ScorerNetwork, pack: Pack, encoder: TextEncoder, device: str, *, crop: bool) -> None:
        self._net, self._encoder, self._store, self._crop = net, encoder, pack.pictures(device), crop
        self._styles, self._concepts = pack.styles().to(device), pack.concepts().to(device)
        points = torch.tensor(rubric().table(), dtype=torch.float32, device=device)
        self._points = points - points.mean(0)  # 0 is no opinion
        self._taught = torch.tensor([not rubric().held_out(looks) for looks in rubric().all_looks], device=device)

    def __call__(self, batch: Batch) -> Tensor:
        """One batch of scenes, seen twice: as drawn, and the things of the first half in another style on other backgrounds."""
        n, device = len(batch["ids"]), self._store.device
        half = n // 2
        order = torch.randperm(half)
        first = paint(self._store, batch["things"], batch["backdrop"])
        second = paint(self._store, self._restyled(batch["things"][:half].to(device)), batch["backdrop"][:half][order])
        pictures = as_previews((torch.cat([first, second]) + 1) / 2)
        states = self._encoder.encode(batch["ids"], batch["mask"]).clone()  # out of inference mode, for autograd
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            seen = self._net.see(cropped(pictures) if self._crop else pictures)
        by_text = self._by_text(seen.shown[:n], states, batch["mask"].to(device))
        by_look = self._by_look(seen.look, batch["things"][:half, :, 0].to(device), n)
        return by_text + 0.5 * by_look + 0.25 * self._by_rubric(Seen(*(part[:n] for part in seen)), batch, states)

    def _restyled(self, things: Tensor) -> Tensor:
        """The same things, nudged, half of them in a random style of theirs."""
        things = things.clone()
        things[..., 2:4] += 0.03 * torch.randn_like(things[..., 2:4])
        things[..., 4] *= 1 + 0.08 * torch.randn_like(things[..., 4])
        picture = things[..., 0].long()
        other = self._styles[picture.clamp(min=0), torch.randint(4, picture.shape, device=picture.device)]
        turned = (torch.rand(len(things), 1, device=things.device) < 0.5) & (picture >= 0)
        things[..., 0] = torch.where(turned, other, picture).float()
        return things

    def _by_text(self, shown: Tensor, states: Tensor, mask: Tensor) -> Tensor:
        m = mask[..., None].float()
        pooled = functional.normalize((states * m).sum(1) / m.sum(1), dim=-1)
        scale = self._net.log_scale.exp().clamp(max=60)
        return contrast(shown @ self._net.read(states, mask).T * scale, pooled @ pooled.T > 0.97)

    def _by_look(self, look: Tensor, pictures: Tensor, n: int) -> Tensor:
        half = len(pictures)
        concept = torch.where(pictures >= 0, self._concepts[pictures.clamp(min=0).long()], -1)
        alike = (
            ((concept[:, None, :, None] == concept[None, :, None, :]) & (concept >= 0)[:, None, :, None])
            .flatten(2)
            .any(-1)
        )
        return contrast(look[:half] @ look[n:].T * self._net.look_log_scale.exp().clamp(max=40), alike)

    def _by_rubric(self, seen: Seen, batch: Batch, states: Tensor) -> Tensor:
        """Squared error of the points; a few of the batch's captions as scenarios, of which the rubric says nothing: 0."""
        device, neutral = states.device, 12
        texts = [random.choice(rubric().texts[scenario]) for scenario in rubric().scenarios]
        said = self._encoder(texts)
        purposes = self._net.purpose(
            torch.cat([said.states.clone(), states[:neutral]]),
            torch.cat([said.mask, batch["mask"][:neutral].to(device)]),
        )
        given = seen.form @ purposes.T
        looks, first = batch["looks"].to(device), batch["things"][:, 0, 0].long().to(device)
        taught = self._taught[looks] & ~unseen(self._concepts[first])
        error = (given[:, : len(texts)] - self._points[looks]).square().mean(1)
        return (error * taught).sum() / taught.sum() + 0.3 * given[:, len(texts) :].square().mean()


def train(net: ScorerNetwork, pack: Pack, args: argparse.Namespace, device: str) -> Optimizer[ScorerNetwork]:
    """Steps for `args.minutes`: the optimiser with the averaged network."""
    optimizer = Optimizer(net, betas=(0.9, 0.98), weight_decay=0.1, keep=KEEP)
    objective = Objective(net, pack, TextEncoder(device=device), device, crop=args.crop)
    if not args.no_compile:
        net.vision = torch.compile(net.vision)
    stream = batches(pack, args.batch, args.workers, args.seed)
    began, duration = time.time(), args.minutes * 60
    while (elapsed := time.time() - began) < duration:
        loss = objective(next(stream))
        optimizer.step(loss, rate_at(args.lr, optimizer.steps, elapsed / duration, warm_up=300, flat=0, floor=0.01))
        if optimizer.steps % REPORT == 0:
            line = {"step": optimizer.steps, "s": round(elapsed), "loss": round(float(loss), 3)}
            print(json.dumps(line), flush=True)
    return optimizer


def main() -> None:
    args = arguments()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.manual_seed(args.seed)
    random.seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    folder = pack_folder(args.pack)
    shape = {"size": 96, "width": args.width, "layers": args.layers, "heads": args.width // 64, "dim": 256}
    optimizer = train(ScorerNetwork(**shape).to(device), Pack(folder, hold_out=True), args, device)
    net = optimizer.mean.eval()
    save_file(quantize(net.state_dict()), args.out / "int8.safetensors")
    (args.out / "config.json").write_text(json.dumps(shape, indent=2) + "\n")
    found = retrieval(net, Pack(folder, only_held_out=True), device) | likeness(net, folder, device)
    found |= agreement(net, Pack(folder), device)
    print(json.dumps({"steps": optimizer.steps, "batch": args.batch, **found}))


if __name__ == "__main__":
    main()
