# SPDX-License-Identifier: Apache-2.0
"""A push to real nodes that serve: from the start of `troupe push` until each has answered with the new release."""
import json
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from servers import free_port, read_response

NODES = ("a", "b", "c")
MODULES = 20
MODULE_BYTES = 5 * 1024


def write_app(folder, release):
    """100 KB: modules of which a fifth change, and a location that says which release it is."""
    (folder / "lua").mkdir(parents=True, exist_ok=True)
    for i in range(MODULES):
        version = release if i % 5 == 0 else "first"
        text = f"-- {version}\n" + "".join(f"local function f{n}(x) return x + {n} end\n"
                                           for n in range(MODULE_BYTES // 38))
        (folder / f"lua/m{i}.lua").write_text(text + "return { f = f0 }\n")
    names = "".join(f'require "m{i}" ' for i in range(MODULES))
    (folder / "nginx.conf").write_text(f"""
        init_by_lua_block {{ {names} }}
        server {{ listen 8080; keepalive_requests 1000000000;
            location = /release {{ content_by_lua_block {{ ngx.print("{release}") }} }}
            location = / {{ content_by_lua_block {{ ngx.say(require("m1").f(1)) }} }} }}""")


def free_pair():
    """A port whose next one is free, too."""
    while True:
        port = free_port()
        with socket.socket() as beside:
            try:
                beside.bind(("127.0.0.1", port + 1))
                return port
            except OSError:
                continue


class Cluster:
    def __init__(self, options, folder):
        self.folder, self.binary, self.link = pathlib.Path(folder), options.troupe, free_pair()
        self.ports, self.processes = {}, {}
        self.say("keys", "init")

    def words(self, *words):
        return [self.binary, *words, "--keys", str(self.folder / "keys")]

    def say(self, *words):
        done = subprocess.run(self.words(*words), capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"troupe {' '.join(words)}: {done.stderr}")
        return done.stdout

    def push_words(self):
        return self.words("push", str(self.folder / "app"), "--node", str(self.folder / "a"))

    def __enter__(self):
        for name in NODES:
            self.ports[name] = free_port()
            role = ["--controller", "--listen"] if name == "a" else ["--join"]
            self.processes[name] = subprocess.Popen(
                self.words("node", "--name", name, "--data", str(self.folder / name), "--shards", "1", "--port",
                           str(self.ports[name]), *role, f"127.0.0.1:{self.link}"),
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=open(self.folder / f"{name}.log", "wb"),
                text=True)
            while f"node {name}" not in (line := self.processes[name].stdout.readline()):
                if not line:
                    sys.exit(f"node {name} does not start: {(self.folder / f'{name}.log').read_text()}")
        # A push is for those that the controller has heard.
        asked = ("nodes", "--json", "--node", str(self.folder / "a"))
        while sum(node["live"] for node in json.loads(self.say(*asked))) < len(NODES):
            time.sleep(0.05)
        return self

    def __exit__(self, *_):
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.wait(30)

    def release_of(self, name):
        with socket.create_connection(("127.0.0.1", self.ports[name]), timeout=30) as client:
            client.sendall(b"GET /release HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            return read_response(client.makefile("rb"))[1].decode()


class Load(threading.Thread):
    """Requests on one connection, one every `pause` seconds; what is not answered with 200 has failed."""

    def __init__(self, port, pause):
        super().__init__(daemon=True)
        self.port, self.pause, self.ends = port, pause, threading.Event()
        self.answered = self.failed = 0

    def run(self):
        client = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        replies = client.makefile("rb")
        while not self.ends.wait(self.pause):
            try:
                client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                status = read_response(replies)[0]
            except (OSError, ValueError, IndexError):
                status = 0
            self.answered += status == 200
            self.failed += status != 200
            if status == 0:
                client = socket.create_connection(("127.0.0.1", self.port), timeout=30)
                replies = client.makefile("rb")


def real(options, folder):
    with tempfile.TemporaryDirectory(prefix="troupe-push-", dir=folder) as place, Cluster(options, place) as cluster:
        app = cluster.folder / "app"
        write_app(app, "first")
        size = sum(each.stat().st_size for each in app.rglob("*") if each.is_file())
        subprocess.run(cluster.push_words(), check=True, stdout=subprocess.DEVNULL)
        loads = [Load(port, 0.002) for port in cluster.ports.values()]
        for load in loads:
            load.start()
        took = []
        for i in range(options.real_pushes):
            release = f"r{i}"
            write_app(app, release)
            began = time.perf_counter()
            command = subprocess.Popen(cluster.push_words(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            for name in NODES:
                while cluster.release_of(name) != release:
                    if time.perf_counter() - began > 30:
                        sys.exit(f"{name} does not serve {release}")
                    time.sleep(0.0005)
            took.append((time.perf_counter() - began) * 1e3)
            if command.wait() != 0:
                sys.exit(f"push of {release} failed")
        for load in loads:
            load.ends.set()
        for load in loads:
            load.join()
    took.sort()
    print(f"    real: {took[0]:.0f} to {took[-1]:.0f} ms", file=sys.stderr)
    p99 = took[min(len(took) - 1, int(len(took) * 0.99))]
    requests, failed = sum(load.answered for load in loads), sum(load.failed for load in loads)
    return [
        [f"an app of {size / 1024:.0f} KB pushed to 3 real nodes under load: from the start of the command to the last "
         f"first response of the new release, p50 / p99 of {len(took)}", "p99 150 ms",
         f"{statistics.median(took):.0f} / {p99:.0f} ms"],
        ["requests that failed meanwhile", "0", f"{failed} of {requests:,}"],
    ]
