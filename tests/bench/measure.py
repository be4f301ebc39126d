# SPDX-License-Identifier: BSD-2-Clause
"""The measurements: a tool beneath a load, a tool that is started and waits, and how fast it goes before it loses."""

import contextlib
import statistics
import subprocess
import tempfile
import time

from packages import LOADS, OURS, ROOT, CannotRun
from tracer import Tracer, count_rows, program_time, programs, run_time_statistics

DRAINED = 0.3  # seconds in which every tool has read what is there
SETTLED = 0.2  # seconds in which the kernel has freed what the last tool left behind
BYSTANDER = ([str(LOADS / "getppid"), "300000"], 300_000)


def build_loads():
    LOADS.mkdir(parents=True, exist_ok=True)
    for source in (ROOT / "tests/bench/load").glob("*.c"):
        made = LOADS / source.stem
        newest = max(source.stat().st_mtime, (source.parent / "load.h").stat().st_mtime)
        if not made.exists() or made.stat().st_mtime < newest:
            frames = ["-fno-omit-frame-pointer", "-mno-omit-leaf-frame-pointer"]
            subprocess.run(["gcc", "-O2", "-static", "-pthread", *frames, "-o", made, source], check=True)


@contextlib.contextmanager
def loop_disk():
    """A disk of its own, in memory, so that its I/O costs little and nobody else uses it."""
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as backing:
        backing.truncate(64 << 20)
        made = subprocess.run(["losetup", "--find", "--show", backing.name], check=True, capture_output=True, text=True)
        disk = made.stdout.strip()
        try:
            yield disk
        finally:
            subprocess.run(["losetup", "--detach", disk], check=True)


@contextlib.contextmanager
def load_words(contest, count):
    """The load's program with its arguments."""
    name, *arguments = contest.load.split()
    with loop_disk() if "DISK" in arguments else contextlib.nullcontext() as disk:
        yield [str(LOADS / name), str(count), *(disk if word == "DISK" else word for word in arguments)]


def run_load(words):
    """The ns that an operation took."""
    return float(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


def least_of(words):
    """The least of five runs: of some ns, which whatever else goes on can only add to."""
    return min(run_load(words) for _ in range(5))


def beneath_load(contest, package, ask, bystander, scale):
    """What a tool costs each operation of a load, and what it shows of them."""
    count = max(int(contest.count * scale) // ask.fewer, 100)
    with load_words(contest, count) as load:
        alone = run_load(load)
        if ask.wraps:
            return wrapping(package, ask, load, alone, count)
        undisturbed = least_of(BYSTANDER[0]) if bystander else 0
        tracer = Tracer(package, ask, load)
        before = tracer.cpu_ns()
        watched = run_load(load)
        time.sleep(DRAINED)
        reader = tracer.cpu_ns() - before
        figures = {"alone": alone, "added": watched - alone, "ready": tracer.ready_ms}
        if bystander:
            figures["beside"] = least_of(BYSTANDER[0]) - undisturbed
        made = count
        ids = programs(tracer.pid)
        if ids:
            with run_time_statistics():
                begin, runs = program_time(ids)
                run_load(load)
                end, runs_then = program_time(ids)
            time.sleep(DRAINED)
            figures["program"], figures["run"] = (end - begin) / count, (end - begin) / max(runs_then - runs, 1)
            made += count
        figures["peak"] = tracer.memory_kb("VmHWM")
        text = tracer.stop()
    figures |= told(ask, text, made, tracer.lost, contest)
    return figures | {"reader": reader / figures.get("samples", count), "stop": tracer.stop_ms}


def wrapping(package, ask, load, alone, count):
    """The same of a tool that starts the load itself."""
    tracer = Tracer(package, ask, load)
    tracer.process.wait()
    text = tracer.output()
    watched = float(text.strip().split("\n")[0])
    with open("/dev/shm/corekit-bench.strace", encoding="utf-8") as written:
        shown = count_rows(ask.row, written.read())
    return {"alone": alone, "added": watched - alone, "made": count, "shown": shown, "lost": 0}


def told(ask, text, made, lost, contest):
    """What became of the operations; where they are samples, nobody knows how many were made."""
    shown = count_rows(ask.row, text)
    if shown is None:
        return {"lost": lost}
    if ask.whole and contest.load.startswith("spins"):
        return {"samples": shown, "complete": count_rows(ask.whole, text) / max(shown, 1), "lost": lost}
    return {"made": made, "shown": shown, "lost": lost}


def load(question, contest, package, ask, scale):
    return beneath_load(contest, package, ask, question.bystander, scale)


def started(contest, package, ask):
    return Tracer(package, ask, [str(LOADS / contest.load)] if contest.load else [])


def start(question, contest, package, ask, scale):
    """From exec until ready, the most memory so far, and how long it takes to end."""
    time.sleep(SETTLED)
    tracer = started(contest, package, ask)
    figures = {"ready": tracer.ready_ms, "peak": tracer.memory_kb("VmHWM")}
    tracer.stop()
    return figures | {"stop": tracer.stop_ms}


def rest(contests, seconds):
    """These contests' tools at once, waiting: {(contest, package): figures}. Only what they do themselves happens."""
    waiting, found = {}, {}
    try:
        for contest in contests:
            for package, ask in contest.asks.items():
                with contextlib.suppress(CannotRun):
                    waiting[contest.name, package] = started(contest, package, ask)
        time.sleep(2)
        before = {key: tracer.cpu_ns() for key, tracer in waiting.items()}
        time.sleep(seconds)
        for key, tracer in waiting.items():
            idle = (tracer.cpu_ns() - before[key]) / seconds / 1e6
            found[key] = {"idle": idle, "resident": tracer.memory_kb("VmRSS")}
    finally:
        for tracer in waiting.values():
            tracer.stop()
    return found


def held(contest, package, ask, rate, seconds):
    """What became of opens at this rate, or as many a second as could be made."""
    count = int(rate * seconds) // 2 * 2
    name, *arguments = contest.load.split()
    tracer = Tracer(package, ask)
    took = run_load([str(LOADS / name), str(count), *arguments, str(rate)])
    time.sleep(DRAINED)
    shown = count_rows(ask.row, tracer.stop())
    return {"asked": rate, "rate": 2e9 / took, "made": count, "shown": shown, "lost": tracer.lost}


def highest_held(contest, package, ask, seconds):
    """The highest rate at which all is shown, of rates that rise until something is not or no more can be made."""
    rate, best, steps = 10_000, 0, []
    while rate < 1_000_000:
        step = held(contest, package, ask, rate, seconds)
        steps.append(step)
        if step["shown"] < step["made"]:
            break
        best = max(best, step["rate"])
        if step["rate"] < rate * 0.8:
            break
        rate = int(rate * 1.4)
    return {"held": best, "loses": steps[-1]["shown"] < steps[-1]["made"], "steps": steps}


def loss(question, contest, package, ask, scale):
    return highest_held(contest, package, ask, 0.5 * scale)


def loss_beyond(contest, found, scale):
    """Ours at twice the highest rate that a peer holds."""
    peers = [statistics.median(one["held"] for one in found[who]) for who in found if who != OURS]
    return held(contest, OURS, contest.asks[OURS], int(2 * max(peers)), scale) if peers else None

