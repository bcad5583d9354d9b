"""The bench: holds the devices, gives them to the kernel, and takes orders on a Unix socket (see `control`).

python -m hil.rig.bench [NAME...]    plugs these in, or all with --all, and serves until it is ended
"""

from __future__ import annotations

import argparse
import json
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from atprobe import knowledge
from atprobe.at import normalise
from atprobe.emulator import Fault, Memory, Player
from atprobe.model import Exchange, Role, Transcript
from hil.rig.control import SOCKET
from hil.rig.devices import DEVICES, IN_SERVICE, Spec
from hil.rig.layout import Descriptors
from hil.rig.usbip import Plug, Setup, Speed, Stall, attach, ports

BOOT_SECONDS = 2.0
"""How long a device that restarts is off the bus."""

_STANDARD, _CLASS, _VENDOR = 0, 1, 2
_DTR = 1
_FTDI_DTR = 1
# MBIM and NCM: formats; maximum, divisor, remainder and alignment for IN; the same for OUT, and datagrams a block.
_NTB_PARAMETERS = struct.pack("<HHIHHHHIHHHH", 28, 1, 16384, 4, 0, 4, 0, 16384, 4, 0, 4, 0)


@dataclass
class Traffic:
    """What has been done to one port since it was plugged in or `clear` was called.

    `opened` counts raised DTR lines, as opening a tty does. `encapsulated` counts QMI and MBIM messages.
    """

    received: int = 0
    opened: int = 0
    line_state: int = 0
    line_coding: int = 0
    encapsulated: int = 0
    commands: list[str] = field(default_factory=list)


