# SPDX-License-Identifier: BSD-2-Clause
"""The questions, as data: which tools are asked what, beneath which load, and what ours may cost of what a peer does.

A new question is an entry of QUESTIONS here, and a load in load/ if none does what it asks about.
"""

import dataclasses

OURS, LIBBPF, BPFTRACE, STRACE, PERF, BCC = "corekit", "libbpf-tools", "bpftrace", "strace", "linux-perf", "bpfcc-tools"
FOLDED = "/dev/shm/corekit-bench.folded"
SAMPLES = "/dev/shm/corekit-bench.data"


@dataclasses.dataclass
class Ask:
    """How one tool is asked: its words, of bpftrace the script; LOAD stands for the load's program."""

    words: str
    row: str = ""  # what a row about one of the load's operations looks like, or with a group what says how many
    whole: str = ""  # of stacks: what it looks like if it is complete
    wraps: bool = False  # starts the load itself, and sees nothing else
    fewer: int = 1  # takes so long that it gets so many times fewer operations
    shown_by: str = ""  # the command that shows what it wrote


@dataclasses.dataclass
class Contest:
    """One question, to one of our tools and its peers."""

    name: str
    asks: dict  # by package
    load: str = ""  # the load's program, and its arguments after the number of operations; DISK is a disk of its own
    count: int = 0  # of operations
    marks: dict = dataclasses.field(default_factory=dict)  # package: {figure: the most that ours may be of the peer's}


@dataclasses.dataclass
class Question:
    what: str  # a line for those who read the table
    contests: list
    how: str = "load"  # the function of measure.py
    once: bool = False  # one round tells: it is about how figures grow
    bystander: bool = False  # also what a system call costs that it does not ask about
    columns: tuple = ("added", "program", "reader", "rows")  # what the table shows, of FIGURES in report.py


OPEN_ROW = r"/etc/hostname"
BUCKET, PEER_BUCKET, SCRIPT_BUCKET = r"^\[.*\) +(\d+)", r"-> \d+ +: (\d+)", r"^\[.*[)\]] +(\d+) \|"
OPENS_SCRIPT = (
    "tracepoint:syscalls:sys_enter_openat { @name[tid] = args->filename; } "
    "tracepoint:syscalls:sys_exit_openat /@name[tid]/ "
    r'{ printf("%d %s %d %s\n", pid, comm, args->ret, str(@name[tid])); delete(@name[tid]); }'
)
EXECS_SCRIPT = 'tracepoint:syscalls:sys_enter_execve { printf("%d ", pid); join(args->argv); }'
DISK_SCRIPT = (
    "tracepoint:block:block_rq_issue { @begin[args->dev, args->sector] = nsecs; } "
    "tracepoint:block:block_rq_complete /@begin[args->dev, args->sector]/ "
    "{ @us = hist((nsecs - @begin[args->dev, args->sector]) / 1000); delete(@begin[args->dev, args->sector]); }"
)
SNOOP_SCRIPT = (
    "tracepoint:block:block_rq_issue { @begin[args->dev, args->sector] = nsecs; @comm[args->dev, args->sector] = comm; } "
    "tracepoint:block:block_rq_complete /@begin[args->dev, args->sector]/ "
    r'{ printf("%s %d 7:%d %d %d\n", @comm[args->dev, args->sector], pid, args->dev & 0xfffff, args->sector, '
    "nsecs - @begin[args->dev, args->sector]); "
    "delete(@begin[args->dev, args->sector]); delete(@comm[args->dev, args->sector]); }"
)
SYSCALLS_SCRIPT = "tracepoint:raw_syscalls:sys_enter { @[args->id] = count(); }"
LATENCY_SCRIPT = (
    "tracepoint:raw_syscalls:sys_enter { @begin[tid] = nsecs; } tracepoint:raw_syscalls:sys_exit /@begin[tid]/ "
    "{ @total[args->id] = sum(nsecs - @begin[tid]); @calls[args->id] = count(); delete(@begin[tid]); }"
)
SWITCHES_SCRIPT = "tracepoint:sched:sched_switch { @[args->prev_pid, args->next_pid] = count(); }"
FUNCTION = "uprobe:LOAD:called"
GUARDED = "uprobe:LOAD:guarded"
FUNCTION_SCRIPT = (
    "uprobe:LOAD:called { @begin[tid] = nsecs; } "
    "uretprobe:LOAD:called /@begin[tid]/ { @ns = hist(nsecs - @begin[tid]); delete(@begin[tid]); }"
)
GETPPID = "tracepoint:syscalls:sys_enter_getppid"

