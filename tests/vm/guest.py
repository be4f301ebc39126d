# SPDX-License-Identifier: BSD-2-Clause
"""Guests on other kernels, emulated by qemu: what they boot, what is in them, and what comes out of them.

Kernels, qemu, busybox and bash are Debian's packages, downloaded and unpacked into the user's cache, not installed.
"""

import ctypes
import dataclasses
import fcntl
import functools
import hashlib
import mmap
import os
import platform
import pathlib
import re
import selectors
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

import initramfs

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "corekit/vm"

# The name here, the release it comes from and the package's name, a shell pattern or a regular expression: another
# kernel is another line. Of several matches the newest is taken. If none is named, DEFAULT of suite.py are tried.
KERNELS = {
    "5.10": ("bullseye", "linux-image-5.10.*-cloud-amd64"),
    "6.1": ("bookworm", "linux-image-6.1.*-cloud-amd64"),
    "6.12": ("trixie", "linux-image-6.12.*-cloud-amd64"),
    "7": ("trixie-backports", "linux-image-7.*-cloud-amd64"),
    "6.1-full": ("bookworm", r"^linux-image-6\.1\.0-[0-9]+-amd64$"),  # as on machines, not in clouds
    "6.12-rt": ("trixie", "linux-image-6.12.*-rt-amd64"),  # full preemption
    "6.17": ("trixie-backports", "linux-image-6.17.*-cloud-amd64"),
    "6.1-arm64": ("bookworm", "linux-image-6.1.*-cloud-arm64"),
}
# Loaded before the command runs, and what it may have by modprobe. What a kernel has built in is left out.
LOADED = ("virtio_pci", "virtio_console", "loop", "dm_mod", "lzo_rle", "zram")
AT_HAND = ("null_blk", "brd", "xfs", "btrfs", "dummy", "veth", "virtio_blk")

# Older ones crash newer kernels: theirs is a wrong flag after cmpxchg16b. With all libraries that it is linked with, so
# that it runs on any machine.
QEMU = {
    "bookworm-backports": "qemu-system-x86 qemu-system-data seabios",
    "bookworm": "libaio1 libblkid1 libbpf1 libc6 libcapstone4 libdaxctl1 libelf1 libfdt1 libffi8 libfuse3-3 libgcc-s1 "
    "libglib2.0-0 libgmp10 libgnutls30 libhogweed6 libibverbs1 libidn2-0 libjpeg62-turbo libkmod2 liblzma5 "
    "libmount1 libndctl6 libnettle8 libnl-3-200 libnl-route-3-200 libnuma1 libp11-kit0 libpcre2-8-0 "
    "libpixman-1-0 libpmem1 libpng16-16 librdmacm1 libsasl2-2 libseccomp2 libselinux1 libslirp0 libssl3 "
    "libtasn1-6 libudev1 libunistring2 liburing2 libuuid1 libvdeplug2 libzstd1 zlib1g",
}
BUSYBOX = ("bookworm", "busybox-static")
BASH = ("bookworm", "bash-static")

MACHINE = "-nodefaults -no-user-config -display none -no-reboot -accel tcg"
KERNEL_OPTIONS = (
    "quiet panic=-1 mitigations=off random.trust_cpu=on cryptomgr.notests audit=0 apparmor=0 selinux=0 nokaslr "
    "rdinit=/init"
)
ALARM = re.compile("Kernel panic|Oops|BUG:|WARNING:|general protection|RIP: 0010")


@dataclasses.dataclass(frozen=True)
class Architecture:
    """What differs between guests on one kind of processor and on another."""

    debian: str  # Debian's name
    build: str  # the directory of what is built for it
    suffix: str  # of names in the cache
    qemu: str
    machine: str
    kernel_options: str


X86_64 = Architecture("amd64", "build", "", "qemu-system-x86_64", "-machine q35 -cpu max",
                      "console=ttyS0 no_timer_check tsc=reliable")
# Pointers are signed in a way of the emulator's own, which takes a tenth of the time.
ARM64 = Architecture("arm64", "build/arm64", "-arm64", "qemu-system-aarch64",
                     "-machine virt,gic-version=3 -cpu max,pauth-impdef=on,sve=off,sme=off", "console=ttyAMA0")


def architecture_of(kernel):
    """Of one in the table by its package's name, of an image by its own."""
    name = KERNELS[kernel][1] if kernel in KERNELS else pathlib.Path(kernel).name
    return ARM64 if name.endswith("arm64") else X86_64


