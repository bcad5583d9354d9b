"""Write down how the kernel and udev show each device of the rig, for tests that run without it.

    python -m hil.rig --output DIR --shell-cmd 'python -m hil.rig.recording'
    cp DIR/*.umockdev tests/discover/buses/

Each file is what `umockdev-record` says of one device, without what no test looks at: power counters, times, links
that two devices of one kind would fight for.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from hil.rig import bus
from hil.rig.control import SOCKET, Bench

_KEPT = re.compile(
    r"[PNL]:|H: descriptors|A: (?:b[A-Z]\w*|id(?:Vendor|Product)|manufacturer|product|serial|busnum|devnum|devpath"
    r"|dev|authorized|configuration|type|power/(?:control|autosuspend_delay_ms|runtime_status))="
    r"|E: (?!USEC_INITIALIZED|CURRENT_TAGS|TAGS)"
)


def main() -> None:
    out = SOCKET.parent / "out"
    with Bench() as bench:
        for name, device in bench.plugged().items():
            (out / f"{name}.umockdev").write_text(_pruned(_recorded(device)))


def _recorded(device: str) -> str:
    folder = bus.DEVICES_DIR / device
    number = [int((folder / each).read_text()) for each in ("busnum", "devnum")]
    nodes = ["/dev/bus/usb/{:03d}/{:03d}".format(*number)]
    for uevent in folder.resolve().glob("**/uevent"):
        found = re.search(r"^DEVNAME=((?:ttyUSB|ttyACM|cdc-wdm)\d+)$", uevent.read_text(), re.M)
        nodes += [f"/dev/{found.group(1)}"] if found else []
    # Interfaces that no driver is bound to have no node, and are found by their folder.
    nodes += [str(path.resolve()) for path in folder.resolve().glob(f"{device}:*")]
    run = subprocess.run(["umockdev-record", *sorted(nodes)], check=True, capture_output=True, text=True)
    return run.stdout


def _pruned(text: str) -> str:
    return "".join(f"{line}\n" for line in text.splitlines() if not line or _KEPT.match(line))


if __name__ == "__main__":
    if Path("/run/rig").is_dir():
        main()
    else:
        raise SystemExit(__doc__)
