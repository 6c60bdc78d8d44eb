"""The judge worker as a process: cards, verdicts over Redis, death in the middle of an ask, failures, orderly ends, clear words."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from bus.asks import Asks
from bus.cards import Cards
from bus.connection import Client
from bus.jobs import Jobs
from contracts.jobs import JobState
from contracts.judging import JudgeFailure, Verdict
from reward_adapters.colorfulness import colorfulness

from ..adapters.packages import install
from ..adapters.pictures import ask, blots, encoded
from ..bus.builders import claimed
from ..conftest import wait_until

ROOT = Path(__file__).parents[2]
SOURCE = '''
import asyncio, os
from pathlib import Path

from contracts.errors import JudgeUnavailable
from contracts.judging import JudgeCard, Verdict


class Judge:
    def __init__(self, name, folder):
        self.card = JudgeCard(name=name, kind="scoring", description="A test's.", objective="none")
        self.folder = folder


class Slow(Judge):
    """Leaves its process id, and answers when it may."""

    async def score(self, ask, pictures):
        (self.folder / f"asked-{os.getpid()}").touch()
        while not (self.folder / "go").exists():
            await asyncio.sleep(0.02)
        return Verdict(scores=(0.0,) * len(pictures), rationale=str(os.getpid()))


class Failing(Judge):
    async def score(self, ask, pictures):
        raise JudgeUnavailable("the provider answers 503")


class Broken(Judge):
    async def score(self, ask, pictures):
        return {}["a bug"]


def slow(environment):
    return Slow("slow", Path(environment["TEST_FOLDER"]))


def failing(environment):
    return Failing("failing", Path(environment["TEST_FOLDER"]))


def broken(environment):
    return Broken("broken", Path(environment["TEST_FOLDER"]))
'''
PICTURES = [encoded(blots(k)) for k in range(3)]

Start = Callable[[str], subprocess.Popen[str]]


@pytest.fixture
def environment(tmp_path: Path, redis_url: str) -> dict[str, str]:
    """What a worker is started with: a foreign package on its path, and a folder to leave marks in."""
    names = ("slow", "failing", "broken")
    packages = install(tmp_path / "packages", "judges_of_a_test", SOURCE, {name: name for name in names})
    return os.environ | {
        "PYTHONPATH": str(packages), "MAXWELL_REDIS_URL": redis_url, "TEST_FOLDER": str(tmp_path),
    }  # fmt: skip


@pytest.fixture
def start(environment: dict[str, str]) -> Iterator[Start]:
    """Starts workers; whatever lives at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def worker(judges: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "workers.judge_worker"]
        process = subprocess.Popen(command, cwd=ROOT, env=environment | {"MAXWELL_JUDGES": judges}, text=True)
        started.append(process)
        return process

    yield worker
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
async def job(redis: Client) -> AsyncIterator[str]:
    """The id of a running job, ended afterwards."""
    jobs = Jobs(redis)
    claim = await claimed(jobs)
    yield claim.record.spec.id
    await jobs.finish(claim.record.spec.id, claim.epoch, JobState.SUCCEEDED)


async def ready(redis: Client, workers: int = 1) -> None:
    async def all_there() -> bool:
        return len(await Cards(redis).workers()) == workers

    await wait_until(all_there, f"{workers} judge workers are ready", seconds=60)


async def put(redis: Client, job: str, judge: str) -> Verdict | JudgeFailure:
    card = (await Cards(redis).judges())[judge]
    async with Asks(redis) as asks:
        return await asks.ask(ask(card, len(PICTURES), name={"job": job, "step": 1}), PICTURES)


def asked(folder: Path) -> list[int]:
    """The process ids that the slow judge left."""
    return [int(mark.name.removeprefix("asked-")) for mark in folder.glob("asked-*")]


async def test_a_verdict_comes_back_and_ctrl_c_ends_the_worker_in_order(redis: Client, start: Start, job: str) -> None:
    worker = start("colorfulness, jpeg_compressibility")
    await ready(redis)
    assert set(await Cards(redis).judges()) == {"colorfulness", "jpeg_compressibility"}
    answer = await put(redis, job, "colorfulness")
    assert isinstance(answer, Verdict)
    assert list(answer.scores) == [colorfulness(blots(k)) for k in range(3)]
    assert answer.usage.seconds > 0
    worker.send_signal(signal.SIGINT)
    assert worker.wait(timeout=30) == 0
    assert await Cards(redis).judges() == {}


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
async def test_another_worker_answers_for_one_that_ends_in_the_middle(
    redis: Client, start: Start, job: str, tmp_path: Path, how: signal.Signals
) -> None:
    """After a kill -9 once the dead worker's lease is over; after an orderly end at once."""
    workers = {worker.pid: worker for worker in (start("slow"), start("slow"))}
    await ready(redis, workers=2)
    card = (await Cards(redis).judges())["slow"]
    async with Asks(redis) as asks, asyncio.TaskGroup() as group:
        question = ask(card, len(PICTURES), name={"job": job, "step": 1})
        asking = group.create_task(asks.ask(question, PICTURES))
        await wait_until(lambda: any(asked(tmp_path)), "a worker has the ask")
        first = workers.pop(*asked(tmp_path))
        first.send_signal(how)
        assert first.wait(timeout=30) == (-signal.SIGKILL if how == signal.SIGKILL else 0)
        (tmp_path / "go").touch()
    (second,) = workers
    answer = asking.result()
    assert isinstance(answer, Verdict)
    assert answer.rationale == str(second)


@pytest.mark.parametrize(
    ("judge", "code", "detail", "calls"),
    [
        ("failing", "judge_unavailable", "the provider answers 503", 3),
        ("broken", "judge_failed", "the judge 'broken' failed (KeyError)", 1),
    ],
)
async def test_a_judge_that_fails_is_a_typed_failure(
    redis: Client, start: Start, job: str, judge: str, code: str, detail: str, calls: int
) -> None:
    worker = start(judge)
    await ready(redis)
    answer = await put(redis, job, judge)
    assert isinstance(answer, JudgeFailure)
    assert (answer.code, answer.detail, answer.usage.calls) == (code, detail, calls)
    assert worker.poll() is None, "a judge's failure ends no worker"


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"MAXWELL_JUDGES": "colorfulness,lokal"}, "no judge is called 'lokal': there are "),
        ({"MAXWELL_REDIS_URL": "redis://127.0.0.1:1/0"}, "cannot be reached"),
        ({"MAXWELL_JUDGE_CONCURRENCY": "0"}, "the setting MAXWELL_JUDGE_CONCURRENCY is wrong"),
    ],
)
def test_what_hinders_the_start_is_one_sentence_and_a_status(
    environment: dict[str, str], changed: dict[str, str], sentence: str
) -> None:
    command = [sys.executable, "-m", "cli", "judge-worker"]
    ended = subprocess.run(command, cwd=ROOT, env=environment | changed, capture_output=True, text=True, check=False)
    assert ended.returncode != 0
    assert "Traceback" not in ended.stderr
    assert sentence in ended.stderr
