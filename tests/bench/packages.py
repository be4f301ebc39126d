# SPDX-License-Identifier: BSD-2-Clause
"""Where the tools are: ours, and the peers' from Debian's packages; and the words that start each."""

import functools
import os
import pathlib
import shlex
import subprocess
import sys

from questions import BPFTRACE, OURS, PERF, STRACE

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
LOADS = ROOT / "build/bench"
STRACE_FILE = "/dev/shm/corekit-bench.strace"


class CannotRun(Exception):
    """The tool is not here, or gave up on this kernel."""


def install():
    subprocess.run([ROOT / "scripts/setup", "--peers"], check=True, stdout=sys.stderr)


@functools.cache
def newer_package():
    """The peer's tools of a newer Debian, unpacked in the cache and not installed, for those that this one has not."""
    sys.path.insert(0, str(ROOT / "tests/vm"))
    import guest
    import peers

    return guest.cached("peers", peers.fetch_peers)


def executable(name):
    """A command of a package that is installed, or of the newer one, with its own libraries."""
    for place in ("/usr/sbin", "/usr/bin"):
        if os.path.exists(f"{place}/{name}"):
            return [f"{place}/{name}"]
    place = newer_package()
    libraries = place / "usr/lib/x86_64-linux-gnu"
    for own in (place / "usr/sbin" / name, place / f"usr/sbin/{name}-libbpf"):
        if own.exists():
            return [str(libraries / "ld-linux-x86-64.so.2"), "--library-path", str(libraries), str(own)]
    raise CannotRun(f"no package has {name}")


def command(package, ask, load):
    """The words that start a tool, `load` being the load's program with all its arguments."""
    words = ask.words.replace("LOAD", load[0] if load else "")
    if package == OURS:
        name, *arguments = shlex.split(words)
        return [str(ROOT / "build/bin" / name), *arguments]
    if package == BPFTRACE:
        return ["bpftrace", "-e", words]
    if package == STRACE:
        return ["strace", "-o", STRACE_FILE, *shlex.split(words), *load]
    if package == PERF:
        return ["perf", *shlex.split(words)]
    name, *arguments = shlex.split(words)
    return executable(name) + arguments


def file_of(package, words):
    """The file that is the tool: of one with its own libraries the last path among its words."""
    return next(word for word in reversed(words) if "--library-path" in words and "/sbin/" in word or word == words[0])


def sizes():
    """Bytes on disk of the tools, of the box, and of the files that the peers' packages install for running them."""
    found = {"corekit, a file for each tool": sum(path.stat().st_size for path in (ROOT / "build/bin").iterdir())}
    box = ROOT / "build/box/corekit"
    if box.exists():
        found["corekit, the static box"] = box.stat().st_size
    for package in ("libbpf-tools", "bpftrace", "bpfcc-tools", "linux-perf", "strace"):
        listed = subprocess.run(["dpkg", "-L", package], capture_output=True, text=True, check=False).stdout.split("\n")
        files = [path for path in listed if "/sbin/" in path or "/bin/" in path or "/lib/" in path]
        plain = {path for path in files if os.path.isfile(path) and not os.path.islink(path)}
        found[package] = sum(os.path.getsize(path) for path in plain)
    return {name: size for name, size in found.items() if size}


def versions():
    def said(words):
        shown = subprocess.run(words, capture_output=True, text=True, check=False)
        return (shown.stdout + shown.stderr).strip().split("\n")[0]

    found = {OURS: said([str(ROOT / "build/bin/opensnoop"), "--version"])}
    for package in ("libbpf-tools", "bpftrace", "bpfcc-tools", "linux-perf", "strace"):
        words = ["dpkg-query", "-W", "-f", "${Version}", package]
        version = subprocess.run(words, capture_output=True, text=True, check=False)
        if version.returncode == 0 and version.stdout:
            found[package] = version.stdout
    return found
