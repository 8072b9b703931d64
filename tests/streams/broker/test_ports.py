"""Ports are checked before anything is started on them."""

import socket
import threading
from collections.abc import Callable

import pytest

from schemas.errors import SettingError
from streams.broker.ports import Port, require_free

FreePorts = Callable[[int], list[int]]


def test_free_ports_pass(free_ports: FreePorts) -> None:
    require_free([Port(number, f"P{number}", "a test") for number in free_ports(3)])


def test_a_port_in_use_names_its_setting_and_purpose(free_ports: FreePorts) -> None:
    free, used = free_ports(2)
    with (
        socket.create_server(("127.0.0.1", used)),
        pytest.raises(SettingError, match=rf"{used} on 127.0.0.1 \(the lookup\) is in use.*LOOKUP_PORT"),
    ):
        require_free([Port(free, "FREE_PORT", "a test"), Port(used, "LOOKUP_PORT", "the lookup")], patience_s=0.0)


def test_a_port_that_is_freed_in_time_passes(free_ports: FreePorts) -> None:
    (number,) = free_ports(1)
    server = socket.create_server(("127.0.0.1", number))
    closing = threading.Timer(0.2, server.close)
    closing.start()
    require_free([Port(number, "P", "a test")], patience_s=20.0)
    closing.join()


def test_one_port_for_two_settings_names_both(free_ports: FreePorts) -> None:
    (number,) = free_ports(1)
    with pytest.raises(SettingError, match=f"ONE and TWO are both {number}"):
        require_free([Port(number, "ONE", "a test"), Port(number, "TWO", "a test")])


@pytest.mark.parametrize("number", [0, -1, 65_536])
def test_a_number_that_is_no_port_is_refused(number: int) -> None:
    with pytest.raises(SettingError, match=f"P={number} is no port"):
        require_free([Port(number, "P", "a test")])


def test_a_port_of_ipv6_in_use_names_its_setting() -> None:
    try:
        server = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with server, pytest.raises(SettingError, match=r"on ::1 \(a test\) is in use"):
        require_free([Port(server.getsockname()[1], "P", "a test")], host="::1", patience_s=0.0)


def test_an_address_that_can_not_be_listened_on_names_the_setting(free_ports: FreePorts) -> None:
    with pytest.raises(SettingError, match=r"on 192\.0\.2\.1 \(a test\) can't be used: .*Set P to"):
        require_free([Port(free_ports(1)[0], "P", "a test")], host="192.0.2.1", patience_s=0.0)