class Gadget:
    """One emulated device: the answers to its control requests, and a player for each AT port.

    `leave` is called when it is about to go: in how many seconds, and how many later it is back (None: never).
    """

    def __init__(self, spec: Spec, leave: Callable[[Gadget, float, float | None], None]) -> None:
        self.spec = spec
        self.memory = _memory(spec) if spec.settings else None
        self._leave = leave
        self.speed: Speed = spec.layout.speed
        self.plug: Plug | None = None
        self.unanswered: Counter[str] = Counter()
        self.muted: set[int] = set()
        self.limits: dict[int, tuple[str, int]] = {}
        """By port: unplug as soon as so many `bytes` or `commands` have come."""
        self.fatal: dict[int, str] = {}
        """By port: unplug as soon as this command line has come."""
        self._descriptors = Descriptors(spec.layout)
        transcript = _transcript(spec.transcript) if spec.transcript else None
        if transcript:
            transcript = replace(transcript, exchanges=(*transcript.exchanges, *_in_service(spec, transcript)))
        self._players: dict[int, Player] = {}
        self._streams: dict[int, Player] = {}
        self.traffic: dict[int, Traffic] = {}
        for interface in spec.layout.interfaces:
            self.traffic.setdefault(interface.port, Traffic())
            if transcript and interface.role.is_control:
                self._players.setdefault(
                    interface.port, Player(transcript, memory=self.memory, boot_seconds=BOOT_SECONDS)
                )
            elif transcript and interface.role is Role.GNSS:
                self._streams[interface.port] = Player(transcript, frozenset({Fault.NMEA}))

    def power_cycle(self) -> None:
        """It has been off: what its AT ports have not stored is forgotten."""
        for player in self._players.values():
            player.power_cycle()

    def clear(self) -> None:
        self.traffic = {port: Traffic() for port in self.traffic}
        self.unanswered.clear()
        if self.memory:
            self.memory.writes.clear()

    def say(self, port: int, data: bytes, *, if_wanted: bool = False) -> None:
        if self.plug is None:
            raise ValueError("not plugged in")
        self.plug.send(self._descriptors.bulk_in[port], data, if_wanted=if_wanted)

    def tick(self) -> None:
        for port, player in self._streams.items():
            if port not in self.muted and self.plug is not None:
                self.say(port, player.spontaneous(), if_wanted=True)

    def receive(self, endpoint: int, data: bytes) -> None:
        port = self._descriptors.out[endpoint]
        traffic = self.traffic[port]
        traffic.received += len(data)
        player = self._players.get(port)
        now = time.monotonic()
        outputs = player.receive(data, now) if player else []
        if player:
            traffic.commands += [line for _, line in player.log]
            player.log.clear()
        if self._limit_reached(port) and self.plug is not None:
            self.plug.detach()
        elif port not in self.muted:
            for output in outputs:
                self.say(port, output.data)
                if output.hangup:
                    self._leave(self, output.due - now, output.back)

    def control(self, setup: Setup, data: bytes) -> bytes:
        kind = setup.kind >> 5 & 3
        if kind == _STANDARD:
            return self._standard(setup)
        answer = self._class(setup) if kind == _CLASS else self._ftdi(setup) if self.spec.ftdi else None
        if answer is None:
            self.unanswered[f"{setup.kind:02x}.{setup.request:02x}"] += 1
            raise Stall
        return answer

    def _limit_reached(self, port: int) -> bool:
        if self.fatal.get(port) in self.traffic[port].commands:
            del self.fatal[port]
            return True
        unit, limit = self.limits.get(port, ("bytes", 0))
        traffic = self.traffic[port]
        if not limit or (traffic.received if unit == "bytes" else len(traffic.commands)) < limit:
            return False
        del self.limits[port]
        return True

    def _standard(self, setup: Setup) -> bytes:
        match setup.request:
            case 0:  # GET_STATUS
                return b"\0\0"
            case 6:  # GET_DESCRIPTOR
                kind, index = setup.value >> 8, setup.value & 0xFF
                descriptors = self._descriptors
                found = {1: descriptors.device, 2: descriptors.configuration}.get(kind)
                found = descriptors.string(index) if kind == 3 else found
                if found is None:
                    raise Stall
                return found
            case 8:  # GET_CONFIGURATION
                return b"\1"
            case 10:  # GET_INTERFACE
                return b"\0"
            case 1 | 3 | 5 | 9 | 11:  # features, address, configuration, interface: nothing to do
                return b""
        raise Stall

    def _class(self, setup: Setup) -> bytes | None:
        traffic = self.traffic.get(setup.recipient & 0xFF, Traffic())
        answer: bytes | None = b""
        match setup.kind, setup.request:
            case 0x21, 0x22:  # SET_CONTROL_LINE_STATE
                traffic.line_state += 1
                traffic.opened += setup.value & _DTR
            case 0x21, 0x20:  # SET_LINE_CODING
                traffic.line_coding += 1
            case 0x21, 0x00:  # SEND_ENCAPSULATED_COMMAND; no QMI or MBIM message is ever answered
                traffic.encapsulated += 1
            case 0xA1, 0x21:  # GET_LINE_CODING
                answer = struct.pack("<IBBB", 115200, 0, 0, 8)
            case 0xA1, 0x80:  # GET_NTB_PARAMETERS
                answer = _NTB_PARAMETERS
            case 0xA1, 0x85:  # GET_NTB_INPUT_SIZE
                answer = struct.pack("<I", 16384)
            case (0xA1, 0x01) | (0x21, 0x05 | 0x23 | 0x43 | 0x84 | 0x86 | 0x8A):
                pass  # an encapsulated response; reset, break, packet filter, NTB format and input size, checksums
            case _:
                answer = None
        return answer

    def _ftdi(self, setup: Setup) -> bytes | None:
        """The requests of FTDI's chips, as the kernel's ftdi_sio sends them."""
        traffic = self.traffic[0]
        match setup.kind, setup.request:
            case 0x40, 1:  # modem control: which lines in the high byte, their state in the low one
                traffic.line_state += 1
                traffic.opened += bool(setup.value >> 8 & _FTDI_DTR and setup.value & _FTDI_DTR)
            case 0x40, 0 | 2 | 3 | 4:  # reset, flow control, baud rate, format: what opening a tty does
                traffic.line_coding += 1
            case 0x40, 9:  # latency timer, set when the driver binds
                pass
            case 0xC0, 5:  # modem status
                return b"\x01\x60"
            case 0xC0, 10:  # latency timer
                return b"\x10"
            case 0xC0, 0x90:  # a word of the EEPROM
                return b"\xff\xff"
            case _:
                return None
        return b""


