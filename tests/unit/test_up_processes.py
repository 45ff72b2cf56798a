"""What a run's processes are given."""

from headrace.up.processes import free_port

EPHEMERAL_PORT_MIN = 32_768
"""Of Linux: from here on the kernel gives ports to outgoing connections."""


def test_no_port_is_given_twice() -> None:
    ports = [free_port() for _ in range(200)]

    assert len(set(ports)) == len(ports)


def test_a_worker_s_port_is_none_that_the_kernel_gives_away_before_it_listens() -> None:
    assert all(free_port() < EPHEMERAL_PORT_MIN for _ in range(50))
