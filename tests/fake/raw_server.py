"""A server on loopback that says exactly the bytes it is given, and then closes the connection, or keeps it open."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


def http_answer(
    body: Sequence[bytes], *, status: str = "200 OK", headers: Sequence[str] = (), ends: bool = True
) -> bytes:
    """An answer in HTTP/1.1, its body in chunks; without its end, where `ends` is false."""
    head = [f"HTTP/1.1 {status}", *headers, "transfer-encoding: chunked", "connection: close", "", ""]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in body)
    return "\r\n".join(head).encode() + chunks + (b"0\r\n\r\n" if ends else b"")


@contextmanager
def saying(data: bytes, *, hangs: bool = False) -> Iterator[str]:
    """Answer one request with these bytes; gives the server's URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()
    thread = threading.Thread(target=_serve, args=(listener, data, over if hangs else None), name="raw server")
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        over.set()
        thread.join()
        listener.close()


def _serve(listener: socket.socket, data: bytes, over: threading.Event | None) -> None:
    connection, _ = listener.accept()
    with connection, connection.makefile("rb") as request:
        length = 0
        while (line := request.readline().strip()) != b"":
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        request.read(length)
        with contextlib.suppress(ConnectionError):
            connection.sendall(data)
        if over is not None:
            over.wait()
