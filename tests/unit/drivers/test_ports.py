"""Host ports that the driver chooses."""

import socket

import pytest

from e2e_controller.drivers.base import DriverError, PortSpec, PortTaken
from e2e_controller.drivers.docker.ports import PortChooser, binds_on
from tests.free_ports import free_port


class TestPorts:
    def test_goes_round_and_skips_what_is_taken(self) -> None:
        chooser = PortChooser(range(10, 14), binds=lambda port, _protocol: port != 12)
        assert {chooser.choose("tcp", {11}) for _ in range(2)} == {10, 13}
        with pytest.raises(PortTaken, match="no port from 10 to 13"):
            chooser.choose("tcp", {11})

    def test_a_port_comes_back_after_a_while(self) -> None:
        now = 0.0
        chooser = PortChooser(range(10, 11), clock=lambda: now, binds=lambda _port, _protocol: True)
        assert chooser.choose("tcp", ()) == 10
        with pytest.raises(PortTaken):
            chooser.choose("tcp", ())
        now = 61.0
        assert chooser.choose("tcp", ()) == 10

    def test_fixed_ports_are_not_chosen(self) -> None:
        chooser = PortChooser(range(10, 12), binds=lambda _port, _protocol: True)
        ports = {"a": PortSpec(80), "b": PortSpec(81, 10), "c": PortSpec(53, protocol="udp")}
        with pytest.raises(PortTaken):
            chooser.assign(ports, ())
        chooser = PortChooser(range(10, 13), binds=lambda _port, _protocol: True)
        assigned, chosen = chooser.assign(ports, ())
        assert assigned["81/tcp"] == 10
        assert {assigned["80/tcp"], assigned["53/udp"]} == set(chosen) == {11, 12}

    def test_takes_what_a_container_before_had_where_that_is_free(self) -> None:
        chooser = PortChooser(range(10, 17), binds=lambda port, _protocol: port != 12)
        ports = {
            name: PortSpec(number) for number, name in enumerate(("new", "free", "had", "bound", "odd"), 80)
        }
        kept = {"81/tcp": 10, "82/tcp": 11, "83/tcp": 12, "84/tcp": 8080}
        assigned, chosen = chooser.assign(ports, {11}, kept)
        assert assigned["81/tcp"] == 10
        assert sorted(assigned.values()) == sorted(chosen) == [10, 13, 14, 15, 16]

    def test_a_port_twice(self) -> None:
        with pytest.raises(DriverError, match="80/tcp stands twice"):
            PortChooser().assign({"a": PortSpec(80), "b": PortSpec(80)}, ())

    @pytest.mark.parametrize(("protocol", "kind"), [("tcp", socket.SOCK_STREAM), ("udp", socket.SOCK_DGRAM)])
    def test_looks_whether_it_is_free(self, protocol: str, kind: socket.SocketKind) -> None:
        with socket.socket(socket.AF_INET, kind) as other:
            other.bind(("127.0.0.1", free_port()))
            if protocol == "tcp":
                other.listen()
            port = other.getsockname()[1]
            assert not binds_on("127.0.0.1", port, protocol)
        assert binds_on("127.0.0.1", port, protocol)
