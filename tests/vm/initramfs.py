# SPDX-License-Identifier: BSD-2-Clause
"""Writes an initramfs: a cpio archive in the kernel's format (newc), with the kernel modules that a guest needs."""

import gzip
import lzma
import pathlib
import re
import shutil
import subprocess

DIRECTORY = 0o040755
LINK = 0o120777
REGULAR = 0o100000


class Archive:
    """Files by their path in the guest; the directories above each come by themselves."""

    def __init__(self):
        self.entries = {}

    def add(self, path, mode, content=b""):
        path = path.strip("/")
        for above in list(pathlib.PurePosixPath(path).parents)[-2::-1]:
            self.entries.setdefault(str(above), (DIRECTORY, b""))
        self.entries[path] = (mode, content)

    def directory(self, path):
        self.add(path, DIRECTORY)

    def link(self, path, target):
        self.add(path, LINK, target.encode())

    def text(self, path, content, mode=0o644):
        self.add(path, REGULAR | mode, content.encode())

    def file(self, path, source, mode=None):
        source = pathlib.Path(source)
        self.add(path, REGULAR | (mode or source.stat().st_mode & 0o777), source.read_bytes())

    def write(self, path):
        with open(path, "wb") as out:
            # Directories are named before what is in them, since sorting puts a prefix first.
            for number, name in enumerate(sorted(self.entries), start=1):
                mode, content = self.entries[name]
                write_entry(out, number, name, mode, content)
            write_entry(out, 0, "TRAILER!!!", 0, b"")


def write_entry(out, number, name, mode, content):
    links = 2 if mode == DIRECTORY else 1
    name = name.encode() + b"\0"
    # Inode, mode, user, group, links, time, size, device (two), the node's own device (two), name's size, checksum.
    fields = (number, mode, 0, 0, links, 0, len(content), 0, 0, 0, 0, len(name), 0)
    header = b"070701" + b"".join(b"%08X" % field for field in fields)
    for part in (header + name, content):
        out.write(part + b"\0" * (-len(part) % 4))


def unpacked(path):
    """A module's bytes; the guest's insmod is a simple one."""
    data = path.read_bytes()
    if path.suffix == ".xz":
        return lzma.decompress(data)
    if path.suffix == ".gz":
        return gzip.decompress(data)
    if path.suffix == ".zst":
        if shutil.which("zstd") is None:
            raise FileNotFoundError(f"{path.name} is packed with zstd; install zstd")
        return subprocess.run(["zstd", "-dcq"], input=data, stdout=subprocess.PIPE, check=True).stdout
    return data


def module_name(file_name):
    return re.sub(r"\.ko(\.\w+)?$", "", file_name).replace("-", "_")


class Modules:
    """The modules of one kernel, from the directory that bears its release's name."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.paths = {module_name(path.name): path for path in self.directory.rglob("*.ko*")}
        self.loaded = {}  # what is wanted so far, each after those that it depends on: bytes and dependencies by name

    def want(self, name):
        """A module that is not there is taken as built in: loading it is what would fail."""
        name = name.replace("-", "_")
        if name in self.loaded or name not in self.paths:
            return
        content = unpacked(self.paths[name])
        needs = [need.replace("-", "_") for need in self.needs(content)]
        for need in needs:
            self.want(need)
        self.loaded[name] = (content, [need for need in needs if need in self.loaded])

    @staticmethod
    def information(content, field):
        return [value.decode() for value in re.findall(rb"\0" + field + rb"=([^\0]*)", content)]

    def needs(self, content):
        needs = [name for value in self.information(content, b"depends") for name in value.split(",") if name]
        for value in self.information(content, b"softdep"):
            kind, _, names = value.partition(":")
            needs += names.split() if kind == "pre" else []
        return needs

    def put(self, archive):
        """Puts them where modprobe looks, with the tables that it reads."""
        place = f"lib/modules/{self.directory.name}"
        dependencies, aliases = [], []
        for name, (content, _) in self.loaded.items():
            archive.add(f"{place}/{name}.ko", REGULAR | 0o644, content)
            dependencies.append(f"{name}.ko:" + "".join(f" {need}.ko" for need in self.order(name)))
            aliases += [f"alias {alias} {name}" for alias in self.information(content, b"alias")]
        archive.text(f"{place}/modules.dep", "\n".join(dependencies) + "\n")
        archive.text(f"{place}/modules.alias", "\n".join(aliases) + "\n")

    def order(self, name):
        """All that a module depends on, the last to be loaded first."""
        order = []
        for need in self.loaded[name][1]:
            for one in [need, *self.order(need)]:
                if one in order:
                    order.remove(one)
                order.append(one)
        return order
