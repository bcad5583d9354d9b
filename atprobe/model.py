"""The nouns of atprobe: frozen values that pass from stage to stage.

Data flows one way: bus -> device -> port -> reply -> evidence -> identity -> findings -> report.
This module imports nothing of ours; every other room may import it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal


class Role(StrEnum):
    """What a port is for."""

    AT = "at"
    AT_SECONDARY = "at-secondary"
    PPP = "ppp"
    GNSS = "gnss"
    DIAG = "diag"
    QMI = "qmi"
    MBIM = "mbim"
    ADB = "adb"
    UNKNOWN = "unknown"

    @property
    def is_control(self) -> bool:
        """True where an AT conversation is expected, so that opening the port disturbs nobody."""
        return self in (Role.AT, Role.AT_SECONDARY, Role.PPP)


class Strength(StrEnum):
    """How much one piece of evidence proves, strongest first.

    `decisive`: a maker-only command answered in the maker's form, or a firmware grammar no one else uses.
    `strong`: the module's own statement, or a grammar rarely shared. `weak`: shared or easily set by an
    integrator. `hint`: known from the bus alone (USB numbers and strings); it never decides a maker.
    """

    DECISIVE = "decisive"
    STRONG = "strong"
    WEAK = "weak"
    HINT = "hint"

    @property
    def rank(self) -> int:
        """4 for decisive down to 1 for a hint, so that larger is stronger."""
        return {"decisive": 4, "strong": 3, "weak": 2, "hint": 1}[self.value]

    @property
    def weight(self) -> float:
        """The probability that this piece of evidence alone is right, as used for `confidence`."""
        return {"decisive": 0.97, "strong": 0.80, "weak": 0.40, "hint": 0.10}[self.value]


class Claim(StrEnum):
    """What a piece of evidence speaks of."""

    MAKER = "maker"
    BRAND = "brand"
    MODEL = "model"
    VARIANT = "variant"
    FIRMWARE = "firmware"
    BUILD = "build"
    HARDWARE = "hardware"
    IMEI = "imei"
    PLATFORM = "platform"
    """The chip or software platform below the maker's firmware, as far as a revision says."""
    CUSTOMER = "customer"
    """The part of a revision that says for which customer or operator it was made."""
    RELEASE = "release"
    """The part of a revision that grows from one release to the next."""


@dataclass(frozen=True, slots=True)
class UsbInterface:
    """One interface of a USB device, as its descriptor says (USB 2.0, 9.6.5).

    `interface_class`, `subclass` and `protocol` are two lower-case hex digits each, None where not known.
    `driver` is the kernel driver bound to it, None where there is none or nobody can tell.
    """

    number: int
    interface_class: str | None = None
    subclass: str | None = None
    protocol: str | None = None
    driver: str | None = None

    @property
    def triple(self) -> str:
        """Class, subclass and protocol in one: `ff/42/01`. What is not known is `-`."""
        return "/".join(part or "-" for part in (self.interface_class, self.subclass, self.protocol))


@dataclass(frozen=True, slots=True)
class UsbInfo:
    """What the USB descriptors say. `vid` and `pid` are four lower-case hex digits."""

    vid: str | None = None
    pid: str | None = None
    manufacturer: str | None = None
    product: str | None = None
    serial: str | None = None
    path: str | None = None
    """Where it is plugged in: the bus, then the chain of ports (`1-1.2`)."""
    interfaces: tuple[UsbInterface, ...] = ()


@dataclass(frozen=True, slots=True)
class PciInfo:
    """A PCI function: vendor and device id (four lower-case hex digits each), and its slot (`0000:02:00.0`)."""

    vid: str
    did: str
    slot: str


@dataclass(frozen=True, slots=True)
class Port:
    """One way to talk to a device: a tty, a wwan character device or a URL.

    `usb://1-1.2/2` is interface 2 of the USB device at 1-1.2, for one that no driver is bound to.
    """

    path: str
    role: Role = Role.UNKNOWN
    interface: int | None = None
    driver: str | None = None
    probed: bool = False


