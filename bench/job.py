"""One Demon job K=4, T=16 from POST to succeeded, broken down, and what is neither network nor judge. It knows no internals.

python -m bench.job [--jobs 3]
"""

import argparse
from datetime import datetime

from contracts.jobs import JobView

from .service import service

CANDIDATES, STEPS = 4, 16


def main() -> None:
    """Print one line a job; the first one also warms everything up and is marked so."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=3)
    count = parser.parse_args().jobs
    print(f"Demon K={CANDIDATES}, T={STEPS}, model embedded, judge local; seconds")
    print("job      total  denoise  decode  judge's own  ask's way  writing  way+writing  calls  rows")
    with service() as running:
        for seed in range(count + 1):
            body = running.body("a red apple", "local", seed, candidates=CANDIDATES, steps=STEPS)
            (job,) = running.finished([running.client.submit(body)])
            print(("warm-up  " if seed == 0 else f"seed {seed}   ") + _line(job), flush=True)


def _line(job: JobView) -> str:
    """`ask's way`: JPEG, Redis, waking the judge and the way back; `writing`: grids, checkpoints, audit rows, results.

    Both are summed without regard to what ran beside them, so their share of the total is an upper bound of the overhead.
    """
    seconds, total = job.usage.seconds, _total(job)
    way, writing = seconds["judge"] - seconds["judge_own"], seconds["writing"]
    return (
        f"{total:5.2f}  {seconds['denoise']:7.2f}  {seconds['decode']:6.2f}  {seconds['judge_own']:11.2f}  {way:9.3f}  "
        f"{writing:7.3f}  {100 * (way + writing) / total:9.1f} %  {job.usage.judge.calls:5}  {job.usage.network_rows:4}"
    )


def _total(job: JobView) -> float:
    """From acceptance to the end, by the server's clock."""
    created, ended = job.created_at, job.completed_at
    assert isinstance(ended, datetime)
    return (ended - created).total_seconds()


if __name__ == "__main__":
    main()
