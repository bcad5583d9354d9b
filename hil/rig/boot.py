"""What the virtual machine boots from: Debian's stock kernel and a small initial file system, made once and kept.

Nothing is installed. The kernel comes as a package through apt and only the needed parts of it are unpacked: a
module tree without anything but USB and what mounts the host's files keeps udev from loading the rest.
"""

from __future__ import annotations

import hashlib
import lzma
import os
import platform
import re
import shutil
import stat
import struct
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

META_PACKAGE = "linux-image-amd64"
PACKAGES = (
    "qemu-system-x86",
    "busybox-static",
    "kmod",
    "udev",
    "usbutils",
    "dbus",
    "modemmanager",
    "libusb-1.0-0",
    "umockdev",
)
QEMU = "qemu-system-x86_64"

_HERE = Path(__file__).parent
_NEEDED_TO_MOUNT = ("virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay")
_NEEDED_LATER = ("vhci-hcd", "usbmon", "option", "qcserial", "qmi_wwan", "cdc-acm", "cdc_mbim", "ftdi_sio")
_MODULES = re.compile(
    r"(?:\./)?(?:usr/)?(lib/modules/[^/]+/"
    r"(?:modules\.(?:builtin\S*|order)"
    r"|kernel/(?:drivers/usb|drivers/net/usb|drivers/net/wwan|drivers/net/ppp|drivers/net/slip|drivers/virtio"
    r"|net/9p|fs/9p|fs/netfs|fs/fscache|fs/overlayfs|lib)/.*"
    r"|kernel/drivers/(?:char/virtio_console|net/mii)\.ko\S*))"
)
_KERNEL = re.compile(r"(?:\./)?boot/vmlinuz-(\S+)")
_SYSTEM_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))


class Missing(Exception):
    """Something this machine has not got, and what to do about it."""


class Files(NamedTuple):
    """What QEMU is started with, and the module tree for the guest."""

    kernel: Path
    initrd: Path
    modules: Path
    version: str


def tool(name: str) -> str:
    """The path of a program, also of those that only root has in PATH."""
    found = shutil.which(name, path=_SYSTEM_PATH)
    if found is None:
        raise Missing(f"{name} is missing. Install what the rig needs with: {advice()}")
    return found


def advice() -> str:
    """The one command that installs everything."""
    return f"apt-get install -y --no-install-recommends {' '.join(PACKAGES)}"


