"""Train the small autoencoder, 128x128 pictures to 4x32x32 latents and back, on freshly drawn scenes. It knows no text.

python -m training.train_autoencoder --pack .train/pack --out .train/out --minutes 4
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from .drawing import paint
from .looking import sheet
from .measuring import psnr
from .optimizing import Optimizer, rate_at
from .pack import Pack, pack_folder
from .stream import batches

KEEP, REPORT = 0.999, 200  # of the average; steps
LATENT_NOISE, LATENT_RANGE = 0.08, 2.6


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pack", default=".train/pack")
    parser.add_argument("--out", type=Path, default=Path(".train/out"))
    parser.add_argument("--minutes", type=float, default=4)
    parser.add_argument("--batch", type=int, default=192)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=6)
    parser.add_argument("--no-compile", action="store_true")
    return parser.parse_args()


def network() -> Any:
    """The autoencoder of embedded/weights/vae/config.json: a third as wide as TAESD's, and factor 4 instead of 8."""
    from diffusers import AutoencoderTiny  # noqa: PLC0415

    return AutoencoderTiny(
        latent_channels=4,
        encoder_block_out_channels=(48, 48, 48),
        decoder_block_out_channels=(32, 32, 32),
        num_encoder_blocks=(1, 3, 3),
        num_decoder_blocks=(3, 3, 1),
        scaling_factor=1.0,
        shift_factor=0.0,
    )


def difference(x: Tensor, y: Tensor) -> Tensor:
    """How unlike two batches of pictures are: L1 and squares, and L1 of the edges at full, half and quarter size."""
    total = functional.l1_loss(x, y) + 0.5 * functional.mse_loss(x, y)
    for _ in range(3):
        across, down = (
            functional.l1_loss(x.diff(dim=-1), y.diff(dim=-1)),
            functional.l1_loss(x.diff(dim=-2), y.diff(dim=-2)),
        )
        total = total + 0.5 * (across + down)
        x, y = functional.avg_pool2d(x, 2), functional.avg_pool2d(y, 2)
    return total


def unruliness(z: Tensor) -> Tensor:
    """How far latents [n, 4, 32, 32] are from mean 0 and deviation 1 a channel, and how far beyond the usual range."""
    mean, deviation = z.mean((0, 2, 3)), z.std((0, 2, 3))
    beyond = functional.relu(z.abs() - LATENT_RANGE).mean()
    return mean.square().mean() + (deviation - 1).square().mean() + 0.05 * beyond


@torch.no_grad()
def scaling_factor(vae: Any, pictures: Tensor) -> float:
    """What latents are multiplied by for a standard deviation of 1."""
    return float(1 / vae.encoder(pictures).std())


def train(vae: Any, pack: Pack, args: argparse.Namespace, device: str) -> tuple[Optimizer[Any], Tensor]:
    """Steps for `args.minutes`: the optimiser with the averaged network, and the last batch of pictures."""
    encode, decode = vae.encoder, vae.decoder
    if not args.no_compile:
        encode, decode = torch.compile(encode), torch.compile(decode)
    optimizer = Optimizer(vae, betas=(0.9, 0.99), weight_decay=1e-3, keep=KEEP)
    store, stream = pack.pictures(device), batches(pack, args.batch, args.workers, args.seed)
    began, duration = time.time(), args.minutes * 60
    while (elapsed := time.time() - began) < duration:
        batch = next(stream)
        x = paint(store, batch["things"], batch["backdrop"])
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            z = encode(x)
            # The decoder learns to bear what a denoiser leaves behind.
            y = decode(z + torch.randn_like(z) * LATENT_NOISE * torch.rand(len(z), 1, 1, 1, device=device))
        loss = difference(x, y.float()) + 0.3 * unruliness(z.float())
        optimizer.step(loss, rate_at(args.lr, optimizer.steps, elapsed / duration, warm_up=200, flat=0.6, floor=0.02))
        if optimizer.steps % REPORT == 0:
            line = {"step": optimizer.steps, "s": round(elapsed), "loss": round(float(loss), 4)}
            print(json.dumps(line), flush=True)
    return optimizer, x


def main() -> None:
    args = arguments()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.benchmark = True
    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    pack = Pack(pack_folder(args.pack))
    optimizer, pictures = train(network().to(device), pack, args, device)
    vae: Any = optimizer.mean.eval()
    vae.register_to_config(scaling_factor=scaling_factor(vae, pictures))
    with torch.no_grad():
        shown = pictures[:16]
        sheet(torch.stack([shown, vae.decoder(vae.encoder(shown))], 1).flatten(0, 1), args.out / "autoencoder.png")
    db = psnr(vae, pack, device)
    result = {"steps": optimizer.steps, "psnr_db": float(db.mean()), "psnr_5th_percentile_db": float(db.quantile(0.05))}
    print(json.dumps(result))
    vae.half().save_pretrained(args.out / "vae")


if __name__ == "__main__":
    main()
