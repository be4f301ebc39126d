# SPDX-License-Identifier: BSD-2-Clause
"""The matrix: which tool works on which kernel, by its own --explain and its live tests, beside libbpf-tools' own.

Each architecture has one, of a static binary of its own.
"""

import json
import os
import re
import shutil
import subprocess

import guest

PEERS = guest.ROOT / "tests/vm/peers.json"
# Tools whose live tests stand in those of another one.
TESTED_WITH = {"biolatency": "disksnoop", "bitesize": "disksnoop"}
ORDER = ("fails", "no", "lesser", "works")  # a verdict may become better

HEAD = """# Which tool works on which kernel

Written by `scripts/check vm --publish`, which runs the same static binary and the same live tests, one truth or more of each
tool, in guests on Debian's kernels for {architecture}.

- **works**: everything it looks at is seen, in the way that is named, and its live tests pass there.
- **lesser**: it works, but some things are not seen; which ones stands below the table.
- **no**: this kernel cannot, and the tool says so in one line.
- **fails**: a live test of it failed.
"""
PEERS_HEAD = """
*Peer* is the command of the same name in {package}: **works** if it showed something of such a load, **silent** if it
ran and showed nothing, **fails** if it did not run. Whether its numbers are right was not looked at.
"""


def built(architecture):
    return guest.ROOT / f"build/vm/MATRIX{architecture.suffix}.md"


def published_as(architecture):
    return guest.ROOT / f"tests/vm/MATRIX{architecture.suffix}.md"


def verdict(plan, failures):
    """The verdict, the ways taken, and a note for below the table."""
    if plan is None:
        return "fails", "", "--explain did not come to its end"
    if failures:
        return "fails", "", f"{len(failures)} failed: " + "; ".join(failures[:3])
    events = plan.get("events", [])
    ways = ", ".join(dict.fromkeys(event["way"] for event in events if event.get("way")))
    if plan["status"] != 0 or plan.get("form") == "none":
        refused = [f"{one['way']}: {one['why']}" for event in events for one in event["refused"] if not event["way"]]
        return "no", "", plan["why"] or "; ".join(refused) or f"--explain ended with status {plan['status']}"
    if plan.get("form") == "lesser":
        missed = [event["misses"] for event in events if event["misses"]]
        missed += [f"{event['event']} is not seen" for event in events if not event["way"]]
        return "lesser", ways, "; ".join(missed)
    return "works", ways, ""


def columns_of(suites):
    """For each column its heading and its verdicts by tool."""
    columns = []
    for suite in suites:
        failures = {}
        for test, name, what, _, _ in suite.cases:
            if what == "failed":
                failures.setdefault(test.removeprefix("live_").removesuffix("_test"), []).append(name)
        found = {
            tool: verdict(suite.plans.get(tool), failures.get(TESTED_WITH.get(tool, tool))) for tool in guest.tools()
        }
        columns.append((suite.kernel, suite.release, found))
    return columns


def this_machine():
    """The kernel that runs here, for what it takes in --explain alone: its live tests are run by the tier live."""
    found = {}
    for tool in guest.tools():
        command = [str(guest.ROOT / "build/box/corekit"), tool, "--explain", "-o", "json"]
        if os.geteuid() != 0:
            command = ["sudo", "-n", *command]
        done = subprocess.run(command, capture_output=True, text=True)
        try:
            plan = {"status": done.returncode, "why": done.stderr.strip().replace("\n", " "), **json.loads(done.stdout)}
        except json.JSONDecodeError:
            plan = {"status": done.returncode, "why": done.stderr.strip()}
        found[tool] = verdict(plan, [])
    return "here", os.uname().release, found


def cell(found):
    word, ways, _ = found
    return f"{word}: {ways}" if ways else word


def peer_cell(peers, tool, kernel):
    return peers["results"].get(tool, {}).get(kernel, "")


def write(suites, architecture):
    """Writes an architecture's matrix and returns its verdicts: tool, kernel, word."""
    peers = json.loads(PEERS.read_text())
    columns = columns_of(suites)
    kernels = ", ".join(f"{name} is {release}" for name, release, _ in columns)
    head = HEAD.format(architecture=architecture.debian)
    below = [f"The kernels: {kernels}."]
    if architecture is guest.X86_64:
        head += PEERS_HEAD.format(package=peers["package"])
        columns.append(this_machine())
        below += [f"`here` is {columns[-1][1]}, by `--explain` alone."]
    headings = [f"{name} | peer" if name in peers["kernels"] else name for name, _, _ in columns]
    heading = f"| tool | {' | '.join(headings)} |"
    lines = [heading, "| --- " * (heading.count("|") - 1) + "|"]
    notes = {}
    for tool in guest.tools():
        cells = []
        for name, _, found in columns:
            cells.append(cell(found[tool]))
            if name in peers["kernels"]:
                cells.append(peer_cell(peers, tool, name))
            if found[tool][2]:
                notes.setdefault((tool, found[tool][0], found[tool][2]), []).append(name)
        lines.append(f"| `{tool}` | {' | '.join(cells)} |")
    remarks = [f"- `{tool}` on {', '.join(names)}, {word}: {note}" for (tool, word, note), names in notes.items()]
    built(architecture).parent.mkdir(parents=True, exist_ok=True)
    built(architecture).write_text("\n".join([head, *lines, "", *remarks, "", *below]) + "\n")
    return {(tool, name): found[tool][0] for name, _, found in columns if name != "here" for tool in found}


def published(architecture):
    """The verdicts of the committed matrix."""
    if not published_as(architecture).exists():
        return {}
    lines = [line for line in published_as(architecture).read_text().splitlines() if line.startswith("|")]
    rows = [re.split(r" *\| *", line.strip("| ")) for line in lines]
    names = rows[0][1:]
    return {
        (row[0].strip("`"), name): value.partition(":")[0]
        for row in rows[2:]
        for name, value in zip(names, row[1:])
        if name not in ("peer", "here")
    }


def worse(found, architecture):
    """What is worse than in the committed matrix, a line each."""
    before = published(architecture)
    lines = []
    for (tool, kernel), word in found.items():
        old = before.get((tool, kernel))
        if old in ORDER and ORDER.index(word) < ORDER.index(old):
            lines.append(f"{tool} on {kernel} was {old} and is {word}")
    return lines


def publish(architecture):
    shutil.copyfile(built(architecture), published_as(architecture))
