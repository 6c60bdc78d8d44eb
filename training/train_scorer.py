"""Train the network of the `local` judge: pictures against texts, and pictures against pictures, by symmetric InfoNCE.

It sees what a judge sees: half of the pictures are blurred, noisy or off in brightness, as previews of early steps are.
  python -m training.train_scorer --pack .train/pack --out out --minutes 4
"""

import argparse
import copy
import json
import math
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
from .pack import Pack
from .stream import Batch, batches, pack_folder


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pack", default=".train/pack")
    parser.add_argument("--out", type=Path, default=Path("out"))
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


@torch.no_grad()
def figures(net: ScorerNetwork, encoder: TextEncoder, pack: Pack, device: str) -> dict[str, float]:
    """Retrieval among 64 fresh scenes of pictures that training has not seen, ten rounds."""
    store, hits = pack.pictures(device), []
    stream = batches(pack, 64, 0, seed=999)
    for _ in range(10):
        batch = next(stream)
        seen, _ = net.see((paint(store, batch["things"], batch["backdrop"]) + 1) / 2)
        read = net.read(encoder.encode(batch["ids"], batch["mask"]), batch["mask"].to(device))
        scores, target = seen @ read.T, torch.arange(64, device=device)
        hits.append([(scores.argmax(0) == target).float().mean(), (scores.argmax(1) == target).float().mean()])
    text_to_image, image_to_text = torch.tensor(hits).mean(0).tolist()
    return {"text_to_image_top1_of_64": round(text_to_image, 3), "image_to_text_top1_of_64": round(image_to_text, 3)}


def main() -> None:
    args = arguments()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    folder = pack_folder(args.pack)
    pack = Pack(folder, hold_out=True)
    store, encoder = pack.pictures(device), TextEncoder(device=device)
    shape = {"size": 96, "width": args.width, "layers": args.layers, "heads": args.width // 64, "dim": 256}
    net = ScorerNetwork(**shape).to(device)
    ema = copy.deepcopy(net).requires_grad_(False)
    if not args.no_compile:
        net.vision = torch.compile(net.vision)
    parameters = [p for p in net.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, args.lr, betas=(0.9, 0.98), weight_decay=0.1)
    stream, began, step, half = batches(pack, args.batch, args.workers, args.seed), time.time(), 0, args.batch // 2
    while (elapsed := time.time() - began) < args.minutes * 60:
        done = elapsed / (args.minutes * 60)
        for group in optimizer.param_groups:
            group["lr"] = args.lr * min(1, (step + 1) / 300) * (0.5 * (1 + math.cos(math.pi * done)) + 0.01)
        batch = next(stream)
        first = paint(store, batch["things"], batch["backdrop"])
        order = torch.randperm(half)  # the same things on another background look alike
        second = paint(store, moved(batch)[:half], batch["backdrop"][:half][order])
        states = encoder.encode(batch["ids"], batch["mask"]).clone()
        loss = loss_of(net, as_previews((torch.cat([first, second]) + 1) / 2), batch, states)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        step += 1
        keep = min(0.999, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(ema.parameters()), parameters, 1 - keep)
        if step % 200 == 0:
            print(json.dumps({"step": step, "s": round(elapsed), "loss": round(float(loss), 3)}), flush=True)
    ema.eval()
    save_file(quantize(ema.state_dict()), args.out / "int8.safetensors")
    (args.out / "config.json").write_text(json.dumps(shape, indent=2) + "\n")
    held_out = Pack(folder, only_held_out=True)
    result = {"steps": step, "batch": args.batch, **figures(ema, encoder, held_out, device)}
    (args.out / "figures.json").write_text(json.dumps(result) + "\n")
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
