"""What one judge worker carries: asks in flight, its memory, and what becomes of asks where the provider fails. Knows no internals.

  python -m bench.asks [--only small,large,memory,failures] [--asks 10000]
The judge `openai` with its real SDK, a real Redis-protocol server and the provider of tests/conformance, each in a process of its own.
Every verdict is compared with the truth: the redder half.
"""

import argparse
import asyncio
import io
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import perf_counter

import numpy as np
from PIL import Image

from bus.asks import Asks
from contracts.judging import AskName, JudgeAsk, JudgeFailure, Verdict

from .provider import JUDGE, Setting, setting

IN_FLIGHT = 256
QUEUED = 400  # asked at a time, so that the worker never lacks asks
LATENCY = 3.0  # seconds
POOL = 64  # different pictures
PATIENCE = timedelta(seconds=120)
SHORT_PATIENCE = timedelta(seconds=30)  # where some requests are never answered


@dataclass
class Tally:
    """What came of the asks. `ends` are the times of their answers."""

    verdicts: int = 0
    wrong: list[str] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    ends: list[float] = field(default_factory=list)

    def rate(self) -> float:
        """Answers a second between the first and the last fifth of them: neither fills nor drains count."""
        fifth = len(self.ends) // 5
        return (len(self.ends) - 2 * fifth) / (self.ends[-fifth - 1] - self.ends[fifth])


def main() -> None:
    """Run what is asked for, and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="small,large,memory,failures")
    parser.add_argument("--asks", type=int, default=10_000, help="of memory and failures")
    given = parser.parse_args()
    runs = {
        "small": lambda: _throughput("two 64 px pictures an ask", _pool(64), 2, 2560),
        "large": lambda: _throughput("16 x 512 px pictures an ask, already encoded", _pool(512), 16, 768),
        "memory": lambda: _memory(given.asks),
        "failures": lambda: _failures(given.asks),
    }
    for name in given.only.split(","):
        asyncio.run(runs[name]())


async def _throughput(what: str, pool: Sequence[bytes], pictures: int, asks: int) -> None:
    async with setting("truthful", LATENCY) as around:
        busy, before = around.busy(), perf_counter()
        tally = await _asked(around, pool, pictures, asks)
        seconds, own = perf_counter() - before, (around.busy() - busy) / asks
        kilobytes = sum(map(len, pool)) / len(pool) / 1024
        print(
            f"{what} ({kilobytes:.1f} KB each), {LATENCY:g} s latency: {tally.rate():.1f} asks/s (at most {IN_FLIGHT / LATENCY:.1f}); "
            f"{asks} asks in {seconds:.1f} s; the worker: {1000 * own:.1f} ms of processor an ask, {around.resident():.0f} MB at the end",
            flush=True,
        )
        _check(tally, asks)


async def _memory(asks: int) -> None:
    async with setting("truthful", 0.5) as around:
        print(f"memory of the worker over {asks} asks: 0: {around.resident():.0f} MB", end="", flush=True)

        def report(done: int) -> None:
            if done % (asks // 10) == 0:
                print(f", {done}: {around.resident():.0f}", end="", flush=True)

        tally = await _asked(around, _pool(64), 2, asks, report)
        print(f" ({tally.rate():.0f} asks/s)", flush=True)
        _check(tally, asks)


async def _failures(asks: int) -> None:
    async with setting("flaky-slow", 0.1) as around:
        before = perf_counter()
        tally = await _asked(around, _pool(64), 4, asks, patience=SHORT_PATIENCE)
        print(f"{asks} asks, three requests in ten failing, in {perf_counter() - before:.0f} s, {tally.calls} calls:")
        print(
            f"  true verdicts {tally.verdicts}, typed failures {sum(tally.failures.values())}: {dict(tally.failures)}"
        )
        print(f"  wrong verdicts {len(tally.wrong)}, lost {asks - len(tally.ends)}", flush=True)
        _check(tally, asks, failing=True)


async def _asked(
    around: Setting,
    pool: Sequence[bytes],
    pictures: int,
    asks: int,
    report: Callable[[int], None] = lambda done: None,
    patience: timedelta = PATIENCE,
) -> Tally:
    """Ask so many times, QUEUED at a time, round the jobs."""
    tally, chance, numbers = Tally(), random.Random(0), iter(range(asks))

    async def asker(bus: Asks) -> None:
        for number in numbers:
            shown = chance.sample(range(len(pool)), pictures)
            ask = _ask(around.jobs[number % len(around.jobs)], number // len(around.jobs), pictures, patience)
            answer = await bus.ask(ask, [pool[k] for k in shown])
            tally.ends.append(perf_counter())
            _count(tally, answer, shown)
            report(len(tally.ends))

    async with Asks(around.redis) as bus, asyncio.TaskGroup() as group:
        for _ in range(QUEUED):
            group.create_task(asker(bus))
    return tally


def _ask(job: str, step: int, pictures: int, patience: timedelta = PATIENCE) -> JudgeAsk:
    return JudgeAsk(
        name=AskName(job=job, step=step),
        kind="candidates",
        judge=JUDGE,
        prompt="a red apple",
        pictures=pictures,
        sigma=1.0,
        seed=step,
        deadline=datetime.now(UTC) + patience,
    )


def _count(tally: Tally, answer: Verdict | JudgeFailure, shown: Sequence[int]) -> None:
    """Pictures are numbered by their redness, so the true choice is the larger half of the numbers."""
    tally.calls += answer.usage.calls
    if isinstance(answer, JudgeFailure):
        tally.failures[answer.code] += 1
        return
    tally.verdicts += 1
    redder = sorted(shown)[len(shown) // 2 :]
    truth = tuple(5.0 if k in redder else -5.0 for k in shown)
    if answer.scores != truth:
        tally.wrong.append(f"{shown}: {answer.scores}")


def _check(tally: Tally, asks: int, *, failing: bool = False) -> None:
    """Raises AssertionError for an ask that was lost, a verdict that is not true, a failure of no known kind."""
    assert len(tally.ends) == asks, f"{asks - len(tally.ends)} asks were lost"
    assert not tally.wrong, f"{len(tally.wrong)} verdicts are not true, as {tally.wrong[0]}"
    untyped = set(tally.failures) - {
        "judge_unavailable", "judge_rate_limited", "judge_quota_exhausted", "judge_misconfigured", "judge_refused",
        "judge_malformed",
    }  # fmt: skip
    assert not untyped, f"failures of no known kind: {untyped}"
    assert failing or not tally.failures, f"failures of a provider that works: {dict(tally.failures)}"


def _pool(size: int) -> list[bytes]:
    """JPEGs as a worker sends them, with detail as pictures have it, each clearly redder than the one before."""
    coarse = np.random.default_rng(0).integers(60, 120, (POOL, size // 8, size // 8, 3), dtype=np.uint8)
    pictures = []
    for number, blots in enumerate(coarse):
        image = Image.fromarray(blots).resize((size, size), Image.Resampling.BICUBIC)
        pixels = np.asarray(image, dtype=np.int16) + np.random.default_rng(number).integers(-6, 7, (size, size, 1))
        pixels[..., 0] += 2 * number - round(float((pixels[..., 0] - pixels[..., 2]).mean()))
        buffer = io.BytesIO()
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=90)
        pictures.append(buffer.getvalue())
    return pictures


if __name__ == "__main__":
    main()
