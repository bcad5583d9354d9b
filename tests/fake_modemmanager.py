"""A ModemManager as far as its D-Bus interface goes, run as a process of its own: ADDRESS LOG BEHAVIOUR.

BEHAVIOUR is a file with the Python literal of a dict: `objects` is what GetManagedObjects returns; `answers` gives for
each uid a list of what InhibitDevice says, one call after the other and the last for ever (`ok`, the name of a Core
error, or `nothing`); `holds` gives for each uid a path that is kept open until it is inhibited; `delay` is how many
seconds inhibiting takes, `closing` how many more pass until the path is closed. LOG gets a line `TIME EVENT UID` each.
"""

import ast
import os
import sys
import time
from pathlib import Path

from jeepney import (
    DBusAddress,
    HeaderFields,
    MatchRule,
    Message,
    MessageType,
    message_bus,
    new_error,
    new_method_call,
    new_method_return,
)
from jeepney.io.blocking import DBusConnection, open_dbus_connection

NAME = "org.freedesktop.ModemManager1"


class Fake:
    def __init__(self, address: str, log: str, behaviour: str) -> None:
        self.log = Path(log)
        told = ast.literal_eval(Path(behaviour).read_text())
        self.objects = told.get("objects", {})
        self.answers = {uid: list(each) for uid, each in told.get("answers", {}).items()}
        self.held = {uid: os.open(path, os.O_RDONLY | os.O_NOCTTY) for uid, path in told.get("holds", {}).items()}
        self.delay, self.closing = told.get("delay", 0.0), told.get("closing", 0.0)
        self.inhibited: dict[str, str] = {}
        self.due: list[tuple[float, str]] = []
        self.bus: DBusConnection = open_dbus_connection(bus=address)

    def note(self, event: str, uid: str = "") -> None:
        with self.log.open("a") as file:
            file.write(f"{time.monotonic()} {event} {uid}\n")

    def run(self) -> None:
        daemon = DBusAddress("/org/freedesktop/DBus", bus_name="org.freedesktop.DBus")
        rule = MatchRule(type="signal", interface="org.freedesktop.DBus", member="NameOwnerChanged")
        self.bus.send_and_get_reply(message_bus.AddMatch(rule))
        self.bus.send_and_get_reply(
            new_method_call(daemon.with_interface("org.freedesktop.DBus"), "RequestName", "su", (NAME, 4))
        )
        self.note("ready")
        while True:
            for due, uid in self.due:
                if due <= time.monotonic() and uid in self.held:
                    os.close(self.held.pop(uid))
                    self.note("closed", uid)
            try:
                self.handle(self.bus.receive(timeout=0.02))
            except TimeoutError:
                continue

    def handle(self, message: Message) -> None:
        fields = message.header.fields
        member = fields.get(HeaderFields.member)
        if message.header.message_type is MessageType.signal and member == "NameOwnerChanged":
            name, _, new = message.body
            for uid in [uid for uid, sender in self.inhibited.items() if sender == name and not new]:
                del self.inhibited[uid]
                self.note("lost", uid)
        elif message.header.message_type is not MessageType.method_call:
            pass
        elif member == "GetManagedObjects":
            self.bus.send(new_method_return(message, "a{oa{sa{sv}}}", (self.objects,)))
        elif member == "InhibitDevice":
            self.inhibit(message, fields[HeaderFields.sender])
        else:
            self.bus.send(new_error(message, "org.freedesktop.DBus.Error.UnknownMethod"))

    def inhibit(self, message: Message, sender: str) -> None:
        uid, on = message.body
        answers = self.answers.get(uid, ["NotFound"])
        answer = answers.pop(0) if on and len(answers) > 1 else answers[0]
        if not on:
            answer = "ok" if self.inhibited.pop(uid, None) == sender else "NotFound"
        self.note(f"{'inhibit' if on else 'release'}:{answer}", uid)
        if answer == "ok":
            if on:
                time.sleep(self.delay)
                self.inhibited[uid] = sender
                self.due.append((time.monotonic() + self.closing, uid))
                self.note("inhibited", uid)
            self.bus.send(new_method_return(message))
        elif answer != "nothing":
            self.bus.send(new_error(message, f"{NAME}.Error.Core.{answer}"))


if __name__ == "__main__":
    Fake(*sys.argv[1:]).run()
