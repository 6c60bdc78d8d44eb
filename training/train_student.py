"""Distil the guided denoiser into a consistency network: from any point of a trajectory to its end in one call without guidance.

The consistency function of Song et al. 2023 (definition 1), learnt by regression on trajectories that the teacher drew, with the
pseudo-Huber loss of Song & Dhariwal 2023. Only low-rank changes of the teacher's weights are trained and stored. It knows no sampler of
the service.
  python -m training.train_student --pack .train/pack --out .train/out/consistency --minutes 12
"""

import argparse
import json
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from embedded import WEIGHTS
from embedded.quantization import quantize
from embedded.text import LENGTH, TextEncoder

from .looking import HIGHEST, SHEET, GuidedDenoiser, Sampler, Velocity, null_state, sheet, x0_of
from .low_rank import adapted, change_of
from .optimizing import Optimizer, rate_at, run
from .pack import Pack, pack_folder
from .stream import batches
from .train_denoiser import network
from .trajectories import Trajectories

GUIDANCE, HUBER = 3.0, 0.03  # the scale that the student has built in; where the loss turns from square to absolute
LOOK = 120  # seconds


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pack", default=".train/pack")
    parser.add_argument("--out", type=Path, default=Path(".train/out/consistency"))
    parser.add_argument("--teacher", type=Path, default=WEIGHTS / "unet")
    parser.add_argument("--minutes", type=float, default=12, help="drawing the trajectories counts too")
    parser.add_argument("--drawing", type=float, default=0.4, help="share of the time for them at most")
    parser.add_argument("--trajectories", type=int, default=160_000)
    parser.add_argument("--levels", type=int, default=20)
    parser.add_argument("--rank", type=int, default=20)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--workers", type=int, default=14)
    parser.add_argument("--no-compile", action="store_true")
    return parser.parse_args()


@torch.no_grad()
def captions(pack: Pack, n: int, workers: int, device: str) -> Tensor:
    """Text states [n, 24, 384] of scenes drawn at random."""
    encoder, chunk = TextEncoder(device=device), min(1024, n)
    states = torch.empty(n, LENGTH, 384, dtype=torch.bfloat16, device=device)
    stream = batches(pack, chunk, workers, seed=7)
    for done in range(0, n, chunk):
        batch, more = next(stream), min(chunk, n - done)
        states[done : done + more] = encoder.encode(batch["ids"][:more], batch["mask"][:more]).bfloat16()
    return states


class Leap:
    """The student as a function: x0 = f(x, sigma), one call; f(x, 0) = x by the form of v."""

    def __init__(self, net: Any, device: str) -> None:
        self._v = Velocity(net, device)

    def __call__(self, x: Tensor, sigma: Tensor, states: Tensor) -> Tensor:
        """x0 [n, 4, 32, 32] of x at sigma [n]."""
        return x0_of(x, sigma, self._v(x, sigma, states))


def loss_of(leap: Leap, x: Tensor, sigma: Tensor, end: Tensor, states: Tensor) -> Tensor:
    """Mean pseudo-Huber distance between leap and end, of whole latents, in units of one number of them."""
    distance = (leap(x, sigma, states) - end).square().mean((1, 2, 3))
    return ((distance + HUBER**2).sqrt() - HUBER).mean()


def save(net: Any, out: Path) -> None:
    """The changes, int8, moved over the old ones when complete."""
    fresh = out / "int8.new"
    save_file(quantize(change_of(net), small=0), fresh)
    fresh.replace(out / "int8.safetensors")


@torch.no_grad()
def leapt(net: Any, device: str) -> Tensor:
    """The sheet's prompts in one leap from noise, pictures [n, 3, 128, 128] in -1..1."""
    sampler = Sampler(net, device)
    noise = torch.randn(len(SHEET), 4, 32, 32, generator=torch.Generator().manual_seed(0)).to(device) * HIGHEST
    sigma = torch.full((len(SHEET),), HIGHEST, device=device)
    return sampler.decode(Leap(net, device)(noise, sigma, sampler.encoder(SHEET).states))


def main() -> None:
    args = arguments()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.benchmark = True
    torch.manual_seed(0)
    args.out.mkdir(parents=True, exist_ok=True)
    began = time.time()
    states = captions(Pack(pack_folder(args.pack)), args.trajectories, args.workers, device)
    teacher = network(device, args.teacher).eval().requires_grad_(False)
    print(json.dumps({"captions": len(states), "seconds": round(time.time() - began, 1)}), flush=True)
    drawer = GuidedDenoiser(
        Velocity(teacher if args.no_compile else torch.compile(teacher), device), null_state(device), GUIDANCE
    )
    paths = Trajectories(drawer, states, args.levels, args.batch, began + 60 * args.minutes * args.drawing)
    print(json.dumps({"trajectories": paths.drawn, "seconds": round(time.time() - began, 1)}), flush=True)
    net = adapted(network(device, args.teacher), args.rank).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = Optimizer(net, betas=(0.9, 0.99), weight_decay=0.0, keep=0.999)
    leap = Leap(net if args.no_compile else torch.compile(net), device)

    def look() -> None:
        save(optimizer.mean, args.out)
        sheet(leapt(optimizer.mean, device), args.out / "sheet.png")

    run(
        optimizer,
        lambda: loss_of(leap, *paths.batch(args.batch)),
        partial(rate_at, args.lr, warm_up=200, flat=0.4, floor=0.01),
        began + args.minutes * 60,
        args.out / "log.jsonl",
        look,
        LOOK,
    )
    look()
    print(json.dumps({"steps": optimizer.steps, "seconds": round(time.time() - began), "batch": args.batch}))


if __name__ == "__main__":
    main()
