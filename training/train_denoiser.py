"""Train the text-conditioned latent denoiser on scenes whose latents are drawn once and kept on the device.

v-prediction on a variance-preserving schedule (scaled linear, 1,000 steps), noise levels log-normal as in EDM. It knows no
sampler of the service: its own Heun loop draws the sheets one looks at.
  python -m training.train_denoiser --pack .train/pack --out out --minutes 24 [--start embedded/weights/unet]
"""

import argparse
import copy
import json
import math
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from embedded import WEIGHTS
from embedded.quantization import load, quantize
from embedded.text import TextEncoder

from .drawing import paint
from .looking import SHEET, sample, sheet
from .pack import Pack
from .stream import batches, pack_folder

BETAS = torch.linspace(0.00085**0.5, 0.021**0.5, 1000, dtype=torch.float64) ** 2
ALPHAS = torch.cumprod(1 - BETAS, 0)
EMA, DROP, SHARD = 0.9995, 0.1, 14_000_000


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pack", default=".train/pack")
    parser.add_argument("--out", type=Path, default=Path("out"))
    parser.add_argument("--start", type=Path, help="go on from these weights")
    parser.add_argument("--minutes", type=float, default=24)
    parser.add_argument("--scenes", type=int, default=480_000)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--lr", type=float, default=5e-4)
    parser.add_argument("--workers", type=int, default=14)
    parser.add_argument("--no-compile", action="store_true")
    return parser.parse_args()


class Cache:
    """Latents [n, 4, 32, 32] float16 and text states [n, 24, 384] bfloat16 of n scenes, on the device."""

    @torch.no_grad()
    def __init__(self, pack: Pack, scenes: int, workers: int, device: str) -> None:
        from diffusers import AutoencoderTiny  # noqa: PLC0415

        vae: Any = AutoencoderTiny.from_pretrained(str(WEIGHTS / "vae"), torch_dtype=torch.float32).to(device).eval()
        factor = float(vae.config.scaling_factor)
        encoder = TextEncoder(device=device, dtype=torch.bfloat16 if device == "cuda" else torch.float32)
        store, chunk = pack.pictures(device), min(1024, scenes)
        self.latents = torch.empty(scenes, 4, 32, 32, dtype=torch.float16, device=device)
        self.states = torch.empty(scenes, 24, 384, dtype=torch.bfloat16, device=device)
        stream, done = batches(pack, chunk, workers, seed=1), 0
        while done < scenes:
            batch = next(stream)
            n = min(chunk, scenes - done)
            with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
                z = vae.encoder(paint(store, batch["things"][:n], batch["backdrop"][:n]))
            self.latents[done : done + n] = (z.float() * factor).half()
            self.states[done : done + n] = encoder.encode(batch["ids"][:n], batch["mask"][:n]).bfloat16()
            done += n
        self.null = encoder([""]).states

    def batch(self, n: int) -> tuple[Tensor, Tensor]:
        """Random rows, a tenth of them without their text."""
        rows = torch.randint(len(self.latents), (n,), device=self.latents.device)
        unsaid = torch.rand(n, 1, 1, device=rows.device) < DROP
        return self.latents[rows].float(), torch.where(unsaid, self.null, self.states[rows].float())


def network(device: str, start: Path | None) -> Any:
    """The UNet of embedded/weights/unet/config.json, fresh or from weights."""
    from diffusers import UNet2DConditionModel  # noqa: PLC0415

    net: Any = UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(str(WEIGHTS / "unet")))
    if start is not None:
        net.load_state_dict(load(start), strict=True)
    return net.to(device)


