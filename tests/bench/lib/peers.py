# SPDX-License-Identifier: Apache-2.0
"""What the servers talk to: started for a case on the core of the load, ended after it."""
import contextlib
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

from servers import HERE, free_port


class Peer:
    def __init__(self, process, port):
        self.process, self.port = process, port

    def cpu(self):
        """Seconds: clock_getcpuclockid(3)."""
        return time.clock_gettime(~self.process.pid << 3 | 2)

    def await_connect(self):
        until = time.monotonic() + 10
        while time.monotonic() < until:
            with contextlib.suppress(ConnectionRefusedError):
                return socket.create_connection(("127.0.0.1", self.port), timeout=10)
            if self.process.poll() is not None:
                break
            time.sleep(0.01)
        sys.exit(f"{self.process.args[0]} does not accept connections")


def redis(folder):
    """A Redis that keeps nothing, with the key that the case reads."""
    port = free_port()
    process = subprocess.Popen(
        ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
         "--dir", folder], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    peer = Peer(process, port)
    with peer.await_connect() as client:
        client.sendall(b"SET line \"wherefore art thou\"\r\n")
        client.recv(100)
    return peer


def echo(folder):
    """Sends back what it receives: echo_peer.c, compiled on the spot."""
    port, binary = free_port(), pathlib.Path(folder) / "echo_peer"
    subprocess.run(["cc", "-O2", "-o", binary, HERE / "echo_peer.c"], check=True)
    peer = Peer(subprocess.Popen([binary, str(port)], stdin=subprocess.DEVNULL), port)
    peer.await_connect().close()
    return peer


PEERS = {"redis": redis, "echo": echo}


@contextlib.contextmanager
def run_peer(name):
    """The peer of that name while the block runs; None for no name."""
    if not name:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="troupe-bench-peer-") as folder:
        peer = PEERS[name](folder)
        try:
            yield peer
        finally:
            peer.process.terminate()
            peer.process.wait()
