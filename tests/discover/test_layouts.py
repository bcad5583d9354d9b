"""The roles that profiles/*/usb.yaml, ports.csv and modems.csv give real devices, and that strangers get none."""

from __future__ import annotations

import re
from functools import cache

import pytest

from atprobe.discover._roles import is_modem, roles
from atprobe.knowledge import Knowledge, default_root, load
from atprobe.knowledge._transcripts import load_transcript, transcript_paths
from atprobe.model import Role, UsbInfo, UsbInterface

LETTERS = {
    "a": Role.AT,
    "s": Role.AT_SECONDARY,
    "p": Role.PPP,
    "g": Role.GNSS,
    "d": Role.DIAG,
    "q": Role.QMI,
    "m": Role.MBIM,
    "b": Role.ADB,
    "-": Role.UNKNOWN,
}

# A recording, and the role of each of its interfaces as its source, or the one in the remark, establishes it.
# a: at, s: at-secondary, p: ppp, g: gnss, d: diag, q: qmi, m: mbim, b: adb, -: unknown, ?: not established, but no
# control port. Of several AT ports of one rank the first is `a`.
ESTABLISHED = {
    # DIAG + NMEA + AT + MODEM + MBIM; 12 is trace
    "quectel-em060k-gl-030b-usb-132": "0d 1g 2a 3s 8m 9m 12-",
    # MBIM + AT + DIAG + NMEA + Modem, in the order of the numbers
    "quectel-em05-g-mbim-usb-133": "0m 1m 2a 3d 4g 5s",
    # AT + DIAG + NMEA + Modem + QMI
    "quectel-em05-g-rmnet-usb-134": "2a 3d 4g 5s 6?",
    # AT + MBIM + DIAG + NMEA + MODEM
    "quectel-em05-cn-mbim-usb-135": "0a 1m 2m 3d 4g 5s",
    # Diag + GNSS + Modem + Modem
    "quectel-bg95-modem-usb-136": "0d 1g 2a 4s",
    # DIAG + GNSS + Modem + ECM
    "quectel-bg95-ecm-usb-137": "0d 1g 2a 3- 4-",
    # RNDIS + DIAG + AT + MODEM
    "quectel-ec200a-rndis-usb-138": "0- 1- 2d 3a 4s",
    # ECM + DIAG + AT + MODEM
    "quectel-eg912y-ecm-usb-139": "0- 1- 2d 3a 4s",
    # AT first; AP, CP, NMEA, DIAG and MOS are six names for seven ports
    "quectel-ec200u-ecm-usb-140": "0- 1- 2a 3? 4? 5? 6? 7? 8?",
    # Diag, GNSS, AT-command interface/modem, Modem, QMI
    "quectel-eg91-usb-141": "0d 1g 2a 3s 4q",
    # MBIM + GNSS + DIAG + NMEA + AT + QDSS + DPL
    "quectel-em061k-gl-usb-142": "0m 1m 2? 3d 4g 5a 6- 7-",
    # DIAG + NMEA + AT + MODEM + RMNET
    "quectel-rm520n-gl-kernel-usb-117": "0d 1g 2a 3s 4q",
    # DIAG / NMEA / AT / AT / QMI
    "quectel-rg650v-eu-usb-129": "0d 1g 2a 3s 4q",
    # DM / NMEA / AT / QMI
    "quectel-rg255c-gl-usb-130": "0d 1g 2a 3q",
    # Quectel's own connection manager: AT on 4
    "quectel-rm500u-cn-ncm-usb-144": "0- 1- 2? 3? 4a 5? 6?",
    # ttyUSB0 for debugging, ttyUSB1 for AT commands; the connection manager: AT on 3
    "quectel-ec200s-cn-usb-101": "0- 1- 2? 3a 4?",
    # 5 is adb; which other port takes AT commands, two sources of one design disagree on
    "quectel-rm500k-rndis-adb-usb-143": "0- 1- 2? 3? 4? 5b 6? 7? 8? 9?",
    # AT+QCFG="usbnet",3: RNDIS comes first, and what are numbers 2 and 3 then does not answer AT
    "quectel-rm500q-ae-rndis-dmesg-145": "0- 2? 3? 4?",
    # tty (AT) + tty (AT) + rmnet
    "telit-le910c4-wwx-rmnet-usb-238": "0a 1s 2q",
    # tty (diag) + tty (Telit custom) + tty (AT) + tty (AT) + rmnet
    "telit-le910c4-wwx-diag-usb-239": "0d 1- 2a 3s 4q",
    # tty, adb, rmnet, tty, tty, tty, tty, tty; the protocols as on FN990
    "telit-fn980m-1057-usb-240": "0d 1b 2q 3g 4a 5s 6s 7s",
    # tty (diag) + adb + MBIM + audio + tty (AT/NMEA) + tty (AT) + tty (AT) + tty (AT)
    "telit-fn990-mbim-audio-usb-241": "0d 1b 2m 3m 4- 5- 6- 7g 8a 9s 10s",
    # the MBIM composition of the same card, whose diag, NMEA and AT ports ModemManager numbers 0, 4, 5 and 6
    "telit-fn990a28-mbim-adb-usb-242": "0d 1b 2m 3m 4g 5a 6s 7s",
    # MBIM + tty (AT/NMEA) + 3 tty (AT) + tty (diag) + DPL + QDSS + adb
    "telit-fn990b-mbim-usb-243": "0m 1m 2g 3a 4s 5s 6d 7- 8- 9b",
    # rmnet + tty (AT) + tty (diag) + DPL + adb
    "telit-fn920c04-rmnet-adb-usb-244": "0q 1a 2d 3- 4b",
    # RNDIS + tty (AT) + tty (diag) + DPL + adb
    "telit-fe910c04-rndis-adb-usb-245": "0- 1- 2a 3d 4- 5b",
    # RNDIS + tty (AT/NMEA) + tty (AT) + tty (AT) + tty (SAP)
    "telit-le910c1-eu-rndis-usb-246": "0- 1- 2g 3a 4s 5-",
    # tty (AT/NMEA) + tty (AT) + tty (AT) + tty (SAP)
    "telit-le910c1-eu-serial-usb-247": "0g 1a 2s 3-",
    # tty (sahara)
    "telit-core-dump-usb-248": "0?",
    # mbim, diag, at, pipe; 5 is adb
    "fibocom-fm135-gl-adb-usb-213": "0m 1m 2d 3a 4- 5b",
    # MBIM + MODEM + DIAG + AT
    "fibocom-fm160-mbim-at-usb-214": "0m 1m 2a 3d 4s",
    # mbim, diag, tty, adb, gnss, gnss
    "fibocom-fm101-gl-adb-usb-215": "0m 1m 2d 3a 4b 5? 6?",
    # mbim, tty, tty, diag
    "fibocom-fm101-gl-2cb7-01a2-014": "0m 1m 2a 3s 4d",
    # AT, Modem, AT2, Trace, ADB
    "fibocom-l716-eu-ecm-usb-216": "0- 1- 2a 3s 4s 5- 6b",
    # Modem + NV + MOS + Diag + LOG + AT + AT
    "fibocom-l610-usbmode31-usb-217": "0a 1- 2- 3d 4- 5s 6s",
    # AT on the fourth of the ports (adb is none), as on the T7xx of the same chip
    "fibocom-fm350-gl-usbmode41-usb-218": "0- 1- 2? 3? 4? 5b 6a 7? 8? 9?",
    # Diag + Modem + AT + ECM
    "fibocom-ma510-usbmode31-007": "0? 1a 2s 3- 4-",
    # Modem + AT + ECM
    "fibocom-ma510-usbmode32-008": "0a 1s 2- 3-",
    # Diag, AT, AT, NMEA of the same protocols on SRT853
    "meig-srm825l-usb-204": "0d 1a 2s 3g 4b 5q",
    # 1 and 2 respond to AT commands
    "meig-slm828-usb-205": "0? 1a 2s 3? 4? 5q",
    # RNDIS, RNDIS, Diag, AT, AT, NMEA
    "meig-srt853-rndis-usb-206": "0- 1- 2d 3a 4s 5g",
    # RMNET, DIAG/ADB, NMEA, AT
    "meig-srm813q-nmea-usb-207": "0q 1d 2g 3a",
    # PPP on 0, the purpose of the others not known
    "meig-slm320-usb-208": "0p 1? 2? 3? 4? 5? 6? 7?",
    # MBIM, 2: Modem, 3: GNSS, 4: Diag, 5: ADB
    "foxconn-t99w265-e0da-usb-006": "0m 1m 2a 3? 4d 5b",
    # 0&1: MBIM, 2: Modem, 3: GNSS, 4: NMEA, 5: Diag
    "foxconn-t99w368-t99w373-usb-008": "0m 1m 2a 3? 4g 5d",
    # 0&1: RNDIS, 2: AT, 3: NMEA, 4: DIAG, 5: QDSS, 6: ADB
    "foxconn-t99w651-rndis-usb-009": "0- 1- 2a 3g 4d 5- 6b",
    # AP_LOG, GNSS, AP_META, AT, MD_META, NPT, DBG; 5 is adb
    "foxconn-t99w709-mbim-usb-010": "0m 1m 2- 3g 4- 5b 6a 7- 8- 9-",
    # ModemManager: 2 primary, 3 secondary, 4 NMEA, 5 diag
    "foxconn-t77w968-mbim-usb-011": "0m 1m 2a 3s 4g 5d 6?",
    # 2-5: MODEM, MODEM, NMEA, DIAG; 6: GNSS
    "foxconn-dw5829e-mbim-usb-012": "0m 1m 2a 3s 4g 5d 6?",
    # qcserial's order: diag, NMEA, AT; 8 is bound by qmi_wwan
    "compal-dw5826e-exm-g1a-usb-002": "0d 1b 2g 3a 4? 8q",
    # 2: Modem, 3: GNSS, 4: NMEA, 5: Diag
    "cinterion-mv32-00f2-mbim-usb-223": "0m 1m 2a 3? 4g 5d",
    # AT and diag ports, before and after a firmware update
    "sierra-em9191-00-usb-039": "0m 1m 3a 4d",
    "sierra-em9191-40-usb-040": "0m 1m 3a 4d",
    # qcserial: 0 diag, 2 NMEA, 3 AT
    "sierra-dw5811e-em7455b-sms-tool-004": "0d 2g 3a 12m 13m",
    "sierra-usb-68c0-qualcomm-strings-037": "0d 2g 3a 8q",
    # DIAG + AT + MODEM + RMNET + ADB
    "gosuncn-gm800-rmnet-adb-usb-002": "0d 1a 2s 3? 4b",
    # DIAG + AT + MODEM + RNDIS + ADB, RNDIS first by number
    "gosuncn-gm800-rndis-adb-usb-003": "0- 1- 2d 3a 4s 5b",
    # RNDIS + RMNET + IPC + DIAG + MODEM + AT + ADB
    "gosuncn-gm800-ipc-usb-004": "0- 1- 2? 3? 4d 5s 6a 7b",
    # mbim, diag, AT, ADB, pipe1, pipe2
    "rolling-rw101r-gl-01a8-adb-usb-005": "0m 1m 2d 3a 4b 5? 6?",
    # mbim, diag, AT, ADB, pipe; 5 is adb and the protocols tell diag and AT
    "rolling-rw135r-gl-adb-usb-006": "0m 1m 2? 3d 4a 5b",
    # ModemManager: AP AT, AP LOG, AP META, 6 MD AT, MD META, NPT, DEBUG
    "rolling-rw350-gl-usbmode64-usb-007": "0m 1m 2? 3- 4- 5b 6a 7- 8- 9-",
    # RMNET, diag, at, pipe
    "rolling-rw101-gl-usb-0104-003": "0d 1a",
    # mbim, pipe
    "rolling-rw101r-gl-usb-0301-004": "0m 1m",
    # 3: DIAG, 4: NMEA, 5: AT
    "netprisma-lcuk54-wwd-usb-001": "0m 1m 2? 3d 4g 5a 6- 7-",
    # tty (DM) + tty (NMEA) + tty (AT) + rmnet + adb
    "simcom-sim8230c-rmnet-adb-usb-051": "0d 1g 2a 3q 4b",
    # RNDIS + tty (DM) + tty (NMEA) + tty (AT) + adb
    "simcom-sim8230c-rndis-adb-usb-052": "0- 1- 2d 3g 4a 5b",
    # DIAG, GNSS, AT (control), AT (data), ECM
    "simcom-sim7080-default-usb-053": "0d 1g 2a 3p 4- 5-",
    # DIAG, GNSS, AT (control), not named, not named, AT (data)
    "simcom-sim7080-secondary-usb-054": "0d 1g 2a 3? 4? 5p",
    # 0: Diagnostic, 1: AT parser, 2: AT parser, 3: AT parser or alternative functions, 4: CDC-ECM
    "ublox-lara-r6-ecm-usb-017": "0d 1a 2s 3- 4- 5-",
    "ublox-lara-r6-rmnet-usb-016": "0d 1a 2s 3- 4q",
    # 0: ADB, 1: AT (Modem), 2: AT, 3: PPP, 4: QMI
    "longsung-u9300-adb-usb-002": "0b 1a 2s 3p 4q",
    # 0: unknown (Debug), 1: AT (Modem), 2: AT, 3: PPP, 4: QMI, 5: ADB
    "longsung-u8300-usb-android-001": "0? 1a 2s 3p 4? 5?",
    # the second tty responds to AT commands
    "longsung-m5710-rndis-usb-003": "0- 1- 2? 4a 5?",
    # AT commands on 4 or 6
    "neoway-n723-ea-rndis-usb-202": "0- 1- 2? 4a 6s",
    # AT commands on 3 or 4
    "meig-slm770a-kernel-usb-006": "0- 1- 2? 3a",
    # 2: AT, 3: PPP + AT, 4: Debug
    "openluat-air72xu-rndis-usb-302": "0- 1- 2a 3p 4-",
    # 0: QCDM, 1: AT (PCUI), 2: AT (Modem), 3: QMI, 4: ADB
    "zte-p685m-adb-usb-008": "0d 1a 2s 3q 4b",
    # 0: QCDM, 1: (unknown), 2: AT (PCUI), 4: QMI
    "zte-mf290-usb-009": "0d 1? 2a 3? 4q",
    # 0: AT, 1: MODEM
    "zte-mf871a-usb-010": "0a 1s",
    # AP Log, AP GNSS, AP META, ADB, MD AT, MD META, NTZ, Debug
    "mediatek-t7xx-mbim-adb-usb-001": "0m 1m 2- 3g 4- 5b 6a 7- 8- 9-",
}

