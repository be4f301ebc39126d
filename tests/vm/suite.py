#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs the live tests in guests on other kernels, two guests at a time, and writes which tool works on which kernel.

All tests of a kernel run in one boot: the cases tagged [each-kernel], which are one truth or more of each tool; with
`--whole` all but those tagged [any-kernel], which no kernel could change, or which are about times, which an emulated
machine does not keep. A guest tells each case's beginning and end on a port of its own, so that of one that hangs or
dies it is known where: it is started once more with that test and those after it. If the same test ends a second guest,
that is a failed case, and the others go on in a third. Tests that failed, if they are few, run once more in a guest of
their own, which is told: two guests share this machine's processors, and a case that waits may have waited for those.
"""

import argparse
import concurrent.futures
import json
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import guest  # noqa: E402
import matrix  # noqa: E402
import peers  # noqa: E402

DEFAULT = ("5.10", "6.1", "6.12", "7")
NEWEST = "7"  # Debian replaces it often: that it cannot be fetched is a skip, not a failure
# What guests, and some kernels, really lack of what cases may ask for; a case skipped for another reason failed.
GUESTS_LACK = {"gcc", "binutils", "pahole", "Go", "PostgreSQL", "Java", "no fentry"}
# The first to choose its preemption at run time is 5.12; to attach to functions by their types on arm64 is 6.4; to tell
# where a request begins is 6.5.
LACKS = {
    "5.10": {"preempt", "block_io_start"},
    "6.1": {"block_io_start"},
    "6.1-full": {"block_io_start"},
    "6.1-arm64": {"fentry", "fmod_ret", "block_io_start"},
}
# A guest that has told nothing for so long has hung: more than a case waits for anything, on an emulated machine too.
SILENCE, TEST_LIMIT, GUEST_LIMIT = 400, 900, 2400
AT_ONCE = 2
EACH = "[each-kernel]"
FEW = 3  # tests with failures that are tried again; more are no accident

SCRIPT = """exec 3>"$port_cases"
for tool in {tools}; do
  plan=$($tool --explain -o json 2>/tmp/why)
  status=$?
  printf 'plan\\t%s\\t%s\\t%s\\t%s\\n' $tool $status "$plan" "$(tr '\\n\\t' '  ' </tmp/why)" >&3
done
for test in {tests}; do
  printf 'test\\t%s\\n' $test >&3
  echo "== $test"
  COREKIT_BRIEF=1 COREKIT_CASES=3 timeout -k 10 {limit} /corekit/build/tests/$test '{cases}' 2>&1
  printf 'done\\t%s\\t%s\\n' $test $? >&3
