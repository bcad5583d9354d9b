"""Players on ptys and TCP ports, all served by one thread that never blocks on any of them."""

from __future__ import annotations

import heapq
import io
import os
import re
import selectors
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Self, TextIO

from atprobe.emulator.memory import Memory
from atprobe.emulator.player import Fault, Output, Player
from atprobe.model import Transcript

if sys.platform != "win32":
    import tty

BACKLOG = 64 * 1024
"""Bytes that one port may owe its client. Above it the port takes no further commands until some are read."""
CHATTER = 4096
"""Bytes owed above which nothing is said unasked: a client that is not there must not fill the memory."""
SLICE = 0.02
"""Seconds' worth of bytes written at once where a line rate is set."""


@dataclass(frozen=True, slots=True)
class Spec:
    """One port to serve. For `faults`, `latency`, `late_by`, `memory` and `boot_seconds` see `Player`.

    `baud` is a line rate in bit/s (ten bits a byte); None sends as fast as the client reads. `tcp` is a TCP port
    number on 127.0.0.1, 0 for any free one, None for a pty. `name` is what the symlink is called, the
    transcript's id where None.
    """

    transcript: Transcript
    faults: frozenset[Fault] = frozenset()
    latency: float = 0.0
    late_by: float = 4.0
    baud: int | None = None
    tcp: int | None = None
    name: str | None = None
    memory: Memory | None = None
    boot_seconds: float = 1.0


class _Port:
    """One served port. `stream` is the pty master or the TCP client; None while nobody is connected.

    `life` counts how often it has gone away: what was due in an earlier life is not said in a later one.
    """

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.player = Player(
            spec.transcript,
            spec.faults,
            spec.latency,
            spec.late_by,
            memory=spec.memory,
            boot_seconds=spec.boot_seconds,
        )
        self.path = ""
        self.stream: io.RawIOBase | None = None
        self.listener: socket.socket | None = None
        self.slave: int | None = None
        self.link: Path | None = None
        self.out = bytearray()
        self.scheduled = 0
        self.mask = self.life = 0
        self.here = False
        self.blocked = self.pacing = False

    @property
    def owed(self) -> int:
        return len(self.out) + self.scheduled