OPENS = {
    OURS: Ask("opensnoop", OPEN_ROW),
    LIBBPF: Ask("opensnoop", OPEN_ROW),
    BPFTRACE: Ask(OPENS_SCRIPT, OPEN_ROW),
    STRACE: Ask("-f -e trace=openat", OPEN_ROW, wraps=True, fewer=20),
    PERF: Ask("trace -a -e openat", r" opens/\d+ openat\(", fewer=2),
    BCC: Ask("opensnoop-bpfcc", OPEN_ROW),
}
BPFTRACE_MARKS = {BPFTRACE: {"added": 0.3}}
OPENS_MARKS = {LIBBPF: {"added": 0.15, "program": 0.1, "reader": 0.1, "beside": 1}, **BPFTRACE_MARKS}
BLOCK_MARKS = {LIBBPF: {"program": 0.7}, **BPFTRACE_MARKS}
DISK = {
    "biolatency": {
        OURS: Ask("biolatency", BUCKET),
        LIBBPF: Ask("biolatency", PEER_BUCKET),
        BPFTRACE: Ask(DISK_SCRIPT, SCRIPT_BUCKET),
    },
    "disksnoop": {OURS: Ask("disksnoop", r"^\S+ +reads .* loop\d+ "), LIBBPF: Ask("biosnoop", r" loop\d+ "),
                  BPFTRACE: Ask(SNOOP_SCRIPT, r"^reads \d+ 7:\d+ ")},
    "bitesize": {OURS: Ask("bitesize", r"comm = reads\s+.*\n\[4K, 8K\) +(\d+)"),
                 LIBBPF: Ask("bitesize", r"= reads\n(?:.*\n)*?\s+4 -> 7 +: (\d+)")},
}  # fmt: skip


def disk(depth, count):
    return [Contest(name, asks, f"reads DISK {depth}", count, BLOCK_MARKS) for name, asks in DISK.items()]


def functions_of(many):
    """Counts calls of so many probed functions; bpftrace attaches one after the other, for minutes beyond 1,000."""
    asks = {OURS: Ask(f"count 'uprobe:LOAD:of_{many}_*'", r"^ +(\d+) uprobe:")}
    if many <= 100:
        asks[BPFTRACE] = Ask(f"uprobe:LOAD:of_{many}_* {{ @[probe] = count(); }}", r"^@\[.*: (\d+)")
    return Contest(f"count, {many:,} functions", asks, f"functions {many}", 20_000, BPFTRACE_MARKS)


def calls_of(name, probe, load):
    asks = {
        OURS: Ask(f"count {probe}", r"^ +(\d+) uprobe"),
        BPFTRACE: Ask(f"{probe} {{ @ = count(); }}", r"^@: (\d+)"),
    }
    return Contest(name, asks, load, 20_000, BPFTRACE_MARKS)


def keys_of(many):
    probe = "tracepoint:syscalls:sys_enter_close"
    asks = {
        OURS: Ask(f"count --top {many + 1000} {probe} fd", r"^ +(\d+) .* fd=1\d{6}$"),
        BPFTRACE: Ask(f"{probe} {{ @[args->fd] = count(); }}", r"^@\[1\d{6}\]: (\d+)"),
    }
    return Contest(f"count, {many:,} keys", asks, f"keys {many}", 300_000, BPFTRACE_MARKS)


def stacks_of(many):
    asks = {
        OURS: Ask(f"stackcount -U --unwind fp --stacks 32768 {GETPPID} --folded {FOLDED}", r"^ways;.* (\d+)$",
                  r"^ways;.*main.* (\d+)$", shown_by=f"cat {FOLDED}"),
        BPFTRACE: Ask(f"{GETPPID} /comm == \"ways\"/ {{ @[ustack] = count(); }}", r"^\]: (\d+)"),
    }  # fmt: skip
    return Contest(f"stackcount, {many:,} stacks", asks, f"ways {many}", 100_000, BPFTRACE_MARKS)