class Bench:
    """The devices by name, and the orders that `control.Bench` sends."""

    def __init__(self) -> None:
        self._gadgets: dict[str, Gadget] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._tick, daemon=True).start()

    def order(self, order: dict[str, Any]) -> Any:
        """Do what is asked; raises LookupError, ValueError or OSError where that cannot be done."""
        with self._lock:
            match order:
                case {"do": "attach", "name": str(name), "port": port, "again": bool(again)}:
                    return self._attach(name, port, again)
                case {"do": "status"}:
                    return self._status()
                case {"do": "clear"}:
                    for gadget in self._gadgets.values():
                        gadget.clear()
                    return None
            gadget = self._gadgets[order["name"]]
            match order:
                case {"do": "detach"}:
                    self._detach(gadget)
                case {"do": "say", "interface": int(port), "text": str(text)}:
                    gadget.say(port, text.encode("latin-1"))
                case {"do": "mute", "interface": int(port), "on": bool(on)}:
                    (gadget.muted.add if on else gadget.muted.discard)(port)
                case {"do": "unplug_after", "interface": int(port), "unit": str(unit), "count": int(count)}:
                    gadget.limits[port] = (unit, count)
                case {"do": "unplug_at", "interface": int(port), "command": str(command)}:
                    gadget.fatal[port] = command
                case {"do": "forget", "surface": str(surface)} if gadget.memory is not None:
                    gadget.memory.forgetful.add(surface)
                case _:
                    raise ValueError(f"no such order: {order}")
            return None

    def _attach(self, name: str, port: int | None, again: bool) -> int:
        old = self._gadgets.get(name)
        if old and old.plug and self._plugged(old.plug):
            raise ValueError(f"{name} is plugged in already")
        gadget = self._gadgets[name] if again else Gadget(DEVICES[name], self._leave)
        if again:
            gadget.power_cycle()
        gadget.plug = attach(gadget, port)
        for other in self._gadgets.values():
            # What was in this port before has been gone for good since it became free.
            if other is not gadget and other.plug and other.plug.port == gadget.plug.port:
                other.plug = None
        self._gadgets[name] = gadget
        return gadget.plug.port

    def _detach(self, gadget: Gadget) -> None:
        if gadget.plug is None or not self._plugged(gadget.plug):
            raise ValueError("not plugged in")
        gadget.plug.detach()

    def _leave(self, gadget: Gadget, wait: float, back: float | None) -> None:
        threading.Thread(target=self._restart, args=(gadget, wait, back), daemon=True).start()

    def _restart(self, gadget: Gadget, wait: float, back: float | None) -> None:
        """Take a device off the bus, and bring it back to the same port, unless others have a hand in it meanwhile."""
        time.sleep(wait)
        plug = gadget.plug
        with self._lock:
            if plug is None or not self._plugged(plug):
                return
            plug.detach()
        while self._plugged(plug):
            time.sleep(0.05)
        if back is None:
            return
        time.sleep(back)
        with self._lock:
            name = next((name for name, each in self._gadgets.items() if each is gadget), None)
            if name is not None and gadget.plug is plug and not self._plugged(plug):
                self._attach(name, plug.port, again=True)

    @staticmethod
    def _plugged(plug: Plug) -> bool:
        return any(row.port == plug.port and not row.free for row in ports())

    def _status(self) -> dict[str, Any]:
        rows = {row.port: row for row in ports()}
        answer = {}
        for name, gadget in self._gadgets.items():
            row = rows.get(gadget.plug.port) if gadget.plug else None
            plugged = row is not None and not row.free
            answer[name] = {
                "port": row.port if row and plugged else None,
                "device": row.name if row and plugged else None,
                "interfaces": {str(port): asdict(traffic) for port, traffic in gadget.traffic.items()},
                "unanswered": dict(gadget.unanswered),
                "settings": gadget.memory.snapshot()["in force"] if gadget.memory else {},
                "writes": list(gadget.memory.writes) if gadget.memory else [],
            }
        return answer

    def _tick(self) -> None:
        while True:
            time.sleep(0.25)
            for gadget in list(self._gadgets.values()):
                try:
                    gadget.tick()
                except OSError:
                    continue  # unplugged meanwhile


def _transcript(name: str) -> Transcript:
    maker, _, identifier = name.partition("/")
    return knowledge.load_transcript(knowledge.default_root() / maker / "transcripts" / f"{identifier}.yaml")


def _memory(spec: Spec) -> Memory:
    known = knowledge.load()
    return Memory(
        known.surfaces_of(spec.maker, spec.model), known.reboot_of(spec.maker, spec.model), reading=known.reading
    )


def _in_service(spec: Spec, transcript: Transcript) -> Iterator[Exchange]:
    """What a module with a SIM in a network says, as far as its recording does not tell."""
    recorded = {normalise(exchange.send) for exchange in transcript.exchanges if exchange.send}
    answers = {**IN_SERVICE, "AT+CGSN": (spec.imei,)} if spec.imei else IN_SERVICE
    for command, lines in answers.items():
        if command not in recorded:
            yield Exchange(command, (command, *lines, "OK"))


def _serve(connection: socket.socket, bench: Bench) -> None:
    with connection, connection.makefile("rw", encoding="utf-8") as stream:
        for line in stream:
            try:
                answer = {"result": bench.order(json.loads(line))}
            except (LookupError, ValueError, OSError) as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            stream.write(json.dumps(answer) + "\n")
            stream.flush()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m hil.rig.bench", description="Plug emulated devices in.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(DEVICES))
    parser.add_argument("--all", action="store_true", help="every device there is")
    parser.add_argument("--socket", type=Path, default=SOCKET, metavar="PATH")
    options = parser.parse_args()
    bench = Bench()
    for name in DEVICES if options.all else options.names:
        bench.order({"do": "attach", "name": name, "port": None, "again": False})
    options.socket.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(options.socket))
        server.listen()
        while True:
            connection, _ = server.accept()
            threading.Thread(target=_serve, args=(connection, bench), daemon=True).start()


if __name__ == "__main__":
    main()
