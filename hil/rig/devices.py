"""The devices of the rig, as data: how each looks on the bus, and what answers on it.

Layouts are those of public listings (`usb-devices`, `lsusb -v`, commits to the kernel's drivers), with endpoint
numbers allotted anew; none was compared with hardware. The conversations are recordings from `profiles/`.
"""

from __future__ import annotations

from dataclasses import dataclass

from atprobe.model import Role
from hil.rig.layout import BULK, Layout, acm, ecm, mbim, vendor
from hil.rig.usbip import Speed


@dataclass(frozen=True)
class Spec:
    """One device. `transcript` (MAKER/ID) answers on its AT ports; a decoy has none. `ftdi`: speaks FTDI's requests.

    `at` is the interface of the primary AT port, and `model` what a probe of it should find; both are what tests
    compare with, and None where there is no AT port. `imei` is what AT+CGSN says where the recording does not tell.
    `settings`: its AT ports share the settings of remote update that the profile of its maker describes.
    """

    layout: Layout
    transcript: str | None = None
    at: int | None = None
    model: str | None = None
    ftdi: bool = False
    imei: str | None = None
    settings: bool = False

    @property
    def maker(self) -> str | None:
        return self.transcript.partition("/")[0] if self.transcript else None


_QUECTEL = ("Quectel", "EC25", None)
_EC25_SERIAL = (
    vendor(0, (0xFF, 0xFF, 0xFF), Role.DIAG, "option", BULK)
    + vendor(1, (0xFF, 0, 0), Role.GNSS, "option", functional=True)
    + vendor(2, (0xFF, 0, 0), Role.AT, "option", functional=True)
    + vendor(3, (0xFF, 0, 0), Role.AT_SECONDARY, "option", functional=True)
)
_EC25 = _EC25_SERIAL + vendor(4, (0xFF, 0xFF, 0xFF), Role.QMI, "qmi_wwan")

