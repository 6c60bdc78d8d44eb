"""A job can be looked at, listed, canceled and deleted, and every refusal says which state it is in."""

import httpx
import pytest

from artifacts import ArtifactStore
from bus.jobs import Jobs
from contracts.errors import NotFound
from contracts.jobs import JobState
from service.settings import GatewaySettings

from .by_hand import NO_JOB, claim, finish, step, submit

pytestmark = pytest.mark.usefixtures("workers")


async def test_a_job_from_the_line_to_its_end(client: httpx.AsyncClient, jobs: Jobs) -> None:
    first, second = await submit(client), await submit(client)
    assert (await client.get(f"/v1/generations/{second}")).json()["queue_position"] == 2
    claimed = await claim(jobs, first)
    assert (await client.get(f"/v1/generations/{second}")).json()["queue_position"] == 1
    await step(jobs, claimed, 1)
    running = (await client.get(f"/v1/generations/{first}")).json()
    assert (running["status"], running["progress"]["step"], running["queue_position"]) == ("running", 1, None)
    assert "image" not in running["urls"]
    await jobs.finish(first, claimed.epoch, JobState.SUCCEEDED)
    ended = (await client.get(f"/v1/generations/{first}")).json()
    assert (ended["status"], ended["usage"]["judge"]["calls"]) == ("succeeded", 1)
    assert ended["urls"]["image"] == f"/v1/generations/{first}/image.png"
    assert "cancel" not in ended["urls"]
    assert ended["expires_at"] > ended["completed_at"] >= ended["started_at"] > ended["created_at"]


async def test_an_etag_spares_the_answer_until_the_job_changes(client: httpx.AsyncClient, jobs: Jobs) -> None:
    job_id = await submit(client)
    first = await client.get(f"/v1/generations/{job_id}")
    headers = {"If-None-Match": first.headers["etag"]}
    same = await client.get(f"/v1/generations/{job_id}", headers=headers)
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", first.headers["etag"])
    await claim(jobs, job_id)
    changed = await client.get(f"/v1/generations/{job_id}", headers=headers)
    assert changed.status_code == 200
    assert changed.headers["etag"] != first.headers["etag"]


async def test_if_none_match_names_any_of_several_tags(client: httpx.AsyncClient) -> None:
    job = f"/v1/generations/{await submit(client)}"
    etag = (await client.get(job)).headers["etag"]

    async def status(sent: str) -> int:
        return (await client.get(job, headers={"If-None-Match": sent})).status_code

    for sent in (etag, f'"other", {etag}', f'{etag},W/"x"', etag.removeprefix("W/"), "*"):
        assert await status(sent) == 304, sent
    for sent in ("", '"other"', 'W/"1-10"', etag.strip('W/"'), f'"{etag[3:-1]}x"', f"{etag[:-1]}", "**"):
        assert await status(sent) == 200, sent


async def test_the_pages_of_a_list_hold_every_job_once_newest_first(client: httpx.AsyncClient) -> None:
    submitted = [await submit(client) for _ in range(5)]
    seen: list[str] = []
    query: dict[str, str | int] = {"limit": 2}
    while True:
        page = (await client.get("/v1/generations", params=query)).json()
        seen += [job["id"] for job in page["data"]]
        assert page["has_more"] is (page["next_cursor"] is not None)
        if not page["has_more"]:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == sorted(submitted, reverse=True)


async def test_a_list_of_one_state(client: httpx.AsyncClient, jobs: Jobs) -> None:
    done, waiting = await submit(client), await submit(client)
    await finish(jobs, done)

    async def ids(status: str) -> list[str]:
        return [job["id"] for job in (await client.get("/v1/generations", params={"status": status})).json()["data"]]

    assert (await ids("succeeded"), await ids("queued"), await ids("failed")) == ([done], [waiting], [])


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 101}, {"cursor": "x"}, {"status": "lost"}])
async def test_a_list_that_cannot_be_is_refused(client: httpx.AsyncClient, query: dict[str, str | int]) -> None:
    answer = await client.get("/v1/generations", params=query)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, next(iter(query)))


async def test_cancel_ends_a_waiting_job_now_and_a_running_one_at_its_next_step(
    client: httpx.AsyncClient, jobs: Jobs
) -> None:
    waiting, running = await submit(client), await submit(client)
    await claim(jobs, running)
    for _ in range(2):  # again changes nothing
        assert (await client.post(f"/v1/generations/{waiting}/cancel")).json()["status"] == "canceled"
        assert (await client.post(f"/v1/generations/{running}/cancel")).json()["status"] == "canceling"


async def test_cancel_of_what_has_ended_is_a_conflict(client: httpx.AsyncClient, jobs: Jobs) -> None:
    job_id = await submit(client)
    await finish(jobs, job_id)
    answer = await client.post(f"/v1/generations/{job_id}/cancel")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert "succeeded already" in answer.json()["detail"]


async def test_delete_removes_the_job_and_its_pictures(
    client: httpx.AsyncClient, jobs: Jobs, settings: GatewaySettings
) -> None:
    store = ArtifactStore(settings.pictures_url)
    job_id = await submit(client)
    await store.put(job_id, "steps/1/grid.jpg", b"picture")
    refused = await client.delete(f"/v1/generations/{job_id}")
    assert (refused.status_code, "queued" in refused.json()["detail"]) == (409, True)
    assert await store.get(job_id, "steps/1/grid.jpg") == b"picture"
    await finish(jobs, job_id)
    assert (await client.delete(f"/v1/generations/{job_id}")).status_code == 204
    with pytest.raises(NotFound):
        await store.get(job_id, "steps/1/grid.jpg")
    assert (await client.get(f"/v1/generations/{job_id}")).status_code == 404
    assert (await client.delete(f"/v1/generations/{job_id}")).status_code == 404


@pytest.mark.parametrize("job_id", [NO_JOB, "nonsense", "gen_" + "A" * 32, "gen_%0A", "%ff"])
@pytest.mark.parametrize(
    ("method", "suffix"),
    [
        ("GET", ""),
        ("GET", "/events"),
        ("GET", "/image.png"),
        ("GET", "/audit.jsonl"),
        ("POST", "/cancel"),
        ("DELETE", ""),
    ],
)
async def test_an_unknown_job_is_404_whatever_is_asked_of_it(
    client: httpx.AsyncClient, method: str, suffix: str, job_id: str
) -> None:
    answer = await client.request(method, f"/v1/generations/{job_id}{suffix}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
