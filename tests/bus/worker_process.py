"""A worker as a process, for the tests that kill it: draws jobs step by step, each step asking a judge. It knows no test.

python -m tests.bus.worker_process <redis url> <lease in seconds>
"""

import asyncio
import signal
import sys
from datetime import timedelta

from bus.asks import Asks
from bus.connection import WORKER_PATIENCE, connect
from bus.jobs import Jobs
from bus.queue import JobQueue, process_name
from contracts.jobs import JobState
from contracts.judging import Verdict

from .builders import PICTURES, STEPS, ask, commit


async def work(url: str, lease: timedelta) -> None:
    """Until SIGTERM."""
    async with (
        connect(url, patience=WORKER_PATIENCE) as redis,
        Asks(redis, lease=lease) as asks,
        JobQueue(redis, lease=lease) as queue,
    ):
        jobs, name = Jobs(redis), process_name()

        async def draw(job_id: str) -> None:
            claim = await jobs.claim(job_id, name)
            if claim is None:
                return
            try:
                for step in range(int(claim.checkpoint or b"0") + 1, STEPS + 1):
                    answer = await asks.ask(ask(job_id, step=step, seconds=120), PICTURES)
                    assert isinstance(answer, Verdict), answer
                    await commit(jobs, job_id, claim.epoch, step)
                await jobs.finish(job_id, claim.epoch, JobState.SUCCEEDED)
            except asyncio.CancelledError:
                await jobs.hand_back(job_id, claim.epoch)
                raise

        task = asyncio.create_task(queue.run(draw, room=16))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        print("ready", flush=True)
        await asyncio.wait([task])


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], timedelta(seconds=float(sys.argv[2]))))