class Failure(Exception):
    """What cannot be done and, if something can be done about it, what."""


def say(text):
    print(f"vm: {text}", file=sys.stderr, flush=True)


# --- What is downloaded ----------------------------------------------------------------------------------------------


def fetch(suite, pattern, directory, architecture=X86_64):
    """Unpacks a package of Debian into a directory. Returns its name and version."""
    command = [ROOT / "scripts/debian-package", f"{suite}:{architecture.debian}", pattern, directory]
    done = subprocess.run(command, stdout=subprocess.PIPE)
    if done.returncode:
        raise Failure(f"cannot fetch {pattern} of {suite}")
    return done.stdout.decode().split()


def extract(image, target):
    subprocess.run([ROOT / "scripts/vmlinux", "--extract", image, target], check=True)


def cached(name, make, again=False):
    """A directory of the cache, made at once and as a whole where it is missing."""
    place = CACHE / name
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if again or not place.exists():
            with tempfile.TemporaryDirectory(dir=CACHE) as beside:
                make(pathlib.Path(beside) / "made")
                shutil.rmtree(place, ignore_errors=True)
                os.rename(pathlib.Path(beside) / "made", place)
    return place


def make_kernel(suite, pattern, directory, architecture):
    name, version = fetch(suite, pattern, directory, architecture)
    if not kernel_image(directory):
        # From 7.1 on the package is empty, and others have what was in it.
        for part in ("linux-binary", "linux-modules"):
            fetch(suite, name.replace("linux-image", part) + "=" + version, directory, architecture)
    image = kernel_image(directory)
    if not image:
        raise Failure(f"the package {name} {version} holds no kernel")
    extract(image, directory / "vmlinux")
    (directory / "origin").write_text(f"{name} {version}\n")


def kernel_image(directory):
    images = [*directory.glob("boot/vmlinuz-*"), *directory.glob("usr/lib/modules/*/vmlinuz")]
    return images[0] if images else None


def make_qemu(directory):
    for suite, packages in QEMU.items():
        for package in packages.split():
            fetch(suite, package, directory)


def qemu(architecture):
    """The command, under the dynamic loader that came with it."""
    place = cached("qemu", make_qemu)
    programs = place
    if architecture is ARM64:
        programs = cached("qemu-arm64", lambda made: fetch("bookworm-backports", "qemu-system-arm", made))
    library = place / "lib/x86_64-linux-gnu"
    loader = next(iter(library.glob("ld-linux-x86-64.so*")), None)
    if loader is None:
        raise Failure(f"{place} is not whole; remove it")
    command = [loader, "--library-path", f"{library}:{place}/usr/lib/x86_64-linux-gnu"]
    command += [programs / "usr/bin" / architecture.qemu]
    return [*command, "-L", place / "usr/share/qemu", "-L", place / "usr/share/seabios"]


def find_kernel(kernel, again, directory):
    """The kernel as the emulator boots it fastest, of x86_64 an ELF file, and the directory of its modules, or None."""
    if kernel in KERNELS:
        suite, pattern = KERNELS[kernel]
        architecture = architecture_of(kernel)
        place = cached(f"kernel-{kernel}", lambda made: make_kernel(suite, pattern, made, architecture), again)
        modules = [*place.glob("lib/modules/*"), *place.glob("usr/lib/modules/*")]
        return place / "vmlinux", modules[0] if modules else None
    image = pathlib.Path(kernel)
    if not image.is_file():
        raise Failure(f"there is no kernel {kernel}; there are {', '.join(KERNELS)} and paths of images")
    image = image.resolve()
    release = image.name.partition("-")[2]
    places = [image.parent, *(image.parent.parent / lib / "modules" / release for lib in ("lib", "usr/lib") if release)]
    modules = next((place for place in places if (place / "kernel").is_dir()), None)
    if image.read_bytes()[:4] == b"\x7fELF":
        return image, modules
    extract(image, directory / "vmlinux")
    return directory / "vmlinux", modules


# --- What is in the guest --------------------------------------------------------------------------------------------


def source_of(path):
    """build/tests/live_NAME_test is of tests/live/NAME.cpp, build/tests/trigger/NAME[_WAY] of tests/trigger/NAME.c or .cpp."""
    tier, _, name = path.name.removesuffix("_test").partition("_")
    if path.parent.name != "trigger":
        return ROOT / f"tests/{tier}/{name}.cpp"
    sources = [ROOT / f"tests/trigger/{name}.{kind}" for name in (path.name, tier) for kind in ("c", "cpp")]
    return next((source for source in sources if source.exists()), sources[0])


