"""The main job over HTTP: submit, poll, follow, wait, cancel, list, fetch what was made; every grid goes to the judge's process."""

import json
import shlex
import struct
from xml.etree import ElementTree

import httpx

from cli.drawing import curl_line
from contracts.jobs import StepAudit

from .running import CANDIDATES, STEPS, Running, body


def png_size(data: bytes) -> tuple[int, int]:
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", data[16:24])
    return width, height


def events(answer: httpx.Response) -> list[tuple[int, str, dict[str, object]]]:
    """id, event and data of each server-sent event; comments left out."""
    found = []
    for block in "\n".join(answer.iter_lines()).split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and not line.startswith(":"))
        if fields:
            found.append((int(fields["id"]), fields["event"], json.loads(fields["data"])))
    return found


def test_a_request_becomes_a_picture_and_everything_beside_it(service: Running) -> None:
    accepted = service.http.post("/generate", json=body(judge="colorfulness"))
    assert accepted.status_code == 202
    assert int(accepted.headers["retry-after"]) >= 1
    job_id = accepted.json()["id"]
    assert accepted.headers["location"] == accepted.json()["urls"]["self"] == f"/v1/generations/{job_id}"

    job = service.ended(job_id)
    assert (job["status"], job["error"], job["progress"]["step"]) == ("succeeded", None, STEPS)
    assert job["result"]["steered_steps"] > 0
    assert job["result"]["score"] is not None
    assert job["result"]["baseline_score"] is not None
    image, baseline = (service.http.get(job["urls"][name]) for name in ("image", "baseline"))
    assert image.headers["content-type"] == baseline.headers["content-type"] == "image/png"
    assert png_size(image.content) == png_size(baseline.content) == (32, 32)
    assert image.content != baseline.content
    assert service.http.get(job["urls"]["contact_sheet"]).content.startswith(b"\xff\xd8")
    assert service.get(job_id, "steps/1/grid.jpg").content.startswith(b"\xff\xd8")
    assert ElementTree.fromstring(service.http.get(job["urls"]["trajectory"]).text).tag.endswith("svg")
    rows = [StepAudit.model_validate_json(line) for line in service.http.get(job["urls"]["audit"]).text.splitlines()]
    assert [row.step for row in rows] == list(range(1, STEPS + 1))
    assert len(rows[0].scores) == CANDIDATES


def test_the_same_seed_draws_the_same_pictures_again(service: Running) -> None:
    first, second = (service.submit(judge="colorfulness", seed=11) for _ in range(2))
    for name in ("image.png", "baseline.png"):
        service.ended(first), service.ended(second)
        assert service.get(first, name).content == service.get(second, name).content


def test_every_steps_candidates_travel_to_the_judges_own_process(service: Running) -> None:
    job_id = service.submit()
    job = service.ended(job_id)
    asks = service.witness.asks(job_id)
    pids = service.stack.pids
    assert {ask["pid"] for ask in asks} == {pids["judge-worker"]}
    assert len(set(pids.values())) == 4, "Redis, gateway, GPU worker and judge worker are processes of their own"
    assert len(asks) == job["usage"]["judge"]["calls"]
    rows = [json.loads(line) for line in service.get(job_id, "audit.jsonl").text.splitlines()]
    judged = [row["step"] for row in rows if row["scores"]]
    candidates = service.witness.asks(job_id, "candidates")
    assert [ask["step"] for ask in candidates] == judged
    assert len(judged) > 2
    for ask in candidates:
        assert len(ask["seen"]) == len(set(ask["seen"])) == CANDIDATES, "K different pictures"
        assert service.get(job_id, f"steps/{ask['step']}/grid.jpg").status_code == 200
    assert len({picture for ask in candidates for picture in ask["seen"]}) == CANDIDATES * len(candidates)
    (final,) = service.witness.asks(job_id, "final")
    assert len(final["seen"]) == 2, "the result and the plain picture"


def test_events_follow_a_job_to_its_end(service: Running) -> None:
    service.witness.hold()
    job_id = service.submit()
    service.witness.wait_for_step_2(job_id)
    with service.http.stream("GET", f"/v1/generations/{job_id}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        service.witness.release()
        seen = events(answer)
    versions = [version for version, _, _ in seen]
    assert versions == sorted(set(versions))
    assert seen[0][1] == "status"
    assert [kind for _, kind, _ in seen].count("done") == 1
    version, kind, data = seen[-1]
    assert (kind, data["status"], data["version"]) == ("done", "succeeded", version)


def test_prefer_wait_answers_with_the_finished_job(service: Running) -> None:
    answer = service.http.post("/v1/generations", json=body(), headers={"Prefer": "wait=30"})
    assert (answer.status_code, answer.json()["status"]) == (202, "succeeded")
    assert answer.headers["preference-applied"] == "wait=30"


def test_a_running_job_is_canceled_at_its_next_step(service: Running) -> None:
    service.witness.hold()
    job_id = service.submit()
    service.witness.wait_for_step_2(job_id)
    assert service.http.post(f"/v1/generations/{job_id}/cancel").json()["status"] == "canceling"
    service.witness.release()
    job = service.ended(job_id)
    assert (job["status"], job["progress"]["step"]) == ("canceled", 2)
    missing = service.get(job_id, "image.png")
    assert (missing.status_code, missing.json()["detail"]) == (404, "the job is canceled and has no image.png")


def test_the_same_idempotency_key_is_the_same_job(service: Running) -> None:
    headers = {"Idempotency-Key": "order-4711"}
    first, again = (service.http.post("/generate", json=body(), headers=headers) for _ in range(2))
    assert first.json()["id"] == again.json()["id"]
    assert ("idempotent-replayed" in first.headers, again.headers["idempotent-replayed"]) == (False, "true")
    other = service.http.post("/generate", json=body(seed=8), headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert service.ended(first.json()["id"])["status"] == "succeeded"


def test_jobs_are_listed_newest_first_page_by_page(service: Running) -> None:
    ids = [service.submit(seed=seed) for seed in range(3)]
    first = service.http.get("/v1/generations", params={"limit": 2}).json()
    second = service.http.get("/v1/generations", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [job["id"] for job in first["data"] + second["data"]][:3] == ids[::-1]
    for job_id in ids:
        service.ended(job_id)


def test_readiness_names_what_the_workers_offer(service: Running) -> None:
    ready = service.http.get("/readyz").json()
    assert (ready["status"], ready["models"], ready["missing"]) == ("ready", ["toy"], [])
    assert ready["judges"] == ["colorfulness", "jpeg_compressibility", "witness"]


def test_the_curl_line_that_up_prints_is_a_job_here(service: Running) -> None:
    readiness = service.stack.readiness
    curl, url, header, kind, data, sent = shlex.split(
        curl_line(service.stack.url, readiness["models"], readiness["judges"])
    )
    assert (curl, header, data) == ("curl", "-H", "-d")
    assert kind == "Content-Type: application/json"
    answer = httpx.post(url, headers={"Content-Type": "application/json"}, content=sent)
    assert answer.status_code == 202, answer.text
    assert service.ended(answer.json()["id"])["status"] == "succeeded"
