# SPDX-License-Identifier: BSD-2-Clause
"""A tool at work: started, ready, what it costs, ended; of any package."""

import atexit
import contextlib
import json
import os
import re
import signal
import subprocess
import tempfile
import time

from packages import OURS, CannotRun, command

STATS = "/proc/sys/kernel/bpf_stats_enabled"
STEADY = 0.3  # seconds after its last attachment in which a peer, which does not say so, has proved to be ready
PATIENCE = 120  # seconds in which a peer has its first attachment, or is taken to wait for something else
# How each tells what it lost: the last line of ours that says so is the sum.
LOST = {
    OURS: r"^\w+: lost: (.*)",
    "libbpf-tools": r"(?i)lost (\d+) events",
    "bpftrace": r"(?i)lost (\d+) events",
    "linux-perf": r"(?i)lost (\d+) ",
    "bpfcc-tools": r"(?i)lost (\d+) ",
}
# What a peer needs to be let do what ours does by itself.
ENVIRONMENT = dict(os.environ, BPFTRACE_MAP_KEYS_MAX="65536", BPFTRACE_MAX_PROBES="10000", LC_ALL="C.UTF-8")


def attachments(pid):
    """How many of a process's descriptors are attachments."""
    count = 0
    with contextlib.suppress(OSError):
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                count += bool(re.search(r"bpf.link|perf_event|raw-tracepoint", os.readlink(f"/proc/{pid}/fd/{fd}")))
    return count


def programs(pid):
    """The ids of the BPF programs that a process holds."""
    ids = set()
    for fd in os.listdir(f"/proc/{pid}/fdinfo"):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/fdinfo/{fd}", encoding="utf-8") as info:
            ids.update(int(one) for one in re.findall(r"^prog_id:\s+(\d+)", info.read(), re.M))
    return ids


def program_time(ids):
    """The programs' time in ns, and how often they ran."""
    shown = subprocess.run(["bpftool", "-j", "prog", "show"], capture_output=True, check=True)
    own = [program for program in json.loads(shown.stdout) if program["id"] in ids]
    return sum(one.get("run_time_ns", 0) for one in own), sum(one.get("run_cnt", 0) for one in own)


@contextlib.contextmanager
def run_time_statistics():
    with open(STATS, "w", encoding="utf-8") as stats:
        stats.write("1")
    try:
        yield
    finally:
        with open(STATS, "w", encoding="utf-8") as stats:
            stats.write("0")


# All that were started; what still runs when we end is ended.
STARTED = []


@atexit.register
def end_all():
    for process in STARTED:
        if process.poll() is None:
            process.kill()


class Tracer:
    """A tool at work, its output in files in memory."""

    def __init__(self, package, ask, load=()):
        self.package, self.ask = package, ask
        self.out, self.err = (tempfile.TemporaryFile(dir="/dev/shm") for _ in range(2))
        self.words = command(package, ask, load)
        begin = time.monotonic()
        if package == OURS:
            self.start_ours()
            self.ready_ms = (time.monotonic() - begin) * 1e3
        elif not ask.wraps:
            self.start([])
            self.ready_ms = (self.last_attachment() - begin) * 1e3
        else:
            self.start([])
        self.pid = self.process.pid

    def start(self, more, pass_fds=()):
        words = self.words[:1] + more + self.words[1:]
        files = {"stdin": subprocess.DEVNULL, "stdout": self.out, "stderr": self.err}
        self.process = subprocess.Popen(words, **files, pass_fds=pass_fds, env=ENVIRONMENT)
        STARTED.append(self.process)

    def start_ours(self):
        ready, end = os.pipe()
        self.start(["--ready-fd", str(end)], [end])
        os.close(end)
        is_ready = os.read(ready, 1)
        os.close(ready)
        if not is_ready:
            self.give_up()

    def last_attachment(self):
        """When the last one was made, known once there has been no other for a while."""
        seen, begin = 0, time.monotonic()
        since = begin
        while time.monotonic() - since < STEADY or not seen:
            if self.process.poll() is not None or time.monotonic() - begin > PATIENCE:
                self.give_up()
            now = attachments(self.process.pid)
            if now != seen:
                seen, since = now, time.monotonic()
            time.sleep(0.0005)
        return since

    def give_up(self):
        self.process.kill()
        self.process.wait()
        said = [line for line in self.output().split("\n") if line.strip()] or ["it says nothing"]
        reasons = [line for line in said if re.search("(?i)error|fail|exception", line)]
        raise CannotRun(f"{self.words[0]} does not work here: {(reasons or said)[-1]}")

    def cpu_ns(self):
        """Of all its threads, those that ended apart."""
        total = 0
        for thread in os.listdir(f"/proc/{self.pid}/task"):
            with open(f"/proc/{self.pid}/task/{thread}/schedstat", encoding="utf-8") as line:
                total += int(line.read().split()[0])
        return total

    def memory_kb(self, key):
        with open(f"/proc/{self.pid}/status", encoding="utf-8") as lines:
            return int(re.search(rf"^{key}:\s+(\d+)", lines.read(), re.M).group(1))

    def output(self):
        texts = []
        for file in (self.out, self.err):
            file.seek(0)
            texts.append(file.read().decode("utf-8", "replace"))
        return "\n".join(texts)

    def stop(self):
        """Ends it; its output."""
        begin = time.monotonic()
        self.interrupt()
        self.stop_ms = (time.monotonic() - begin) * 1e3
        text = self.output()
        self.out.close()
        self.err.close()
        self.lost = self.losses(text)
        if self.ask.shown_by:
            shown = subprocess.run(self.ask.shown_by.split(), capture_output=True, check=False)
            text = shown.stdout.decode("utf-8", "replace")
        return text

    def interrupt(self):
        """Until it has ended: there are peers that miss a signal."""
        for one, seconds in ((signal.SIGINT, 15), (signal.SIGINT, 5), (signal.SIGKILL, 5)):
            self.process.send_signal(one)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(seconds)
                return
        raise CannotRun(f"{self.words[0]} cannot be ended")

    def losses(self, text):
        found = re.findall(LOST.get(self.package, "(?!)"), text, re.M)
        if self.package == OURS:
            return sum(int(number) for number in re.findall(r"(\d+) \w+", found[-1].split(";")[0])) if found else 0
        return sum(int(number) for number in found)


def count_rows(pattern, text):
    """The operations that an output tells of; None where no pattern says what a row looks like."""
    if not pattern:
        return None
    return sum(int(match.group(1)) if match.groups() else 1 for match in re.finditer(pattern, text, re.M))