class Emulator:
    """Serves every port of `specs` while entered as a context manager.

    `log_file` gets one line `time port command` for every command line received, as it happens, with control
    characters escaped. `link_dir` gets a symlink for every pty, named after its `Spec`. A second TCP client
    waits until the first one goes. A pty that went away comes back as another one, a TCP port under its number;
    while a module restarts, TCP clients wait until it has started. Entering raises OSError where a port, link or
    file cannot be made, and where a pty is asked for on a system without them. Leaving raises what went wrong
    while serving, if anything did.
    """

    def __init__(self, specs: list[Spec], *, log_file: Path | None = None, link_dir: Path | None = None) -> None:
        self._log_file, self._link_dir = log_file, link_dir
        self._ports = [_Port(spec) for spec in specs]
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._calls: deque[tuple[Callable[[], None], threading.Event]] = deque()
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="atprobe-emulator", daemon=True)
        self._stopping = False
        self._failure: Exception | None = None
        self._log: TextIO | None = None

    @property
    def ports(self) -> tuple[str, ...]:
        """The present path or `socket://` URL of every port, in the order of `specs`; the last one while it is away."""
        return tuple(port.path for port in self._ports)

    @property
    def links(self) -> tuple[Path | None, ...]:
        """The symlink of every port, in the order of `specs`; None where there is none."""
        return tuple(port.link for port in self._ports)

    @property
    def log(self) -> dict[str, list[tuple[float, str]]]:
        """Every line received on every port, over all its restarts, with its time on the monotonic clock."""
        log: dict[str, list[tuple[float, str]]] = {}
        for port in self._ports:  # the kernel may have given the last path of one that is away to another one
            log.setdefault(port.path, []).extend(port.player.log)
        return log

    def __enter__(self) -> Self:
        try:
            if self._log_file is not None:
                self._log = self._log_file.open("a", encoding="utf-8", buffering=1)
            for port in self._ports:
                self._open(port)
        except BaseException:
            self._close()
            raise
        self._selector.register(self._woken, selectors.EVENT_READ, self._called)
        self._thread.start()
        return self

    def __exit__(self, kind: object, error: object, where: object) -> None:
        self._stopping = True
        self._wake.send(b"\0")
        self._thread.join()
        self._close()
        if self._failure is not None and error is None:
            raise self._failure

    def serve_forever(self) -> None:
        """Wait, inside the `with` block, until KeyboardInterrupt (which ends here) or a failure."""
        try:
            # A join without a timeout cannot be interrupted on Windows.
            while self._thread.is_alive():
                self._thread.join(0.5)
        except KeyboardInterrupt:
            pass

    def pull(self, index: int) -> None:
        """Take the port away, as a pulled plug does: the module has no power and forgets what it has not stored.

        May be called from any thread, as `replug`; both return when it is done. Nothing happens where it is away
        already, but it no longer comes back by itself.
        """
        port = self._ports[index]
        self._call(partial(self._lose, port))

    def replug(self, index: int) -> None:
        """Bring the port back at once, whatever took it away. Nothing happens where it is there."""
        port = self._ports[index]
        self._call(partial(self._return, port))

    def _call(self, action: Callable[[], None]) -> None:
        """Have the serving thread do it, and wait until it is done, or that thread has ended."""
        done = threading.Event()
        self._calls.append((action, done))
        self._wake.send(b"\0")
        while not done.wait(0.1) and self._thread.is_alive():
            pass

    def _called(self, _mask: int) -> None:
        self._woken.recv(1024)
        # Not at once: this round of the selector may still know ports that would be gone then.
        while self._calls:
            action, done = self._calls.popleft()
            self._at(time.monotonic(), action)
            self._at(time.monotonic(), done.set)

    # --- opening and closing

    def _open(self, port: _Port) -> None:
        if port.spec.tcp is not None:
            if port.listener is None:
                number = int(port.path.rpartition(":")[2] or port.spec.tcp)
                port.listener = socket.create_server(("127.0.0.1", number))
                port.listener.setblocking(False)
                port.path = f"socket://127.0.0.1:{port.listener.getsockname()[1]}"
            self._selector.register(port.listener, selectors.EVENT_READ, partial(self._accept, port))
        elif sys.platform == "win32":
            raise OSError("this system has no ptys; serve the transcript on a TCP port instead")
        else:
            master, port.slave = self._openpty(port.path)
            port.stream = io.FileIO(master, "r+")
            os.set_blocking(master, False)
            # Raw, and no echo: until a client sets the line up, the kernel would send our bytes back to us.
            # The slave stays open here, or the master would fail with EIO whenever no client is there.
            tty.setraw(port.slave)
            port.path = os.ttyname(port.slave)
            self._make_link(port)
            self._begin(port)
        port.here = True
        if port.player.period is not None:
            self._at(time.monotonic(), partial(self._beat, port, port.life))

    @staticmethod
    def _openpty(last: str) -> tuple[int, int]:
        """A pty that is not the last one, whose number the kernel likes to give again."""
        pair = os.openpty()
        if os.ttyname(pair[1]) == last:
            again, pair = pair, os.openpty()
            for end in again:
                os.close(end)
        return pair

    def _make_link(self, port: _Port) -> None:
        if self._link_dir is None:
            return
        self._link_dir.mkdir(parents=True, exist_ok=True)
        name = re.sub(r"[^\w.-]+|^\.+", "_", port.spec.name or port.spec.transcript.id)
        taken = {other.link.name for other in self._ports if other.link is not None}
        names = (name if number == 1 else f"{name}-{number}" for number in range(1, len(self._ports) + 1))
        link = port.link or self._link_dir / next(each for each in names if each not in taken)
        if link.is_symlink():  # left behind by a run that was killed
            link.unlink()
        link.symlink_to(port.path)
        port.link = link

    def _begin(self, port: _Port) -> None:
        for output in port.player.start(time.monotonic()):
            self._schedule(port, output)
        self._watch(port)

    def _accept(self, port: _Port, _mask: int) -> None:
        assert port.listener is not None
        try:
            client, _address = port.listener.accept()
        except OSError:  # it went away before it was served
            return
        self._selector.unregister(port.listener)
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        port.stream = client.makefile("rwb", buffering=0)
        client.close()  # the stream keeps it open
        self._begin(port)

    def _drop(self, port: _Port) -> None:
        """The client is gone: forget what it did not read, and wait for the next one."""
        self._release(port)
        if port.listener is None:
            self._lose(port)
        else:
            self._selector.register(port.listener, selectors.EVENT_READ, partial(self._accept, port))

    def _release(self, port: _Port) -> None:
        if port.stream is None:
            return
        if port.mask:
            self._selector.unregister(port.stream)
            port.mask = 0
        port.stream.close()
        port.stream, port.blocked = None, False
        port.out.clear()

    def _restart(self, port: _Port, back: float) -> None:
        """The module restarts. A TCP port stays bound, or somebody else could take its number meanwhile."""
        listener, port.listener = port.listener, None
        if listener is not None and listener in self._selector.get_map():
            self._selector.unregister(listener)
        self._lose(port)
        port.listener = listener
        self._at(time.monotonic() + back, partial(self._return, port, port.life))

    def _return(self, port: _Port, life: int | None = None) -> None:
        """Open a port that is away; where `life` is given, only if nothing has happened to it since."""
        if not port.here and life in (None, port.life):
            self._open(port)

    def _lose(self, port: _Port) -> None:
        """The module is not there any more. Also ends what was to happen to one that is away."""
        port.life += 1
        if port.here:
            port.here = False
            port.player.power_cycle()
        self._hang_up(port)

    def _hang_up(self, port: _Port) -> None:
        # The ways in go first, so that a client that sees the end can be sure that there is no way back.
        if port.link is not None and port.link.is_symlink():  # a file may have taken its place while it was away
            port.link.unlink(missing_ok=True)
        if port.listener is not None:
            if port.listener in self._selector.get_map():
                self._selector.unregister(port.listener)
            port.listener.close()
            port.listener = None
        if port.slave is not None:
            os.close(port.slave)
            port.slave = None
        self._release(port)
        port.out.clear()

    def _close(self) -> None:
        for port in self._ports:
            self._hang_up(port)
        self._selector.close()
        self._wake.close()
        self._woken.close()
        if self._log is not None:
            self._log.close()

    # --- serving

    def _run(self) -> None:
        try:
            while not self._stopping:
                wait = max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None
                for key, mask in self._selector.select(wait):
                    if key.data is not None:
                        key.data(mask)
                while self._timers and self._timers[0][0] <= time.monotonic():
                    heapq.heappop(self._timers)[2]()
        except Exception as error:  # a thread has no caller: __exit__ raises it
            self._failure = error

    def _at(self, due: float, action: Callable[[], None]) -> None:
        self._count += 1  # keeps equal times in order, and actions from being compared
        heapq.heappush(self._timers, (due, self._count, action))

    def _serve(self, port: _Port, mask: int) -> None:
        if mask & selectors.EVENT_WRITE:
            self._pump(port)
        if mask & selectors.EVENT_READ and port.stream is not None:
            try:
                data = port.stream.read(1024)
            except OSError:
                data = b""
            if data == b"":
                self._drop(port)
                return
            seen = len(port.player.log)
            for output in port.player.receive(data or b"", time.monotonic()):
                self._schedule(port, output)
            self._note(port, port.player.log[seen:])
        self._watch(port)

    def _note(self, port: _Port, entries: list[tuple[float, str]]) -> None:
        if self._log is not None:
            for _, command in entries:
                when = datetime.now(UTC).isoformat(timespec="milliseconds")
                self._log.write(f"{when} {port.path} {command.encode('unicode_escape').decode()}\n")

    def _schedule(self, port: _Port, output: Output) -> None:
        port.scheduled += len(output.data)
        self._at(output.due, partial(self._deliver, port, output, port.life))

    def _deliver(self, port: _Port, output: Output, life: int) -> None:
        port.scheduled -= len(output.data)
        if life != port.life:
            return
        port.out += output.data
        self._pump(port)
        if output.hangup and output.back is not None:
            self._restart(port, output.back)
        elif output.hangup:
            self._lose(port)

    def _beat(self, port: _Port, life: int) -> None:
        period = port.player.period
        if period is None or life != port.life:
            return
        if port.owed < CHATTER:
            port.out += port.player.spontaneous()
            self._pump(port)
        self._at(time.monotonic() + period, partial(self._beat, port, life))

    def _pump(self, port: _Port) -> None:
        """Write what can be written now; the selector or a timer calls again for the rest."""
        if port.stream is None:
            port.out.clear()
        elif port.out and not port.pacing:
            rate = None if port.spec.baud is None else port.spec.baud / 10
            chunk = bytes(port.out if rate is None else port.out[: max(1, int(rate * SLICE))])
            try:
                written = port.stream.write(chunk) or 0
            except OSError:
                self._drop(port)
                return
            del port.out[:written]
            port.pacing = rate is not None and written > 0
            port.blocked = written < len(chunk) and not port.pacing
            if rate is not None and port.pacing:
                self._at(time.monotonic() + written / rate, partial(self._paced, port))
        self._watch(port)

    def _paced(self, port: _Port) -> None:
        port.pacing = False
        self._pump(port)

    def _watch(self, port: _Port) -> None:
        """Listen to the port, unless it owes too much, and learn when it can be written to, if that is wanted."""
        if port.stream is None:
            return
        mask = selectors.EVENT_READ if port.owed < BACKLOG else 0
        if port.blocked:
            mask |= selectors.EVENT_WRITE
        if mask != port.mask:
            if port.mask:
                self._selector.unregister(port.stream)
            if mask:
                self._selector.register(port.stream, mask, partial(self._serve, port))
            port.mask = mask
