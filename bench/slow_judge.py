"""Eight jobs on one worker with a judge that takes 3 s a step, against the device's work alone and against one job alone.

While one job waits for its judge the device should draw the others.
  python -m bench.slow_judge [--jobs 8] [--seconds 3]
"""

import argparse
import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from bus.asks import Asks
from bus.cards import Cards
from bus.connection import connect
from contracts.judging import JudgeAsk, JudgeCard, Verdict

from .service import Service, service

CANDIDATES, STEPS = 4, 16


def main() -> None:
    """Print the three times and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=3.0)
    given = parser.parse_args()
    with service() as running, judges(running.redis_url, {"instant": 0.0, "sleepy": given.seconds}):
        _time(running, "instant", 1)  # warms up
        device = _time(running, "instant", given.jobs)
        alone = _time(running, "sleepy", 1)
        together = _time(running, "sleepy", given.jobs)
    bound = max(device, alone)
    print(f"{given.jobs} jobs with an instant judge (device work alone): {device:6.1f} s")
    print(f"1 job, {given.seconds:g} s a judgement:                        {alone:6.1f} s")
    print(f"{given.jobs} jobs, {given.seconds:g} s a judgement:                       {together:6.1f} s")
    print(f"ratio to the larger of the two:                 {together / bound:6.2f}")


def _time(running: Service, judge: str, count: int) -> float:
    """Seconds from the first POST to the last job's end."""
    started = perf_counter()
    bodies = [running.body("a cat", judge, seed, candidates=CANDIDATES, steps=STEPS) for seed in range(count)]
    running.finished([running.client.submit(body) for body in bodies])
    return perf_counter() - started


@contextmanager
def judges(redis_url: str, seconds: dict[str, float]) -> Iterator[None]:
    """Selecting judges that choose the first half after so many seconds, served from a thread of this process."""
    stop = threading.Event()
    ready = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(redis_url, seconds, ready, stop)))
    thread.start()
    ready.wait()
    try:
        yield
    finally:
        stop.set()
        thread.join()


async def _serve(redis_url: str, seconds: dict[str, float], ready: threading.Event, stop: threading.Event) -> None:
    async def answer(ask: JudgeAsk, pictures: list[bytes]) -> Verdict:
        await asyncio.sleep(seconds[ask.judge])
        half = len(pictures) // 2
        return Verdict(scores=(5.0,) * half + (-5.0,) * (len(pictures) - half))

    cards = [
        JudgeCard(name=name, kind="selecting", description="for a benchmark", objective="none") for name in seconds
    ]
    async with connect(redis_url) as redis, Asks(redis) as asks, Cards(redis).published("bench", judges=cards):
        serving = asyncio.create_task(asks.serve(list(seconds), answer, concurrency=64))
        ready.set()
        await asyncio.to_thread(stop.wait)
        serving.cancel()
        await asyncio.wait([serving])


if __name__ == "__main__":
    main()