@dataclass(frozen=True, slots=True)
class Device:
    """Something plugged in, known from the bus alone; nothing of it has been opened."""

    bus: Literal["usb", "pci", "uart", "url"]
    ports: tuple[Port, ...]
    usb: UsbInfo | None = None
    sysfs: str | None = None
    """Its folder below /sys, where the system has one."""
    modem: bool = False
    """True where the bus alone says that this is a cellular module, or holds one."""
    firmware_mode: str | None = None
    """In which mode it waits for new firmware (`qdl`, `fastboot`, `flash-loader`); None for a module at work."""
    pci: PciInfo | None = None

    @property
    def place(self) -> str:
        """What tells it from any other device while it is plugged in."""
        return self.sysfs or " ".join(port.path for port in self.ports)


class Ended(StrEnum):
    """What told us that a reply was complete."""

    FINAL = "final"
    """A final result code (V.250 5.7.1)."""
    QUIET = "quiet"
    """Information text came, then silence: this firmware sends no final result code for this command."""
    LATE = "late"
    """The final result code came after the deadline and was matched to its command by resynchronising."""
    TIMEOUT = "timeout"
    """Nothing that ends a reply came before the deadline."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One command line's answer.

    `text` is the information text, one entry a line, blank lines left out. `final` is the final result code
    as received (`OK`, `ERROR`, `+CME ERROR: 10`, `0`), or None where none came. `unsolicited` holds lines
    that arrived during the reply and do not belong to it. `overflow` says that lines were dropped because
    the module sent more than the codec keeps. `seconds` is the time from the last byte sent to the end.
    """

    command: str
    text: tuple[str, ...] = ()
    final: str | None = None
    ended: Ended = Ended.FINAL
    echo: str | None = None
    unsolicited: tuple[str, ...] = ()
    overflow: bool = False
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """True where the module carried the command out, or answered it without any final result code."""
        return self.final in ("OK", "0") or (self.final is None and bool(self.text))


@dataclass(frozen=True, slots=True)
class Evidence:
    """One observation that supports one claim.

    `value` is what is claimed, `source` the command (or `usb`) it came from, `text` the exact words it rests
    on. `maker` is the slug of the profile whose rule spoke, or None for the generic V.250/27.007 reading.
    """

    claim: Claim
    value: str
    strength: Strength
    source: str
    text: str
    maker: str | None = None
    behaviour: bool = False
    """True where the evidence is something the firmware does, not a name it was given."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a module is, and what says so. None means unknown; unknown is a good answer."""

    maker: str | None = None
    brand: str | None = None
    model: str | None = None
    variant: str | None = None
    firmware: str | None = None
    build: str | None = None
    hardware: str | None = None
    imei: str | None = None
    confidence: float = 0.0
    """0..1, how sure the maker is; 0 where the maker is unknown."""
    conflicts: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()


class State(StrEnum):
    """What is known of a surface of one module."""

    ON = "on"
    OFF = "off"
    ABSENT = "absent"
    """This firmware does not have it."""
    UNKNOWN = "unknown"
    """It cannot be asked, or the answer does not tell. Unknown is not off."""


class Reach(StrEnum):
    """Who can trigger a surface."""

    VENDOR = "vendor"
    CARRIER = "carrier"
    SMS_PEER = "sms-peer"
    IP_PEER = "ip-peer"
    HOST = "host"
    UNKNOWN = "unknown"