def install() -> None:
    """Install what is missing of the packages: as root on a Debian machine; does nothing elsewhere."""
    if os.getuid() != 0 or shutil.which("apt-get") is None:
        return
    query = ["dpkg-query", "--show", "--showformat=${db:Status-Status}\n", *PACKAGES]
    found = subprocess.run(query, check=False, capture_output=True, text=True).stdout.split()
    known = subprocess.run(["apt-cache", "show", META_PACKAGE], check=False, capture_output=True).returncode == 0
    if found.count("installed") == len(PACKAGES) and known:
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "-q", "update"], advice().split()):
        print(f"rig: {' '.join(command)}", flush=True)
        run = subprocess.run(command, check=False, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if run.returncode:
            raise Missing(f"{' '.join(command)} failed:\n{run.stdout.decode(errors='replace')}")


def check() -> None:
    """Raises Missing unless this machine can build and start the guest."""
    machine = platform.machine()
    if machine not in ("x86_64", "AMD64"):
        raise Missing(f"the rig's kernel is for x86-64 and this machine is {machine}; there is no rig for it yet")
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise Missing("the rig takes its kernel from Debian through apt, which this machine has not got; run it in a"
                      " Debian 12 machine or container")  # fmt: skip
    for name in (QEMU, "busybox", "depmod", "modprobe", "udevadm", "dbus-daemon"):
        tool(name)
    if b"ld-linux" in Path(tool("busybox")).read_bytes()[:4096]:
        raise Missing(f"busybox is not the static one. Install what the rig needs with: {advice()}")
    if not any(Path(place, "systemd-udevd").exists() for place in ("/lib/systemd", "/usr/lib/systemd")):
        raise Missing(f"systemd-udevd is missing. Install what the rig needs with: {advice()}")


def prepare(cache: Path) -> Files:
    """The boot files below `cache`, made now if they are not there or are those of another version."""
    package = _kernel_package()
    sources = b"".join(path.read_bytes() for path in (Path(__file__), _HERE / "guest" / "init"))
    stamp = f"{package} {hashlib.sha256(sources).hexdigest()}"
    folder = cache / "boot"
    done = folder / "done"
    if not done.is_file() or done.read_text() != stamp:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        _build(_download(package, cache), folder)
        done.write_text(stamp)
    version = (folder / "version").read_text()
    return Files(folder / "kernel", folder / "initrd", folder / "modules", version)


def _kernel_package() -> str:
    # The package that is always there names the current one, which changes with every point release.
    answer = _output("apt-cache", "depends", META_PACKAGE)
    found = re.search(r"Depends: (linux-image-\S+)", answer)
    if found is None:
        raise Missing(f"apt knows no {META_PACKAGE}; run: apt-get update")
    return found.group(1)


def _download(package: str, cache: Path) -> Path:
    have = sorted(cache.glob(f"{package}_*.deb"))
    if have:
        return have[-1]
    for old in cache.glob("linux-image-*.deb"):
        old.unlink()
    run = subprocess.run(
        ["apt-get", "-q", "download", package],
        check=False,
        cwd=cache,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    have = sorted(cache.glob(f"{package}_*.deb"))
    if run.returncode or not have:
        raise Missing(f"apt-get download {package} failed; run: apt-get update\n{run.stdout}")
    return have[-1]


def _build(package: Path, folder: Path) -> None:
    modules, image = folder / "modules", folder / "bzImage"
    version = ""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE) as unpacking:
        with tarfile.open(fileobj=unpacking.stdout, mode="r|") as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isfile() else None
                if content is None:
                    continue
                if kernel := _KERNEL.fullmatch(member.name):
                    version = kernel.group(1)
                    image.write_bytes(content.read())
                elif module := _MODULES.fullmatch(member.name):
                    _keep(modules / module.group(1), content.read())
        # Python stops reading at the archive's end mark; dpkg-deb wants its padding read as well.
        assert unpacking.stdout is not None
        unpacking.stdout.read()
    if unpacking.returncode or not version:
        raise Missing(f"{package} cannot be unpacked; remove it and repeat")
    subprocess.run([tool("depmod"), "-b", str(modules), version], check=True)
    _needs(modules, version, _NEEDED_LATER)
    (folder / "initrd").write_bytes(_initrd(_needs(modules, version, _NEEDED_TO_MOUNT)))
    (folder / "kernel").write_bytes(_uncompressed(image.read_bytes()))
    (folder / "version").write_text(version)
    image.unlink()


def _keep(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".xz":  # busybox's insmod takes plain modules only
        path, data = path.with_suffix(""), lzma.decompress(data)
    path.write_bytes(data)


def _needs(modules: Path, version: str, names: tuple[str, ...]) -> list[Path]:
    """The files of those modules and of all they depend on, in the order to load them."""
    files: dict[Path, None] = {}
    for name in names:
        answer = _output(tool("modprobe"), "-d", str(modules), "-S", version, "--show-depends", name)
        for line in answer.splitlines():
            action, _, rest = line.strip().partition(" ")
            if action == "insmod":
                files[Path(rest.split()[0])] = None
    return list(files)


def _initrd(modules: list[Path]) -> bytes:
    order = "".join(f"{module.name}\n" for module in modules)
    entries: list[tuple[str, int, bytes]] = [
        *((name, stat.S_IFDIR | 0o755, b"") for name in ("bin", "dev", "modules")),
        # Without it the first process has no output.
        ("dev/console", stat.S_IFCHR | 0o600, b""),
        ("bin/busybox", stat.S_IFREG | 0o755, Path(tool("busybox")).read_bytes()),
        ("init", stat.S_IFREG | 0o755, (_HERE / "guest" / "init").read_bytes()),
        ("modules/order", stat.S_IFREG | 0o644, order.encode()),
        *((f"modules/{module.name}", stat.S_IFREG | 0o644, module.read_bytes()) for module in modules),
        ("TRAILER!!!", 0, b""),
    ]
    return b"".join(_cpio(number, *entry) for number, entry in enumerate(entries, 1))


def _cpio(number: int, name: str, mode: int, data: bytes) -> bytes:
    """One entry of a "newc" archive (the kernel's Documentation/driver-api/early-userspace/buffer-format.rst)."""
    major, minor = (5, 1) if stat.S_ISCHR(mode) else (0, 0)
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, major, minor, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08X" % value for value in fields) + name.encode() + b"\0"
    return b"".join(part + bytes(-len(part) % 4) for part in (head, data))


def _uncompressed(image: bytes) -> bytes:
    """The kernel out of its self-unpacking image, which QEMU can start at once; emulated unpacking takes seconds.

    Places are those of the kernel's Documentation/arch/x86/boot.rst. An image packed otherwise is returned as it is.
    """
    setup_sectors = image[0x1F1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (setup_sectors + 1) * 512 + offset
    payload = image[start : start + length]
    if not payload.startswith(b"\xfd7zXZ\0"):
        return image
    # Four bytes with the size follow the compressed data, so it is not a whole .xz file.
    return lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(payload)


def _output(*command: str) -> str:
    run = subprocess.run(command, check=False, capture_output=True, text=True)
    if run.returncode:
        raise Missing(f"{' '.join(command)}: {run.stderr.strip()}")
    return run.stdout


def shares(files: Files, out: Path) -> Iterator[str]:
    """QEMU's options for the guest's files: the host's root, read only, and the folder for what it leaves behind."""
    yield from ("-kernel", str(files.kernel), "-initrd", str(files.initrd))
    for tag, path, mode in (("host", "/", ",readonly=on,multidevs=remap"), ("out", str(out), "")):
        # A comma ends a value unless it is doubled.
        yield from ("-fsdev", f"local,id={tag},path={path.replace(',', ',,')},security_model=none{mode}")
        yield from ("-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}")
