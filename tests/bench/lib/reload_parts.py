# SPDX-License-Identifier: Apache-2.0
"""What tests/bench/reload measures; each function returns rows [what, goal, troupe, nginx]."""
import collections
import statistics
import sys
import time

import releases
from reload_sides import Load, Nginx, Troupe, WebSockets

TWO = ("blue", "green!")


def ms(seconds):
    return f"{seconds * 1e3:.2f} ms"


def mb(count):
    return f"{count / 1e6:.1f} MB"


def say(text):
    print(f"    {text}", file=sys.stderr)


def first_response(options, folder):
    rows = []
    for title, app, goal in (("examples/hello", releases.hello, "< 20 ms"),
                             ("an app of 200 Lua modules", releases.modules, "< 100 ms")):
        medians = []
        for kind in (Troupe, Nginx):
            with kind(options, app, "r0") as side:
                times = []
                for i in range(1, options.times + 1):
                    side.write(f"r{i}")
                    times.append(side.seconds_to(side.apply_words(), f"r{i}"))
            say(f"{title}, {side.name}: {ms(min(times))} to {ms(max(times))}")
            medians.append(ms(statistics.median(times)))
        rows.append([f"from the start of the command to the first response from the new release, {title}: "
                     f"median of {options.times}", goal, *medians])
    return rows


def names(kind, count):
    """The releases of a run, none the one before it."""
    return (TWO[i % 2] if kind == "two" else f"release-{i}" for i in range(1, count + 1))


def under_load(kind_of_side, options, binary, kind, count, sockets=0):
    """A run: load without changes, then with them. @return dict of figures"""
    with kind_of_side(options, releases.loaded, TWO[0]) as side:
        change = side.changer()
        change(TWO[1]), change(TWO[0])
        open_sockets = WebSockets(side, sockets)
        memory, most = side.memory(), 0
        with Load(binary, options, side.port) as load:
            time.sleep(options.warm_up)
            load.window()
            time.sleep(options.quiet)
            quiet = load.window()
            began, done, took = time.monotonic(), 0, []
            for release in names(kind, count):
                start = time.monotonic()
                if start - began > options.most_seconds:
                    break
                change(release)
                took.append(time.monotonic() - start)
                done += 1
                if done % 50 == 0:
                    most = max(most, side.memory())
                time.sleep(max(0.0, options.every / 1000 - took[-1]))
            busy = load.window()
            most = max(most, side.memory())
            time.sleep(options.quiet)
            after = load.window()
        closed = open_sockets.closed()
        logged, mixed = map(int, side.get("/tally").split())
        open_sockets.close()
        folder = side.folder
        figures = {"done": done, "took": statistics.median(took), "memory": memory, "most": most,
                   "sockets_closed": closed, "closed": busy["closed"],
                   "failed": sum(w["failed"] for w in (quiet, busy, after)),
                   "responses": sum(w["responses"] for w in (quiet, busy, after)),
                   "mixed": sum(w["mixed"] for w in (quiet, busy, after)) + mixed,
                   "rate": quiet["responses"] / quiet["seconds"],
                   "busy_rate": busy["responses"] / busy["seconds"],
                   "p99": statistics.mean((quiet["p99"], after["p99"])), "busy_p99": busy["p99"],
                   "p999": statistics.mean((quiet["p999"], after["p999"])), "busy_p999": busy["p999"],
                   "max": max(quiet["max"], after["max"]), "busy_max": busy["max"], "windows": busy}
        side.process.terminate()
        side.process.wait(60)  # its log is whole then
        lines = collections.Counter((folder / "app/logs/swap.log").read_bytes().splitlines())
        figures["mixed"] += sum(count for line, count in lines.items() if len(set(line.split())) != 1)
        figures["log_lines"] = sum(lines.values())
    say(f"{side.name}, {kind}: {figures}")
    return figures


def load_rows(options, binary, title, runs):
    def both(key):
        return [f"{side[key]:,}" for side in runs]

    def ratio(side):
        return f"{side['busy_p99'] / side['p99']:.2f} ({side['busy_p99']} / {side['p99']:.0f} µs)"

    return [
        [f"{title}: how many", "1,000", *both("done")],
        [f"{title}: failed requests", "0", *(f"{side['failed']:,} of {side['responses']:,}" for side in runs)],
        [f"{title}: mixed responses, in header, body or log", "0", *both("mixed")],
        [f"{title}: connections closed, to be opened anew", "0", *both("closed")],
        [f"{title}: p99 during, over p99 without", "≤ 1.5", *map(ratio, runs)],
        [f"{title}: p99.9 during / without", "", *(f"{side['busy_p999']} / {side['p999']:.0f} µs" for side in runs)],
        [f"{title}: from the order to the new release", "", *(ms(side["took"]) for side in runs)],
        [f"{title}: memory before, and at most meanwhile", "",
         *(f"{mb(side['memory'])}, {mb(side['most'])}" for side in runs)],
    ]


def swaps(options, binary):
    rows = []
    for kind, title in (("two", "two releases in turns under full load"),
                        ("new", "always new releases under full load")):
        runs = (under_load(Troupe, options, binary, kind, options.applies),
                under_load(Nginx, options, binary, kind, options.reloads))
        rows += load_rows(options, binary, title, runs)
    return rows


def sockets(options, binary):
    runs = (under_load(Troupe, options, binary, "two", options.applies, options.sockets),
            under_load(Nginx, options, binary, "two", options.reloads, options.sockets))
    title = f"two releases in turns, {options.sockets:,} open WebSockets"
    rows = load_rows(options, binary, title, runs)
    rows.append([f"{title}: WebSockets closed", "0", *(f"{side['sockets_closed']:,}" for side in runs)])
    return rows


def memory(options, folder):
    with Troupe(options, releases.loaded, TWO[0]) as side:
        change, sizes, began, done = side.changer(), [], time.monotonic(), 0
        for release in names("new", options.memory_applies):
            if time.monotonic() - began > options.most_seconds:
                break
            change(release)
            done += 1
            sizes.append(side.memory())
        # It goes up and down with the VMs that are just being closed.
        early, late = statistics.mean(sizes[75:125]), statistics.mean(sizes[-50:])
    say(f"{done} applies in {time.monotonic() - began:.0f} s: {early:.0f} to {late:.0f} bytes")
    return [[f"memory after {done:,} applies of new releases, over that after 100", "≤ 1.05",
             f"{late / early:.3f} ({mb(late)} / {mb(early)})", ""]]


def config(options, folder):
    shards = 2
    with Troupe(options, lambda release: releases.watching(shards), "r0", shards) as side:
        control, all_of_it, told = side.control(), [], []
        for i in range(options.values):
            began = time.monotonic()
            control.ask("PUT", f"/v1/config/bench.key?author=bench", f"v{i}".encode())
            answered = time.monotonic()
            until, seen = answered + 10, [0]
            while min(seen) == 0:
                seen = [float(word) for word in side.get(f"/seen?v=v{i}").split()]
                if time.monotonic() > until:
                    sys.exit(f"a value is not seen: {seen}\n{side.words()}")
            all_of_it.append(max(seen) - began)
            told.append(answered - began)
            time.sleep(0.001)
    say(f"config set: {ms(min(all_of_it))} to {ms(max(all_of_it))}; answered after {ms(statistics.median(told))}")
    return [[f"from `PUT /v1/config` to the value in both shards: median of {options.values}", "< 1 ms",
             ms(statistics.median(all_of_it)), ""]]
