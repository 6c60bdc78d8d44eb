"""A request becomes a job that says everything, or an answer that says what to change; nothing is accepted twice."""

import asyncio
from typing import Any

import httpx
import pytest

from bus.cards import Cards
from bus.connection import Client
from bus.jobs import Jobs
from contracts.jobs import JobState, JobView
from contracts.judging import CallCost, Tokens
from contracts.scenarios import SCENARIOS
from service.settings import GatewaySettings
from tests.conftest import wait_until

from .by_hand import MODEL, SELECTING, STEPS, finish, running, submit

pytestmark = pytest.mark.usefixtures("workers")
APPLE = {"prompt": "a red apple", "scenario": "teacher"}


@pytest.mark.parametrize("path", ["/v1/generations", "/generate"])
async def test_a_request_is_accepted_with_every_default_filled_in(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.post(path, json=APPLE)
    job = JobView.model_validate_json(answer.content)
    assert answer.status_code == 202
    assert answer.headers["location"] == job.urls["self"] == f"/v1/generations/{job.id}"
    assert int(answer.headers["retry-after"]) >= 1
    assert "idempotent-replayed" not in answer.headers
    assert (job.status, job.version, job.queue_position) == (JobState.QUEUED, 1, 1)
    assert (job.scenario, job.scenario_text) == ("teacher", SCENARIOS["teacher"].text)
    assert (job.model, job.width, job.height, job.sampler.guidance) == (MODEL.name, 128, 96, 5.0)
    assert (job.judge, job.progress.step, job.progress.steps) == (SELECTING.name, 0, STEPS)
    assert 0 <= job.seed < 2**53
    assert job.estimate is not None
    assert job.estimate.judge_calls > 0
    assert (await client.get(answer.headers["location"])).json()["prompt"] == "a red apple"


async def test_what_is_asked_for_is_kept(client: httpx.AsyncClient, jobs: Jobs) -> None:
    body: dict[str, Any] = {
        "prompt": "  ein Apfel,\r\n\tröt 🍎 ",
        "negative_prompt": "blue",
        "scenario_text": "You are a painter.",
        "judge": "colorfulness",
        "sampler": {"candidates": 4, "steps": 9, "guidance": 1.0, "tau": "adaptive"},
        "seed": 2**53 - 1,
        "width": 256,
        "height": 64,
        "budget": {"judge_calls": 3, "usd": None, "seconds": 60},
        "on_judge_failure": "fail",
        "priority": "high",
        "metadata": {"order": "4711"},
    }
    spec = (await jobs.get(await submit(client, **body))).spec
    assert spec.prompt == "ein Apfel,\r\n\tröt 🍎"
    assert spec.deadline is not None
    assert (spec.deadline - spec.created_at).total_seconds() == 60
    kept = spec.model_dump()
    assert {name: kept[name] for name in body if name not in ("prompt", "sampler")} == {
        name: value for name, value in body.items() if name not in ("prompt", "sampler")
    }
    assert {name: kept["sampler"][name] for name in body["sampler"]} == body["sampler"]


async def test_seeds_differ_where_none_is_given(client: httpx.AsyncClient, jobs: Jobs) -> None:
    seeds = {(await jobs.get(await submit(client))).spec.seed for _ in range(3)}
    assert len(seeds) == 3


@pytest.mark.parametrize(
    ("changed", "pointer", "words"),
    [
        ({"scenario": "pirate"}, "/scenario", "artist, journalist, researcher, teacher"),
        ({"judge": "nobody"}, "/judge", "colorfulness, local"),
        ({"model": "nothing"}, "/model", "embedded"),
        ({"width": 100}, "/width", "multiple of 32 between 64 and 256"),
        ({"height": 512}, "/height", "multiple of 32 between 64 and 256"),
        ({"judge": "colorfulness", "sampler": {"candidates": 17}}, "/sampler/candidates", "at most at 16"),
        ({"sampler": {"preset": "paper", "lookahead": "consistency"}}, "/sampler/lookahead", "no consistency network"),
        ({"prompt": "a\x00b"}, "/prompt", "control characters"),
        ({"prompt": " \n"}, "/prompt", "at least 1 character"),
        ({"prompt": "x" * 2001}, "/prompt", "at most 2000"),
        ({"sampler": {"steps": 3}}, "/sampler/steps", "greater than or equal to 4"),
        ({"sampler": {"steps": 257}}, "/sampler/steps", "less than or equal to 256"),
        ({"sampler": {"candidates": 1}}, "/sampler/candidates", "greater than or equal to 2"),
        ({"sampler": {"candidates": 65}}, "/sampler/candidates", "less than or equal to 64"),
        ({"sampler": {"beta": 0.1}}, "/sampler", "beta belongs to the preset paper"),
        ({"sampler": {"a/b~c": 1}}, "/sampler/a~1b~0c", "not permitted"),
        ({"scenario_text": "mine"}, "", "either scenario or scenario_text"),
        ({"metadata": {"k": "v" * 513}}, "/metadata/k", "at most 512"),
        ({"colour": "red"}, "/colour", "not permitted"),
        ({"seed": 2**53}, "/seed", "less than"),
        ({"budget": {"usd": 1.0}}, "/budget/usd", "the judge local has no price here, so that a cap in dollars cannot be kept"),
        ({"budget": {"usd": 0.0}}, "/budget/usd", "has no price here"),
        ({"budget": {"usd": -1.0}}, "/budget/usd", "greater than or equal to 0"),
        ({"budget": {"seconds": 0}}, "/budget/seconds", "greater than or equal to 1"),
        ({"max_skipped_steps": -1}, "/max_skipped_steps", "greater than or equal to 0"),
    ],
)  # fmt: skip
async def test_what_cannot_be_is_refused_by_name(
    client: httpx.AsyncClient, jobs: Jobs, changed: dict[str, Any], pointer: str, words: str
) -> None:
    answer = await client.post("/generate", json=APPLE | changed)
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["retryable"]) == (422, "validation_failed", False)
    assert any(pointer == e["pointer"] and words in e["detail"] for e in problem["errors"]), problem
    assert await jobs.waiting() == 0


