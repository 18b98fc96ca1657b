# SPDX-License-Identifier: Apache-2.0
"""Figures beside those of wrk: memory, calls of malloc, the time of a start."""
import pathlib
import struct
import sys
import time

from load import load
from peers import run_peer
from servers import ROOT, Server, free_port, is_nginx, read_response, serve_cases


def idle_bytes(binary, options, case):
    """Resident bytes by which each of many idle connections, of one request each, makes it grow."""
    with serve_cases(binary, options.server_core) as server:
        message = case.request(server.port)

        def connections(count):
            opened = []
            for _ in range(count):
                client = server.connect()
                client.sendall(message)
                client.settimeout(30)
                data = b""
                while not data.endswith((b"0\r\n\r\n", b"hello\n")):
                    data += client.recv(65536)
                opened.append(client)
            return opened

        first = connections(100)  # what is there once for all is there now
        before = server.resident()
        more = connections(options.connections)
        after = server.resident()
        for client in first + more:
            client.close()
        return (after - before) / options.connections


def held_requests(binary, options):
    """Resident bytes and seconds of CPU of each of many requests that sleep at the same time."""
    asleep, count = 15, 10000
    message = f"GET /held?seconds={asleep} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    with serve_cases(binary, options.server_core) as server, server.connect() as first:
        stream = first.makefile("rb")

        def ask(path):
            first.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            return read_response(stream)

        for _ in range(100):  # what is there once for all is there now
            ask("/held?seconds=0.001")
        before, cpu, began = server.resident(), sum(server.cpu()), time.monotonic()
        opened = []
        for _ in range(count):
            client = server.connect()
            client.sendall(message)
            opened.append(client)
        ask("/content")
        time.sleep(0.5)
        size = (server.resident() - before) / count
        if time.monotonic() - began > asleep:
            sys.exit(f"{binary}: {count} requests took too long to begin")
        for client in opened:
            client.settimeout(60)
            if read_response(client.makefile("rb")) != (200, b"hello\n"):
                sys.exit(f"{binary}: a held request was not answered")
            client.close()
        return size, (sum(server.cpu()) - cpu) / count


def soak(binary, options, case, folder):
    """Resident bytes after 100,000 requests and after a million; and descriptors at both times."""
    seen, requests, until = [], 0, time.monotonic() + 120
    with serve_cases(binary, options.server_core) as server:
        server.connect().close()
        for most in (100_000, 1_000_000):
            while requests < most:
                if time.monotonic() > until:
                    sys.exit(f"{binary}: {requests:,} of a million requests in two minutes")
                requests += load(case, server.port, 1, options.client_core, folder)["requests"]
            time.sleep(0.5)
            seen.append((server.resident(), server.descriptors()))
    return seen


def malloc_calls(binary, options, case, library, folder):
    """Calls of malloc for each request of a connection that is kept alive."""
    counter = pathlib.Path(folder) / "counter"
    counter.write_bytes(bytes(8))
    environment = {"LD_PRELOAD": str(library), "MALLOC_COUNTER": str(counter)}
    with run_peer(case.peer) as peer, serve_cases(binary, options.server_core, environment,
                                                  peer) as server, server.connect() as client:
        stream, message = client.makefile("rb"), case.request(server.port)

        def ask(times):
            for _ in range(times):
                client.sendall(message)
                read_response(stream)
            return struct.unpack("Q", counter.read_bytes())[0]

        times = 200 if len(message) > 100000 else 2000
        before = ask(times)
        return (ask(times) - before) / times if before else None


def first_answer(binary, options):
    """Seconds from the start of the process to the first answer of examples/hello."""
    app, port = ROOT / "examples/hello", free_port()
    http = (app / "nginx.conf").read_text().replace("listen 8080", f"listen 127.0.0.1:{port}")
    command = None
    if not is_nginx(binary):
        command = [binary, "run", "{folder}", "--port", str(port), "--data", "{folder}/data"]
    with Server(binary, options.server_core, http, port, app=app, command=command) as server:
        with server.connect() as client:
            client.sendall(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
            status, body = read_response(client.makefile("rb"))
            took = time.perf_counter() - server.started
        if (status, body) != (200, b"Hello, everybody!\n"):
            sys.exit(f"{binary}: hello answers {status} {body}")
        return took