done
"""

printing = threading.Lock()


def chosen_tests(options, architecture):
    """The names of the test programs that have anything to run."""
    for path in guest.tests(architecture):
        if options.only and not any(word in path.name for word in options.only):
            continue
        if options.whole or EACH in guest.source_of(path).read_text():
            yield path.name


class Suite:
    """The tests on one kernel, and what came of them."""

    def __init__(self, kernel, options):
        self.kernel = kernel
        self.architecture = guest.architecture_of(kernel)
        self.filter = "~[any-kernel]" if options.whole else EACH
        self.left = list(chosen_tests(options, self.architecture))
        self.place = guest.ROOT / "build/vm" / ("whole" if options.whole else "") / kernel
        self.cases = []  # test, name, outcome, seconds, why
        self.plans = {}
        self.boots = self.restarts = 0
        self.again = []  # those that failed at the first try
        self.release = kernel
        self.current = self.running = None
        self.of_test = []
        self.seconds = 0

    def told(self, line):
        with open(self.place / "told", "a") as out:  # for who watches
            out.write(line + "\n")
        what, *fields = line.split("\t")
        if what == "plan":
            tool, status, plan, why = fields
            self.plans[tool] = {"status": int(status), "why": why.strip(), **(json.loads(plan) if plan else {})}
        elif what == "test":
            self.current, self.running, self.of_test = fields[0], None, []
        elif what == "begin":
            self.running = fields[0]
        elif what in ("passed", "failed", "skipped"):
            self.running = None
            feature, why = fields[2:4] if what == "skipped" else ("", "")
            if what == "skipped" and feature not in GUESTS_LACK | LACKS.get(self.kernel, set()):
                what, why = "failed", f"skipped, but this kernel has all that it needs: {why}"
            self.of_test.append((self.current, fields[0], what, float(fields[1]), why))
        elif what == "done":
            self.finish_test(int(fields[1]))

    def finish_test(self, status):
        failed = any(case[2] == "failed" for case in self.of_test)
        if self.running is not None or not self.of_test or (status != 0 and not failed):
            name = self.running or "comes to its end"
            why = "not done in time" if status in (124, 143, 137) else f"ended with status {status}"
            self.of_test.append((self.current, name, "failed", 0, why))
        self.cases += self.of_test
        self.left.remove(self.current)
        self.current, self.running, self.of_test = None, None, []

    def run(self):
        began = time.monotonic()
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir(parents=True)
        with tempfile.TemporaryDirectory(prefix="corekit-vm-") as directory:
            directory = pathlib.Path(directory)
            image, modules = guest.find_kernel(self.kernel, False, directory)
            self.release = modules.name if modules else self.kernel
            self.boot_all(image, modules, directory)
            if self.forget_failures():
                self.boot_all(image, modules, directory)
        self.seconds = time.monotonic() - began
        return self

    def boot_all(self, image, modules, directory):
        ended_by = set()
        while self.left:
            if not self.boot(image, modules, directory):
                at = self.current or "boot"
                if at not in ended_by:
                    ended_by.add(at)
                    self.restarts += 1
                    continue
                if self.current is None:
                    break
                self.left.remove(self.current)

    def forget_failures(self):
        """Whether there are tests to be tried again; what came of them is forgotten."""
        failed = [case for case in self.cases if case[2] == "failed"]
        tests = {case[0] for case in failed}
        if not tests or len(tests) > FEW or not all(tests):
            return False
        self.again = failed
        self.cases = [case for case in self.cases if case[0] not in tests]
        self.left = sorted(tests)
        return True

    def boot(self, image, modules, directory):
        """Whether the guest came to its end; if not, what it had told of the running test is forgotten."""
        script = SCRIPT.format(tools=" ".join(guest.tools()), tests=" ".join(self.left), limit=TEST_LIMIT, cases=self.filter)
        ports = ("out", "err", "cases")
        guest.make_initramfs(directory / "initramfs", modules, script, ports, self.architecture)
        self.current = None
        machine = guest.Machine(time_limit=GUEST_LIMIT, silence=SILENCE, architecture=self.architecture)
        console = self.place / f"console-{self.boots}"
        log_file = self.place / f"log-{self.boots}"
        self.boots += 1
        with open(log_file, "wb") as log:
            sinks = {"out": log, "err": log, "cases": guest.Port(self.told)}
            one = guest.Guest(machine, image, directory / "initramfs", console, sinks)
            one.run()
        for complaint in one.complaints():
            self.cases.append(("", "the kernel has nothing to complain of", "failed", 0, complaint))
        if not one.hung and one.status() is not None:
            if self.left:
                self.cases.append(("", "the tests run", "failed", 0, "the guest ended before them"))
                self.left = []
            return True
        how = "hung" if one.hung else "died"
        words = f"the guest {how} in {self.current or 'its start'}, {self.running or 'between cases'}"
        with printing:
            print(f"{self.kernel}: {words}; its console ends with\n{one.last_words()}", flush=True)
        if self.restarts and self.current is None or self.restarts > 5:
            self.left = []
        if self.restarts:
            self.cases.append((self.current or "", self.running or "the guest lives", "failed", 0, words))
        return False

    def count(self, outcome):
        return sum(case[2] == outcome for case in self.cases)

    def say(self):
        lines = [
            f"{what}: {self.kernel}: {test} {name}: {why}".rstrip(": ")
            for test, name, what, _, why in self.cases
            if what != "passed"
        ]
        lines += [f"tried again: {self.kernel}: {test} {name}: {why}".rstrip(": ") for test, name, _, _, why in self.again]
        with open(self.place / "cases.tsv", "w") as out:
            out.writelines("\t".join(map(str, case)) + "\n" for case in self.cases)
        kept = {"release": self.release, "plans": self.plans, "box": guest.box_hash(self.architecture)}
        (self.place / "plans.json").write_text(json.dumps(kept, indent=1) + "\n")
        with printing:
            for line in lines:
                print(line)
            print(
                f"{self.kernel} ({self.release}): {self.count('passed')} passed, {self.count('failed')} failed, "
                f"{self.count('skipped')} skipped, {len(self.again)} at the second try, {self.restarts} restarts, "
                f"{self.seconds:.0f} s",
                flush=True,
            )


def kept(kernel, options):
    """What came of an earlier run of the same box on a kernel that is not run now; None if there was none."""
    suite = Suite(kernel, options)
    try:
        found = json.loads((suite.place / "plans.json").read_text())
        if found["box"] != guest.box_hash(suite.architecture):
            return None
        suite.release, suite.plans = found["release"], found["plans"]
        suite.cases = [line.split("\t") for line in (suite.place / "cases.tsv").read_text().splitlines()]
    except (OSError, ValueError, KeyError):
        return None
    return suite


def run_one(kernel, options):
    suite = Suite(kernel, options)
    if time.time() > options.begin_by:
        suite.cases.append(("", kernel, "skipped", 0, "too late"))
        with printing:
            print(f"skipped: Linux {kernel}: no time was left for it; scripts/check vm {kernel} runs it", flush=True)
        return suite
    try:
        suite.run()
    except (guest.Failure, OSError, subprocess.CalledProcessError) as failure:
        suite.place.mkdir(parents=True, exist_ok=True)
        what = "skipped" if kernel == NEWEST and not suite.cases else "failed"
        suite.cases.append(("", "the kernel can be had", what, 0, str(failure)))
    suite.say()
    return suite


def write_matrices(suites, options):
    """Of each architecture of which there were guests. Returns for each what is worse than it was."""
    order = {kernel: at for at, kernel in enumerate(DEFAULT)}
    for architecture in dict.fromkeys(suite.architecture for suite in suites):
        ours = [suite for suite in suites if suite.architecture is architecture]
        run = [suite.kernel for suite in ours]
        others = [kernel for kernel in DEFAULT if kernel not in run and guest.architecture_of(kernel) is architecture]
        ours += [kept(kernel, options) for kernel in others]
        found = [suite for suite in ours if suite and suite.plans]
        rows = matrix.write(sorted(found, key=lambda suite: order.get(suite.kernel, len(order))), architecture)
        yield matrix.worse(rows, architecture)
        if options.publish:
            matrix.publish(architecture)


def parse():
    parser = argparse.ArgumentParser(prog="scripts/check vm", description=__doc__.split("\n\n")[0])
    parser.add_argument("kernels", nargs="*", metavar="KERNEL", help=f"of {', '.join(guest.KERNELS)}, or paths")
    parser.add_argument("--only", action="append", metavar="WORD", help="tests with this in their names")
    parser.add_argument("--whole", action="store_true", help="all cases that could differ between kernels")
    parser.add_argument("--publish", action="store_true", help="copy the matrix to tests/vm")
    parser.add_argument("--peers", action="store_true", help="try the tools of libbpf-tools again on these kernels")
    parser.add_argument("--begin-by", type=float, metavar="TIME", help="skip kernels not begun then, in seconds of 1970",
                        default=float("inf"))
    options = parser.parse_args()
    if options.publish and options.only:
        parser.error("what is published is of all tools")
    return options


def main():
    options = parse()
    signal.signal(signal.SIGTERM, guest.stop_all)
    kernels = options.kernels or list(DEFAULT)
    if options.peers:
        peers.refresh([kernel for kernel in kernels if guest.architecture_of(kernel) is guest.X86_64])
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        suites = list(pool.map(lambda kernel: run_one(kernel, options), kernels))
    passed, failed, skipped = (sum(suite.count(what) for suite in suites) for what in ("passed", "failed", "skipped"))
    if not options.only:
        for worse in write_matrices(suites, options):
            passed, failed = passed + (not worse), failed + bool(worse)
            for line in worse:
                print(f"failed: the matrix: {line}")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
