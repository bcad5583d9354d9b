"""What names a person or one unit leaves a recording; what tells the model stays."""

import pytest

from atprobe.fingerprint._redact import synthetic_imei, without_identifiers
from atprobe.model import is_imei

TAC = "86136404"
IMEI = TAC + "1234566"  # nobody's, with a serial number that is not zeros


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        (IMEI, f"{TAC}0000000"),
        (f'+CGSN: "{IMEI}"', f'+CGSN: "{TAC}0000000"'),
        (f"IMEI: {IMEI}", f"IMEI: {TAC}0000000"),
        (TAC + "12345678", "0" * 16),  # IMEISV
        ("26201" + "9876543210", "0" * 15),  # IMSI: no valid check digit
        ("+CCID: 8949020000012345678F", "+CCID: 00000000000000000000"),
        ("8949020000012345678F", "0000000000000000000F"),
        ("+QCCID: 89490200000123456789", "+QCCID: 00000000000000000000"),
        ('+CNUM: ,"+491701234567",145', '+CNUM: ,"+000000000000",145'),
        ('+CNUM: "own","01701234567",129', '+CNUM: "own","00000000000",129'),
        ('+CSCA: "+491710760000",145', '+CSCA: "+000000000000",145'),
        ("0032003600320030003100390038003700360035003400330032003100300030", "0030" * 16),
        ("%XICCID: 8949020000012345678F", "%XICCID: 00000000000000000000"),
        ("^ICCID:8949020000012345678F", "^ICCID:00000000000000000000"),
        ("MEID: A0000012345678", "MEID: 00000000000000"),
        ("ESN: 12807315678, 8070A99E", "ESN: 00000000000, 8070A99E"),
        ("FSN: J8123456789012", "FSN: 00000000000000"),
        ('+CFSN: "AB12CD34EF"', '+CFSN: "0000000000"'),
        ("Serial Number: ABC1234567", "Serial Number: 0000000000"),
    ],
)
def test_what_names_a_unit_is_hidden(text: str, hidden: str) -> None:
    assert without_identifiers(text) == hidden


@pytest.mark.parametrize(
    "text",
    [
        "EC25EFAR06A06M4G_01.002.01.002",
        "Revision: SWI9X30C_02.24.05.06 r7040 CARMD-EV-FRMWR2 2017/05/19 06:23:09",
        "81600.0000.00.29.23.06_5000.0002.018.302.011_F09",
        "1418B05SIM800L24",
        '^SCFG: "Gpio/mode/ASC1","006700700069006F"',
        "+CSQ: 20,99",
        "+GCAP: +CGSM,+FCLASS,+DS",
        "11.126.03.01.55",
        "+CREG: 2,1",
        '+QIND: "csq",20,99',
        "RHL769x.2.23.172400.201706231140.x7120m_1",
        '^HCSQ:"LTE",50,45,121,20',
        "HW: 1.0.0, Version: 12345678",
    ],
)
def test_what_tells_the_model_stays(text: str) -> None:
    assert without_identifiers(text) == text


def test_all_lines_of_a_raw_answer() -> None:
    raw = f"AT+CGSN\r\r\n{IMEI}\r\n\r\nOK\r\n"
    assert without_identifiers(raw) == f"AT+CGSN\r\r\n{TAC}0000000\r\n\r\nOK\r\n"


def test_a_synthetic_imei_is_valid_and_nobodys() -> None:
    assert synthetic_imei("49015420") == "490154200000000"
    assert all(is_imei(synthetic_imei(f"{tac:08}")) for tac in (1, 35232110, 86136404))