NEVER_CONTROL = re.compile(r"(01|03|06|07|08|0a|0e|e0|ef)/|02/(06|0a|0c|0d|0e)/|02/02/ff|ff/42/|ff/ff/(10|30|50|70|80)")
NET_DRIVERS = {"cdc_ether", "cdc_ncm", "cdc_mbim", "rndis_host", "qmi_wwan", "huawei_cdc_ncm", "usb-storage", "usbhid"}
ACM, DATA = "02/02/01", "0a/00/00"

# What else has a serial port: USB ids, the usual classes of the interfaces, the driver of the first.
STRANGERS = [
    pytest.param(vid, pid, triples.split(), driver, id=what.replace(" ", "-"))
    for what, vid, pid, triples, driver in [
        ("Arduino Uno", "2341", "0043", f"{ACM} {DATA}", "cdc_acm"),
        ("Arduino Leonardo", "2341", "8036", f"{ACM} {DATA} 03/00/00", "cdc_acm"),
        ("Arduino MKR NB", "2341", "8055", f"{ACM} {DATA}", "cdc_acm"),
        ("Arduino SA", "2a03", "0043", f"{ACM} {DATA}", "cdc_acm"),
        ("STM32 virtual COM port", "0483", "5740", f"{ACM} {DATA}", "cdc_acm"),
        ("ST-Link", "0483", "374b", f"ff/ff/ff 08/06/50 {ACM} {DATA}", "cdc_acm"),
        ("PX4 flight controller", "26ac", "0011", f"{ACM} {DATA}", "cdc_acm"),
        ("CubePilot", "2dae", "1016", f"{ACM} {DATA} {ACM} {DATA}", "cdc_acm"),
        ("pid.codes board", "1209", "5741", f"{ACM} {DATA}", "cdc_acm"),
        ("Raspberry Pi Pico", "2e8a", "000a", f"{ACM} {DATA}", "cdc_acm"),
        ("ESP32-S3", "303a", "1001", f"{ACM} {DATA} ff/ff/01", "cdc_acm"),
        ("Adafruit Feather", "239a", "800b", f"{ACM} {DATA}", "cdc_acm"),
        ("Teensy", "16c0", "0483", f"{ACM} {DATA}", "cdc_acm"),
        ("nRF52840 dongle", "1915", "520f", f"{ACM} {DATA}", "cdc_acm"),
        ("J-Link", "1366", "1015", f"{ACM} {DATA} ff/ff/ff", "cdc_acm"),
        ("DAPLink", "0d28", "0204", f"08/06/50 {ACM} {DATA} 03/00/00", "cdc_acm"),
        ("Zigbee stick", "0451", "16a8", f"{ACM} {DATA}", "cdc_acm"),
        ("Z-Wave stick", "0658", "0200", f"{ACM} {DATA}", "cdc_acm"),
        ("u-blox 5", "1546", "01a5", f"{ACM} {DATA}", "cdc_acm"),
        ("u-blox 6", "1546", "01a6", f"{ACM} {DATA}", "cdc_acm"),
        ("u-blox 7", "1546", "01a7", f"{ACM} {DATA}", "cdc_acm"),
        ("u-blox 8", "1546", "01a8", f"{ACM} {DATA}", "cdc_acm"),
        ("u-blox 9", "1546", "01a9", f"{ACM} {DATA}", "cdc_acm"),
        ("u-blox F9 other", "1546", "0502", f"{ACM} {DATA}", "cdc_acm"),
        ("FTDI FT232R", "0403", "6001", "ff/ff/ff", "ftdi_sio"),
        ("FTDI FT4232H", "0403", "6011", "ff/ff/ff ff/ff/ff ff/ff/ff ff/ff/ff", "ftdi_sio"),
        ("CP2102", "10c4", "ea60", "ff/00/00", "cp210x"),
        ("CP2105", "10c4", "ea70", "ff/00/00 ff/00/00", "cp210x"),
        ("CH340", "1a86", "7523", "ff/01/02", "ch341"),
        ("CH9102", "1a86", "55d4", f"{ACM} {DATA}", "cdc_acm"),
        ("PL2303", "067b", "2303", "ff/00/00", "pl2303"),
        ("MCP2221", "04d8", "00dd", f"{ACM} {DATA} 03/00/00", "cdc_acm"),
        ("Huawei phone MTP", "12d1", "107e", "06/01/01", None),
        ("Huawei phone MTP and adb", "12d1", "1038", "08/06/50 ff/42/01", None),
        ("Samsung phone", "04e8", "6860", f"06/01/01 {ACM} {DATA}", "cdc_acm"),
        ("Xiaomi phone", "2717", "ff48", "ff/ff/00 ff/42/01", None),
        ("Google phone", "18d1", "4ee7", "ff/42/01", None),
        ("Google phone tethering", "18d1", "4ee3", "e0/01/03 0a/00/00", "rndis_host"),
        ("Motorola phone", "22b8", "2e82", "06/01/01", None),
        ("ZTE phone", "19d2", "0307", "ff/ff/00 ff/42/01", None),
        ("Qualcomm phone diag and adb", "05c6", "901d", "ff/ff/30 ff/42/01", None),
        ("Qualcomm EDL", "05c6", "9008", "ff/ff/ff", "qcserial"),
        ("MediaTek preloader", "0e8d", "2000", f"{ACM} {DATA}", "cdc_acm"),
        ("Unisoc download mode", "1782", "4d00", "ff/00/00", None),
        ("iPhone", "05ac", "12a8", "06/01/01 ff/fe/02", None),
        ("APC UPS", "051d", "0002", "03/00/00", "usbhid"),
        ("CyberPower UPS", "0764", "0501", "03/00/00", "usbhid"),
        ("Megatec UPS", "0665", "5161", "03/00/00", "usbhid"),
        ("Dell keyboard", "413c", "2113", "03/01/01 03/00/00", "usbhid"),
        ("Dell dock", "413c", "b06e", "03/00/00", "usbhid"),
        ("HP printer", "03f0", "e111", "07/01/02 ff/cc/00", "usblp"),
        ("Foxconn Bluetooth", "0489", "e0cd", "e0/01/01 e0/01/01", "btusb"),
        ("Intel Bluetooth", "8087", "0aaa", "e0/01/01 e0/01/01", "btusb"),
        ("MediaTek Bluetooth", "0e8d", "7961", "e0/01/01 e0/01/01", "btusb"),
        ("Lenovo dock Ethernet", "17ef", "3069", "ff/ff/00", "r8152"),
        ("Askey analogue modem", "1690", "0102", f"{ACM} {DATA}", "cdc_acm"),
        ("analogue modem", "0572", "1340", f"{ACM} {DATA}", "cdc_acm"),
        ("barcode reader", "0c2e", "0b81", f"{ACM} {DATA}", "cdc_acm"),
        ("DJI drone", "2ca3", "001f", f"{ACM} {DATA}", "cdc_acm"),
        ("radio with GPS", "0c26", "0020", f"{ACM} {DATA}", "cdc_acm"),
    ]
]


