# SPDX-License-Identifier: BSD-2-Clause
"""What the figures come to: ratios of rounds, tables for people, and which figures miss their marks.

Results are {question: {contest: {package: [figures of each round]}}}.
"""

import dataclasses
import os
import re
import statistics

from packages import OURS, sizes, versions
from questions import QUESTIONS, RESIDENT_KB, START_MARKS


@dataclasses.dataclass
class Figure:
    title: str
    divisor: float = 1  # of what was measured
    digits: int = 2
    added: bool = False  # a difference of two times, and so perhaps less than what times differ by anyway


FIGURES = {
    "added": Figure("time added, µs", 1e3, added=True),
    "program": Figure("program time, µs", 1e3),
    "run": Figure("program time a sample, µs", 1e3),
    "reader": Figure("reader's CPU, µs", 1e3, 3),
    "beside": Figure("added to getppid, ns", 1, 0, added=True),
    "ready": Figure("ready, ms", 1, 1),
    "peak": Figure("peak memory, MiB", 1024, 1),
    "stop": Figure("end, ms", 1, 1),
    "idle": Figure("idle CPU, ms/s", 1),
    "resident": Figure("idle memory, MiB", 1024, 1),
    "complete": Figure("complete stacks, share", 1, 3),
}
ROWS = "shown, lost, unaccounted: ours; theirs"


@dataclasses.dataclass
class Ratio:
    ours: float
    theirs: float
    middle: float | None  # None where theirs is nothing, or both are less than the noise
    low: float = 0
    high: float = 0


def values(rounds, figure):
    return [one[figure] for one in rounds if figure in one]


def compare(figure, ours, theirs):
    """The ratio of each round, of what was measured in turn: their median and spread. None if either has no such figure."""
    mine, others = values(ours, figure), values(theirs, figure)
    if not mine or not others:
        return None
    middle = Ratio(statistics.median(mine), statistics.median(others), None)
    alone = values(ours + theirs, "alone")
    noise = (max(alone) - min(alone)) / 2 if FIGURES[figure].added and figure == "added" else 0
    if FIGURES[figure].added and max(abs(middle.ours), abs(middle.theirs)) <= noise:
        return middle
    ratios = [mine_once / other for mine_once, other in zip(mine, others) if other > 0]
    if ratios:
        middle.middle, middle.low, middle.high = statistics.median(ratios), min(ratios), max(ratios)
    return middle


def mark_of(question, contest, package, figure):
    if question.how == "start":
        return START_MARKS.get(package, {}).get(figure)
    return contest.marks.get(package, {}).get(figure)


def meets(ratio, mark):
    return ratio.middle is None or ratio.middle <= mark + 0.005 or ratio.ours <= 0


def number(value, figure):
    return f"{value / FIGURES[figure].divisor:,.{FIGURES[figure].digits}f}"


def cell(figure, ratio, mark):
    if not ratio:
        return ""
    text = f"{number(ratio.ours, figure)} / {number(ratio.theirs, figure)}"
    if ratio.middle is not None and ratio.ours > 0:
        text += f" = **{ratio.middle:.2f}** ({ratio.low:.2f}-{ratio.high:.2f})"
    if mark is not None:
        text += f" {'✓' if meets(ratio, mark) else '✗'} {mark:.3g}"
    return text


def single(figure, rounds):
    found = values(rounds, figure)
    return number(statistics.median(found), figure) if found else ""


def accounts(rounds):
    """Of the round that has most unaccounted for: how many operations were shown, lost, and neither."""
    told = [(one["shown"], one["lost"], one["made"] - one["shown"] - one["lost"]) for one in rounds if "shown" in one]
    if not told:
        return "-"
    shown, lost, unaccounted = max(told, key=lambda one: abs(one[2]))
    return f"{shown:,}, {lost:,}, {unaccounted:,}"


def columns_of(question):
    return [one for one in question.columns if one != "rows"] + (["beside"] if question.bystander else [])