def sampled(ways, unwind=""):
    """5,000 samples a second of each CPU: at 99 their cost would not be seen in the time that the load takes."""
    words = f"profile {unwind}".strip()
    row, whole = r"^spins(?:;.*)? (\d+)$", r"^spins;.*busy.* (\d+)$"
    asks = {
        OURS: Ask(f"{words} -F 5000 --folded {FOLDED}", row, whole, shown_by=f"cat {FOLDED}"),
        LIBBPF: Ask("profile -F 5000 -f", row, whole),
        PERF: Ask(f"record -a -g -F 5000 -o {SAMPLES}", r"^spins +\d+", r" busy\+",
                  shown_by=f"perf script -i {SAMPLES} -F comm,tid,ip,sym,symoff"),
    }  # fmt: skip
    return Contest(f"{words}, {ways:,} stacks", asks, f"spins {ways}", 3_000, {LIBBPF: {"run": 1}})


QUESTIONS = {
    "opens": Question(
        "a file opened and closed again and again, by one thread and by two",
        [
            Contest("opensnoop", OPENS, "opens 1", 60_000, OPENS_MARKS),
            Contest("opensnoop, 2 threads", {who: OPENS[who] for who in (OURS, LIBBPF, BPFTRACE)}, "opens 2", 60_000,
                    OPENS_MARKS),
        ],
        bystander=True,
    ),
    "execs": Question(
        "a program forked and executed again and again",
        [
            Contest(
                "execsnoop",
                {
                    OURS: Ask("execsnoop", r" /bin/true|true +yes +true$"),
                    LIBBPF: Ask("execsnoop", r"^true "),
                    BPFTRACE: Ask(EXECS_SCRIPT, r"^\d+ (?:true)?$"),
                    BCC: Ask("execsnoop-bpfcc", r"^true "),
                },
                "execs",
                800,
                {LIBBPF: {"program": 0.3}, **BPFTRACE_MARKS},
            )
        ],
        bystander=True,
    ),
    "syscalls": Question(
        "the cheapest system call, getppid, again and again",
        [
            Contest(
                "syscount",
                {
                    OURS: Ask("syscount", r"^getppid +(\d+)"),
                    LIBBPF: Ask("syscount", r"^getppid +(\d+)"),
                    BPFTRACE: Ask(SYSCALLS_SCRIPT, r"^@\[110\]: (\d+)"),
                    STRACE: Ask("-f -c", r" (\d+) +getppid$", wraps=True, fewer=100),
                    PERF: Ask("trace -a -s", r"^ +getppid +(\d+)", fewer=20),
                    BCC: Ask("syscount-bpfcc", r"getppid' +(\d+)"),
                },
                "getppid",
                1_000_000,
                {LIBBPF: {"added": 0.75, "program": 0.5}, **BPFTRACE_MARKS},
            ),
            Contest(
                "syscount -L",
                {
                    OURS: Ask("syscount -L", r"^getppid +(\d+)"),
                    LIBBPF: Ask("syscount -L", r"^getppid +(\d+)"),
                    BPFTRACE: Ask(LATENCY_SCRIPT, r"^@calls\[110\]: (\d+)"),
                },
                "getppid",
                1_000_000,
                {LIBBPF: {"added": 0.75, "program": 0.5}, **BPFTRACE_MARKS},
            ),
        ],
    ),
    "disk": Question("direct reads of 4 KiB from a loop device in memory, one at a time", disk(1, 10_000), bystander=True),
    "disk32": Question("the same, 32 at a time", disk(32, 40_000)),
    "switches": Question(
        "two threads on one CPU that hand it to each other through pipes",
        [
            Contest("offcputime", {OURS: Ask("offcputime"), LIBBPF: Ask("offcputime")}, "switches", 100_000,
                    {LIBBPF: {"program": 0.7}}),
            Contest("offcputime --unwind fp", {OURS: Ask("offcputime --unwind fp"), LIBBPF: Ask("offcputime")}, "switches",
                    100_000, {LIBBPF: {"program": 0.7}}),
            Contest("taskswitch", {OURS: Ask("taskswitch"), BPFTRACE: Ask(SWITCHES_SCRIPT)}, "switches", 100_000,
                    BPFTRACE_MARKS),
        ],
        bystander=True,
    ),
    "start": Question(
        "nothing: what it takes to start a tool, to let it wait for ten seconds and to end it",
        [
            Contest("opensnoop", {who: OPENS[who] for who in (OURS, LIBBPF, BPFTRACE)}),
            Contest("execsnoop", {OURS: Ask("execsnoop"), LIBBPF: Ask("execsnoop"), BPFTRACE: Ask(EXECS_SCRIPT)}),
            Contest("syscount", {OURS: Ask("syscount"), LIBBPF: Ask("syscount"), BPFTRACE: Ask(SYSCALLS_SCRIPT)}),
            *[Contest(name, asks) for name, asks in DISK.items()],
            Contest("offcputime", {OURS: Ask("offcputime"), LIBBPF: Ask("offcputime")}),
            Contest("wakeuptime", {OURS: Ask("wakeuptime"), LIBBPF: Ask("wakeuptime")}),
            Contest("offwaketime", {OURS: Ask("offwaketime"), BCC: Ask("offwaketime-bpfcc")}),
            Contest("profile", {OURS: Ask("profile"), LIBBPF: Ask("profile"),
                                BPFTRACE: Ask("profile:hz:99 { @[ustack, kstack] = count(); }")}),
            Contest("syncsnoop", {OURS: Ask("syncsnoop"), LIBBPF: Ask("syncsnoop"), BPFTRACE: Ask(
                "tracepoint:syscalls:sys_enter_sync,tracepoint:syscalls:sys_enter_fsync,"
                'tracepoint:syscalls:sys_enter_fdatasync { printf("%d %s %s\\n", pid, comm, probe); }')}),
            Contest("vfslatency", {OURS: Ask("vfslatency"), BPFTRACE: Ask(
                "tracepoint:syscalls:sys_enter_read { @begin[tid] = nsecs; } tracepoint:syscalls:sys_exit_read "
                "/@begin[tid]/ { @ns = hist(nsecs - @begin[tid]); delete(@begin[tid]); }")}),
            Contest("taskswitch", {OURS: Ask("taskswitch"), BPFTRACE: Ask(SWITCHES_SCRIPT)}),
            Contest("hello", {OURS: Ask("hello"), BPFTRACE: Ask(
                'tracepoint:sched:sched_process_fork { printf("%d %s\\n", args->child_pid, comm); }')}),
            Contest("randomread", {OURS: Ask("randomread"), BPFTRACE: Ask(
                'tracepoint:syscalls:sys_enter_getrandom { printf("%d %s\\n", pid, comm); }')}),
            Contest("ttysnoop", {OURS: Ask("ttysnoop")}),
            Contest("funclatency", {OURS: Ask("funclatency LOAD:called"), LIBBPF: Ask("funclatency LOAD:called"),
                                    BPFTRACE: Ask(FUNCTION_SCRIPT)}, "calls"),
            Contest("trace", {OURS: Ask(f"trace {GETPPID} cpu"), BPFTRACE: Ask(
                GETPPID + r' { printf("%s %d %d\n", comm, pid, cpu); }')}),
            Contest("count", {OURS: Ask(f"count {FUNCTION}"), BPFTRACE: Ask(f"{FUNCTION} {{ @ = count(); }}")}, "calls"),
            Contest("hist", {OURS: Ask(f"hist {FUNCTION} arg0"), BPFTRACE: Ask(f"{FUNCTION} {{ @ = hist(arg0); }}")},
                    "calls"),
            Contest("stackcount", {OURS: Ask(f"stackcount -U {GETPPID}"), BPFTRACE: Ask(
                f"{GETPPID} {{ @[ustack] = count(); }}")}),
            Contest("strlencount", {OURS: Ask("strlencount"), BPFTRACE: Ask(
                "uprobe:/lib/x86_64-linux-gnu/libc.so.6:strlen { @[str(arg0)] = count(); }")}),
            Contest("usdtsnoop", {OURS: Ask("usdtsnoop /usr/lib/x86_64-linux-gnu/libstdc++.so.6 libstdcxx:throw"), BPFTRACE: Ask(
                'usdt:/usr/lib/x86_64-linux-gnu/libstdc++.so.6:libstdcxx:throw { printf("%d %s\\n", pid, comm); }')}),
            Contest("fgraph", {OURS: Ask("fgraph -- sleep 20")}),
            Contest("inject", {OURS: Ask("inject open --error EIO --yes-break-it --comm nobody")}),
        ],
        how="start",
        columns=("ready", "peak", "stop", "idle", "resident"),
    ),
    "loss": Question(
        "files opened by two threads at a rate that rises until a tool loses some, and at twice what the peer held",
        [Contest("opensnoop", {OURS: OPENS[OURS], LIBBPF: OPENS[LIBBPF], BPFTRACE: OPENS[BPFTRACE]}, "opens 2")],
        how="loss",
        once=True,
    ),
    "functions": Question(
        "a function of a program, called again and again, and for trace a system call's tracepoint",
        [
            Contest(
                "funclatency",
                {
                    OURS: Ask("funclatency LOAD:called", BUCKET),
                    LIBBPF: Ask("funclatency LOAD:called", PEER_BUCKET),
                    BPFTRACE: Ask(FUNCTION_SCRIPT, SCRIPT_BUCKET),
                },
                "calls",
                20_000,
                BPFTRACE_MARKS,
            ),
            calls_of("count uprobe", FUNCTION, "calls"),
            calls_of("count uprobe, guarded", GUARDED, "calls guarded"),
            Contest(
                "funclatency, guarded",
                {OURS: Ask("funclatency LOAD:guarded", BUCKET), LIBBPF: Ask("funclatency LOAD:guarded", PEER_BUCKET)},
                "calls guarded",
                20_000,
            ),
            Contest(
                "trace uprobe, each hit",
                {OURS: Ask(f"trace '{FUNCTION} /(long)arg0 >= 0/' arg0", r" calls .* arg0="),
                 BPFTRACE: Ask(FUNCTION + r' /(int64)arg0 >= 0/ { printf("%d %s %d\n", pid, comm, arg0); }', r" calls \d+$")},
                "calls",
                20_000,
                BPFTRACE_MARKS,
            ),
            Contest(
                "trace uprobe, no hit",
                {OURS: Ask(f"trace '{FUNCTION} /(long)arg0 < 0/' arg0"),
                 BPFTRACE: Ask(FUNCTION + r' /(int64)arg0 < 0/ { printf("%d %s %d\n", pid, comm, arg0); }')},
                "calls",
                20_000,
                BPFTRACE_MARKS,
            ),
            Contest(
                "trace, each hit",
                {OURS: Ask(f"trace {GETPPID} cpu", r" getppid .* cpu="),
                 BPFTRACE: Ask(GETPPID + r' { printf("%s %d %d\n", comm, pid, cpu); }', "^getppid ")},
                "getppid",
                60_000,
                BPFTRACE_MARKS,
            ),
            Contest(
                "trace, no hit",
                {OURS: Ask(f"trace '{GETPPID} /pid == 1/' cpu"),
                 BPFTRACE: Ask(GETPPID + r' /pid == 1/ { printf("%s %d %d\n", comm, pid, cpu); }')},
                "getppid",
                500_000,
                BPFTRACE_MARKS,
            ),
        ],
    ),
    "samples": Question("every CPU kept busy beneath stacks 16 frames deep; figures are for each sample",
                        [sampled(16), sampled(16, "--unwind fp"), sampled(4096, "--unwind fp")], columns=("run", "reader", "complete")),
    "scale": Question(
        "many probed functions, many keys, many stacks: what an event costs should stay the same",
        [functions_of(many) for many in (1, 10, 100, 1000, 5000)]
        + [keys_of(many) for many in (1, 100, 10_000)]
        + [stacks_of(many) for many in (1, 1000, 20_000)],
        columns=("added", "program", "ready", "stop", "rows"),
        once=True,
    ),
}  # fmt: skip

# What every peer is held to: start, and memory.
START_MARKS = {LIBBPF: {"ready": 0.7, "peak": 1.25}, BPFTRACE: {"ready": 1 / 8, "peak": 1 / 5}}
RESIDENT_KB = 6 * 1024