class SurfaceKind(StrEnum):
    """What sort of way into a module a surface is."""

    AUTO_FOTA = "auto-fota"
    """The module looks for new firmware by itself."""
    FOTA = "fota"
    """Firmware over the air, started by a server, a carrier or the host."""
    DFOTA = "dfota"
    """The same with a difference between two versions."""
    LWM2M = "lwm2m"
    """OMA Lightweight M2M: a server reads, writes and updates."""
    OMA_DM = "oma-dm"
    """OMA Device Management, LwM2M's older sister."""
    VENDOR_CLOUD = "vendor-cloud"
    CARRIER_DM = "carrier-dm"
    """Registration with, or management by, the operator."""
    REMOTE_AT = "remote-at"
    """AT commands from a distance, by SMS or TCP."""
    EVENT_AT = "event-at"
    """Stored AT commands that an event runs."""
    DEBUG = "debug"
    """ADB, telnet, diagnostic ports."""
    SIM_TOOLKIT = "sim-toolkit"
    """What the SIM makes the module do (3GPP TS 31.111)."""
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of a surface as it was read, and as it would be with the surface off.

    `name` is the write command with its variables in braces (`AT+QIOTREG={mode}`), as the profile has it; `read` the
    command that reads it. `values` and `off` give the variables in the words of the answer. `write` and `undo` are
    the command lines that set `off` and that put `values` back; `write` is None where the setting is off already.
    """

    name: str
    read: str
    values: tuple[tuple[str, str], ...]
    off: tuple[tuple[str, str], ...]
    write: str | None
    undo: str


@dataclass(frozen=True, slots=True)
class Switch:
    """How a surface is turned off, where the module's answers allow it now.

    `effect` says what the commands do, `leaves` what they do not. `persistent`: `yes`, `until-reboot` or `unknown`.
    `reboot`: whether they take a restart to work, `yes`, `no` or `unknown`. `automated` is False where nothing better
    than inference supports it: it is told as advice and never sent. `opt_in`: it can cut a service of the product, so
    it is planned only where the owner names it.
    """

    settings: tuple[Setting, ...]
    effect: str
    leaves: str | None
    persistent: str
    reboot: str
    risk: str | None
    confidence: str
    source: str
    automated: bool
    opt_in: bool

    @property
    def commands(self) -> tuple[str, ...]:
        """What would be sent."""
        return tuple(setting.write for setting in self.settings if setting.write is not None)


@dataclass(frozen=True, slots=True)
class Surface:
    """One way in which a module can be changed or driven from afar, and its state in this module.

    `answer` holds the lines the state was read from, None where nothing was asked or answered. `means` says what
    they mean, where the profile says more than the state. `maker` is the slug of the profile that describes it.
    """

    id: str
    title: str
    kind: SurfaceKind
    reach: Reach
    state: State
    maker: str
    answer: str | None = None
    means: str | None = None
    switch: Switch | None = None
    advice: str | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """`seconds`: from opening the port to the last answer. `module_seconds`: the part spent waiting for it."""

    seconds: float
    commands: int
    module_seconds: float


@dataclass(frozen=True, slots=True)
class Module:
    """A device that answered, who it is, and the ways in which it can be changed from afar."""

    device: Device
    identity: Identity
    timing: Timing
    surfaces: tuple[Surface, ...] = ()


class ProblemKind(StrEnum):
    """The reasons a probe can fail, each one something `doctor` can explain."""

    MISSING = "missing"
    """No such port."""
    BUSY = "busy"
    """Another program holds the port."""
    PERMISSION = "permission"
    """This user may not open the port."""
    SILENT = "silent"
    """The port opened and never answered AT."""
    NMEA = "nmea"
    """The port streams NMEA 0183 sentences: a GNSS output, not an AT port."""
    BINARY = "binary"
    """The port speaks a binary protocol (DIAG, for one), not AT."""
    VANISHED = "vanished"
    """The port went away in the middle of the conversation."""
    GARBLED = "garbled"
    """Something answers, but not in AT: a wrong line rate or a broken link."""
    UNUSABLE = "unusable"
    """The port cannot be opened for any other reason."""
    NO_DRIVER = "no-driver"
    """No kernel driver is bound to the module, so it has no port."""
    NO_AT_PORT = "no-at-port"
    """The module's present composition has no port that is known to speak AT."""
    FIRMWARE_MODE = "firmware-mode"
    """The module waits for new firmware, and nothing in it speaks AT."""
    STORAGE = "storage"
    """The module shows its driver disk and waits to be switched to modem mode."""
    INTERRUPTED = "interrupted"
    """The user stopped the run before this port was done."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a port could not be probed. `kind` is stable (see `ProblemKind`); `hint` says what to do next."""

    port: str
    kind: ProblemKind
    message: str
    hint: str


