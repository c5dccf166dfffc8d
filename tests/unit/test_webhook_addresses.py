"""Which addresses are public, whatever they are written as."""

import pytest

from producer.webhooks.addresses import is_allowed


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:4700::1111", "64:ff9b::5db8:d70e"])
def test_public(address: str) -> None:
    assert is_allowed(address, ())


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0"),
        *("100.64.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
        *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fec0::1", "ff02::1", "2001:db8::1"),
        # IPv4 addresses in other clothes.
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1"),
        *("64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::1", "2001:0:7f00:1::"),
    ],
)
def test_not_public(address: str) -> None:
    assert not is_allowed(address, ())


def test_allowed_by_network() -> None:
    assert is_allowed("10.1.2.3", ("fd00::/8", "10.0.0.0/8"))
    assert is_allowed("::ffff:10.1.2.3", ("10.0.0.0/8",))
    assert is_allowed("fd00::1", ("fd00::/8",))
    assert not is_allowed("192.168.1.1", ("10.0.0.0/8", "fd00::/8"))
