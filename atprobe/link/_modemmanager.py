"""Asking ModemManager to stand aside for a while.

ModemManager keeps a modem's ports open and talks on them, so a port it manages must not be probed beside it. Its
D-Bus method `InhibitDevice(uid, true)` makes it disable the modem, close all its ports and forget about it;
`InhibitDevice(uid, false)`, or the end of the caller's bus connection, makes it take the device up again. What is
said of it here is from its sources (1.25: src/mm-base-manager.c, src/mm-device.c, and the introspection XML):

- `uid` is the modem's `Device` property: its folder in sysfs, or what a udev rule set as ID_MM_PHYSDEV_UID.
- To disable a modem ends its data connection. So a modem that is connected is never inhibited here.
- Only a modem that is on the bus can be inhibited. A device that is still being probed answers WrongState, and so
  does for ever one that was probed and found to be no modem.
- NotFound: not a device of ModemManager's. InProgress: somebody inhibits it already (a firmware updater, for one).
- The usual D-Bus policy lets root alone call InhibitDevice. Versions before 1.10 do not have it.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from atprobe.link._holders import MODEM_MANAGER, holders, processes, program
from atprobe.model import Device, Problem, ProblemKind

if TYPE_CHECKING:
    from jeepney import Message
    from jeepney.io.blocking import DBusConnection

NAME = "org.freedesktop.ModemManager1"
PATH = "/org/freedesktop/ModemManager1"
MODEM = f"{NAME}.Modem"
DEFAULT_ADDRESS = "unix:path=/var/run/dbus/system_bus_socket"
"""Where the system bus is where DBUS_SYSTEM_BUS_ADDRESS does not say (D-Bus specification, "Well-known buses")."""

CALL_SECONDS = 5.0
"""How long a simple question may take."""
INHIBIT_SECONDS = 30.0
"""How long ModemManager may take to disable a modem: it waits for answers of the modem's."""
PROBING_SECONDS = 10.0
"""How long to wait for ModemManager to be done with a device that it is still probing."""
IDLE_SECONDS = 1.0
"""A device in the wrong state of which ModemManager has had no port open for so long is not being probed."""
CLOSING_SECONDS = 2.0
"""How long ModemManager may take to close the ports of a device that it has let go."""
_LOOK_SECONDS = 0.05
_RETRY_SECONDS = 0.25

_CONNECTING, _CONNECTED = 10, 11  # MMModemState
_ASK_THE_BUS = "see why the system bus does not answer"
_STOP_IT = "systemctl stop ModemManager"


@dataclass(frozen=True, slots=True)
class Clearance:
    """Which devices may be opened now."""

    refused: Mapping[Device, tuple[str, str]] = field(default_factory=dict)
    """Devices that may not, each with the reason and what to do about it."""

    def problem(self, device: Device, path: str) -> Problem | None:
        """None where the device's ports may be opened, else what `path` is reported with."""
        if device not in self.refused:
            return None
        return Problem(path, ProblemKind.BUSY, *self.refused[device])


@contextmanager
def stand_aside(
    devices: Sequence[Device],
    *,
    inhibit: bool = True,
    stop: threading.Event | None = None,
    address: str | None = None,
) -> Iterator[Clearance]:
    """Inside, ModemManager leaves these devices alone; what it does not let go of is named in the value yielded.

    Without `inhibit` it is asked for nothing, and what it manages is refused. `stop` ends the waiting, not the
    order: devices are given back even then. `address` is the bus; else DBUS_SYSTEM_BUS_ADDRESS counts, else the
    usual place. Nothing at all happens where no device is on USB or PCI, or where there is no system bus.
    ModemManager is never started by this.

    However the block ends, the devices are given back and the connection is closed. ModemManager watches the
    connection, so it also takes them back where this process dies of SIGKILL. Never raises by itself.
    """
    ours = [device for device in dict.fromkeys(devices) if device.bus in ("usb", "pci")]
    where = _address(address) if ours else None
    if where is None:
        yield Clearance()
        return
    bus, remedy = _connect(where, stop)
    if bus is None:
        yield _unasked(ours, remedy)
        return
    with closing(bus):
        try:
            clearance = _negotiate(bus, ours, inhibit)
        except Exception:  # the bus went away, or the client did not understand it
            clearance = _unasked(ours, _ASK_THE_BUS)
        try:
            yield clearance
        finally:
            with suppress(Exception):
                bus.release()


