# SPDX-License-Identifier: Apache-2.0
"""Load by wrk, and what both sides make of it in turns."""
import pathlib
import re
import resource
import statistics
import subprocess
import sys
import time

from peers import run_peer
from servers import OURS, THEIRS, TICKS, read_response, serve_cases


def seconds(text):
    match = re.fullmatch(r"([\d.]+)(us|ms|s|m|h)", text)
    if not match:
        sys.exit(f"wrk gives {text} as a time")
    number, unit = match.groups()
    return float(number) * {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}[unit]


def busy():
    """Seconds that all cores have worked, and what was taken from them."""
    user, nice, system, _, _, irq, softirq, steal = map(
        int, pathlib.Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS


def load(case, port, duration, core, folder):
    script = pathlib.Path(folder) / f"{case.name}.lua"
    script.write_text(case.script())
    text = subprocess.run(
        ["taskset", "-c", str(core), "wrk", "-t1", f"-c{case.connections}", f"-d{duration}s",
         "--latency", "--timeout", "20s", "-s", str(script), f"http://127.0.0.1:{port}{case.path}"],
        check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in text:
        sys.exit(f"{case.name}: {text}")
    requests, elapsed = re.search(r"(\d+) requests in ([\d.]+\w+)", text).groups()
    errors = re.search(r"Socket errors:.*", text)
    return {"requests": int(requests), "rate": float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]),
            "elapsed": seconds(elapsed), "errors": errors and errors[0],
            "p50": seconds(re.search(r"^ +50%\s+(\S+)", text, re.M)[1]),
            "p99": seconds(re.search(r"^ +99%\s+(\S+)", text, re.M)[1])}


def check_tally(case, server, requests):
    """What the requests were to cause has happened."""
    time.sleep(0.1)
    with server.connect() as client:
        client.sendall(f"GET {case.tally} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        _, body = read_response(client.makefile("rb"))
    if int(body) < requests:
        sys.exit(f"{case.name}: {server.binary} did {int(body)} of {requests}")


def measure(case, binary, options, folder, peer):
    """One turn of one side."""
    with serve_cases(binary, options.server_core, peer=peer) as server:
        with server.connect() as client:
            client.sendall(case.request(server.port))
            answer = read_response(client.makefile("rb"))
        load(case, server.port, options.warm_up, options.client_core, folder)
        user, system = server.cpu()
        peer_before = peer.cpu() if peer else 0
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        all_before = busy()
        result = load(case, server.port, options.seconds, options.client_core, folder)
        all_of_it = busy() - all_before
        wrk = resource.getrusage(resource.RUSAGE_CHILDREN)
        own = wrk.ru_utime + wrk.ru_stime - children.ru_utime - children.ru_stime
        own += peer.cpu() - peer_before if peer else 0
        user_after, system_after = server.cpu()
        user, system = user_after - user, system_after - system
        result.update(user=user / result["requests"] * 1e6, system=system / result["requests"] * 1e6,
                      cpu=(user + system) / result["requests"] * 1e6, answer=answer,
                      core=(user + system) / result["elapsed"],
                      others=max(0.0, all_of_it - own - user - system) / result["elapsed"])
        if case.tally:
            check_tally(case, server, result["requests"])
        if result["errors"]:
            print(f"  {case.name}, {binary}: {result['errors']}", file=sys.stderr)
        return result


def compare_case(case, options, folder):
    turns = {OURS: [], THEIRS: []}
    for _ in range(options.rounds):
        for side, binary in ((THEIRS, options.theirs), (OURS, options.ours)):
            with run_peer(case.peer) as peer:
                turns[side].append(measure(case, binary, options, folder, peer))
            if options.verbose:
                turn = turns[side][-1]
                print(f"    {side:7}{turn['rate']:9.0f}/s  user {turn['user']:6.2f}  system "
                      f"{turn['system']:6.2f} µs  core {turn['core']:.0%}  others {turn['others']:.0%}",
                      file=sys.stderr)
    answers = {turn["answer"] for side in turns.values() for turn in side}
    if len(answers) != 1 or next(iter(answers))[0] != 200:
        sys.exit(f"{case.name}: the two sides do not answer alike: {answers}")
    return turns


def median(turns, key):
    return statistics.median(turn[key] for turn in turns)


def spread(turns, key):
    values = [turn[key] for turn in turns]
    return (max(values) - min(values)) / statistics.median(values) if statistics.median(values) else 0
