"""Wait until every device that the bench holds has its drivers and device nodes; then zero the counters."""

from hil.rig.bus import settled
from hil.rig.control import SOCKET, Bench, wait

if __name__ == "__main__":
    wait(SOCKET.exists, what="the bench")
    with Bench() as bench:
        settled(bench, bench.status())
        bench.clear()