@cache
def knowledge() -> Knowledge:
    return load()


@cache
def recordings() -> list[tuple[str, UsbInfo]]:
    """All recordings that list interfaces, by id."""
    loaded = map(load_transcript, transcript_paths(default_root()))
    return [(one.id, one.usb) for one in loaded if one.usb is not None and one.usb.interfaces]


def expected(text: str) -> dict[int, Role | None]:
    """`0d 3?` as roles by number; None is what is not established."""
    return {int(each[:-1]): LETTERS.get(each[-1]) for each in text.split()}


@pytest.mark.parametrize("which", ESTABLISHED)
def test_established_roles(which: str) -> None:
    usb = dict(recordings())[which]
    found = roles(usb, knowledge())
    wanted = expected(ESTABLISHED[which])
    assert found.keys() == wanted.keys()
    assert {number: role for number, role in found.items() if wanted[number] is not None} == {
        number: role for number, role in wanted.items() if role is not None
    }
    assert not [number for number, role in found.items() if wanted[number] is None and role.is_control]


@pytest.mark.parametrize(("which", "usb"), recordings())
def test_no_control_role_where_no_conversation_can_be(which: str, usb: UsbInfo) -> None:
    found = roles(usb, knowledge())
    for interface in usb.interfaces:
        if NEVER_CONTROL.match(interface.triple) or interface.driver in NET_DRIVERS:
            assert not found[interface.number].is_control, (which, interface)
    assert list(found.values()).count(Role.AT) <= 1


