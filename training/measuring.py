"""Figures of the autoencoder and of the judge's network on freshly drawn scenes. It knows weights and the pack, no training.

python -m training.measuring                                      the shipped weights' figures
python -m training.measuring --scorer training/second_scorer     the held-out judge's
"""

import argparse
import json
import random
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from embedded import WEIGHTS
from embedded.parts import load_autoencoder
from embedded.quantization import fill
from embedded.scorer import ScorerNetwork
from embedded.text import TextEncoder

from .drawing import paint
from .pack import Pack, pack_folder
from .rubric import rubric, unseen
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
        seen = net.see((paint(store, batch["things"], batch["backdrop"]) + 1) / 2).shown
        read = net.read(encoder.encode(batch["ids"], batch["mask"]), batch["mask"].to(device))
        scores = seen @ read.T
        hits.append([(scores.argmax(0) == target).float().mean(), (scores.argmax(1) == target).float().mean()])
    text_to_image, image_to_text = torch.tensor(hits).mean(0).tolist()
    return {"text_to_image_top1_of_64": round(text_to_image, 3), "image_to_text_top1_of_64": round(image_to_text, 3)}


@torch.no_grad()
def likeness(net: ScorerNetwork, folder: Path, device: str) -> dict[str, float]:
    """Whether a picture that training never showed looks more like another style of its noun than like 63 other nouns."""
    pack, held = Pack(folder), Pack(folder, only_held_out=True)
    looks = net.see(_on_white(pack, device)).look
    mine = net.see(_on_white(held, device)).look
    numbers = {(entry.concept, entry.style): i for i, entry in enumerate(pack.entries)}
    chance, names, first, pairs = random.Random(SEED), [entry.name for entry in pack.entries], [], []
    for i, entry in enumerate(held.entries):
        others = [n for (concept, style), n in numbers.items() if concept == entry.concept and style != entry.style]
        if not others:
            continue
        rivals = chance.sample([n for n, name in enumerate(names) if name != entry.name], AMONG - 1)
        right = float(looks[chance.choice(others)] @ mine[i])
        wrong = looks[rivals] @ mine[i]
        first.append(float(wrong.max() < right))
        pairs.append(float((wrong < right).float().mean()))
    return {"look_top1_of_64": _mean(first), "look_above_another": _mean(pairs)}


@torch.no_grad()
def agreement(net: ScorerNetwork, pack: Pack, device: str) -> dict[str, float]:
    """How often the network prefers, of two scenes of one noun that the rubric tells apart, the one with more points.

    Nouns and combinations of looks that never taught the rubric; for the texts it learnt, and for texts it did not.
    """
    store, encoder, stream = pack.pictures(device), TextEncoder(device=device), batches(pack, 4096, 0, SEED)
    points, concepts = torch.tensor(rubric().table(), device=device), pack.concepts().to(device)
    kept = torch.tensor([rubric().held_out(looks) for looks in rubric().all_looks], device=device)
    forms, looks, nouns = [], [], []
    for _ in range(8):
        batch = next(stream)
        number, concept = batch["looks"].to(device), concepts[batch["things"][:, 0, 0].long().to(device)]
        rows = (kept[number] & unseen(concept)).nonzero()[:, 0]
        there = rows.cpu()
        pictures = (paint(store, batch["things"][there], batch["backdrop"][there]) + 1) / 2
        forms.append(net.see(pictures).form)
        looks.append(number[rows])
        nouns.append(concept[rows])
    form, look, noun = torch.cat(forms), torch.cat(looks), torch.cat(nouns)
    same = (noun[:, None] == noun[None]).triu(1)
    found = {}
    for name, texts in (("rubric", rubric().texts), ("rubric_by_other_words", rubric().held_out_texts)):
        said = encoder([texts[scenario][0] for scenario in rubric().scenarios])
        given, due = form @ net.purpose(said.states, said.mask).T, points[look]
        for s, scenario in enumerate(rubric().scenarios):
            apart = due[:, None, s] - due[None, :, s]
            right = (given[:, None, s] - given[None, :, s]) * apart > 0
            found[f"{name}_{scenario}"] = round(float(right[same & (apart != 0)].float().mean()), 3)
    return found | {"rubric_pairs": int(same.sum())}


def _on_white(pack: Pack, device: str) -> Tensor:
    """The pack's pictures as they are on white, [n, 3, 112, 112] in 0..1."""
    rgba = pack.pictures(device).float() / 255
    return rgba[:, :3] * rgba[:, 3:] + 1 - rgba[:, 3:]


def _mean(values: list[float]) -> float:
    return round(sum(values) / len(values), 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pack", default=".train/pack")
    parser.add_argument(
        "--scorer", type=Path, default=WEIGHTS / "scorer", help="a judge's network: config.json, weights"
    )
    args = parser.parse_args()
    folder = pack_folder(args.pack)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    db = psnr(load_autoencoder().to(device), Pack(folder), device)
    net = ScorerNetwork(**json.loads((args.scorer / "config.json").read_text()))
    fill(net, args.scorer)
    net.to(device).eval()
    figures = {
        "psnr_db": round(float(db.mean()), 1),
        "psnr_5th_percentile_db": round(float(db.quantile(0.05)), 1),
        **retrieval(net, Pack(folder, only_held_out=True), device),
        **likeness(net, folder, device),
        **agreement(net, Pack(folder), device),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
