# SPDX-License-Identifier: BSD-2-Clause
"""Tries the commands of libbpf-tools on other kernels, beside a load that does what they show.

What became of each is stored in tests/vm/peers.json.
"""

import json
import re
import tempfile
import pathlib

import guest
import initramfs
import matrix

SUITE = "sid"
PACKAGE = "libbpf-tools"
LIBRARIES = ("libc6", "libelf1t64", "zlib1g", "libzstd1", "libbpf1", "libgcc-s1")
# Words that some need, to show within the time what others show by themselves.
ARGUMENTS = {"biolatency": "1 8", "profile": "8", "offcputime": "8", "wakeuptime": "8", "syscount": "-d 8"}
SECONDS = 25

SCRIPT = """exec 3>"$port_cases"
dd if=/dev/zero of=/tmp/image bs=1M count=64 2>/dev/null
losetup /dev/loop0 /tmp/image
load() {{
  while :; do
    /corekit/build/tests/trigger/forks 2
    /corekit/build/tests/trigger/opens 3 /dev/null
    /corekit/build/tests/trigger/ends 0
    dd if=/dev/zero of=/dev/loop0 bs=64k count=4 conv=fsync 2>/dev/null
    sync
    usleep 100000
  done
}}
load >/dev/null 2>&1 &
export LD_LIBRARY_PATH=/peer/usr/lib/x86_64-linux-gnu
for tool in {tools}; do
  timeout -s INT -k 5 {seconds} /peer/usr/lib64/ld-linux-x86-64.so.2 /peer/usr/sbin/$tool $(cat /peer/arguments/$tool) \\
    >/tmp/out 2>/tmp/err
  status=$?
  printf '%s\\t%s\\t%s\\t%s\\n' $tool $status "$(grep -c . /tmp/out)" "$(grep . /tmp/err | head -n 1 | tr '\\t' ' ')" >&3
done
"""


def fetch_peers(directory):
    name, version = guest.fetch(SUITE, PACKAGE, directory)
    for library in LIBRARIES:
        guest.fetch(SUITE, library, directory)
    (directory / "origin").write_text(f"{name} {version}\n")


def command(place, tool):
    """The peer's tool of that name, which newer releases call so in full; None if there is none."""
    names = (place / "usr/sbin" / name for name in (tool, f"{tool}-libbpf"))
    return next((name for name in names if name.exists()), None)


def archive_peers(path, place, modules, script, tools):
    """A guest like that of the tests, with the commands and their libraries beside."""
    guest.make_initramfs(path, modules, script, ("out", "err", "cases"))
    archive = initramfs.Archive()
    for tool in tools:
        archive.file(f"peer/usr/sbin/{tool}", command(place, tool).resolve())
        archive.text(f"peer/arguments/{tool}", ARGUMENTS.get(tool, ""))
    for library in place.rglob("*.so*"):
        if library.is_file() and library.parent.name in ("x86_64-linux-gnu", "lib64"):
            folder = "lib64" if library.name.startswith("ld-") else "lib/x86_64-linux-gnu"
            archive.file(f"peer/usr/{folder}/{library.name}", library)
    with tempfile.TemporaryDirectory() as beside:
        archive.write(pathlib.Path(beside) / "more")
        with open(path, "ab") as out:
            out.write((pathlib.Path(beside) / "more").read_bytes())


def judge(status, lines, error):
    if lines > 1 and re.search("(?i)fail|error|cannot|unable", error) is None:
        return "works"
    if status in (0, 124, 130, 143) and re.search("(?i)fail|error|cannot|unable", error) is None:
        return "silent"
    return "fails"


def refresh(kernels):
    place = guest.cached("peers", fetch_peers)
    tools = [tool for tool in guest.tools() if command(place, tool)]
    stored = json.loads(matrix.PEERS.read_text())
    stored["package"] = (place / "origin").read_text().strip()
    for kernel in kernels:
        found = {}

        def take(line):
            tool, status, lines, error = line.split("\t")
            found[tool] = judge(int(status), int(lines), error)
            print(f"{kernel}: {tool}: {found[tool]} ({status}, {lines} lines) {error}", flush=True)

        with tempfile.TemporaryDirectory(prefix="corekit-vm-") as directory:
            directory = pathlib.Path(directory)
            image, modules = guest.find_kernel(kernel, False, directory)
            script = SCRIPT.format(tools=" ".join(tools), seconds=SECONDS)
            archive_peers(directory / "initramfs", place, modules, script, tools)
            with open(directory / "log", "wb") as log:
                sinks = {"out": log, "err": log, "cases": guest.Port(take)}
                machine = guest.Machine(time_limit=1800)
                one = guest.Guest(machine, image, directory / "initramfs", directory / "console", sinks)
                one.run()
            if one.status() is None:
                raise guest.Failure(f"the guest of the peers on {kernel} did not end\n{one.last_words()}")
        for tool, word in found.items():
            stored["results"].setdefault(tool, {})[kernel] = word
        if kernel not in stored["kernels"]:
            stored["kernels"].append(kernel)
    matrix.PEERS.write_text(json.dumps(stored, indent=1, sort_keys=True) + "\n")
