"""Train the text-conditioned latent denoiser on scenes whose latents are drawn once and kept on the device.

v-prediction (Salimans & Ho 2022) at log-normal noise levels, as in EDM (Karras et al. 2022). It knows no sampler of the
service: its own Heun loop draws the sheets one looks at.
  python -m training.train_denoiser --pack .train/pack --out .train/out --minutes 24 [--start embedded/weights/unet]
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
from torch.nn import functional

from embedded import WEIGHTS
from embedded.parts import load_autoencoder
from embedded.quantization import load, quantize
from embedded.text import LENGTH, TextEncoder

from .drawing import paint
from .looking import SHEET, sample, sheet
from .optimizing import Optimizer, rate_at, run
from .pack import Pack, pack_folder
from .schedule import ALPHAS, LEVELS, SIGMAS
from .stream import batches

KEEP, DROP, SHARD = 0.9995, 0.1, 14_000_000  # of the average; share without text; bytes of a file
LOOK = 240  # seconds


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pack", default=".train/pack")
    parser.add_argument("--out", type=Path, default=Path(".train/out"))
    parser.add_argument("--start", type=Path, help="go on from these weights")
    parser.add_argument("--minutes", type=float, default=24, help="drawing the scenes counts too")
    parser.add_argument("--scenes", type=int, default=480_000)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--lr", type=float, default=5e-4)
    parser.add_argument("--workers", type=int, default=14)
    parser.add_argument("--stress", nargs="*", default=[], help="names to show more often, after they were added")
    parser.add_argument("--no-compile", action="store_true")
    return parser.parse_args()


class Cache:
    """Latents [n, 4, 32, 32] float16 and text states [n, 24, 384] bfloat16 of n scenes, on the device."""

    @torch.no_grad()
    def __init__(self, pack: Pack, scenes: int, workers: int, device: str) -> None:
        vae = load_autoencoder().to(device)
        factor = float(vae.config.scaling_factor)
        encoder = TextEncoder(device=device, dtype=torch.bfloat16 if device == "cuda" else torch.float32)
        store, chunk = pack.pictures(device), min(1024, scenes)
        self.latents = torch.empty(scenes, 4, 32, 32, dtype=torch.float16, device=device)
        self.states = torch.empty(scenes, LENGTH, 384, dtype=torch.bfloat16, device=device)
        stream = batches(pack, chunk, workers, seed=1)
        for done in range(0, scenes, chunk):
            batch, n = next(stream), min(chunk, scenes - done)
            with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
                z = vae.encoder(paint(store, batch["things"][:n], batch["backdrop"][:n]))
            self.latents[done : done + n] = (z.float() * factor).half()
            self.states[done : done + n] = encoder.encode(batch["ids"][:n], batch["mask"][:n]).bfloat16()
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
    return net.to(device, memory_format=torch.channels_last)


class Objective:
    """Mean squared error of v = sqrt(a)·eps - sqrt(1-a)·z, each row at its own level: log-normal(0, 1.4), a tenth uniform."""

    def __init__(self, net: Any, device: str) -> None:
        self._net = net
        self._alphas, self._log_sigmas = ALPHAS.float().to(device), SIGMAS.log().float().to(device)

    def __call__(self, z: Tensor, states: Tensor) -> Tensor:
        """The loss of latents [n, 4, 32, 32] with their text states [n, 24, 384]."""
        n, device = len(z), z.device
        level = torch.searchsorted(self._log_sigmas, torch.randn(n, device=device) * 1.4).clamp(max=LEVELS - 1)
        uniform = torch.rand(n, device=device) < 0.1
        level = torch.where(uniform, torch.randint(LEVELS, (n,), device=device), level)
        alpha = self._alphas[level].view(-1, 1, 1, 1)
        eps = torch.randn_like(z)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            v = self._net(alpha.sqrt() * z + (1 - alpha).sqrt() * eps, level.float(), states, return_dict=False)[0]
        return functional.mse_loss(v.float(), alpha.sqrt() * eps - (1 - alpha).sqrt() * z)


def save(net: Any, out: Path) -> None:
    """int8 shards of at most 14 MB, written beside the old ones and then moved over them."""
    shards: list[dict[str, Tensor]] = [{}]
    size = 0
    for name, tensor in sorted(quantize(net.state_dict()).items()):
        size += tensor.nbytes
        if size > SHARD:
            shards.append({})
            size = tensor.nbytes
        shards[-1][name] = tensor
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
    cache = Cache(Pack(pack_folder(args.pack), stressed=args.stress), args.scenes, args.workers, device)
    print(json.dumps({"cached": args.scenes, "seconds": round(time.time() - began, 1)}), flush=True)
    net = network(device, args.start)
    optimizer = Optimizer(net, betas=(0.9, 0.99), weight_decay=0.01, keep=KEEP)
    objective = Objective(net if args.no_compile else torch.compile(net), device)

    def look(each: int = 1) -> None:
        save(optimizer.mean, args.out)
        sheet(sample(optimizer.mean, SHEET, device, each=each), args.out / "sheet.png")

    run(
        optimizer,
        lambda: objective(*cache.batch(args.batch)),
        partial(rate_at, args.lr, warm_up=300, flat=0.45, floor=0.004),
        began + args.minutes * 60,
        args.out / "log.jsonl",
        look,
        LOOK,
    )
    look(each=2)
    print(json.dumps({"steps": optimizer.steps, "seconds": round(time.time() - began), "batch": args.batch}))


if __name__ == "__main__":
    main()