def executables(pattern, architecture):
    """What is built and still has its source."""
    for path in sorted((ROOT / architecture.build / "tests").glob(pattern)):
        if source_of(path).exists() and os.access(path, os.X_OK):
            yield path


def libraries(architecture):
    """The dynamic loader, the libc of this machine, which strlencount looks into if not told otherwise, and C++'s.

    Each with its place in the guest.
    """
    if architecture is ARM64:
        place, source = "/lib/aarch64-linux-gnu", "/usr/aarch64-linux-gnu/lib"
        names = ("libc.so.6", "libm.so.6", "libgcc_s.so.1", "libstdc++.so.6")
        loader = "ld-linux-aarch64.so.1"
        return [(f"/lib/{loader}", f"{source}/{loader}"), *((f"{place}/{name}", f"{source}/{name}") for name in names)]
    programs = executables("trigger/thrown_pie", architecture)
    done = subprocess.run(["ldd", "/bin/sh", *programs], stdout=subprocess.PIPE, text=True, check=True)
    found = set(re.findall(r"(?:^\s*|=> )(/\S+)(?= \()", done.stdout, re.MULTILINE))
    return [(path, path) for path in sorted(found)]


def tests(architecture):
    """The test programs for guests, which are the live ones and those that change the machine."""
    return [*executables("live_*_test", architecture), *executables("guest_*_test", architecture)]


def tools():
    return sorted(path.stem for path in (ROOT / "tools").glob("*.cpp"))


def box_of(architecture):
    return ROOT / architecture.build / "box/corekit"


def box_hash(architecture):
    """By which it is known whether two runs had the same tools."""
    return hashlib.sha256(box_of(architecture).read_bytes()).hexdigest()


def add_corekit(archive, architecture):
    """The box and the tests, at the places that they have in a checkout after a build."""
    build, box = ROOT / architecture.build, box_of(architecture)
    if not box.exists():
        how = "" if architecture is X86_64 else f"ARCH={architecture.debian} "
        raise Failure(f"there is no {box.relative_to(ROOT)}; make {how}box builds it")
    archive.file("corekit/build/box/corekit", box)
    for tool in ["corekit", *tools()]:
        archive.link(f"corekit/build/bin/{tool}", "../box/corekit")
    for tool in tools():
        archive.text(f"corekit/tools/{tool}.cpp", "")  # the tests ask for the names alone
    of_triggers = (build / "tests/trigger").glob("*.so")
    for path in [*tests(architecture), *executables("trigger/*", architecture), *of_triggers]:
        archive.file(f"corekit/build/{path.relative_to(build)}", path)
    for path, source in [("/etc/ld.so.cache", "/etc/ld.so.cache"), *libraries(architecture)]:
        archive.file(path, source)


def make_initramfs(path, modules_directory, command, ports, architecture=X86_64):
    """All that a guest has. Without a command, it has a shell at the terminal."""
    archive = initramfs.Archive()
    busybox = cached("busybox" + architecture.suffix, lambda made: fetch(*BUSYBOX, made, architecture))
    archive.file("bin/busybox", busybox / "bin/busybox", 0o755)
    bash = cached("bash" + architecture.suffix, lambda made: fetch(*BASH, made, architecture))
    archive.file("bin/bash", bash / "bin/bash-static", 0o755)
    archive.file("init", ROOT / "tests/vm/init", 0o755)
    archive.text("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")
    archive.text("etc/group", "root:x:0:\nnogroup:x:65534:\n")
    archive.text("etc/hostname", "guest\n")
    archive.text("corekit/modules", "")
    if modules_directory:
        modules = initramfs.Modules(modules_directory)
        for name in (*LOADED, *AT_HAND):
            modules.want(name)
        modules.put(archive)
        archive.text("corekit/modules", "".join(f"{name}\n" for name in LOADED if name in modules.loaded))
    if command is not None:
        archive.text("corekit/command", command + "\n")
        archive.text("corekit/ports", "".join(f"{port}\n" for port in ports))
    add_corekit(archive, architecture)
    archive.write(path)


# --- The guest -------------------------------------------------------------------------------------------------------


class Port:
    """Where a guest's lines go as they come."""

    def __init__(self, take):
        self.take = take
        self.rest = b""

    def write(self, data):
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            self.take(line.decode(errors="replace"))

    def flush(self):
        pass


