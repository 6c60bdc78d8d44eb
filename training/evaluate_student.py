"""Figures of the consistency network: its pictures in one, two and four leaps, and what its previews are worth to a judge.

Previews: at some noise levels of a plain trajectory eight candidates are proposed as the service does it (ancestral), previewed in several
ways and drawn to their ends by the ODE. Counted is how often the judge's network orders two previews as it orders their ends. It knows
the student's file and the teacher's, and no service.
  python -m training.evaluate_student --out .train/evaluation-student [--classifier .train/out/classifier]
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor

from embedded import WEIGHTS
from embedded.low_rank import merge
from embedded.quantization import load as load_weights
from embedded.scorer import Scorer
from workers.sampling.solvers import ancestral

from .checks import noun_cases
from .classifier import load
from .evaluate import named, share, stride
from .looking import HIGHEST, GuidedDenoiser, Sampler, sheet
from .nouns import answers
from .train_denoiser import network
from .train_student import GUIDANCE, Leap
from .trajectories import descend, karras

LEAPS = {1: (HIGHEST,), 2: (HIGHEST, 6.0), 4: (HIGHEST, 12.0, 3.0, 0.8)}  # noise levels that are leapt from
STEPS, CANDIDATES, LOOKED_AT = 16, 8, (1, 3, 5, 7, 9, 11)  # of a job; the steps whose candidates are previewed


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", type=Path, default=WEIGHTS / "unet")
    parser.add_argument("--student", type=Path, default=WEIGHTS / "consistency")
    parser.add_argument("--classifier", type=Path, help="without it the pictures are only drawn, into pictures.pt")
    parser.add_argument("--out", type=Path, default=Path(".train/evaluation-student"))
    parser.add_argument("--seed", type=int, default=10_000)
    parser.add_argument("--each", type=int, default=4, help="seeds of each noun")
    parser.add_argument("--nouns", type=int, help="only so many nouns (for a quick try)")
    parser.add_argument("--previewed", type=int, default=48, help="nouns whose candidates are previewed")
    parser.add_argument("--batch", type=int, default=64)
    return parser.parse_args()


class Both:
    """Teacher and student on one device."""

    def __init__(self, teacher: Path, student: Path, device: str) -> None:
        unet, leaper = (network(device, teacher).eval().requires_grad_(False) for _ in range(2))
        merge(leaper, load_weights(student), str(student))
        self.device, self.sampler = device, Sampler(unet, device)
        self.denoiser, self.leap = self.sampler.guided(GUIDANCE), Leap(leaper, device)

    @torch.no_grad()
    def leapt(self, prompts: Sequence[str], seed: int, sigmas: Sequence[float]) -> Tensor:
        """Multistep consistency sampling (Song et al. 2023, algorithm 1): pictures [n, 3, 128, 128] in 0..1."""
        states, chances = (
            self.sampler.encoder(prompts).states,
            [torch.Generator().manual_seed(seed + i) for i in range(len(prompts))],
        )
        x0 = torch.zeros(len(prompts), 4, 32, 32, device=self.device)
        for sigma in sigmas:
            noise = torch.stack([torch.randn(4, 32, 32, generator=chance) for chance in chances]).to(self.device)
            x0 = self.leap(x0 + sigma * noise, torch.full((len(prompts),), sigma, device=self.device), states)
        return self.pictures(x0)

    def pictures(self, x0: Tensor) -> Tensor:
        """Latents to pictures in 0..1."""
        return (self.sampler.decode(x0).float().clamp(-1, 1) + 1) / 2


def drawn(both: Both, args: argparse.Namespace) -> dict[int, Tensor]:
    """The pictures of all nouns by the number of leaps."""
    prompts = [case.prompt for case in _cases(args)]
    found = {}
    for leaps, sigmas in LEAPS.items():
        parts = [
            both.leapt(prompts[k : k + args.batch], args.seed + k, sigmas).cpu()
            for k in range(0, len(prompts), args.batch)
        ]
        found[leaps] = torch.cat(parts)
        sheet(found[leaps][:: args.each] * 2 - 1, args.out / f"leaps-{leaps}.png", 20)
    return found


def rates(pictures: dict[int, Tensor], args: argparse.Namespace) -> dict[str, Any]:
    """How many of them the classifier names right."""
    classifier, asked = load(args.classifier), [case.asked for case in _cases(args)]
    figures = {}
    for leaps, drawn_ones in pictures.items():
        best = named(classifier, drawn_ones)
        figures[f"leaps_{leaps}"] = {
            "pictures": len(asked),
            "top1": share([row[0] in answers(noun) for row, noun in zip(best, asked, strict=True)]),
            "top5": share([bool(answers(noun) & set(row)) for row, noun in zip(best, asked, strict=True)]),
        }
    return figures


@torch.no_grad()
def previews(both: Both, args: argparse.Namespace) -> dict[str, Any]:
    """By noise level and kind of preview: pairs ordered as their ends are, and the root mean square distance to the end."""
    scorer, sigmas = Scorer(device=both.device), karras(STEPS, both.device)
    cases = Random(5).sample(noun_cases(), args.previewed)
    found: dict[str, dict[str, list[float]]] = {}
    for number, case in enumerate(cases):
        torch.manual_seed(args.seed + number)
        states = both.sampler.encoder([case.prompt]).states
        many = states.expand(CANDIDATES, -1, -1)
        start = torch.randn(1, 4, 32, 32).to(both.device) * sigmas[0]
        for step, x in enumerate(descend(both.denoiser, start, sigmas, states)):
            if step not in LOOKED_AT:
                continue
            here, to = sigmas[step], sigmas[step + 1]
            z = torch.randn(CANDIDATES, 4, 32, 32).to(both.device)
            candidates = ancestral(x, both.denoiser(x, here, states), here, to, z, 1.0)
            shown = {
                "denoise": both.denoiser(candidates, to, many),
                "ode:4": _end(both.denoiser, candidates, to, many, 4),
                "consistency": both.leap(candidates, to.expand(CANDIDATES), many),
            }
            pictures = both.pictures(_end(both.denoiser, candidates, to, many, STEPS))
            due = scorer.score(pictures, [case.prompt])[:, 0]
            for kind, x0 in shown.items():
                preview = both.pictures(x0)
                said = scorer.score(preview, [case.prompt])[:, 0]
                at = found.setdefault(f"sigma {float(to):.2f}", {})
                at.setdefault(f"{kind}: pairs ordered as their ends", []).append(_concordance(said, due))
                at.setdefault(f"{kind}: distance to the end", []).append(
                    float((preview - pictures).square().mean().sqrt())
                )
    return {sigma: {name: round(sum(all_) / len(all_), 3) for name, all_ in at.items()} for sigma, at in found.items()}


def _end(denoiser: GuidedDenoiser, x: Tensor, sigma: Tensor, states: Tensor, calls: int) -> Tensor:
    """x0 of x at sigma by so many calls of the ODE's solver: the service's look-ahead ode:n, or with many the true end."""
    *_, x0 = descend(denoiser, x, karras(calls, x.device, highest=float(sigma)), states)
    return x0


def _concordance(said: Tensor, due: Tensor) -> float:
    """The share of pairs in the same order."""
    first, second = torch.triu_indices(len(said), len(said), 1)
    same = (said[first] - said[second]) * (due[first] - due[second]) > 0
    return float(same.float().mean())


def _cases(args: argparse.Namespace) -> list[Any]:
    return [case for case in noun_cases()[:: stride(args.nouns)][: args.nouns] for _ in range(args.each)]


def main() -> None:
    args = arguments()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    args.out.mkdir(parents=True, exist_ok=True)
    both = Both(args.teacher, args.student, device)
    figures: dict[str, Any] = {"previews": previews(both, args)}
    pictures = drawn(both, args)
    if args.classifier:
        figures["nouns"] = rates(pictures, args)
    else:
        torch.save({leaps: (found * 255).byte() for leaps, found in pictures.items()}, args.out / "pictures.pt")
    (args.out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
