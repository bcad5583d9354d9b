"""Speed and memory, side by side in one run. Only the ratios carry over to another machine.

`make bench`, or `python bench/run.py [NAME ...]` with the names of the parts below.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

from atprobe.at import Conversation
from atprobe.emulator import Emulator, Fault, Spec
from atprobe.knowledge import default_root, load_transcript

RUNS = 7
HERE = Path(__file__).parent


def median(run: Callable[[], object], runs: int = RUNS) -> float:
    """The median time of several runs in seconds, after one that is not counted."""
    run()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def codec() -> None:
    """The codec under pathological input: time must double with the input and memory must not grow."""
    cases: dict[str, Callable[[int], bytes]] = {
        "no line end": lambda n: b"x" * n,
        "blank lines": lambda n: b"\r\n" * (n // 2),
        "short lines": lambda n: b"abc\r\n" * (n // 5),
        "V0 digits": lambda n: b"9\r" * (n // 2),
    }
    for name, make in cases.items():
        for step, how in ((65536, "in 64 KiB pieces"), (1, "byte by byte")):
            sizes = (1 << 20, 1 << 21) if step > 1 else (1 << 17, 1 << 18)
            times, peaks = [], []
            for size in sizes:
                data = make(size)

                def feed(data: bytes = data, step: int = step) -> None:
                    conversation = Conversation()
                    conversation.send("ATI")
                    for start in range(0, len(data), step):
                        conversation.receive(data[start : start + step])

                times.append(median(feed, 3))
                tracemalloc.start()
                feed()
                peaks.append(tracemalloc.get_traced_memory()[1])
                tracemalloc.stop()
            print(
                f"  {name}, {how}: {sizes[0] >> 10} KiB {times[0]:.3f} s, twice that {times[1]:.3f} s"
                f" (ratio {times[1] / times[0]:.2f}); peak {peaks[0] >> 10} and {peaks[1] >> 10} KiB"
            )


def loading() -> None:
    """Reading the profiles in a fresh process: checked anew, and found unchanged."""
    code = "from atprobe.knowledge import load; load()"
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "ATPROBE_STATE_DIR": folder}

        def anew() -> None:
            for kept in Path(folder).glob("profiles-*"):
                kept.unlink()
            subprocess.run([sys.executable, "-c", code], check=True, env=environment)

        def unchanged() -> None:
            subprocess.run([sys.executable, "-c", code], check=True, env=environment)

        nothing = median(lambda: subprocess.run([sys.executable, "-c", "pass"], check=True))
        first, again = median(anew), median(unchanged)
    print(f"  python that does nothing {nothing:.3f} s; checked anew {first:.3f} s; unchanged {again:.3f} s")
    print(f"  ratio anew / unchanged, each without Python's own start: {(first - nothing) / (again - nothing):.1f}")


def probing() -> None:
    """Whole processes against emulated modules with 20 ms latency: atprobe, and a prober of six fixed commands.

    The other one asks for identity alone, so the ratio is that of `--no-surfaces`; a full probe stands beside it.
    """
    transcript = load_transcript(default_root() / "quectel/transcripts/quectel-bg770a-gl-golden-070.yaml")
    good = Spec(transcript, latency=0.02)
    bad = [Spec(transcript, faults=frozenset({fault})) for fault in (Fault.MUTE, Fault.NMEA)]
    full = [sys.executable, "-m", "atprobe", "probe", "--quiet", "--format", "json"]
    atprobe = [*full, "--no-surfaces"]
    naive = [sys.executable, str(HERE / "naive.py")]
    for name, specs in {
        "1 port": [good],
        "8 ports": [good] * 8,
        "32 ports": [good] * 32,
        "60 ports": [good] * 60,
        "8 ports, one mute": [*[good] * 7, bad[0]],
        "8 ports, one mute, one NMEA": [*[good] * 6, *bad],
    }.items():
        with Emulator(specs) as emulator:
            ports = list(emulator.ports)
            named = [word for port in ports for word in ("--port", port)]
            ours = [*atprobe, *named]

            def run(command: list[str]) -> None:
                subprocess.run(command, stdout=subprocess.DEVNULL, check=False)

            first = median(lambda ours=ours: run(ours), 5)  # type: ignore[misc]
            asked = len(next(iter(emulator.log.values()))) / 6  # five runs and the one that is not counted
            if Fault.NMEA in {fault for spec in specs for fault in spec.faults}:
                print(f"  {name}: atprobe {first:.2f} s; the other never ends")
                continue
            second = median(lambda ports=ports: run([*naive, *ports]), 5)  # type: ignore[misc]
            print(
                f"  {name}: atprobe {first:.2f} s with {asked:.0f} commands, the other {second:.2f} s with 6"
                f" (ratio {first / second:.2f})"
            )
            before = len(next(iter(emulator.log.values())))
            third = median(lambda named=named: run([*full, *named]), 5)  # type: ignore[misc]
            asked = (len(next(iter(emulator.log.values()))) - before) / 6
            print(f"    with the state of remote update: {third:.2f} s with {asked:.0f} commands")


def memory() -> None:
    """The largest process of a run on 60 ports."""
    transcript = load_transcript(default_root() / "quectel/transcripts/quectel-bg770a-gl-golden-070.yaml")
    with Emulator([Spec(transcript, latency=0.02)] * 60) as emulator:
        ports = [word for port in emulator.ports for word in ("--port", port)]
        subprocess.run(
            [sys.executable, "-m", "atprobe", "probe", "--quiet", "--format", "json", *ports],
            stdout=subprocess.DEVNULL,
            check=False,
        )
    print(f"  peak {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:.1f} MiB")


PARTS = {part.__name__: part for part in (codec, loading, probing, memory)}

if __name__ == "__main__":
    for chosen in sys.argv[1:] or PARTS:
        print(f"{chosen}: {(PARTS[chosen].__doc__ or '').splitlines()[0]}")
        PARTS[chosen]()
