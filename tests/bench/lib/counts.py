# SPDX-License-Identifier: Apache-2.0
"""Counts that other programs on the machine do not spoil: instructions of a request in user space,
by valgrind's callgrind, and its system calls, by strace."""
import collections
import pathlib
import re
import shutil
import signal
import subprocess
import sys

from load import load
from peers import run_peer
from servers import read_response, serve_cases


def warm(server, case, times=50):
    with server.connect() as client:
        stream = client.makefile("rb")
        for _ in range(times):
            client.sendall(case.request(server.port))
            if read_response(stream)[0] != 200:
                sys.exit(f"{case.name}: {server.binary} refuses\n{server.words()}")


def instructions(case, binary, options, folder):
    """Instructions in user space for each request."""
    profile = pathlib.Path(folder) / "callgrind"
    tool = ("valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={profile}")
    with run_peer(case.peer) as peer, serve_cases(binary, options.server_core, peer=peer,
                                                  wrapper=tool) as server:
        warm(server, case)
        load(case, server.port, options.warm_up, options.client_core, folder)
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        control = ["callgrind_control", str(server.process.pid)]
        subprocess.run([*control, "-i", "on"], check=True, **silent)
        requests = load(case, server.port, options.seconds, options.client_core, folder)["requests"]
        subprocess.run([*control, "-i", "off"], check=True, **silent)
        subprocess.run([*control, "-d"], check=True, **silent)
        dump = profile.with_suffix(".1")
        total = int(re.search(r"^totals: (\d+)", dump.read_text(), re.M)[1])
        if options.keep:
            side = pathlib.Path(binary).name
            shutil.copy(dump, pathlib.Path(options.keep) / f"{case.name}.{side}")
        dump.unlink()
        return total / requests


def system_calls(case, binary, options, folder):
    """{name: calls for each request}."""
    counted = pathlib.Path(folder) / "strace"
    with run_peer(case.peer) as peer, serve_cases(binary, options.server_core, peer=peer) as server:
        warm(server, case)
        load(case, server.port, options.warm_up, options.client_core, folder)
        watcher = subprocess.Popen(["strace", "-f", "-c", "-o", counted, "-p", str(server.process.pid)],
                                   stderr=subprocess.PIPE)
        watcher.stderr.readline()  # that it is attached
        requests = load(case, server.port, options.seconds, options.client_core, folder)["requests"]
        watcher.send_signal(signal.SIGINT)
        watcher.wait()
    calls = collections.Counter()
    for line in counted.read_text().splitlines():
        if match := re.match(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", line):
            if match[2] != "total" and int(match[1]) > requests / 100:
                calls[match[2]] += int(match[1]) / requests
    return calls


def count_case(case, options, folder):
    """A row for the case."""
    row, calls = [case.title], []
    for binary in (options.ours, options.theirs):
        row.append(f"{instructions(case, binary, options, folder):,.0f}")
        calls.append(system_calls(case, binary, options, folder))
    for side in calls:
        row.append(f"{sum(side.values()):.2f}: " +
                   ", ".join(f"{name} {number:.2f}" for name, number in side.most_common()))
    return row
