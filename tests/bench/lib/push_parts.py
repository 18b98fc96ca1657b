# SPDX-License-Identifier: Apache-2.0
"""What tests/bench/push measures; each function returns rows [what, goal, ours]."""
import contextlib
import json
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.request

from servers import free_port


def nodes(options, part, count, relays, times, word=""):
    """One run of the C++ program. @return its figures"""
    with tempfile.TemporaryDirectory(prefix="troupe-push-") as folder:
        run = subprocess.run([options.binary, part, folder, str(count), str(relays), str(times), word],
                             stdout=subprocess.PIPE, text=True)
    if run.returncode != 0:
        sys.exit(f"push_nodes {part} failed")
    figures = json.loads(run.stdout)
    print(f"    {part} {count} nodes {relays} relays {word}: {figures}", file=sys.stderr)
    return figures


def pair(times):
    return f"{times['p50']:.1f} / {times['p99']:.1f} ms"


def verify(options, folder):
    return [["one Ed25519 signature checked", "", f"{nodes(options, 'verify', 1, 0, 1)['verify_us']:.0f} µs"]]


def config(options, folder):
    check = nodes(options, "verify", 1, 0, 1)["verify_us"]
    rows = []
    for count, goal, times in ((3, "5 ms", options.times), (100, "30 ms", options.times),
                               (options.nodes, "200 ms", options.times // 3)):
        figures = nodes(options, "config", count, 0, times)
        title = f"`config set`, {count:,} nodes"
        rows.append([f"{title}: from the command to the last acknowledgement, p50 / p99 of {times}",
                     f"p99 {goal}", pair(figures["took"])])
        rows.append([f"{title}: of that, signatures checked one after the other", "",
                     f"{check * count / 1e3:.1f} ms"])
        rows.append([f"{title}: acknowledgements that came so late that they were not waited for", "",
                     f"{figures['left_behind']:.0f} of {count * times:,}"])
        if figures["failed"]:
            rows.append([f"{title}: failed", "0", f"{figures['failed']:.0f}"])
    rows.append([f"CPU of the controller for a change and a node, of {options.nodes:,}", "50 µs",
                 f"{figures['controller_us']:.0f} µs"])
    rows.append([f"memory of the controller for a node, of {options.nodes:,}", "100 KB",
                 f"{figures['controller_kb']:.0f} KB"])
    return rows


def push(options, folder):
    rows = []
    for count, goal in ((100, "80 ms"), (options.nodes, "600 ms")):
        for relays in (0, 2):
            for word in ("text", "random"):
                figures = nodes(options, "push", count, relays, options.pushes, word)
                title = (f"a push of 64 KB in 16 changed files{'' if word == 'text' else ' that do not compress'}, "
                         f"{count:,} nodes, {'two relays' if relays else 'no relay'}: p50 / p99 of {options.pushes}")
                if figures["failed"]:
                    title += f" ({figures['failed']:.0f} failed)"
                rows.append([title, f"p99 {goal}" if word == "text" else "", pair(figures["took"])])
    return rows


def hang(options, folder):
    figures = nodes(options, "hang", 100, 0, options.times // 3)
    later = figures["one_hangs"]["p99"] - figures["all_well"]["p99"]
    return [
        ["a value delivered to 99 nodes, p50 / p99", "", pair(figures["all_well"])],
        ["the same while one more hangs", "p99 + 5 ms", f"{pair(figures['one_hangs'])} ({later:+.1f} ms)"],
        ["`config set`, 100 nodes, p50 / p99", "", pair(figures["config_all_well"])],
        ["the same, the first after one began to hang, p50 / p99 of 20", "p99 + 5 ms",
         pair(figures["config_while_live"])],
        ["the same, when it has not been heard for three beacons", "p99 + 5 ms", pair(figures["config_one_hangs"])],
    ]


def hostile(options, folder):
    figures = nodes(options, "hostile", 100, 0, options.times // 3)
    return [
        ["`config set`, 100 nodes, p50 / p99", "", pair(figures["before"])],
        [f"the same while 1,000 clients with bad keys connect {figures['attempts_a_second']:,.0f} times a second",
         "p99 30 ms", pair(figures["during"])],
        ["CPU of the controller meanwhile", "", f"{figures['controller_cores']:.2f} cores"],
    ]


def join(options, folder):
    took = nodes(options, "join", options.nodes, 0, 0)["took"]
    return [[f"{options.nodes:,} nodes join at once: until all are served", "2.5 s", f"{took / 1e3:.2f} s"]]


def behind(options, folder):
    took = nodes(options, "behind", 10, 0, options.changes)["took"]
    return [[f"a node {options.changes:,} changes behind: until it has caught up", "1 s", f"{took / 1e3:.2f} s"]]


@contextlib.contextmanager
def etcd_server(options):
    client, peer = free_port(), free_port()
    with tempfile.TemporaryDirectory(prefix="troupe-etcd-") as folder:
        urls = f"http://127.0.0.1:{client}"
        peers = f"http://127.0.0.1:{peer}"
        with open(pathlib.Path(folder) / "log", "wb") as log:
            server = subprocess.Popen(
                [options.etcd, "--data-dir", f"{folder}/data", "--listen-client-urls", urls, "--advertise-client-urls",
                 urls, "--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers,
                 "--initial-cluster", f"default={peers}"], stdout=log, stderr=log)
        try:
            for _ in range(200):
                with contextlib.suppress(OSError):
                    if b"true" in urllib.request.urlopen(f"{urls}/health", timeout=1).read():
                        break
                time.sleep(0.1)
            else:
                sys.exit("etcd does not start")
            yield client
        finally:
            server.terminate()
            server.wait(30)


def etcd(options, folder):
    rows = []
    for count, times in ((100, options.times), (options.nodes, options.times // 3)):
        with etcd_server(options) as port:
            theirs = nodes(options, "etcd", count, 0, times, str(port))["took"]
        before = nodes(options, "config", count, 0, times, "arrivals-first")["announced"]
        whole = nodes(options, "config", count, 0, times)["took"]
        rows += [
            [f"etcd, {count:,} watchers: from the put to the last event, p50 / p99", "", pair(theirs)],
            [f"ours, {count:,} nodes: to the last arrival, before the check of its signature",
             "half of etcd's p99", f"{pair(before)}: {before['p99'] / theirs['p99']:.2f} of it"],
            [f"ours, {count:,} nodes: to the last acknowledgement", "1.5 of etcd's p99",
             f"{pair(whole)}: {whole['p99'] / theirs['p99']:.2f} of it"],
        ]
    return rows
