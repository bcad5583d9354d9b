"""Run the rig's tests, or one command, in a virtual machine with the emulated devices on its USB bus.

python -m hil.rig                            all tests
python -m hil.rig -k unplug                  some of them; everything that is not named here goes to pytest
python -m hil.rig --shell-cmd 'lsusb -t'     one command, with every device plugged in
"""

from __future__ import annotations

import argparse
import compileall
import os
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from hil.rig import boot
from hil.rig.devices import DEVICES

ROOT = Path(__file__).resolve().parents[2]
TESTS = "hil/rig/guest"
FAILED, CANNOT, TIMED_OUT = 1, 2, 124

# quiet: the console is slow. nokaslr and the rest save seconds of emulated work, and nothing here is a secret.
_APPEND = (
    "console=ttyS0 quiet loglevel=4 panic=-1 audit=0 mitigations=off nokaslr no_timer_check tsc=reliable"
    " random.trust_cpu=on rcupdate.rcu_expedited=1"
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m hil.rig", description=__doc__, formatter_class=_AsWritten)
    parser.add_argument("--shell-cmd", metavar="CMD", help="run this instead of the tests, once all devices are there")
    parser.add_argument("--devices", metavar="NAMES", help="for --shell-cmd: only these, with commas (default: all)")
    parser.add_argument(
        "--accel", choices=("tcg", "kvm"), default="tcg", help="how QEMU runs it (default: %(default)s)"
    )
    parser.add_argument("--cpus", type=int, default=2, metavar="N")
    parser.add_argument("--memory", type=int, default=1024, metavar="MIB")
    parser.add_argument("--timeout", type=float, default=1200, metavar="SECONDS", help="for the whole machine's life")
    parser.add_argument("--cache", type=Path, default=_cache(), metavar="DIR", help="boot files (default: %(default)s)")
    parser.add_argument("--output", type=Path, metavar="DIR", help="keep results and logs here (default: CACHE/out)")
    parser.add_argument("--install", action="store_true", help="first install missing Debian packages, if root")
    options, rest = parser.parse_known_args()
    names = options.devices.split(",") if options.devices else list(DEVICES)
    if unknown := set(names) - DEVICES.keys():
        parser.error(f"no such device: {', '.join(sorted(unknown))}. There are: {', '.join(DEVICES)}")
    started = time.monotonic()
    try:
        if options.install:
            boot.install()
        boot.check()
        options.cache.mkdir(parents=True, exist_ok=True)
        files = boot.prepare(options.cache.resolve())
        qemu = boot.tool(boot.QEMU)
    except boot.Missing as missing:
        print(f"rig: {missing}", file=sys.stderr)
        return CANNOT
    # The guest sees these files, but what Python compiles there is lost with it.
    for folder in ("atprobe", "hil"):
        compileall.compile_dir(ROOT / folder, quiet=2)
    out = (options.output or options.cache / "out").resolve()
    out.mkdir(parents=True, exist_ok=True)
    for old in ("status", "junit.xml"):
        (out / old).unlink(missing_ok=True)
    if options.shell_cmd:
        devices, command = names, f"{_python()} -m hil.rig.settled && {{ {options.shell_cmd}\n}}\n"
    else:
        devices, command = [], f"PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 exec {_python()} {shlex.join(_pytest(rest))}\n"
    (out / "command").write_text(command)
    settings = {
        "RIG_ROOT": str(ROOT),
        "RIG_MODULES": str(files.modules),
        "RIG_PYTHON": sys.executable,
        "RIG_DEVICES": " ".join(devices),
    }
    (out / "settings").write_text("".join(f"{name}={shlex.quote(value)}\n" for name, value in settings.items()))
    arguments = [
        qemu,
        *(
            "-machine",
            "q35,usb=off,hpet=off",
            "-accel",
            f"{options.accel}{',thread=multi' if options.accel == 'tcg' else ''}",
        ),
        *("-cpu", "max", "-smp", str(options.cpus), "-m", str(options.memory)),
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-serial", f"file:{str(out / 'console.log').replace(',', ',,')}"),
        *("-device", "virtio-serial-pci", "-device", "virtconsole,chardev=tests"),
        *("-chardev", "stdio,id=tests,signal=off"),
        *boot.shares(files, out),
        *("-append", _APPEND),
    ]
    timed_out = _run(arguments, options.timeout)
    seconds = time.monotonic() - started
    status = _status(out)
    if timed_out:
        print(f"rig: ended after {options.timeout:.0f} s without an answer; see {out}", file=sys.stderr)
        return TIMED_OUT
    if status is None:
        print(f"rig: the machine ended without an answer; see {out}/console.log", file=sys.stderr)
        return FAILED
    print(f"rig: {'passed' if status == 0 else f'failed ({status})'} in {seconds:.0f} s; logs are in {out}")
    return status


class _AsWritten(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of the description."""


def _cache() -> Path:
    """Beside what is installed in the environment, or where the user keeps such things."""
    if sys.prefix != sys.base_prefix and os.access(sys.prefix, os.W_OK):
        return Path(sys.prefix) / "rig"
    return Path(tempfile.gettempdir()) / f"atprobe-rig-{os.getuid()}"


def _python() -> str:
    return shlex.quote(sys.executable)


def _pytest(rest: list[str]) -> list[str]:
    named = any(argument.startswith(TESTS) for argument in rest)
    return [
        *("-m", "pytest", "-p", "no:cacheprovider", "-p", "pytest_timeout", "--override-ini=timeout=240"),
        *("--junitxml=/run/rig/out/junit.xml", "--durations=5"),
        *([] if named else [TESTS]),
        *rest,
    ]


def _run(arguments: list[str], seconds: float) -> bool:
    """Run the machine and pass on what it prints; True if it had to be ended."""
    ended = threading.Event()
    with subprocess.Popen(
        arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace"
    ) as machine:

        def end() -> None:
            ended.set()
            machine.kill()

        timer = threading.Timer(seconds, end)
        timer.start()
        try:
            assert machine.stdout is not None
            for line in machine.stdout:
                print(line.rstrip("\r\n"), flush=True)
        finally:
            timer.cancel()
            machine.kill()
    return ended.is_set()


def _status(out: Path) -> int | None:
    try:
        return int((out / "status").read_text())
    except (OSError, ValueError):
        return None


if __name__ == "__main__":
    sys.exit(main())
