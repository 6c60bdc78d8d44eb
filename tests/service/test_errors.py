"""Every error is a problem document that says what happened and what to do, and no error tells a user our code."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from bus.connection import Client
from service.errors import pointer

LIMIT = 2**20
JSON = {"Content-Type": "application/json"}

pytestmark = pytest.mark.usefixtures("workers")


def problem(answer: httpx.Response, status: int, code: str) -> str:
    """The detail of the problem, which must be this one."""
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (answer.status_code, body["status"], body["code"]) == (status, status, code), body
    assert body["type"] == "about:blank"
    assert body["title"]
    assert body["instance"] == answer.request.url.path
    detail: str = body["detail"]
    return detail


async def test_an_unknown_path(client: httpx.AsyncClient) -> None:
    for path in ("/nope", "/v1/generations/", "/v1//models"):
        assert "there is nothing at" in problem(await client.get(path), 404, "not_found")


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/generations", "GET, POST"),
        ("/generate", "POST"),
        ("/v1/generations/gen_" + "0" * 32, "DELETE, GET"),
        ("/readyz", "GET"),
    ],
)
async def test_an_impossible_method_names_all_possible_ones(client: httpx.AsyncClient, path: str, allowed: str) -> None:
    answer = await client.put(path)
    problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == allowed


@pytest.mark.parametrize(
    "body", [b"{", b'{"prompt": "x",}', b"\xff", b'"\xff"', b"[" * 100_000, b'{"seed": ' + b"9" * 5000 + b"}", b"nul"]
)
async def test_a_body_that_is_no_json(client: httpx.AsyncClient, body: bytes) -> None:
    assert "JSON" in problem(await client.post("/generate", content=body, headers=JSON), 400, "malformed_request")


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"3", b'"prompt"', b"{}", b'{"prompt": null}'])
async def test_json_that_is_no_request(client: httpx.AsyncClient, body: bytes) -> None:
    problem(await client.post("/generate", content=body, headers=JSON), 422, "validation_failed")


@pytest.mark.parametrize("field", ["prompt", "judge", "model", "scenario", "scenario_text", "\ud800"])
async def test_half_a_character_is_refused_and_can_be_quoted(client: httpx.AsyncClient, field: str) -> None:
    body = json.dumps({"prompt": "x", "metadata": {}} | {field: "\ud800"}).encode("ascii")
    problem(await client.post("/generate", content=body, headers=JSON), 422, "validation_failed")


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "application", "", "text/json"]
)
async def test_a_body_that_is_not_declared_as_json(client: httpx.AsyncClient, media_type: str) -> None:
    answer = await client.post("/generate", content=b'{"prompt": "x"}', headers={"Content-Type": media_type})
    assert "application/json" in problem(answer, 415, "not_json")


@pytest.mark.parametrize("media_type", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/x+json"])
async def test_json_under_its_other_names(client: httpx.AsyncClient, media_type: str) -> None:
    answer = await client.post("/generate", content=b'{"prompt": "x"}', headers={"Content-Type": media_type})
    assert answer.status_code == 202, answer.text


async def _pieces(size: int) -> AsyncIterator[bytes]:
    start = b'{"prompt": "x"}'
    yield start
    for left in range(size - len(start), 0, -(2**16)):
        yield b" " * min(left, 2**16)


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_of_a_mebibyte_is_read_and_a_longer_one_is_not(client: httpx.AsyncClient, declared: bool) -> None:
    async def post(size: int) -> httpx.Response:
        content = b'{"prompt": "x"}'.ljust(size) if declared else _pieces(size)
        return await client.post("/generate", content=content, headers=JSON)

    assert (await post(LIMIT)).status_code == 202
    assert str(LIMIT) in problem(await post(LIMIT + 1), 413, "too_large")


async def test_what_nobody_foresaw_is_500_without_our_code_and_the_gateway_lives_on(
    client: httpx.AsyncClient, redis: Client
) -> None:
    await redis.rename("workers", "elsewhere")
    await redis.set("workers", "not a set", ex=60)
    answer = await client.get("/v1/judges", headers={"X-Request-Id": "mine"})
    detail = problem(answer, 500, "internal")
    assert "X-Request-Id" in detail
    assert answer.headers["x-request-id"] == "mine"
    assert "WRONGTYPE" not in answer.text
    await redis.rename("elsewhere", "workers")
    assert (await client.get("/v1/judges")).status_code == 200


async def test_the_log_holds_no_terminals_control_characters(client: httpx.AsyncClient, capfd: Any) -> None:
    await client.post("/v1/%1B%5B2J%0Ahello%C3%A4")
    await client.get("/livez/%1b%5d0;owned%07")
    logged = capfd.readouterr().out
    assert "/v1/%1B%5B2J%0Ahello%C3%A4" in logged
    assert not {"\x1b", "\x07"} & set(logged)


async def test_every_answer_carries_the_requests_id(client: httpx.AsyncClient) -> None:
    for path in ("/livez", "/nope", "/v1/generations?limit=0", "/v1/generations/x"):
        assert (await client.get(path, headers={"X-Request-Id": "a.b:c-1"})).headers["x-request-id"] == "a.b:c-1"
        made = {(await client.get(path)).headers["x-request-id"] for _ in range(2)}
        assert len(made) == 2
        refused = await client.get(path, headers={"X-Request-Id": "no good; id" + "x" * 200})
        assert " " not in refused.headers["x-request-id"]


def test_a_pointer_goes_as_deep_as_the_body() -> None:
    body = {"sampler": {"tau": "x"}, "a/b": {"~": 1}, "list": [{"k": 1}]}
    assert pointer(["sampler", "tau", "constrained-float"], body) == "/sampler/tau"
    assert pointer(["sampler", "steps"], body) == "/sampler/steps"
    assert pointer(["a/b", "~"], body) == "/a~1b/~0"
    assert pointer(["list", 0, "k"], body) == "/list/0/k"
    assert pointer(["list", 7, "k"], body) == "/list"
    assert pointer([], body) == pointer(["prompt"], None) == ""
