"""All figures about the embedded model's pictures as one JSON: nouns named by an independent classifier, words followed, diversity.

Plain probability-flow ODE (Heun, 18 steps) with the shipped guidance, on seeds from `--seed` on. Beside each rate stands the
rate of the same check on real scenes whose captions say the same: what the check itself can reach. It knows no service.
  python -m training.evaluate --classifier .train/out/classifier [--weights .train/out/unet] --out .train/evaluation
"""

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import torch
from torch import Tensor

from embedded import WEIGHTS
from embedded.parts import load_unet
from embedded.scorer import Scorer
from workers.models.embedded import GUIDANCE

from . import checks
from .checks import Case, RealScenes, background_cases, colour_cases, count_cases, noun_cases
from .classifier import Classifier, load
from .looking import Sampler, sheet
from .nouns import EVALUATED, GROUPS, answers
from .pack import Pack, pack_folder

Found = TypeVar("Found")
DIVERSE, WORST = 24, 20  # nouns


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pack", default=".train/pack")
    parser.add_argument("--classifier", type=Path, default=Path(".train/out/classifier"))
    parser.add_argument(
        "--weights", type=Path, default=WEIGHTS / "unet", help="a UNet's folder: config.json, *.safetensors"
    )
    parser.add_argument("--out", type=Path, default=Path(".train/evaluation"))
    parser.add_argument("--seed", type=int, default=10_000)
    parser.add_argument("--each", type=int, default=4, help="seeds of each noun")
    parser.add_argument("--of-one", type=int, default=16, help="seeds of each noun whose diversity is measured")
    parser.add_argument("--guidance", type=float, default=GUIDANCE)
    parser.add_argument("--steps", type=int, default=18)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--no-diversity", action="store_true", help="where the judge's network is not trained yet")
    parser.add_argument("--nouns", type=int, help="only so many nouns and prompts of each kind (for a quick try)")
    return parser.parse_args()


class Model:
    """The model under evaluation: prompts to pictures in 0..1, each picture from a seed of its own."""

    def __init__(self, args: argparse.Namespace, device: str) -> None:
        if not (args.weights / "config.json").exists():
            raise SystemExit(f"no config.json in {args.weights}: --weights takes the folder of a UNet")
        with tempfile.TemporaryDirectory() as folder:  # load_unet reads the folder `unet` of a whole model
            (Path(folder) / "unet").symlink_to(args.weights.resolve())
            unet = load_unet(Path(folder)).to(device, memory_format=torch.channels_last)
        self._sampler, self._args, self._seed = Sampler(unet, device), args, args.seed

    def __call__(self, prompts: Sequence[str]) -> Tensor:
        """One picture a prompt: [n, 3, 128, 128]."""
        pictures, batch = [], self._args.batch
        for start in range(0, len(prompts), batch):
            part = prompts[start : start + batch]
            seeds = range(self._seed, self._seed + len(part))
            noise = torch.stack([torch.randn(4, 32, 32, generator=torch.Generator().manual_seed(s)) for s in seeds])
            self._seed += len(part)
            drawn = self._sampler(part, noise, self._args.guidance, self._args.steps)
            pictures.append((drawn.float().clamp(-1, 1) + 1) / 2)
        return torch.cat(pictures)


def share(right: Sequence[bool]) -> float:
    return round(sum(right) / max(1, len(right)), 4)


def named(classifier: Classifier, pictures: Tensor) -> list[list[str]]:
    """The five likeliest names of each picture."""
    best = classifier.classify(pictures).topk(5, 1).indices.tolist()
    return [[classifier.names[i] for i in row] for row in best]


def nouns(model: Model, real: RealScenes, classifier: Classifier, args: argparse.Namespace) -> dict[str, Any]:
    """Single nouns: is the classifier's first name right, is one of its first five; sheets of all and of the wrong ones."""
    cases = [case for case in noun_cases()[:: stride(args.nouns)][: args.nouns] for _ in range(args.each)]
    pictures = model([case.prompt for case in cases])
    asked = [case.asked for case in cases]
    found = named(classifier, pictures)
    first = [row[0] in answers(noun) for row, noun in zip(found, asked, strict=True)]
    five = [bool(answers(noun) & set(row)) for row, noun in zip(found, asked, strict=True)]
    on_real = [row[0] in answers(noun) for row, noun in zip(named(classifier, real(cases)), asked, strict=True)]
    sheet(pictures[:: args.each] * 2 - 1, args.out / "nouns.png", 20)
    wrong = [i for i, right in enumerate(first) if not right]
    if wrong:
        sheet(pictures[wrong] * 2 - 1, args.out / "wrong.png", 16)
    lines = [f"row {k // 16 + 1} column {k % 16 + 1}: {asked[i]} -> {found[i][0]}" for k, i in enumerate(wrong)]
    (args.out / "wrong.txt").write_text("\n".join(lines) + "\n")
    figures: dict[str, Any] = {
        "nouns": len(set(asked)),
        "pictures": len(cases),
        "top1": share(first),
        "top5": share(five),
        "top1_without_alike": share([row[0] == noun for row, noun in zip(found, asked, strict=True)]),
        "real_top1": share(on_real),
    }
    for group, among in GROUPS.items():
        of = [i for i, noun in enumerate(asked) if noun in among]
        figures[group] = {"top1": share([first[i] for i in of]), "top5": share([five[i] for i in of])}
    return figures | {"worst": worst(asked, found, first)}