class EventKind(StrEnum):
    """What `watch` tells of a device."""

    ADDED = "added"
    """It was plugged in, or has other ports than before; nothing was asked yet."""
    IDENTIFIED = "identified"
    FAILED = "failed"
    """It could not be asked; what passes is tried again."""
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a device. `module` is set once it was identified, `problems` where it failed."""

    kind: EventKind
    device: Device
    module: Module | None = None
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Truth:
    """What the source of a transcript establishes about the module; None where it does not."""

    maker: str | None = None
    brand: str | None = None
    model: str | None = None
    variant: str | None = None
    firmware: str | None = None
    imei: str | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """One command sent and the lines that came back, echo and final result code included.

    `send` is None for text that came unasked. `raw` holds the exact characters received, where known.
    """

    send: str | None
    recv: tuple[str, ...]
    raw: str | None = None


@dataclass(frozen=True, slots=True)
class Transcript:
    """A real conversation with a module, as data.

    `fidelity` says how far the line structure can be trusted (`bytes`, `log`, `lines`: everything; `excerpt`,
    `transcribed` and others: blank lines, echo or final result codes may be missing).
    """

    id: str
    fidelity: str
    truth: Truth
    exchanges: tuple[Exchange, ...]
    source: str = ""
    usb: UsbInfo | None = None
    path: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of one run: what `atprobe` prints, whatever the format. Times are ISO 8601 in UTC."""

    modules: tuple[Module, ...]
    problems: tuple[Problem, ...]
    started: str
    finished: str
    tool_version: str
    profiles_version: str
    host: dict[str, str] = field(default_factory=dict)


def is_imei(text: str) -> bool:
    """15 digits whose last is the Luhn check digit (3GPP TS 23.003 clause 6.2.1), and not all the same."""
    if not re.fullmatch(r"[0-9]{15}", text) or len(set(text)) == 1:
        return False
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(text))
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


@dataclass(frozen=True, slots=True)
class Step:
    """One command of a plan: what it changes, from which values to which, and how that is put back.

    `setting`, `read`, `before`, `after`, `command` and `undo` are those of a `Setting`; the rest is the switch's.
    """

    surface: str
    title: str
    setting: str
    read: str
    before: tuple[tuple[str, str], ...]
    after: tuple[tuple[str, str], ...]
    command: str
    undo: str
    effect: str
    leaves: str | None
    risk: str | None
    persistent: str
    reboot: str
    confidence: str
    source: str


@dataclass(frozen=True, slots=True)
class Advice:
    """A surface that a plan does not switch off, and why or what to do instead."""

    surface: str
    title: str
    state: State
    text: str


@dataclass(frozen=True, slots=True)
class ModulePlan:
    """What is to be done to one module. It is found again by its IMEI; `port` is where it was."""

    imei: str
    maker: str
    model: str | None
    firmware: str | None
    port: str
    steps: tuple[Step, ...]
    advice: tuple[Advice, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What `lockdown apply` is to do. `id` is the start of the digest of everything else. Times as in reports."""

    id: str
    made: str
    profiles: str
    modules: tuple[ModulePlan, ...]


class Stage(StrEnum):
    """How far one change got. The journal holds every stage with its time; the last one counts."""

    PLANNED = "planned"
    """Written down; nothing was sent yet."""
    SENDING = "sending"
    """About to be sent, or sent; whether it arrived is not known."""
    ANSWERED = "answered"
    """The module answered the command; not read back yet."""
    DONE = "done"
    """Read back as planned."""
    NOT_SENT = "not-sent"
    """Not sent, so the module has the value it had."""
    UNCHANGED = "unchanged"
    """The module has the value it had before: it refused the command, or said OK and did nothing."""
    UNDOING = "undoing"
    """The value read before is about to be written back, or was; not read back yet."""
    UNDONE = "undone"
    """Read back as it was before."""
    REBOOTING = "rebooting"
    """The module was told to restart; not read back yet."""
    REVERTED = "reverted"
    """The module forgot the change when it restarted: it has the value it had before."""
    UNKNOWN = "unknown"
    """Nobody knows which value the module has now."""

    @property
    def is_open(self) -> bool:
        """True where the journal alone does not tell what the module's state is, or work was left."""
        return self in _OPEN


_OPEN = frozenset({Stage.PLANNED, Stage.SENDING, Stage.ANSWERED, Stage.UNDOING, Stage.REBOOTING, Stage.UNKNOWN})


@dataclass(frozen=True, slots=True)
class Change:
    """One step as the journal holds it, with its last stage."""

    id: int
    run: int
    plan: str
    imei: str
    maker: str
    model: str | None
    firmware: str | None
    port: str
    step: Step
    stage: Stage
    time: str
    """When it reached that stage."""
    detail: str | None = None
