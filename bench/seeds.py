"""Does the judge's score rise? The steered picture against the plain one, ten fixed seeds a judge, through the whole service.

  python -m bench.seeds [--judges local-score,colorfulness,local] [--candidates 8] [--steps 16] [--lookahead denoise] [--out bench-output]
Writes a sheet a judge: the plain picture above, the steered one below.
"""

import argparse
import io
from pathlib import Path

from PIL import Image

from contracts.jobs import JobView

from .service import Service, service

PROMPTS = (
    "a red apple", "a cat", "a blue car", "a lion", "a rocket", "a house", "a sunflower", "a fish", "a smiling face", "a tree",
)  # fmt: skip


def main() -> None:
    """Print baseline, result and rise for each seed, and how many rose."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--judges", default="local-score,colorfulness,local")
    parser.add_argument("--candidates", type=int, default=8)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--lookahead", help="denoise, consistency; by default the service's choice")
    parser.add_argument("--out", type=Path, default=Path("bench-output"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    with service() as running:
        for judge in given.judges.split(","):
            bodies = [
                running.body(
                    prompt, judge, seed, candidates=given.candidates, steps=given.steps, lookahead=given.lookahead
                )
                for seed, prompt in enumerate(PROMPTS)
            ]
            jobs = running.finished([running.client.submit(body) for body in bodies])
            print(f"{judge}, K={given.candidates}, T={given.steps}, lookahead {given.lookahead or 'of the service'}")
            print("\n".join(_line(job) for job in jobs))
            mean = sum(_rise(job) for job in jobs) / len(jobs)
            print(f"rose: {sum(_rise(job) > 0 for job in jobs)} of {len(jobs)}, by {mean:+.4f} on average", flush=True)
            _sheet(running, jobs).save(given.out / f"seeds-{judge}.png")


def _line(job: JobView) -> str:
    assert job.result is not None
    result = job.result
    said = f", prefers the {result.preference}" if result.preference else ""
    return f"  seed {job.seed} {job.prompt:15} {result.baseline_score:9.4f} -> {result.score:9.4f}  {_rise(job):+9.4f}{said}"


def _rise(job: JobView) -> float:
    assert job.result is not None
    assert job.result.score is not None
    assert job.result.baseline_score is not None
    return job.result.score - job.result.baseline_score


def _sheet(running: Service, jobs: list[JobView]) -> Image.Image:
    rows = [[_picture(running, job, name) for job in jobs] for name in ("baseline.png", "image.png")]
    width, height = rows[0][0].size
    sheet = Image.new("RGB", (width * len(jobs), height * 2), "white")
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            sheet.paste(picture, (x * width, y * height))
    return sheet


def _picture(running: Service, job: JobView, name: str) -> Image.Image:
    return Image.open(io.BytesIO(running.client.artifact(job.id, name)))


if __name__ == "__main__":
    main()
