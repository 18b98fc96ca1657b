# SPDX-License-Identifier: Apache-2.0
"""The two sides as processes, and one request of them."""
import contextlib
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

HERE = pathlib.Path(__file__).resolve().parent.parent
ROOT = HERE.parent.parent
MODULES = pathlib.Path("/usr/lib/nginx/modules")
TICKS = os.sysconf("SC_CLK_TCK")
OURS, THEIRS = "troupe", "nginx"


def is_nginx(binary):
    return pathlib.Path(binary).name == "nginx"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def main_conf(binary, http):
    """A whole nginx.conf around the inside of http {}; nginx alone needs its modules loaded."""
    modules = ""
    if is_nginx(binary):
        modules = "".join(f"load_module {MODULES / name};\n"
                          for name in ("ndk_http_module.so", "ngx_http_lua_module.so"))
        if os.getuid() == 0:
            modules += "user root;\n"
    return (f"{modules}worker_processes 1;\ndaemon off;\nmaster_process off;\n"
            f"pid logs/nginx.pid;\nerror_log logs/error.log error;\n"
            f"events {{ worker_connections 12000; }}\nhttp {{\n{http}\n}}\n")


class Server:
    """One side, running from `with` to the end of it."""

    def __init__(self, binary, core, http, port, app=None, environment=None, command=None,
                 wrapper=()):
        self.binary, self.core, self.port = binary, core, port
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="troupe-bench-"))
        if app:
            shutil.copytree(app, self.folder, dirs_exist_ok=True)
        (self.folder / "logs").mkdir(exist_ok=True)
        conf = self.folder / "bench.conf"
        conf.write_text(main_conf(binary, http))
        self.command = [word.format(folder=self.folder) for word in command or []] or [
            binary, "-p", f"{self.folder}/", "-c", str(conf), "-e", f"{self.folder}/logs/error.log"]
        self.wrapper = wrapper  # words before the command: a tool that watches it
        self.environment = {**os.environ, **(environment or {})}

    def __enter__(self):
        self.log = open(self.folder / "output", "wb")
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            ["taskset", "-c", str(self.core), *self.wrapper, *self.command],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=self.environment,
            cwd=self.folder)
        return self

    def connect(self):
        """The first connection: waits until the server accepts."""
        while True:
            with contextlib.suppress(ConnectionRefusedError):
                return socket.create_connection(("127.0.0.1", self.port), timeout=30)
            if self.process.poll() is not None:
                sys.exit(f"{self.binary} did not start:\n{self.words()}")
            if time.perf_counter() - self.started > 30:
                sys.exit(f"{self.binary} does not accept:\n{self.words()}")
            time.sleep(0.0002)

    def words(self):
        error_log = self.folder / "logs/error.log"
        return ((self.folder / "output").read_text(errors="replace") +
                (error_log.read_text(errors="replace") if error_log.exists() else ""))

    def cpu(self):
        """Seconds of user and of system time of all its threads."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        user, system = int(fields[11]), int(fields[12])
        # Their sum is known to the nanosecond: the process's own clock (clock_getcpuclockid(3)).
        total = time.clock_gettime(~self.process.pid << 3 | 2)
        share = user / (user + system) if user + system else 0
        return total * share, total * (1 - share)

    def resident(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) * 1024

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def serve_cases(binary, core, environment=None, peer=None, wrapper=()):
    """@param peer  that the case needs; it runs already."""
    port = free_port()
    http = (HERE / "cases.conf").read_text()
    http = http.replace("PEER", str(peer.port if peer else 1)).replace("PORT", str(port))
    return Server(binary, core, http, port, environment=environment, wrapper=wrapper)


def read_response(stream):
    """Status and body of one response."""
    status = int(stream.readline().split()[1])
    length, chunked = 0, False
    while (line := stream.readline().strip()):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
        chunked |= name.lower() == b"transfer-encoding"
    if not chunked:
        return status, stream.read(length)
    body = b""
    while (size := int(stream.readline().split(b";")[0], 16)):
        body += stream.read(size)
        stream.readline()
    stream.readline()
    return status, body