def row(question, contest, results, package):
    ours, theirs = results[OURS], results[package] if package else []
    cells = [contest.name, package or "-"]
    for figure in columns_of(question):
        ratio = compare(figure, ours, theirs)
        cells.append(cell(figure, ratio, mark_of(question, contest, package, figure)) if ratio else single(figure, ours))
    if "rows" in question.columns:
        cells.append(f"{accounts(ours)}; {accounts(theirs)}" if package else accounts(ours))
    return cells


def table_line(cells):
    return "| " + " | ".join(cells) + " |"


def head(question):
    titles = ["tool", "beside"] + [FIGURES[figure].title for figure in columns_of(question)]
    titles += [ROWS] if "rows" in question.columns else []
    return [table_line(titles), table_line(["---"] * len(titles))]


def loss_lines(contest, results):
    """How fast each goes before it loses."""
    lines = [table_line(["tool", "highest rate held, opens a second", "first rate that loses", "shown, lost, unaccounted there"]),
             table_line(["---"] * 4)]  # fmt: skip
    for package, rounds in results.items():
        if package == "beyond":
            continue
        for one in rounds:
            last = one["steps"][-1]
            made = f"{last['rate']:,.0f}" if one["loses"] else f"none: no more than {last['rate']:,.0f} could be made"
            lines.append(table_line([f"{contest.name} of {package}", f"{one['held']:,.0f}", made, accounts([last])]))
    for one in results.get("beyond", []):
        lines.append(table_line([f"{contest.name} of {OURS}, at twice what the peers hold", f"{one['rate']:,.0f} of {one['asked']:,}",
                                 "", accounts([one])]))  # fmt: skip
    return lines


def contest_lines(question, contest, results):
    if OURS not in results:
        return []
    if question.how == "loss":
        return loss_lines(contest, results)
    return [table_line(row(question, contest, results, one)) for one in list(results)[1:] or [None]]


def misses(name, question, contest, results):
    """A line for each figure that misses its mark."""
    ours = results.get(OURS, [])
    for package in results:
        if package in (OURS, "beyond"):
            continue
        for figure in FIGURES:
            mark, ratio = mark_of(question, contest, package, figure), compare(figure, ours, results[package])
            if mark is not None and ratio and not meets(ratio, mark):
                yield f"{name}, {contest.name} beside {package}: {FIGURES[figure].title}: {cell(figure, ratio, mark)}"
    for resident in values(ours, "resident"):
        if resident > RESIDENT_KB:
            yield f"{name}, {contest.name}: {resident / 1024:.1f} MiB resident when idle, of {RESIDENT_KB / 1024:.0f}"
    told = [one for one in ours if "shown" in one] + results.get("beyond", [])
    for one in told + [step for held in ours for step in held.get("steps", [])]:
        if one["made"] != one["shown"] + one["lost"]:
            yield f"{name}, {contest.name}: of {one['made']:,} operations {one['shown']:,} shown and {one['lost']:,} lost"


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        models = re.findall(r"^model name\s*: (.*)", lines.read(), re.M)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30
    return {"processors": f"{len(models)} × {models[0] if models else os.uname().machine}", "memory": f"{memory} GiB",
            "kernel": f"Linux {os.uname().release}"}  # fmt: skip


def document(results, rounds, when):
    """The tables in Markdown, with where they are from."""
    about = machine()
    lines = [f"{when}, {about['processors']}, {about['memory']}, {about['kernel']}; {rounds} rounds. "
             + ", ".join(f"{name} {version}" for name, version in versions().items()) + ".", ""]  # fmt: skip
    missed = []
    for name, contests in results.items():
        question = QUESTIONS[name]
        lines += [f"### {name}", "", f"{question.what[0].upper()}{question.what[1:]}.", ""]
        lines += head(question) if question.how != "loss" else []
        for contest in question.contests:
            found = contests.get(contest.name, {})
            lines += contest_lines(question, contest, found)
            missed += misses(name, question, contest, found)
        lines.append("")
    lines += ["### bytes on disk", "", table_line(["what", "MB"]), table_line(["---", "---"])]
    lines += [table_line([name, f"{size / 1e6:.1f}"]) for name, size in sizes().items()]
    lines += ["", "### what misses its mark", "", *([f"- {line}" for line in missed] or ["Nothing."])]
    return "\n".join(lines) + "\n"
