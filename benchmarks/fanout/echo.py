"""The other end of the bare socket: sends back what comes, in a process of its own.

Prints its port, serves one connection to its end.
"""

import socket

RECEIVE_BYTES = 1 << 16


def main() -> None:
    """Serve."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        print(server.getsockname()[1], flush=True)
        connection, _ = server.accept()
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while data := connection.recv(RECEIVE_BYTES):
                connection.sendall(data)


if __name__ == "__main__":
    main()
