"""The prober to compare with: what a person writes in ten minutes. pyserial, one thread a port, six commands."""

import sys
import threading

import serial

COMMANDS = ("AT", "ATI", "AT+CGMI", "AT+CGMM", "AT+CGMR", "AT+CGSN")


def ask(path: str, found: dict[str, list[str]]) -> None:
    """Ask all commands, one after the other, until OK or ERROR or three seconds."""
    answers = []
    with serial.serial_for_url(path, baudrate=115200, timeout=3) as port:
        for command in COMMANDS:
            port.write(command.encode() + b"\r")
            text = ""
            while line := port.readline().decode("latin-1"):
                text += line
                if line.strip() in ("OK", "ERROR"):
                    break
            answers.append(" ".join(text.split()))
    found[path] = answers


if __name__ == "__main__":
    results: dict[str, list[str]] = {}
    threads = [threading.Thread(target=ask, args=(path, results)) for path in sys.argv[1:]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for path, answers in results.items():
        print(path, *answers, sep="\n  ")