DEVICES: dict[str, Spec] = {
    "ec25": Spec(
        Layout(0x2C7C, 0x0125, _QUECTEL, _EC25, release=0x0318, triple=(0xEF, 2, 1)),
        "quectel/quectel-ec25-aux-test-h",
        at=2,
        model="EC25",
    ),
    # AT+QCFG="usbcfg" with adb on: no driver binds to Android's debug bridge.
    "ec25-adb": Spec(
        Layout(
            0x2C7C,
            0x0125,
            _QUECTEL,
            _EC25 + vendor(5, (0xFF, 0x42, 0x01), Role.ADB, None, BULK),
            release=0x0318,
            triple=(0xEF, 2, 1),
        ),
        "quectel/quectel-ec25-manual-r02a09-d1",
        at=2,
        model="EC25",
    ),
    # AT+QCFG="usbnet",1. ModemManager makes sense of it in seconds, where it waits a minute for a mute QMI port.
    "ec25-ecm": Spec(
        Layout(
            0x2C7C,
            0x0125,
            _QUECTEL,
            _EC25_SERIAL + ecm(4),
            release=0x0318,
            triple=(0xEF, 2, 1),
            mac="02004C4F4F50",
        ),
        "quectel/quectel-ec25-aff-comment-h",
        at=2,
        model="EC25",
        imei="868735040000004",
        settings=True,
    ),
    # The kernel's commit e1091e226a2b, at the speed of a USB 2.0 socket.
    "rm520n": Spec(
        Layout(
            0x2C7C,
            0x0801,
            ("Quectel", "RM520N-GL", "20df8351"),
            vendor(0, (0xFF, 0xFF, 0x30), Role.DIAG, "option", BULK)
            + vendor(1, (0xFF, 0, 0x40), Role.GNSS, "option")
            + vendor(2, (0xFF, 0, 0), Role.AT, "option")
            + vendor(3, (0xFF, 0, 0), Role.AT_SECONDARY, "option")
            + vendor(4, (0xFF, 0xFF, 0xFF), Role.QMI, "qmi_wwan"),
            release=0x0504,
        ),
        "quectel/quectel-rm520n-gl-r03a03-blank-lines-h",
        at=2,
        model="RM520N-GL",
    ),
    # USB composition 9 (diag, nmea, modem, mbim); interface numbers have gaps.
    "em7455": Spec(
        Layout(
            0x1199,
            0x9071,
            ("Sierra Wireless, Incorporated", "EM7455", "LF00000000000000"),
            vendor(0, (0xFF, 0xFF, 0xFF), Role.DIAG, "qcserial", BULK)
            + vendor(2, (0xFF, 0, 0), Role.GNSS, "qcserial", functional=True)
            + vendor(3, (0xFF, 0, 0), Role.AT, "qcserial", functional=True)
            + mbim(12),
            release=0x0006,
        ),
        "sierra/sierra-em7455-execat-no-manufacturer-h",
        at=3,
        model="EM7455",
    ),
    "he910": Spec(
        Layout(
            0x1BC7,
            0x0021,
            ("Telit", "6 CDC-ACM", "356136070000000"),
            acm(0, Role.AT)
            + acm(2, Role.UNKNOWN)
            + acm(4, Role.UNKNOWN)
            + acm(6, Role.AT_SECONDARY)
            + acm(8, Role.UNKNOWN)
            + acm(10, Role.UNKNOWN),
            release=0x1730,
            triple=(0xEF, 2, 1),
            attributes=0xE0,
            milliampere=100,
        ),
        "telit/telit-he910-d-ewon-modem-info-210",
        at=0,
        model="HE910-D",
        imei="356136070000007",
        settings=True,
    ),
    "l850": Spec(
        Layout(
            0x2CB7,
            0x0007,
            ("Fibocom Wireless Inc.", "L850-GL", "004999010000007"),
            mbim(0)
            + acm(2, Role.AT, (2, 2, 0))
            + acm(4, Role.UNKNOWN, (2, 2, 0))
            + acm(6, Role.AT_SECONDARY, (2, 2, 0)),
            release=0x0333,
            triple=(0xEF, 2, 1),
            attributes=0xE0,
            milliampere=100,
        ),
        "fibocom/fibocom-l850gl-sms-tool-015",
        at=2,
        model="L850",
    ),
    # Stands for every module that is newer than the kernel: a Quectel product id that Debian 12's drivers do not list.
    "unbound": Spec(
        Layout(
            0x2C7C,
            0x0904,
            ("Quectel", "EC200U-CN", None),
            vendor(0, (0xFF, 0xFF, 0x30), Role.DIAG, None, BULK)
            + vendor(1, (0xFF, 0, 0x40), Role.GNSS, None)
            + vendor(2, (0xFF, 0, 0), Role.AT, None)
            + vendor(3, (0xFF, 0, 0), Role.AT_SECONDARY, None),
            triple=(0xEF, 2, 1),
        ),
        "quectel/quectel-ec200u-cn-092",
        at=2,
        model="EC200U",
    ),
    "arduino": Spec(
        Layout(
            0x2341,
            0x0043,
            ("Arduino (www.arduino.cc)", "Arduino Uno", "75830303934351F0A1B2"),
            acm(0, Role.UNKNOWN, associated=False),
            release=0x0001,
            triple=(2, 0, 0),
            speed=Speed.FULL,
            attributes=0xC0,
            milliampere=100,
        ),
    ),
    "ftdi": Spec(
        Layout(
            0x0403,
            0x6001,
            ("FTDI", "FT232R USB UART", "A50285BI"),
            vendor(0, (0xFF, 0xFF, 0xFF), Role.UNKNOWN, "ftdi_sio", BULK),
            release=0x0600,
            speed=Speed.FULL,
            milliampere=90,
        ),
        ftdi=True,
    ),
}

MODEMS = tuple(name for name, spec in DEVICES.items() if spec.transcript)
DECOYS = tuple(name for name, spec in DEVICES.items() if not spec.transcript)

# 3GPP TS 27.007 answers that ModemManager wants before it takes a module for a modem. Numbers are those of nobody.
IN_SERVICE: dict[str, tuple[str, ...]] = {
    "ATZ": (),
    "ATE0": (),
    "ATV1": (),
    "AT+CMEE=1": (),
    "ATX4": (),
    "AT&C1": (),
    "AT+GCAP": ("+GCAP: +CGSM",),
    "AT+CPIN?": ("+CPIN: READY",),
    "AT+CFUN?": ("+CFUN: 1",),
    "AT+CIMI": ("001010000000000",),
    "AT+CSQ": ("+CSQ: 21,99",),
    "AT+COPS?": ('+COPS: 0,2,"00101",7',),
    "AT+CREG?": ("+CREG: 0,1",),
    "AT+CGREG?": ("+CGREG: 0,1",),
    "AT+CEREG?": ("+CEREG: 0,1",),
    "AT+CGDCONT?": ('+CGDCONT: 1,"IP","internet","",0,0',),
    "AT+CGDCONT=?": ('+CGDCONT: (1-24),"IP",,,(0-2),(0-4)',),
    "AT+CSCS=?": ('+CSCS: ("IRA","GSM","UCS2")',),
    'AT+CLCK="SC",2': ("+CLCK: 0",),
    "AT+WS46=?": ("+WS46: (12,22,25,28)",),
}
