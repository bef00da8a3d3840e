"""Seconds, memory, and what other processes take of the machine meanwhile."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path


def timed(call):
    """What it returns, and its seconds."""
    start = time.perf_counter()
    result = call()
    return result, time.perf_counter() - start


def seconds(call):
    return timed(call)[1]


def in_turn(calls, rounds):
    """What each call gives in every round, by name; one after the other in a round."""
    found = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            found[name].append(call())
    return found


def fresh(module, function, *args):
    """What a function of a module of this folder returns in a new process."""
    code = f"import json, {module} as m; print(json.dumps(m.{function}(*{args!r})))"
    command = [sys.executable, "-W", "ignore", "-c", code]
    folder = Path(__file__).parent.parent
    done = subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def kib(key):
    """A line of /proc/self/status: VmRSS is the memory now, VmHWM its peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key))


def keep_to(threads):
    """Hold the process, and its children, to so many cores, where the system can.

    JAX has no setting for its threads: it takes as many as there are cores to run on.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def busy_seconds():
    """Processor seconds spent so far: by all processes, and by this one and its children.

    None for all processes where the system does not tell. What the host of a virtual machine
    takes away counts as well.
    """
    own, path = sum(os.times()[:4]), Path("/proc/stat")
    if not path.exists():
        return None, own
    user, nice, system, _, _, *others = map(int, path.read_text().split(maxsplit=9)[1:9])
    return (user + nice + system + sum(others)) / os.sysconf("SC_CLK_TCK"), own


class Disturbance:
    """How many cores others have kept busy since this was made: see `busy_seconds`."""

    def __init__(self):
        self.start, self.before = time.perf_counter(), busy_seconds()

    def cores(self):
        """None where the system does not tell."""
        (all_now, own_now), (all_before, own_before) = busy_seconds(), self.before
        if all_now is None:
            return None
        others = (all_now - all_before) - (own_now - own_before)
        return round(max(others, 0) / (time.perf_counter() - self.start), 2)

    def note(self):
        """A sentence on it for a table; empty where the system does not tell."""
        cores = self.cores()
        return "" if cores is None else f"Other processes took {cores} cores meanwhile."