def managed(devices: Sequence[Device], *, address: str | None = None) -> dict[Device, bool] | None:
    """Which of the devices ModemManager manages, each with whether it is connected. None where it cannot be asked.

    Changes nothing and starts nothing; any user may ask this. Empty where ModemManager does not run. Never raises.
    """
    ours = [device for device in dict.fromkeys(devices) if device.bus in ("usb", "pci")]
    where = _address(address)
    bus = None if where is None else _connect(where, None)[0]
    if bus is None:
        return None
    with closing(bus):
        try:
            bus.owner = bus.of_the_bus("GetNameOwner", NAME) or ""
            if not bus.owner:
                return {}
            answer = _managed_objects(bus)
            modems = _modems(answer.values[0]) if answer.values else []
            found = {device: _modem_of(device, modems) for device in ours}
        except Exception:  # the bus went away, or the client did not understand it
            return None
    return {device: modem.connected for device, modem in found.items() if modem} if answer.values else None


def _connect(address: str, stop: threading.Event | None) -> tuple[_Bus | None, str]:
    """The bus, or None and what would help."""
    try:
        return _Bus(address, stop), ""
    except ImportError:
        return None, "pip install 'atprobe[modemmanager]'"
    except Exception:  # whatever a socket that is no bus makes the client say
        return None, _ASK_THE_BUS


def _address(given: str | None) -> str | None:
    """The bus to connect to; None where there plainly is none."""
    address = given or os.environ.get("DBUS_SYSTEM_BUS_ADDRESS") or DEFAULT_ADDRESS
    socket = address.removeprefix("unix:path=").partition(",")[0]
    return None if address.startswith("unix:path=") and not os.path.exists(socket) else address


def _unasked(devices: Sequence[Device], remedy: str) -> Clearance:
    """Where ModemManager cannot be asked: what it visibly holds is refused."""
    if not any(program(pid) == MODEM_MANAGER for pid in processes()):
        return Clearance()
    held = holders(_paths(devices))
    managed = [
        device
        for device in devices
        if any(holder.name == MODEM_MANAGER for path in _paths([device]) for holder in held.get(path, ()))
    ]
    reason = ("ModemManager manages it and cannot be asked to stand aside", f"{remedy}, or: {_STOP_IT}")
    return Clearance(dict.fromkeys(managed, reason))


def _paths(devices: Sequence[Device]) -> list[str]:
    return [port.path for device in devices for port in device.ports]


class _Modem(NamedTuple):
    """What ModemManager says of one of its modems."""

    uid: str
    places: frozenset[str]
    ports: frozenset[str]
    connected: bool


class _Answer(NamedTuple):
    """A reply: its values, or the error's name. `error` is empty where all went well, `-` where none came."""

    values: tuple[Any, ...] = ()
    error: str = ""

    @property
    def denied(self) -> bool:
        return self.error.endswith((".AccessDenied", ".Unauthorized", ".AuthFailed"))