@pytest.mark.parametrize(
    ("first", "driver", "role"),
    [
        ("ff/ff/ff", "option", Role.AT),
        ("ff/ff/ff", None, Role.AT),
        ("e0/01/03", "rndis_host", Role.UNKNOWN),
        ("e0/01/03", None, Role.UNKNOWN),
        ("ef/04/01", None, Role.UNKNOWN),
        ("02/06/00", None, Role.UNKNOWN),
        ("02/0e/00", "cdc_mbim", Role.UNKNOWN),
        ("08/06/50", None, Role.UNKNOWN),
        ("ff/ff/ff", "qmi_wwan", Role.UNKNOWN),
        ("ff/42/01", None, Role.UNKNOWN),
        ("ff/ff/50", None, Role.UNKNOWN),
    ],
)
def test_numbers_of_another_composition(first: str, driver: str | None, role: Role) -> None:
    """An EC25's diag port has number 0. With something else there, number 2 need not be the AT port."""
    one, two, three = first.split("/")
    usb = UsbInfo(
        vid="2c7c",
        pid="0125",
        interfaces=(UsbInterface(0, one, two, three, driver), UsbInterface(2, "ff", "00", "00", "option")),
    )
    assert roles(usb, knowledge())[2] is role


@pytest.mark.parametrize(("vid", "pid", "triples", "driver"), STRANGERS)
def test_strangers(vid: str, pid: str, triples: list[str], driver: str | None) -> None:
    codes = [triple.split("/") for triple in triples]
    interfaces = [UsbInterface(number, code[0], code[1], code[2], driver) for number, code in enumerate(codes)]
    usb = UsbInfo(vid=vid, pid=pid, interfaces=tuple(interfaces))
    assert not [role for role in roles(usb, knowledge()).values() if role.is_control]
    if driver != "qcserial":
        assert not is_modem(usb, knowledge())


@pytest.mark.parametrize(
    "vid",
    ["12d1", "19d2", "1546", "05c6", "0e8d", "413c", "03f0", "1782", "18d1", "22b8", "0483", "1915", "303a", "0489"],
)
def test_a_vendor_of_other_things_is_no_modem_vendor(vid: str) -> None:
    assert vid not in knowledge().modem_vendors


def test_a_control_role_by_class_names_its_vendors() -> None:
    """No row fits the ports of any maker's devices, and none of a shared vendor id all of that vendor's."""
    shared = {"1546", "05c6", "0e8d", "413c", "03f0", "1782", "0489", "19d2", "1bbb"}
    for layout in knowledge().layouts:
        if layout.role.is_control:
            assert layout.vendors, layout
            assert layout.products or not shared & set(layout.vendors), layout