@dataclasses.dataclass
class Machine:
    """How a guest is started."""

    cpus: int = 2
    memory: int = 1024  # MiB
    append: str = ""  # to the kernel's command line
    time_limit: float = 300  # seconds until it has hung
    silence: float = 0  # or that long without a word, unless 0
    architecture: Architecture = X86_64


@functools.cache
def counter_option(architecture):
    """For the kernel's command line: how fast the time stamp counter goes, which is this machine's own.

    A kernel finds that out by its first moments, wrongly by far where the machine is busy and qemu was made to wait.
    """
    if platform.machine() != "x86_64" or architecture is not X86_64:
        return ""
    code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(bytes.fromhex("0f31 48c1e220 4809d0 c3"))  # rdtsc; shl $32, %rdx; or %rdx, %rax; ret
    read_counter = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(ctypes.c_char.from_buffer(code)))

    def now():
        """Time in ns and counter, of a hundred pairs the one that was read in the least time."""
        pairs = ((time.monotonic_ns(), read_counter(), time.monotonic_ns()) for _ in range(100))
        before, counter, after = min(pairs, key=lambda pair: pair[2] - pair[0])
        return (before + after) // 2, counter

    begin, first = now()
    time.sleep(0.1)
    end, last = now()
    return f"tsc_early_khz={(last - first) * 1000000 // (end - begin)}"


running = []


def stop_all(*_):
    """For SIGTERM: no guest outlives who started it."""
    for process in running:
        process.kill()
    os._exit(143)


class Guest:
    """One boot: its ports, each a pipe from qemu, and what came out of them."""

    def __init__(self, machine, kernel, archive, console, sinks):
        self.console = console
        self.sinks = sinks
        self.end = b""
        self.deadline = time.monotonic() + machine.time_limit if sinks else None
        self.silence = machine.silence
        self.hung = False
        architecture = machine.architecture
        command = [*qemu(architecture), *shlex.split(f"{MACHINE} {architecture.machine}")]
        command += ["-smp", machine.cpus, "-m", machine.memory, "-kernel", kernel, "-initrd", archive]
        options = [KERNEL_OPTIONS, architecture.kernel_options, counter_option(architecture), machine.append]
        command += ["-append", " ".join(options)]
        command += ["-chardev", f"file,id=console,path={self.console}", "-serial", "chardev:console"]
        command += ["-device", "virtio-serial-pci"]
        self.pipes = {}
        writers = []
        for name in ("end", *sinks):
            reader, writer = os.pipe()
            self.pipes[name] = reader
            writers.append(writer)
            command += ["-chardev", f"file,id={name},path=/proc/self/fd/{writer}"]
            command += ["-device", f"virtserialport,chardev={name},name={name}"]
        if not sinks:
            command += ["-chardev", "stdio,id=terminal,signal=off", "-device", "virtconsole,chardev=terminal"]
        stdin = subprocess.DEVNULL if sinks else None
        self.process = subprocess.Popen([str(word) for word in command], stdin=stdin, pass_fds=writers)
        running.append(self.process)
        for writer in writers:
            os.close(writer)

    def run(self):
        """Passes on what comes until the guest is off."""
        with selectors.DefaultSelector() as selector:
            for name, reader in self.pipes.items():
                selector.register(reader, selectors.EVENT_READ, name)
            while selector.get_map():
                left = None if self.deadline is None else max(0, self.deadline - time.monotonic())
                ready = selector.select(min(left, self.silence) if left and self.silence else left)
                if not ready:
                    self.hung = True
                    self.process.kill()
                    self.deadline, self.silence = None, 0
                for key, _ in ready:
                    self.take(selector, key)
        self.process.wait()

    def take(self, selector, key):
        data = os.read(key.fd, 1 << 16)
        if not data:
            selector.unregister(key.fd)
            os.close(key.fd)
        elif key.data == "end":
            self.end += data
        else:
            self.sinks[key.data].write(data)
            self.sinks[key.data].flush()

    def status(self):
        """Of the command; None where it did not come to its end."""
        found = re.search(rb"^exit (\d+)$", self.end, re.MULTILINE)
        return int(found[1]) if found else None

    def complaints(self):
        return [line.decode(errors="replace") for line in re.findall(rb"^complaint (.*)$", self.end, re.MULTILINE)]

    def last_words(self):
        lines = self.console.read_bytes().decode(errors="replace").splitlines() if self.console.exists() else []
        alarms = [line for line in lines[:-15] if ALARM.search(line)]
        return "\n".join(f"  {line.rstrip()}" for line in [*alarms[:5], *lines[-15:]])