class _Bus:
    """A connection to the bus, on which nothing is awaited without end. Raises OSError where the bus goes away."""

    def __init__(self, address: str, stop: threading.Event | None) -> None:
        self._connection = _open(address)
        self._stop = stop
        self.owner = ""
        """ModemManager's own connection. A message to it, unlike one to the well-known name, starts nothing."""
        self.inhibited: list[str] = []

    @property
    def stopped(self) -> bool:
        return self._stop is not None and self._stop.is_set()

    def ask(self, messages: Sequence[Message], seconds: float, *, patient: bool = False) -> list[_Answer]:
        """Send all, then wait for all answers: they take no longer together than the slowest alone."""
        waiting = {}
        for place, message in enumerate(messages):
            serial = next(self._connection.outgoing_serial)
            waiting[serial] = place
            self._connection.send(message, serial=serial)
        answers = [_Answer(error="-")] * len(messages)
        deadline = time.monotonic() + seconds
        while waiting and (left := deadline - time.monotonic()) > 0 and (patient or not self.stopped):
            try:
                reply = self._connection.receive(timeout=min(left, 0.2))
            except TimeoutError:
                continue
            serial, answer = _read(reply)
            if serial in waiting:
                answers[waiting.pop(serial)] = answer
        return answers

    def inhibit(self, uids: Sequence[str]) -> list[_Answer]:
        answers = self.ask([self._inhibit(uid, True) for uid in uids], INHIBIT_SECONDS)
        self.inhibited += [uid for uid, answer in zip(uids, answers, strict=True) if answer.error in ("", "-")]
        return answers

    def release(self) -> None:
        """Give back what was inhibited, and wait for the word that it was."""
        uids, self.inhibited = self.inhibited, []
        self.ask([self._inhibit(uid, False) for uid in uids], CALL_SECONDS, patient=True)

    def close(self) -> None:
        with suppress(OSError):
            self._connection.close()

    def pause(self, seconds: float) -> None:
        if self._stop is None:
            time.sleep(seconds)
        else:
            self._stop.wait(seconds)

    def call(self, name: str, path: str, method: str, signature: str | None = None, *values: object) -> Message:
        from jeepney import DBusAddress, new_method_call

        interface, _, member = method.rpartition(".")
        return new_method_call(DBusAddress(path, bus_name=name, interface=interface), member, signature, values)

    def of_the_bus(self, method: str, name: str) -> Any:
        """What the bus itself says of a name; None where it says nothing."""
        message = self.call(
            "org.freedesktop.DBus", "/org/freedesktop/DBus", f"org.freedesktop.DBus.{method}", "s", name
        )
        (answer,) = self.ask([message], CALL_SECONDS)
        return answer.values[0] if answer.values else None

    def _inhibit(self, uid: str, on: bool) -> Message:
        return self.call(self.owner, PATH, f"{NAME}.InhibitDevice", "sb", uid, on)


def _open(address: str) -> DBusConnection:
    """What jeepney's `open_dbus_connection` does, which would wait for ever for the answer to Hello."""
    from jeepney.bus import get_bus
    from jeepney.io.blocking import DBusConnection, prep_socket

    class Bounded(DBusConnection):  # type: ignore[misc]
        def send_and_get_reply(self, message: Message, *, timeout: float | None = None) -> Message:
            return super().send_and_get_reply(message, timeout=CALL_SECONDS if timeout is None else timeout)

    socket = prep_socket(get_bus(address), timeout=CALL_SECONDS)
    try:
        return Bounded(socket)
    except BaseException:
        socket.close()
        raise


def _read(reply: Message) -> tuple[int, _Answer]:
    from jeepney import HeaderFields, MessageType

    fields = reply.header.fields
    if reply.header.message_type is MessageType.error:
        answer = _Answer(error=str(fields.get(HeaderFields.error_name)) or "-")
    else:
        answer = _Answer(tuple(reply.body))
    return fields.get(HeaderFields.reply_serial, -1), answer


def _negotiate(bus: _Bus, devices: Sequence[Device], inhibit: bool) -> Clearance:
    bus.owner = bus.of_the_bus("GetNameOwner", NAME) or ""
    if not bus.owner:
        return Clearance()
    answer = _managed_objects(bus)
    if not answer.values:
        return _unasked(devices, "see why ModemManager does not answer on D-Bus")
    modems = _modems(answer.values[0])
    refused: dict[Device, tuple[str, str]] = {}
    managed: dict[Device, str] = {}
    unmanaged: dict[Device, str] = {}
    for device in devices:
        modem = _modem_of(device, modems)
        if modem is None:
            if device.sysfs is not None:
                unmanaged[device] = os.path.realpath(device.sysfs)
        elif not inhibit:
            refused[device] = ("ModemManager manages it", f"leave --no-inhibit out, or: {_STOP_IT}")
        elif modem.connected:
            refused[device] = (
                "ModemManager manages it and it is connected: to make room for a probe would cut the connection",
                f"end the connection first (mmcli -m any --simple-disconnect), or: {_STOP_IT}",
            )
        else:
            managed[device] = modem.uid
    if inhibit:
        for device, answer in zip(managed, bus.inhibit(list(managed.values())), strict=True):
            if answer.error:
                refused[device] = _why(answer)
        refused |= _forestall(bus, unmanaged)
        _await_closed(bus, [device for device in (*managed, *unmanaged) if device not in refused])
    return Clearance(refused)