async def test_a_judge_with_a_price_can_be_capped_in_dollars_and_the_answer_says_what_is_likely(
    client: httpx.AsyncClient, redis: Client
) -> None:
    """Two candidates at $0.03 an ask and two answers about two pictures: five steps, or as many as the cap has room for."""
    call = CallCost(tokens=Tokens(input=100, output=10), tokens_per_picture=50, usd=0.02, usd_per_picture=0.005)
    priced = SELECTING.model_copy(update={"name": "priced", "call": call, "seconds_per_ask": 2.0})
    async with Cards(redis).published("judge-2", judges=[priced]):
        body = APPLE | {"judge": "priced", "sampler": {"candidates": 2, "steps": 8}}
        free = JobView.model_validate_json((await client.post("/generate", json=body)).content)
        capped = JobView.model_validate_json(
            (await client.post("/generate", json=body | {"budget": {"usd": 0.149}})).content
        )
    assert free.estimate is not None
    asks = free.estimate.judge_calls
    assert asks > 4
    assert free.estimate.judge_tokens == Tokens(input=200 * asks, output=10 * asks, image=100 * asks)
    assert free.estimate.usd == pytest.approx(0.03 * asks)
    assert free.estimate.seconds == pytest.approx(
        free.estimate.network_rows * MODEL.seconds_per_row + 2.0 * asks, abs=0.06
    )
    assert capped.estimate is not None
    assert capped.estimate.judge_calls == 4
    assert capped.estimate.usd == pytest.approx(0.12)
    assert (capped.budget.usd, capped.max_skipped_steps) == (0.149, 4)


async def test_all_mistakes_are_named_at_once_but_not_without_end(client: httpx.AsyncClient) -> None:
    two = (await client.post("/generate", json={"prompt": "", "seed": -1})).json()
    assert {error["pointer"] for error in two["errors"]} == {"/prompt", "/seed"}
    many = (await client.post("/generate", json=APPLE | {f"x{i}": i for i in range(500)})).json()
    assert len(many["errors"]) == 20