def loss_of(net: Any, z: Tensor, states: Tensor, alphas: Tensor, log_sigmas: Tensor) -> Tensor:
    """Mean squared error of v = sqrt(a)·eps - sqrt(1-a)·z, each row at its own level: log-normal(0, 1.4), a tenth uniform."""
    n, device = len(z), z.device
    k = torch.searchsorted(log_sigmas, torch.randn(n, device=device) * 1.4).clamp(0, 999)
    k = torch.where(torch.rand(n, device=device) < 0.1, torch.randint(0, 1000, (n,), device=device), k)
    a, s = alphas[k].sqrt().view(-1, 1, 1, 1), (1 - alphas[k]).sqrt().view(-1, 1, 1, 1)
    eps = torch.randn_like(z)
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        v = net(a * z + s * eps, k.float(), states, return_dict=False)[0]
    return (v.float() - (a * eps - s * z)).pow(2).mean()


def save(ema: Any, out: Path) -> None:
    """int8 shards of at most 14 MB, written beside the old ones and then moved over them."""
    stored, shards, size = quantize(ema.state_dict()), [{}], 0
    for name in sorted(stored):
        size += stored[name].numel() * stored[name].element_size()
        if size > SHARD:
            shards.append({})
            size = 0
        shards[-1][name] = stored[name]
    for number, shard in enumerate(shards, 1):
        path = out / f"int8-{number}-of-{len(shards)}.safetensors"
        save_file(shard, path.with_suffix(".new"))
        path.with_suffix(".new").replace(path)


def main() -> None:
    args = arguments()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.benchmark = True
    torch.manual_seed(0)
    args.out.mkdir(parents=True, exist_ok=True)
    began = time.time()
    cache = Cache(Pack(pack_folder(args.pack)), args.scenes, args.workers, device)
    print(json.dumps({"cached": args.scenes, "seconds": round(time.time() - began, 1)}), flush=True)
    net = network(device, args.start).to(memory_format=torch.channels_last)
    ema = copy.deepcopy(net).requires_grad_(False)
    run = net if args.no_compile else torch.compile(net)
    optimizer = torch.optim.AdamW(
        net.parameters(), args.lr, betas=(0.9, 0.99), weight_decay=0.01, fused=device == "cuda"
    )
    alphas, log_sigmas = ALPHAS.float().to(device), (((1 - ALPHAS) / ALPHAS).sqrt().log()).float().to(device)
    end, step, mean, safe, next_save, first = (
        began + args.minutes * 60,
        0,
        0.0,
        copy.deepcopy(net.state_dict()),
        0.0,
        None,
    )
    with (args.out / "log.jsonl").open("a") as log:
        while (now := time.time()) < end:
            first = first or now
            done = (now - first) / max(1.0, end - first)
            rate = (
                args.lr
                * min(1, (step + 1) / 300)
                * (1 if done < 0.45 else 0.5 * (1 + math.cos(math.pi * (done - 0.45) / 0.55)) + 0.004)
            )
            for group in optimizer.param_groups:
                group["lr"] = rate
            loss = loss_of(run, *cache.batch(args.batch), alphas, log_sigmas)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            step += 1
            keep = min(EMA, (1 + step) / (10 + step))
            torch._foreach_lerp_(list(ema.parameters()), list(net.parameters()), 1 - keep)
            mean += loss.detach() / 100
            if step % 100 == 0:
                value, mean = float(mean), 0.0
                if not math.isfinite(value):  # step back to the last good weights; the averages start anew with them
                    net.load_state_dict(safe)
                    ema.load_state_dict(safe)
                    optimizer.state.clear()
                elif step % 500 == 0:
                    safe = copy.deepcopy(net.state_dict())
                line = json.dumps({"step": step, "s": round(now - began), "loss": round(value, 4), "lr": rate})
                log.write(line + "\n")
                log.flush()
            if now > next_save:
                next_save = now + 240
                if step > 1:
                    save(ema, args.out)
                    sheet(sample(ema, SHEET, device), args.out / "sheet.png")
    save(ema, args.out)
    sheet(sample(ema, SHEET, device, each=2), args.out / "sheet.png")
    print(json.dumps({"steps": step, "seconds": round(time.time() - began), "batch": args.batch}), flush=True)


if __name__ == "__main__":
    main()
