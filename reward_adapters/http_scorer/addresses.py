"""Which addresses a scorer may have, and connections that lead to no other. It knows no scorer, no request and no setting.

A name is looked up once for each connection, all its addresses are checked, and it is one of them, not the name, that is connected to:
what the name leads to a moment later does not matter (DNS rebinding). Proxies and redirects do not exist at this level.
"""

import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

import anyio
from httpcore2 import (
    SOCKET_OPTION,
    AnyIOBackend,
    AsyncNetworkStream,
    ConnectError,
    ConnectTimeout,
    TimeoutException,
)

Address = IPv4Address | IPv6Address

# Where clouds answer their own machines, and hand out keys: all of link-local, and these. The last may stand for any of them.
_CLOUDS = [
    ip_network(network)
    for network in (
        "100.100.100.200/32",  # Alibaba
        "168.63.129.16/32",  # Azure, its wire server; its metadata are link-local
        "192.0.0.192/32",  # Oracle
        "fd00:ec2::/32",  # Amazon, with its pods' identities
        "fd20:ce::/32",  # Google
        "fd00:42::/32",  # Scaleway
        "64:ff9b:1::/48",  # NAT64 of one's own, in whatever form
    )
]
_TRANSLATED = IPv6Network("64:ff9b::/96")  # NAT64: the last four bytes are an IPv4 address
_COMPATIBLE = IPv6Network("::/96")  # the same, long deprecated, but for :: and ::1
_SITE_LOCAL = IPv6Network("fec0::/10")


class AddressRefused(Exception):
    """An address that is not connected to. `private`: a setting may allow it."""

    def __init__(self, address: Address, private: bool) -> None:
        super().__init__(str(address))
        self.private = private


def check(address: Address, allow_private: bool) -> None:
    """Raises AddressRefused for metadata services and what is no host at all, and for private addresses unless they are allowed."""
    meant = _meant(address)
    if any(_never(one) for one in (address, meant)):
        raise AddressRefused(address, private=False)
    if not allow_private and not meant.is_global:
        raise AddressRefused(address, private=True)


def literal(host: str) -> Address | None:
    """The address that is written instead of a name, or None."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def says_it_is_near(host: str) -> bool:
    """Whether this can only be meant as one's own machine or network, or is exactly one address: nobody else's DNS decides.

    An address, `localhost`, or a name without a dot, as in Docker Compose or one namespace of Kubernetes.
    """
    return literal(host) is not None or "." not in host.removesuffix(".")


def _never(address: Address) -> bool:
    if address.is_link_local or address.is_unspecified or address.is_multicast:
        return True
    if isinstance(address, IPv4Address):
        return address.packed[0] in (0, 255) or _of_a_cloud(address)
    return address in _SITE_LOCAL or _of_a_cloud(address)


def _of_a_cloud(address: Address) -> bool:
    return any(address in network for network in _CLOUDS)  # one of the other version is in none


def _meant(address: Address) -> Address:
    """The IPv4 address in an IPv6 one that stands for it; else the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped or address.sixtofour:
        return address.ipv4_mapped or address.sixtofour or address
    if address.teredo:
        return address.teredo[1]
    if address in _TRANSLATED or (address in _COMPATIBLE and int(address) > 1):
        return IPv4Address(address.packed[-4:])
    return address


class GuardedBackend(AnyIOBackend):
    """Connects to checked addresses only."""

    def __init__(self, allow_private: bool) -> None:
        self._allow_private = allow_private

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is the library's
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        """A connection to one of the host's addresses. Raises AddressRefused if one of them is refused, even where others are not:
        which of them answers must not be left to chance. Raises ConnectError and ConnectTimeout.
        """
        addresses = await resolved(host, port, timeout)
        for address in addresses:
            check(address, self._allow_private)
        share = None if timeout is None else timeout / len(addresses)
        failed: TimeoutException | ConnectError = ConnectError("the name has no address")
        for address in addresses:
            try:
                return await super().connect_tcp(str(address), port, share, local_address, socket_options)
            except (ConnectError, ConnectTimeout) as error:
                failed = error
        raise failed


async def resolved(host: str, port: int, seconds: float | None) -> list[Address]:
    """The host's addresses, in the order in which they should be tried. Raises ConnectError and ConnectTimeout."""
    try:
        with anyio.fail_after(seconds):
            found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except TimeoutError as error:
        raise ConnectTimeout("the name was not resolved in time") from error
    except (OSError, UnicodeError) as error:
        raise ConnectError("the name has no address") from error
    return [ip_address(text) for text in dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found)]
