# SPDX-License-Identifier: Apache-2.0
"""The tables of the README."""
import datetime
import os
import pathlib
import re
import statistics
import subprocess

from load import median, spread
from servers import OURS, THEIRS


def time_text(value):
    return f"{value * 1e6:.0f} µs" if value < 1e-3 else f"{value * 1e3:.2f} ms"


def case_rows(results):
    rates, processors = [], []
    for case, turns in results:
        ours, theirs = turns[OURS], turns[THEIRS]
        rate = median(ours, "rate") / median(theirs, "rate")
        cpu = median(ours, "cpu") / median(theirs, "cpu")
        share = min(median(side, "core") for side in (ours, theirs))
        rates.append([case.title, f"{median(ours, 'rate'):,.0f}", f"{median(theirs, 'rate'):,.0f}",
                      f"**{rate:.2f}**", f"{spread(ours, 'rate'):.0%} / {spread(theirs, 'rate'):.0%}",
                      f"{share:.0%}",
                      *(f"{time_text(median(ours, key))} / {time_text(median(theirs, key))}"
                        for key in ("p50", "p99"))])
        processors.append([case.title, *(f"{median(side, 'user'):.2f} + {median(side, 'system'):.2f}"
                                         for side in (ours, theirs)), f"**{cpu:.2f}**",
                           f"{spread(ours, 'cpu'):.0%} / {spread(theirs, 'cpu'):.0%}"])
    if len(results) > 1:
        mean = statistics.geometric_mean(median(turns[OURS], "rate") / median(turns[THEIRS], "rate")
                                         for case, turns in results if not case.pause)
        rates.append(["geometric mean", "", "", f"**{mean:.2f}**", "", "", "", ""])
    return rates, processors


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def cores():
    model = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (f"{datetime.date.today().isoformat()}; {os.cpu_count()} cores ({model[1] if model else '?'}), "
            f"{memory:.0f} GB, Linux {os.uname().release.split('-')[0]}")


def machine(options):
    version = subprocess.run([options.theirs, "-v"], capture_output=True, text=True).stderr.strip()
    return f"{cores()}; {version}"


def write_between_marks(file, text, name="figures"):
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    old = file.read_text()
    head, rest = old.split(begin)
    file.write_text(f"{head}{begin}\n{text}\n{end}{rest.split(end)[1]}")
