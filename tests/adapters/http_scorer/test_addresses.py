"""A scorer's name may lead where its DNS says, but no request goes to a metadata service, nor into one's own network unasked."""

import socket
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_adapters.http_scorer.addresses import AddressRefused, check, says_it_is_near

from .asking import failure, verdict
from .scorer import Scorer, response, running

Names = Callable[[str, list[str]], None]

NEVER = [
    "169.254.169.254", "169.254.170.2", "169.254.0.1", "0.0.0.0", "0.1.2.3", "255.255.255.255", "224.0.0.1", "100.100.100.200",
    "168.63.129.16", "192.0.0.192", "::", "fe80::1", "fe80::a9fe:a9fe", "fe80::1%1", "ff02::1", "fec0::1", "fd00:ec2::254",
    "fd00:ec2::23", "fd20:ce::254", "fd00:42::42", "::ffff:169.254.169.254", "2002:a9fe:a9fe::1", "64:ff9b::169.254.169.254",
    "64:ff9b:1::169.254.169.254", "::169.254.169.254", "2001:0:4136:e378:8000:63bf:5601:5601",
]  # fmt: skip
PRIVATE = [
    "127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "198.18.0.1", "240.0.0.1", "::1",
    "fd12::1", "::ffff:127.0.0.1", "2002:7f00:1::", "64:ff9b::10.0.0.1", "2001:db8::1",
]  # fmt: skip
PUBLIC = ["8.8.8.8", "172.15.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"]
METADATA = "169.254.169.254"


@pytest.mark.parametrize("allowed", [True, False])
@pytest.mark.parametrize("address", NEVER)
def test_where_clouds_hand_out_keys_and_what_is_no_host_is_never_asked(address: str, allowed: bool) -> None:
    with pytest.raises(AddressRefused) as refused:
        check(ip_address(address), allowed)
    assert not refused.value.private


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_need_leave(address: str) -> None:
    check(ip_address(address), allow_private=True)
    with pytest.raises(AddressRefused) as refused:
        check(ip_address(address), allow_private=False)
    assert refused.value.private


@pytest.mark.parametrize("address", PUBLIC)
def test_all_others_may_be_asked(address: str) -> None:
    check(ip_address(address), allow_private=False)


@given(st.ip_addresses(v=4), st.booleans())
def test_an_address_in_the_clothes_of_another_version_is_judged_as_it_is(address: IPv4Address, allowed: bool) -> None:
    number = int(address)
    dressed = [0xFFFF << 32 | number, 0x2002 << 112 | number << 80, 0x0064FF9B << 96 | number]
    if number > 1:
        dressed.append(number)
    assert {outcome(IPv6Address(one), allowed) for one in dressed} == {outcome(address, allowed)}


def outcome(address: IPv4Address | IPv6Address, allowed: bool) -> str:
    try:
        check(address, allowed)
    except AddressRefused as refused:
        return f"refused, private: {refused.private}"
    return "asked"


@pytest.mark.parametrize(
    ("host", "near"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("scorer", True),
        ("scorer.", True),
        ("scorer.example.com", False),
        ("localhost.example.com", False),
        ("169.254.43518", False),
    ],
)
def test_what_a_url_itself_says(host: str, near: bool) -> None:
    assert says_it_is_near(host) == near


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """Names of the test's own, with the addresses that each look-up takes one of, the last one for good: 'a, b' are two at once."""
    known: dict[str, list[str]] = {}
    real = socket.getaddrinfo

    def looked_up(host: Any, port: Any, *rest: Any, **more: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name not in known:
            return real(host, port, *rest, **more)
        turns = known[name]
        now = turns.pop(0) if len(turns) > 1 else turns[0]
        return [found for address in now.split(", ") for found in real(address, port, type=socket.SOCK_STREAM)]

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    return known.__setitem__


def called(scorer: Scorer, name: str) -> str:
    return scorer.url.replace("127.0.0.1", name)


async def test_a_name_without_dots_may_lead_near_and_one_with_dots_needs_leave(scorer: Scorer, names: Names) -> None:
    for name in ("scorer", "scorer.far.example"):
        names(name, ["127.0.0.1"])
    assert (await verdict(scorer, url=called(scorer, "scorer"))).scores == (1, 2, 3, 4)
    error = await failure(scorer, url=called(scorer, "scorer.far.example"))
    assert (error.code, error.retryable, error.usage.calls) == ("judge_misconfigured", False, 0)
    assert "MAXWELL_JUDGE_HTTP_URL: it leads to a private address: if" in str(error)
    assert "set MAXWELL_JUDGE_HTTP_ALLOW_PRIVATE=1" in str(error)
    assert "example" not in str(error)
    assert len(scorer.received) == 1
    assert await verdict(scorer, url=called(scorer, "scorer.far.example"), allow_private="1")
    refused = await failure(scorer, url=called(scorer, "scorer"), allow_private="0")
    assert "it leads to a private address" in str(refused)
    assert scorer.headers["host"] == called(scorer, "scorer.far.example").split("/")[2], "the name, not the address"


@pytest.mark.parametrize("led", [METADATA, f"127.0.0.1, {METADATA}", "::ffff:169.254.169.254", "fd00:ec2::254"])
async def test_a_name_that_leads_to_a_metadata_service_is_never_asked(scorer: Scorer, names: Names, led: str) -> None:
    names("scorer", [led])
    error = await failure(scorer, url=called(scorer, "scorer"), allow_private="1")
    assert (error.code, error.usage.calls, scorer.connections) == ("judge_misconfigured", 0, 0)
    assert "an address of a cloud's own services" in str(error)
    assert METADATA not in str(error)


async def test_what_was_checked_is_connected_to_whatever_the_name_says_next(scorer: Scorer, names: Names) -> None:
    names("scorer", ["127.0.0.1", METADATA])
    url = called(scorer, "scorer")
    scorer.after = "close"
    assert (await verdict(scorer, url=url)).scores == (1, 2, 3, 4), "looked up once, or it would have been refused"
    error = await failure(scorer, url=url)
    assert (error.code, len(scorer.received)) == ("judge_misconfigured", 1)


async def test_the_next_address_is_tried_where_nobody_listens_at_the_first(scorer: Scorer, names: Names) -> None:
    names("scorer", ["127.0.0.9, 127.0.0.1"])
    assert (await verdict(scorer, url=called(scorer, "scorer"))).scores == (1, 2, 3, 4)


async def test_an_address_of_version_6_is_written_in_brackets() -> None:
    async with running("::1", called="[::1]") as scorer:
        assert (await verdict(scorer)).scores == (1, 2, 3, 4)
        assert f"http://{scorer.headers['host']}/score" == scorer.url


async def test_a_redirect_is_followed_to_nobody(scorer: Scorer) -> None:
    async with running() as other:
        scorer.say = response(307, Location=other.url)
        assert (await failure(scorer)).code == "judge_misconfigured"
        assert other.connections == 0


async def test_proxies_of_the_environment_are_not_used(scorer: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running() as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert (await verdict(scorer)).scores == (1, 2, 3, 4)
        assert proxy.connections == 0
