# SPDX-License-Identifier: Apache-2.0
"""troupe and nginx as servers that are given a new release while they run, and the load on them."""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import releases
from servers import HERE, MODULES, free_port, read_response


def compile_load(folder):
    binary = pathlib.Path(folder) / "reload_load"
    subprocess.run(["cc", "-O2", "-o", binary, HERE / "reload_load.c"], check=True)
    return binary


class Side:
    """A server that runs an app from `with` to the end of it."""

    def __init__(self, options, app, release):
        self.options, self.app, self.port = options, app, free_port()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="troupe-reload-"))
        (self.folder / "app/logs").mkdir(parents=True)
        self.write(release)

    def __enter__(self):
        self.log = open(self.folder / "output", "wb")
        self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=self.log, cwd=self.folder)
        until = time.monotonic() + 30
        while True:
            try:
                self.connect().close()
                break
            except ConnectionRefusedError:
                if self.process.poll() is not None or time.monotonic() > until:
                    sys.exit(f"{self.name} does not accept:\n{self.words()}")
                time.sleep(0.001)
        self.place()
        return self

    def place(self):
        """Gives what serves requests its core."""

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def get(self, path):
        """On a connection of its own."""
        with self.connect() as client:
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
            return read_response(client.makefile("rb"))[1].decode()

    def words(self):
        return (self.folder / "output").read_text(errors="replace")

    def processes(self):
        """The server and its children."""
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [self.process.pid, *map(int, children.read_text().split())]

    def memory(self):
        """Bytes of all its processes, what they share counted once."""
        total = 0
        for pid in self.processes():
            try:
                text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue  # a worker that has just ended
            total += int(re.search(r"^Pss:\s+(\d+)", text, re.M)[1]) * 1024
        return total

    def seconds_to(self, command, expected):
        """From the start of the command to the first answer that is the new one."""
        # Who asks again and again takes no time from the command and from what loads the release.
        everywhere = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {self.options.client_core})
        began = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        os.sched_setaffinity(0, {self.options.server_core})
        while self.get(self.probe) != expected:
            if time.perf_counter() - began > 30:
                sys.exit(f"{self.name}: the new release does not come:\n{self.words()}")
            time.sleep(0.0001)
        took = time.perf_counter() - began
        os.sched_setaffinity(0, everywhere)
        if process.wait():
            sys.exit(f"{self.name}: {command} failed:\n{self.words()}")
        return took

    probe = "/release"

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Troupe(Side):
    name = "troupe"

    def __init__(self, options, app, release, shards=1, flags=()):
        self.shards, self.flags = shards, flags
        super().__init__(options, app, release)

    def write(self, release):
        releases.write(self.app(release), self.folder / "app")

    def command(self):
        return [self.options.ours, "run", self.folder / "app", "--data", self.folder / "data",
                "--port", str(self.port), "--shards", str(self.shards), *self.flags]

    def place(self):
        while "listening on" not in self.words():  # the control socket is there, too
            time.sleep(0.001)
        if self.shards != 1:
            return  # several of them are where the system puts them
        # A shard has a core of its own; what loads releases works beside it.
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            try:
                is_shard = (task / "comm").read_text().startswith("shard")
                core = self.options.server_core if is_shard else self.options.client_core
                os.sched_setaffinity(int(task.name), {core})
            except (FileNotFoundError, ProcessLookupError):
                continue  # a thread that has just ended

    def control(self):
        return releases.Control(self.folder / "data")

    def changer(self):
        """@return a function that makes a release serve, and returns when it does."""
        control = self.control()
        return lambda release: control.apply(releases.bundle(self.app(release)))

    def apply_words(self):
        return [self.options.ours, "apply", self.folder / "app", "--data", self.folder / "data"]


class Nginx(Side):
    name = "nginx"

    def write(self, release):
        files = self.app(release)
        inside = files.pop("nginx.conf").decode()
        inside = inside.replace("listen 8080", f"listen 127.0.0.1:{self.port}")
        modules = "".join(f"load_module {MODULES / name};\n"
                          for name in ("ndk_http_module.so", "ngx_http_lua_module.so"))
        user = "user root;\n" if os.getuid() == 0 else ""
        files["bench.conf"] = (
            f"{modules}{user}worker_processes 1;\nworker_cpu_affinity {1 << self.options.server_core:b};\n"
            "daemon off;\npid logs/nginx.pid;\nerror_log logs/error.log error;\n"
            f"events {{ worker_connections 12000; }}\nhttp {{\n{inside}\n}}\n").encode()
        releases.write(files, self.folder / "app")

    def command(self):
        return [self.options.theirs, "-p", f"{self.folder}/app/", "-c", "bench.conf",
                "-e", f"{self.folder}/app/logs/error.log"]

    def apply_words(self):
        return [*self.command(), "-s", "reload"]

    def words(self):
        log = self.folder / "app/logs/error.log"
        return super().words() + (log.read_text(errors="replace") if log.exists() else "")

    def changer(self):
        """As `nginx -s reload` does, without its process."""
        def change(release):
            self.write(release)
            self.process.send_signal(signal.SIGHUP)
            until = time.monotonic() + 30
            while not self.get("/").startswith(release + "\n"):
                if time.monotonic() > until:
                    sys.exit(f"nginx: {release} does not come:\n{self.words()}")
                time.sleep(0.0002)
        return change


class Load:
    """reload_load, from `with` to the end of it."""

    def __init__(self, binary, options, port, path="/"):
        words = ["taskset", "-c", str(options.client_core)]
        if os.getuid() == 0:  # it shares its core with what loads releases, and must not wait for it
            words = ["nice", "-n", "-10", *words]
        self.process = subprocess.Popen([*words, binary, str(port), str(options.connections), path],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self):
        return self

    def window(self):
        """What happened since the last call."""
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()
        seen = json.loads(self.process.stdout.readline())
        seen["failed"] = sum(seen[kind] for kind in ("bad_status", "refused", "unanswered", "cut"))
        return seen

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


class WebSockets:
    """Open ones, that say nothing until they are asked whether they are there."""

    def __init__(self, side, count):
        self.all = []
        for _ in range(count):
            client = side.connect()
            client.sendall(b"GET /socket HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                more = client.recv(1024)
                if not more:
                    sys.exit(f"{side.name}: no WebSocket: {head}\n{side.words()}")
                head += more
            self.all.append(client)

    def closed(self):
        """How many do not answer any more."""
        gone = 0
        for client in self.all:
            try:
                client.sendall(b"\x81\x82\0\0\0\0hi")
                gone += client.recv(64) != b"\x81\x02hi"
            except OSError:
                gone += 1
        return gone

    def close(self):
        for client in self.all:
            client.close()
