"""What is wrong: one value for each thing that stops a probe, with its reason and the command that mends it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from atprobe.model import Device


class Gravity(StrEnum):
    """How much a complaint matters to a probe."""

    STOPS = "stops"
    """A probe of this device fails until it is mended."""
    MAY_STOP = "may-stop"
    """A probe may fail for it."""
    NOTE = "note"
    """Worth knowing; a probe gets by."""


class Kind(StrEnum):
    """What is complained of. The names are stable."""

    MISSING = "missing"
    NOT_A_PORT = "not-a-port"
    PERMISSION = "permission"
    HELD = "held"
    LOCKED = "locked"
    MODEM_MANAGER = "modem-manager"
    UNAUTHORISED = "unauthorised"
    NO_DRIVER = "no-driver"
    NO_LIBUSB = "no-libusb"
    NO_LIBUDEV = "no-libudev"
    STORAGE = "storage"
    FIRMWARE_MODE = "firmware-mode"
    NO_AT_PORT = "no-at-port"
    AUTOSUSPEND = "autosuspend"
    BRLTTY = "brltty"
    OVER_CURRENT = "over-current"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing that is wrong, in words that follow the name of what it is wrong with.

    `fix` is the one command that mends it, for bash and complete but for words in capitals; None where no command
    does. `then` is what else there is to do, or to mind.
    """

    kind: Kind
    gravity: Gravity
    what: str
    why: str
    fix: str | None = None
    then: str | None = None
    places: tuple[str, ...] = ()
    """The ports it is about, or where the device is plugged in; empty where it is about the whole machine."""


@dataclass(frozen=True, slots=True)
class Patient:
    """A device, which of its ports were looked at, and what is wrong with it."""

    device: Device
    ports: tuple[str, ...]
    complaints: tuple[Complaint, ...]

    @property
    def well(self) -> bool:
        """True where nothing stops a probe, nor may."""
        return all(complaint.gravity is Gravity.NOTE for complaint in self.complaints)


@dataclass(frozen=True, slots=True)
class Checkup:
    """Everything that was found. `limits` says, a sentence each, what could not be seen."""

    patients: tuple[Patient, ...]
    host: tuple[Complaint, ...] = ()
    limits: tuple[str, ...] = ()

    @property
    def well(self) -> bool:
        """True where nothing stops a probe, nor may. That nothing is attached is another matter."""
        others = [each for each in self.host if each.kind is not Kind.NOTHING and each.gravity is not Gravity.NOTE]
        return not others and all(patient.well for patient in self.patients)
