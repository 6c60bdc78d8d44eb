"""What a job made is served as it was written; what is not there is 404 and says why."""

import json
from xml.etree import ElementTree

import httpx
import pytest

from artifacts import ArtifactStore
from bus.jobs import Jobs
from contracts.errors import JudgeUnavailable, problem_of
from contracts.jobs import JobState
from service.settings import GatewaySettings

from .by_hand import claim, finish, step, submit

pytestmark = pytest.mark.usefixtures("workers")
PICTURES = {
    "image.png": "image/png",
    "baseline.png": "image/png",
    "contact-sheet.jpg": "image/jpeg",
    "steps/3/grid.jpg": "image/jpeg",
}


@pytest.mark.parametrize(("name", "media_type"), PICTURES.items())
async def test_a_picture_is_served_as_it_was_written(
    client: httpx.AsyncClient, jobs: Jobs, settings: GatewaySettings, name: str, media_type: str
) -> None:
    job_id = await submit(client)
    data = bytes(range(256)) * 10
    await ArtifactStore(settings.pictures_url).put(job_id, name, data)
    early = await client.get(f"/v1/generations/{job_id}/{name}")
    assert (early.content, early.headers["cache-control"]) == (data, "no-store")
    await finish(jobs, job_id)
    late = await client.get(f"/v1/generations/{job_id}/{name}")
    assert (late.status_code, late.content, late.headers["content-type"]) == (200, data, media_type)
    assert late.headers["cache-control"] == "private, max-age=3600"
    assert late.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", PICTURES)
async def test_a_picture_that_is_not_there_says_which_state_the_job_is_in(
    client: httpx.AsyncClient, jobs: Jobs, name: str
) -> None:
    job_id = await submit(client)
    claimed = await claim(jobs, job_id)
    await step(jobs, claimed, 2)
    running = await client.get(f"/v1/generations/{job_id}/{name}")
    assert (running.status_code, running.json()["code"]) == (404, "not_found")
    assert f"running and has no {name} yet (step 2 of 16)" in running.json()["detail"]
    error = problem_of(JudgeUnavailable("the judge is away"))
    await jobs.finish(job_id, claimed.epoch, JobState.FAILED, error=error)
    failed = await client.get(f"/v1/generations/{job_id}/{name}")
    assert failed.json()["detail"] == f"the job is failed and has no {name}: the judge is away"


@pytest.mark.parametrize("number", ["0", "257", "x", "1.5"])
async def test_a_step_that_cannot_be_is_refused(client: httpx.AsyncClient, number: str) -> None:
    answer = await client.get(f"/v1/generations/{await submit(client)}/steps/{number}/grid.jpg")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "step")


async def test_the_audit_trail_is_one_line_a_step(client: httpx.AsyncClient, jobs: Jobs) -> None:
    job_id = await submit(client)
    empty = await client.get(f"/v1/generations/{job_id}/audit.jsonl")
    assert (empty.status_code, empty.text, empty.headers["content-type"]) == (200, "", "application/jsonl")
    claimed = await claim(jobs, job_id)
    await step(jobs, claimed, 1, rationale="two\nlines", measured=(0.25, 0.125))
    await step(jobs, claimed, 2, scores=(None, 5.0))
    rows = [json.loads(line) for line in (await client.get(f"/v1/generations/{job_id}/audit.jsonl")).text.splitlines()]
    assert [row["step"] for row in rows] == [1, 2]
    assert (rows[0]["rationale"], rows[0]["measured"], rows[1]["scores"]) == ("two\nlines", [0.25, 0.125], [None, 5.0])


async def test_the_trajectory_is_a_picture_at_every_time_and_quotes_the_prompt_safely(
    client: httpx.AsyncClient, jobs: Jobs
) -> None:
    job_id = await submit(client, prompt="<script>alert('&')</script>" + "x" * 100)
    early = await client.get(f"/v1/generations/{job_id}/trajectory.svg")
    assert early.headers["content-type"] == "image/svg+xml"
    assert "No step has been judged." in "".join(ElementTree.fromstring(early.text).itertext())
    await step(jobs, await claim(jobs, job_id), 1)
    late = await client.get(f"/v1/generations/{job_id}/trajectory.svg")
    assert "script" not in {element.tag.partition("}")[2] for element in ElementTree.fromstring(late.text).iter()}
    assert late.headers["content-security-policy"].startswith("default-src 'none'")
