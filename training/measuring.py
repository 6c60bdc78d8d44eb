"""Figures of the autoencoder and of the judge's network on freshly drawn scenes. It knows weights and the pack, no training.

python -m training.measuring --pack .train/pack    prints the shipped weights' figures
"""

import argparse
import json
from typing import Any

import torch
from torch import Tensor

from embedded import WEIGHTS
from embedded.parts import load_autoencoder
from embedded.quantization import load
from embedded.scorer import ScorerNetwork
from embedded.text import TextEncoder

from .drawing import paint
from .pack import Pack, pack_folder
from .stream import batches

AMONG, ROUNDS, SEED = 64, 10, 999


@torch.no_grad()
def psnr(vae: Any, pack: Pack, device: str) -> Tensor:
    """Peak signal-to-noise ratio in dB of each of 640 scenes after encoding and decoding."""
    store, stream, found = pack.pictures(device), batches(pack, AMONG, 0, SEED), []
    for _ in range(ROUNDS):
        batch = next(stream)
        x = paint(store, batch["things"], batch["backdrop"])
        y = vae.decoder(vae.encoder(x)).clamp(-1, 1)
        found.append(-10 * torch.log10(((x - y) / 2).square().mean((1, 2, 3))))
    return torch.cat(found)


@torch.no_grad()
def retrieval(net: ScorerNetwork, pack: Pack, device: str) -> dict[str, float]:
    """How often the right one of 64 is first, for captions asking for pictures and the other way round; ten rounds."""
    store, encoder, hits = pack.pictures(device), TextEncoder(device=device), []
    stream, target = batches(pack, AMONG, 0, SEED), torch.arange(AMONG, device=device)
    for _ in range(ROUNDS):
        batch = next(stream)
        seen, _ = net.see((paint(store, batch["things"], batch["backdrop"]) + 1) / 2)
        read = net.read(encoder.encode(batch["ids"], batch["mask"]), batch["mask"].to(device))
        scores = seen @ read.T
        hits.append([(scores.argmax(0) == target).float().mean(), (scores.argmax(1) == target).float().mean()])
    text_to_image, image_to_text = torch.tensor(hits).mean(0).tolist()
    return {"text_to_image_top1_of_64": round(text_to_image, 3), "image_to_text_top1_of_64": round(image_to_text, 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pack", default=".train/pack")
    folder = pack_folder(parser.parse_args().pack)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    db = psnr(load_autoencoder().to(device), Pack(folder), device)
    net = ScorerNetwork(**json.loads((WEIGHTS / "scorer" / "config.json").read_text()))
    net.load_state_dict(load(WEIGHTS / "scorer"), strict=True)
    figures = {
        "psnr_db": round(float(db.mean()), 1),
        "psnr_5th_percentile_db": round(float(db.quantile(0.05)), 1),
        **retrieval(net.to(device).eval(), Pack(folder, only_held_out=True), device),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