def worst(asked: Sequence[str], found: Sequence[Sequence[str]], right: Sequence[bool]) -> dict[str, Any]:
    """The nouns least often right: how often, and what the classifier says most."""
    rows: dict[str, list[int]] = {}
    for i, noun in enumerate(asked):
        rows.setdefault(noun, []).append(i)
    rate = {noun: share([right[i] for i in of]) for noun, of in rows.items()}
    return {
        noun: {"top1": rate[noun], "named": dict(Counter(found[i][0] for i in rows[noun]).most_common(2))}
        for noun in sorted(rows, key=lambda noun: rate[noun])[:WORST]
    }


def followed(
    cases: Sequence[Case],
    model: Model,
    real: RealScenes,
    look: Callable[[Tensor], list[Found]],
    right: Callable[[Found, str], bool],
    path: Path,
) -> dict[str, Any]:
    """How often what `look` finds in the pictures is what was asked; the same on real scenes; a sheet at `path`."""
    pictures = model([case.prompt for case in cases])
    sheet(pictures * 2 - 1, path, 16)
    found = look(pictures)
    hits = [right(one, case.asked) for one, case in zip(found, cases, strict=True)]
    again = [case for case in cases for _ in range(4)]
    on_real = [right(one, case.asked) for one, case in zip(look(real(again)), again, strict=True)]
    return {
        "prompts": len(cases),
        "rate": share(hits),
        "real_rate": share(on_real),
        "by_word": {
            word: share([hit for hit, case in zip(hits, cases, strict=True) if case.asked == word])
            for word in dict.fromkeys(case.asked for case in cases)
        },
        "missed": [
            f"{case.prompt}: {one:.2f}" if isinstance(one, float) else f"{case.prompt}: {one}"
            for case, one, hit in zip(cases, found, hits, strict=True)
            if not hit
        ][:WORST],
    }


def diversity(model: Model, real: RealScenes, scorer: Scorer, args: argparse.Namespace) -> dict[str, Any]:
    """Mean pairwise 1 - cosine of the small judge's look features: pictures of one prompt, and real scenes of that noun."""
    of_one, cases = args.of_one, Random(3).sample(noun_cases(), DIVERSE)[: args.nouns]
    drawn, scenes = (
        [
            spread(scorer.features(part))
            for part in torch.split(source([case for case in cases for _ in range(of_one)]), of_one)
        ]
        for source in (lambda many: model([case.prompt for case in many]), real)
    )
    ratio = sum(drawn) / max(1e-9, sum(scenes))
    each = {case.asked: round(a / b, 3) for case, a, b in zip(cases, drawn, scenes, strict=True)}
    return {
        "nouns": len(cases),
        "pictures_of_each": of_one,
        "mean_distance": round(sum(drawn) / len(drawn), 4),
        "real_mean_distance": round(sum(scenes) / len(scenes), 4),
        "ratio": round(ratio, 3),
        "ratio_of_each": dict(sorted(each.items(), key=lambda one: one[1])),
    }


def spread(features: Tensor) -> float:
    """Mean 1 - cosine over all pairs of unit vectors [n, d]."""
    n = len(features)
    return float(1 - ((features @ features.T).sum() - n) / (n * (n - 1)))


def stride(limit: int | None) -> int:
    """Every which noun to take, so that about `limit` remain."""
    return max(1, len(EVALUATED) // limit) if limit else 1


def main() -> None:
    args = arguments()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.benchmark = True
    args.out.mkdir(parents=True, exist_ok=True)
    began = time.time()
    pack, classifier, model = Pack(pack_folder(args.pack)), load(args.classifier), Model(args, device)
    real = RealScenes(pack, device, seed=args.seed)
    scorer = None if args.no_diversity else Scorer(device=device)  # fails now rather than at the end
    few = slice(args.nouns)
    found: dict[str, Any] = {
        "settings": {"weights": str(args.weights), "seed": args.seed, "guidance": args.guidance, "steps": args.steps},
        "nouns": nouns(model, real, classifier, args),
        "colours": followed(colour_cases(pack)[few], model, real, checks.hues, checks.is_hue, args.out / "colours.png"),
        "backgrounds": followed(
            background_cases()[few], model, real, checks.backgrounds, str.__eq__, args.out / "backgrounds.png"
        ),
        "counts": followed(
            count_cases(real)[few], model, real, checks.pieces, checks.is_count, args.out / "counts.png"
        ),
        "diversity": diversity(model, real, scorer, args) if scorer else None,
    }
    found["settings"]["seconds"] = round(time.time() - began, 1)
    (args.out / "figures.json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