async def test_numbers_that_are_none_are_refused(client: httpx.AsyncClient) -> None:
    body = b'{"prompt": "x", "sampler": {"tau": Infinity, "stop_sigma": 1e999, "guidance": NaN}}'
    answer = await client.post("/generate", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    pointers = {error["pointer"] for error in answer.json()["errors"]}
    assert pointers == {"/sampler/tau", "/sampler/stop_sigma", "/sampler/guidance"}


async def test_the_same_key_and_request_are_one_job_however_often_and_at_once(
    client: httpx.AsyncClient, jobs: Jobs
) -> None:
    headers = {"Idempotency-Key": "order-4711"}
    answers = await asyncio.gather(*(client.post("/generate", json=APPLE, headers=headers) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert [answer.headers.get("idempotent-replayed") for answer in answers].count(None) == 1
    assert await jobs.waiting() == 1
    written_otherwise = b'{"scenario" : "teacher", "prompt": " a red apple", "priority": "normal"}'
    again = await client.post(
        "/v1/generations", content=written_otherwise, headers=headers | {"Content-Type": "application/json"}
    )
    assert (again.json()["id"], again.headers["idempotent-replayed"]) == (answers[0].json()["id"], "true")


async def test_a_repeated_request_finds_its_job_though_no_worker_is_left(
    client: httpx.AsyncClient, redis: Client
) -> None:
    headers = {"Idempotency-Key": "order-4711"}
    first = await client.post("/generate", json=APPLE, headers=headers)
    for worker in await Cards(redis).workers():
        await Cards(redis).withdraw(worker.name)
    again = await client.post("/generate", json=APPLE, headers=headers)
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
    assert again.headers["idempotent-replayed"] == "true"
    assert (await client.post("/generate", json=APPLE)).json()["code"] == "model_unavailable"


async def test_the_same_key_for_another_request_is_refused(client: httpx.AsyncClient, jobs: Jobs) -> None:
    headers = {"Idempotency-Key": "order-4711"}
    await client.post("/generate", json=APPLE, headers=headers)
    answer = await client.post("/generate", json=APPLE | {"seed": 1}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert await jobs.waiting() == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "a b"])
async def test_a_key_that_is_none_is_refused(client: httpx.AsyncClient, key: str) -> None:
    answer = await client.post("/generate", json=APPLE, headers={"Idempotency-Key": key})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "Idempotency-Key")


@pytest.mark.parametrize(("prefer", "applied"), [("wait=30", 30), ("respond-async, wait=900", 60)])
async def test_prefer_wait_holds_the_answer_until_the_job_has_ended(
    client: httpx.AsyncClient, jobs: Jobs, prefer: str, applied: int
) -> None:
    request = asyncio.create_task(client.post("/generate", json=APPLE, headers={"Prefer": prefer}))

    async def accepted() -> bool:
        return await jobs.waiting() == 1

    await wait_until(accepted, "the job is accepted")
    (record,), _ = await jobs.list(None, 1)
    assert not request.done()
    await finish(jobs, record.spec.id)
    answer = await request
    assert (answer.status_code, answer.json()["status"]) == (202, "succeeded")
    assert answer.headers["preference-applied"] == f"wait={applied}"
    assert "retry-after" not in answer.headers


async def test_prefer_wait_ends_with_the_job_as_it_is_then(client: httpx.AsyncClient) -> None:
    answer = await client.post("/generate", json=APPLE, headers={"Prefer": "wait=1"})
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    assert answer.headers["preference-applied"] == "wait=1"
    assert "retry-after" in answer.headers


@pytest.mark.parametrize("prefer", ["wait=soon", "respond-async", "wait=0", "await=5"])
async def test_preferences_that_say_nothing_to_us_are_ignored(client: httpx.AsyncClient, prefer: str) -> None:
    answer = await client.post("/generate", json=APPLE, headers={"Prefer": prefer})
    assert answer.status_code == 202
    assert "preference-applied" not in answer.headers


async def test_a_full_line_is_429_with_a_time_to_try_again(
    settings: GatewaySettings, client: httpx.AsyncClient
) -> None:
    await submit(client)
    with running(settings.model_copy(update={"queue_limit": 1})) as url:
        async with httpx.AsyncClient(base_url=url) as full:
            answer = await full.post("/generate", json=APPLE)
    assert (answer.status_code, answer.json()["code"], answer.json()["retryable"]) == (429, "queue_full", True)
    assert int(answer.headers["retry-after"]) >= 1


async def test_without_a_worker_a_request_is_503_and_not_the_users_mistake(
    client: httpx.AsyncClient, redis: Client
) -> None:
    await Cards(redis).withdraw("judge-1")
    judge = await client.post("/generate", json=APPLE)
    assert (judge.status_code, judge.json()["code"]) == (503, "judge_unavailable")
    await Cards(redis).withdraw("gpu-1")
    model = await client.post("/generate", json=APPLE)
    assert (model.status_code, model.json()["code"], model.json()["retryable"]) == (503, "model_unavailable", True)
    assert "start one" in model.json()["detail"]
    assert int(model.headers["retry-after"]) >= 1
