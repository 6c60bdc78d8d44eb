"""The service about itself: what can be asked for, whether a job would be drawn, what has been done; also with Redis away."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from bus.cards import Cards
from bus.connection import Client
from bus.jobs import Jobs
from bus.server import EmbeddedServer, free_port
from contracts.scenarios import SCENARIOS
from service.settings import GatewaySettings
from tests.conftest import wait_until

from .by_hand import MODEL, SCORING, SELECTING, running, submit


async def test_discovery_leads_everywhere(client: httpx.AsyncClient) -> None:
    body = (await client.get("/")).json()
    assert body["name"] == "maxwell"
    for url in body["urls"].values():
        assert (await client.get(url)).status_code == 200, url


@pytest.mark.usefixtures("workers")
async def test_the_catalog_is_what_live_workers_offer(client: httpx.AsyncClient, redis: Client) -> None:
    async def data(kind: str) -> list[dict[str, object]]:
        listed: list[dict[str, object]] = (await client.get(f"/v1/{kind}")).json()["data"]
        return listed

    assert await data("scenarios") == [scenario.model_dump() for scenario in SCENARIOS.values()]
    assert await data("models") == [MODEL.model_dump()]
    assert await data("judges") == [SCORING.model_dump(), SELECTING.model_dump()]
    await Cards(redis).withdraw("judge-1")
    assert await data("judges") == []


async def test_readiness_names_what_is_missing(client: httpx.AsyncClient, redis: Client) -> None:
    cards = Cards(redis)

    async def ready() -> tuple[str, list[str]]:
        answer = await client.get("/readyz")
        assert answer.status_code == 200
        return answer.json()["status"], answer.json()["missing"]

    assert await ready() == ("degraded", ["GPU worker", "judge worker"])
    async with cards.published("gpu-1", models=[MODEL]):
        assert await ready() == ("degraded", ["judge worker"])
        async with cards.published("judge-1", judges=[SELECTING]):
            assert await ready() == ("ready", [])
            body = (await client.get("/readyz")).json()
            assert (body["workers"], body["models"], body["judges"]) == (2, ["embedded"], ["local"])
        assert await ready() == ("degraded", ["judge worker"])


@pytest.mark.usefixtures("workers")
async def test_metrics_count_requests_and_jobs_and_hold_no_ids(
    client: httpx.AsyncClient, settings: GatewaySettings
) -> None:
    with running(settings) as url:
        async with httpx.AsyncClient(base_url=url) as fresh:
            job_id = await submit(fresh, scenario="artist")
            await fresh.get(f"/v1/generations/{job_id}")
            await fresh.get("/nope/" + job_id)
            await fresh.request("BREW", "/readyz")
            answer = await fresh.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert job_id not in answer.text
    samples = {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert samples["maxwell_http_requests_total", ("POST", "/v1/generations", "202")] == 1
    assert samples["maxwell_http_requests_total", ("GET", "/v1/generations/{job_id}", "200")] == 1
    assert samples["maxwell_http_requests_total", ("GET", "unmatched", "404")] == 1
    assert samples["maxwell_http_requests_total", ("other", "/readyz", "405")] == 1
    assert samples["maxwell_http_request_duration_seconds_count", ("POST", "/v1/generations")] == 1
    assert samples["maxwell_jobs_submitted_total", ("local", "embedded", "artist")] == 1
    assert samples["maxwell_jobs_waiting", ()] == 1


async def test_without_redis_the_gateway_says_so_and_goes_on_when_it_is_back(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path / ("long" * 30))  # too long for a socket file: on a port, behind a password
    password = urlsplit(server.url).password
    assert password is not None
    with running(GatewaySettings(redis_url=server.url, state_dir=tmp_path)) as gateway:
        async with httpx.AsyncClient(base_url=gateway, timeout=30) as client:
            for answer in (await client.get("/readyz"), await client.post("/generate", json={"prompt": "x"})):
                assert (answer.status_code, answer.json()["code"]) == (503, "bus_unavailable")
                assert "cannot reach its Redis" in answer.json()["detail"]
                for inside in (password, "127.0.0.1", "MAXWELL", "redis:"):
                    assert inside not in answer.text
                assert int(answer.headers["retry-after"]) >= 1
            assert (await client.get("/livez")).json() == {"status": "alive"}
            assert "maxwell_jobs_waiting NaN" in (await client.get("/metrics")).text
            with server:
                assert (await client.get("/readyz")).json()["status"] == "degraded"


@contextmanager
def _process(redis_url: str, state: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The gateway as `maxwell gateway` runs it, and its URL."""
    port = free_port()
    ours = {"MAXWELL_REDIS_URL": redis_url, "MAXWELL_STATE_DIR": str(state), "MAXWELL_PORT": str(port)}
    command = [sys.executable, "-m", "cli", "gateway"]
    with subprocess.Popen(command, env=os.environ | ours, stderr=subprocess.PIPE) as process:
        try:
            yield process, f"http://127.0.0.1:{port}"
        finally:
            process.kill()


@pytest.mark.usefixtures("workers")
async def test_a_gateway_that_is_told_to_stop_ends_its_streams_and_leaves_in_order(
    redis_url: str, jobs: Jobs, tmp_path: Path
) -> None:
    with _process(redis_url, tmp_path) as (process, url):
        async with httpx.AsyncClient(base_url=url, timeout=30) as client:

            async def answers() -> bool:
                with suppress(httpx.TransportError):
                    return (await client.get("/livez")).status_code == 200
                return False

            await wait_until(answers, "the gateway's process answers")
            job_id = await submit(client)
            async with client.stream("GET", f"/v1/generations/{job_id}/events") as answer:
                chunks = answer.aiter_bytes()
                assert b"event: status" in await anext(chunks)
                process.send_signal(signal.SIGTERM)
                with suppress(httpx.RemoteProtocolError):  # the stream is cut, so that the client reconnects
                    assert [chunk async for chunk in chunks] == []
        await wait_until(lambda: process.poll() is not None, "the process ends")
        assert process.returncode in (0, -signal.SIGTERM)
        assert process.stderr is not None
        assert b"Traceback" not in process.stderr.read()
    assert await jobs.waiting() == 1


def test_a_redis_url_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    environment = {**os.environ, "MAXWELL_REDIS_URL": "http://nowhere", "MAXWELL_STATE_DIR": str(tmp_path)}
    ended = subprocess.run([sys.executable, "-m", "cli", "gateway"], env=environment, capture_output=True, check=False)
    assert ended.returncode != 0
    assert ended.stderr.decode().count("\n") == 1
    assert "no Redis URL" in ended.stderr.decode()


def test_the_gateway_loads_no_network_and_no_judge() -> None:
    forbidden = ("torch", "numpy", "diffusers", "transformers", "PIL", "workers", "reward_adapters", "embedded")
    program = f"import sys, service.main; print([name for name in {forbidden} if name in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert ended.stdout.decode().strip() == "[]"
