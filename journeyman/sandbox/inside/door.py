"""The way out of a sandbox that may reach some hosts: its listener, made inside, served by the host's proxy.

Only the standard library.
"""

import os
import socket

DOOR = "door"
"""The socket over which a container hands its proxy's listener to the host."""
PROXY = ("127.0.0.1", 3128)


def hand_over(door: socket.socket) -> None:
    """Listen where the code will look for a proxy; whoever is behind the door serves it."""
    with socket.create_server(PROXY) as listener:
        socket.send_fds(door, [b"x"], [listener.fileno()])

    where = f"http://{PROXY[0]}:{PROXY[1]}"
    os.environ.update(dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), where))
