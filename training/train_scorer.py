"""Train the network of the `local` judge: pictures against texts, and pictures against pictures, by symmetric InfoNCE.

It sees what a judge sees: half of the pictures are blurred, noisy or off in brightness, as previews of early steps are.
  python -m training.train_scorer --pack .train/pack --out .train/out --minutes 4
"""

import argparse
import json
import time
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from embedded.quantization import quantize
from embedded.scorer import ScorerNetwork
from embedded.text import TextEncoder

from .drawing import paint
from .measuring import retrieval
from .optimizing import Optimizer, rate_at
from .pack import Pack, pack_folder
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
    parser.add_argument("--no-compile", action="store_true")
    return parser.parse_args()


def as_previews(x: Tensor) -> Tensor:
    """Pictures [n, 3, s, s] in 0..1 as half-finished steps show them: soft, off in brightness, noisy, in random parts."""
    n, chance = len(x), torch.rand(len(x), 1, 1, 1, device=x.device)
    soft = functional.interpolate(functional.avg_pool2d(x, 8), size=x.shape[-1], mode="bilinear")
    x = torch.where(chance < 0.35, x + (soft - x) * torch.rand(n, 1, 1, 1, device=x.device), x)
    x = x + 0.06 * torch.randn(n, 3, 1, 1, device=x.device) * (chance > 0.5)
    return (x + torch.randn_like(x) * 0.06 * torch.rand(n, 1, 1, 1, device=x.device) * (chance > 0.4)).clamp(0, 1)


def moved(batch: Batch) -> Tensor:
    """The same things, nudged."""
    things = batch["things"].clone()
    things[..., 2:4] += 0.03 * torch.randn_like(things[..., 2:4])
    things[..., 4] *= 1 + 0.08 * torch.randn_like(things[..., 4])
    return things


def contrast(logits: Tensor, same: Tensor) -> Tensor:
    """Symmetric InfoNCE over [n, n] logits; pairs marked `same` off the diagonal are no negatives."""
    logits = logits.masked_fill(same & ~torch.eye(len(logits), dtype=torch.bool, device=logits.device), -1e4)
    target = torch.arange(len(logits), device=logits.device)
    return (functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)) / 2


def loss_of(net: ScorerNetwork, pictures: Tensor, batch: Batch, states: Tensor) -> Tensor:
    """Text loss on the first n pictures, look loss between the first and the second view of the first n/2."""
    n = len(states)
    mask = batch["mask"].to(states.device)
    with torch.autocast(states.device.type, torch.bfloat16, enabled=states.device.type == "cuda"):
        seen, look = net.see(pictures)
    read = net.read(states, mask)
    m = mask[..., None].float()
    pooled = functional.normalize((states * m).sum(1) / m.sum(1), dim=-1)
    by_text = contrast(seen[:n] @ read.T * net.log_scale.exp().clamp(max=60), pooled @ pooled.T > 0.97)
    half = len(pictures) - n
    shown = batch["things"][:half, :, 0].to(states.device)
    alike = ((shown[:, None, :, None] == shown[None, :, None, :]) & (shown >= 0)[:, None, :, None]).flatten(2).any(-1)
    by_look = contrast(look[:half] @ look[n:].T * net.look_log_scale.exp().clamp(max=40), alike)
    return by_text + 0.5 * by_look


def train(net: ScorerNetwork, pack: Pack, args: argparse.Namespace, device: str) -> Optimizer[ScorerNetwork]:
    """Steps for `args.minutes`: the optimiser with the averaged network."""
    optimizer = Optimizer(net, betas=(0.9, 0.98), weight_decay=0.1, keep=KEEP)
    if not args.no_compile:
        net.vision = torch.compile(net.vision)
    store, encoder = pack.pictures(device), TextEncoder(device=device)
    stream, half = batches(pack, args.batch, args.workers, args.seed), args.batch // 2
    began, duration = time.time(), args.minutes * 60
    while (elapsed := time.time() - began) < duration:
        batch = next(stream)
        first = paint(store, batch["things"], batch["backdrop"])
        order = torch.randperm(half)  # the same things on another background look alike
        second = paint(store, moved(batch)[:half], batch["backdrop"][:half][order])
        states = encoder.encode(batch["ids"], batch["mask"]).clone()  # out of inference mode, for autograd
        loss = loss_of(net, as_previews((torch.cat([first, second]) + 1) / 2), batch, states)
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
    args.out.mkdir(parents=True, exist_ok=True)
    folder = pack_folder(args.pack)
    shape = {"size": 96, "width": args.width, "layers": args.layers, "heads": args.width // 64, "dim": 256}
    optimizer = train(ScorerNetwork(**shape).to(device), Pack(folder, hold_out=True), args, device)
    net = optimizer.mean.eval()
    save_file(quantize(net.state_dict()), args.out / "int8.safetensors")
    (args.out / "config.json").write_text(json.dumps(shape, indent=2) + "\n")
    found = retrieval(net, Pack(folder, only_held_out=True), device)
    print(json.dumps({"steps": optimizer.steps, "batch": args.batch, **found}))


if __name__ == "__main__":
    main()