def _managed_objects(bus: _Bus) -> _Answer:
    objects = bus.call(bus.owner, PATH, "org.freedesktop.DBus.ObjectManager.GetManagedObjects")
    (answer,) = bus.ask([objects], CALL_SECONDS)
    return answer


def _modems(objects: object) -> list[_Modem]:
    """What GetManagedObjects returned; whatever is not as it should be counts as not there."""
    modems = []
    for interfaces in objects.values() if isinstance(objects, dict) else ():
        properties = interfaces.get(MODEM) if isinstance(interfaces, dict) else None
        if not isinstance(properties, dict):
            continue
        values = {name: each[1] for name, each in properties.items() if isinstance(each, tuple) and len(each) == 2}
        uid, ports = values.get("Device"), values.get("Ports")
        if not isinstance(uid, str) or not uid:
            continue
        names = [each[0] for each in ports if isinstance(each, tuple) and each] if isinstance(ports, list) else []
        places = (uid, values.get("Physdev"))
        modems.append(
            _Modem(
                uid,
                frozenset(os.path.realpath(each) for each in places if isinstance(each, str) and each.startswith("/")),
                frozenset(name for name in names if isinstance(name, str)),
                values.get("State") in (_CONNECTING, _CONNECTED),
            )
        )
    return modems


def _modem_of(device: Device, modems: Sequence[_Modem]) -> _Modem | None:
    names = {os.path.basename(path) for path in _paths([device])}
    for modem in modems:
        if not names.isdisjoint(modem.ports):
            return modem
    place = os.path.realpath(device.sysfs) if device.sysfs else None
    return next((modem for modem in modems if place in modem.places), None)


def _why(answer: _Answer) -> tuple[str, str]:
    """Why a device that ModemManager manages was not let go."""
    if answer.denied:
        return "ModemManager manages it, and this user may not ask it to stand aside", f"run as root, or: {_STOP_IT}"
    if answer.error.endswith(".InProgress"):
        return "another program has asked ModemManager to leave it alone", "wait until that program is done"
    if answer.error.endswith(".UnknownMethod"):
        return "ModemManager manages it and cannot stand aside before its version 1.10", _STOP_IT
    return "ModemManager manages it and did not stand aside", f"repeat, or: {_STOP_IT}"


def _forestall(bus: _Bus, devices: Mapping[Device, str]) -> dict[Device, tuple[str, str]]:
    """Inhibit devices that are no modems of ModemManager's yet, since it may be about to make them some."""
    refused: dict[Device, tuple[str, str]] = {}
    pending = dict(devices)
    pid = bus.of_the_bus("GetConnectionUnixProcessID", bus.owner) if pending else None
    start = time.monotonic()
    busy_since = dict.fromkeys(pending, start)
    while pending and not bus.stopped:
        answers = bus.inhibit(list(pending.values()))
        now, open_ports = time.monotonic(), _open_ports(pid, list(pending))
        for device, answer in zip(list(pending), answers, strict=True):
            if answer.error.endswith(".WrongState"):
                if not open_ports.isdisjoint(_paths([device])):
                    busy_since[device] = now
                if now - start >= PROBING_SECONDS:
                    refused[device] = "ModemManager is still probing it", f"repeat in half a minute, or: {_STOP_IT}"
                elif now - busy_since[device] < IDLE_SECONDS:
                    continue
            elif answer.error.endswith(".InProgress"):
                refused[device] = _why(answer)
            # Any other answer: it is ours now, or none of ModemManager's business.
            del pending[device]
        if pending:
            bus.pause(_RETRY_SECONDS)
    return refused


def _await_closed(bus: _Bus, devices: Sequence[Device]) -> None:
    """Wait until ModemManager has closed the ports it was asked to leave. What stays open is refused later on."""
    if not bus.inhibited:
        return
    pid = bus.of_the_bus("GetConnectionUnixProcessID", bus.owner)
    deadline = time.monotonic() + CLOSING_SECONDS
    while _open_ports(pid, devices) and time.monotonic() < deadline and not bus.stopped:
        bus.pause(_LOOK_SECONDS)


def _open_ports(pid: object, devices: Sequence[Device]) -> set[str]:
    """The devices' ports that this process has open."""
    return {path for path, each in holders(_paths(devices)).items() if any(holder.pid == pid for holder in each)}
