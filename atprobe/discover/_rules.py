"""udev rules that give the ports of known modems their roles, stable names and permissions.

The rules are made from the same knowledge, in the same order, as `roles`. udev sees one port at a time, so what
depends on a device's other interfaces (a class that contradicts a number, a second AT port) is looked up in the
device's descriptors, and only for devices where it can matter. See docs/udev.md for what remains different.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from atprobe.discover._build import HSO_ROLES, MHI_ROLES, WWAN_ROLES
from atprobe.discover._roles import (
    NO_PORT_CLASSES,
    NO_PORT_DRIVERS,
    NO_PORT_ROLES,
    contradict,
    firmware_modes,
    known_modems,
    port_table,
)
from atprobe.discover._udev import HINTS
from atprobe.knowledge import Knowledge, Layout
from atprobe.model import Role

DEFAULT_GROUP = "dialout"
"""The group of serial ports in udev's own rules (50-udev-default.rules)."""
NAME = "78-atprobe.rules"
"""After 77-mm-*.rules, where ModemManager says what it knows of ports."""
_INTERFACES = range(15)
"""Interface numbers that are told apart. Modems have been seen with 0 to 13."""


class Term(NamedTuple):
    """A match (`==`, `!=`) or an assignment (`=`, `+=`) of a rule."""

    key: str
    op: str
    value: str


Rule = tuple[Term, ...]
"""What has to match, then what is done; one line of the file."""


class Section(NamedTuple):
    """Rules with a comment before them."""

    comment: str
    rules: list[Rule]


_ROLE = "ENV{ATPROBE_ROLE}"
# Names with a dot are udev's for what is not kept after the event.
_DEVICE = "ENV{.ATPROBE_DEVICE}"
_INTERFACE = "ENV{.ATPROBE_INTERFACE}"
_CLASS = "ENV{.ATPROBE_CLASS}"
_DRIVER = "ENV{.ATPROBE_DRIVER}"
_NUMBER = "ENV{.ATPROBE_NUMBER}"
_LOOK = "ENV{.ATPROBE_LOOK}"
_TRIPLES = "ENV{ID_USB_INTERFACES}"

_END = Term("GOTO", "=", "atprobe_end")
_PORT = Term("GOTO", "=", "atprobe_port")
_NO_ROLE = Term(_ROLE, "==", "")
_DESCRIPTORS = "/usr/bin/od -An -v -tx1 -w65535 /sys/bus/usb/devices/$env{.ATPROBE_PATH}/descriptors"

_HEAD = """\
# Cellular modules: the role of each port (ATPROBE_ROLE), names below /dev/atprobe and permissions. See docs/udev.md.
# Made by `atprobe udev rules --output FILE`; do not edit. Install as /etc/udev/rules.d/{name}: it has to come after
# ModemManager's 77-mm-*.rules.
"""


def udev_rules(knowledge: Knowledge, group: str = DEFAULT_GROUP) -> str:
    """The rules file, for the `group` that may use modems."""
    blocks = [_HEAD.format(name=NAME)]
    for section in sections(knowledge, group):
        lines = [f"# {line}" for line in section.comment.splitlines()]
        lines += [", ".join(f'{term.key}{term.op}"{term.value}"' for term in rule) for rule in section.rules]
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def sections(knowledge: Knowledge, group: str = DEFAULT_GROUP) -> list[Section]:
    """The rules as values, in order."""
    by_class = [layout for layout in knowledge.layouts if layout.driver is None]
    by_driver = [layout for layout in knowledge.layouts if layout.driver is not None]
    disputed = _contradictions(knowledge, by_class)
    at_ports = _at_ports(by_class)
    return [
        _strangers(knowledge),
        _known_devices(knowledge),
        Section("The device itself, for --usb-direct. Reading its descriptors stays free to all.", _node(group)),
        Section("Option's own driver says what a tty is for.", _hso()),
        Section("By the class of the interface", _layouts(by_class)),
        Section(
            "Classes of a device's other interfaces: they can say that another composition is switched on than the\n"
            "one the numbers below were written for, and which of two AT ports is the first. Only devices that show\n"
            "such a class are looked at, in their descriptors: RESULT holds them as hexadecimal bytes.",
            [
                *_looks(disputed, at_ports),
                (Term(_LOOK, "==", "1"), Term("PROGRAM", "!=", _DESCRIPTORS), Term(_LOOK, "=", "")),
                (Term(_LOOK, "!=", "1"), Term("GOTO", "=", "atprobe_numbers")),
                *((*_devices(each.devices), _shown(each.interfaces), Term(_NUMBER, "=", "")) for each in disputed),
            ],
        ),
        Section(
            "By the number of the interface, unless its driver makes a network card of it",
            [
                (Term("LABEL", "=", "atprobe_numbers"),),
                (Term(_DRIVER, "==", "|".join(sorted(NO_PORT_DRIVERS))), Term("GOTO", "=", "atprobe_hints")),
                *_numbers(knowledge),
            ],
        ),
        Section(
            "By what ModemManager says",
            [(Term("LABEL", "=", "atprobe_hints"),)]
            + [(_NO_ROLE, Term(_NUMBER, "==", "?*"), Term(f"ENV{{{k}}}", "==", "1"), _be(v)) for k, v in HINTS.items()],
        ),
        Section("By the kernel driver", _layouts(by_driver)),
        Section(
            "The first AT port is the one to talk to, any other one is secondary. ATPROBE_AT says in which way the\n"
            "device's AT ports are known.",
            [
                (_NO_ROLE, _be(Role.UNKNOWN)),
                (Term(_ROLE, "!=", Role.AT), _PORT),
                (Term(_LOOK, "!=", "1"), _PORT),
                *_seconds(knowledge, at_ports),
                (_PORT,),
            ],
        ),
        Section("Modems on PCI Express: the name says what a port is for.", _pci()),
        Section(
            "Names. Where several ports of a device share a role, the lowest interface number has the name.",
            _links(),
        ),
        Section("Permissions: of the ports that atprobe talks to, and of those it cannot tell", _access(group)),
        Section(
            "This may start a watch: see atprobe-watch.service, without which it does nothing.",
            [
                (
                    Term(_ROLE, "==", "at"),
                    Term("TAG", "+=", "systemd"),
                    Term("ENV{SYSTEMD_WANTS}", "+=", "atprobe-watch.service"),
                )
            ],
        ),
        Section(
            "73-seat-late.rules does this for devices that were tagged before it.",
            [
                (Term("LABEL", "=", "atprobe_seat"),),
                (Term("TAG", "==", "uaccess"), Term("RUN{builtin}", "+=", "uaccess")),
                (Term("LABEL", "=", "atprobe_end"),),
            ],
        ),
    ]


class _Disputed(NamedTuple):
    """Devices, and what contradicts their numbers: any of these interfaces' numbers and classes."""

    devices: tuple[str, ...]
    interfaces: tuple[tuple[int, str], ...]


class _AtPorts(NamedTuple):
    """Devices, and the classes of their AT ports; the number where it has to be that one too."""

    devices: tuple[str, ...]
    interfaces: frozenset[tuple[int | None, str]]


def _be(role: Role) -> Term:
    return Term(_ROLE, "=", role)


def _devices(patterns: Iterable[str]) -> Rule:
    """`2c7c:0125`, or `2c7c:*` for all of a vendor; none at all for any device."""
    found = "|".join(sorted(set(patterns)))
    return (Term(_DEVICE, "==", found),) if found else ()


def _strangers(knowledge: Knowledge) -> Section:
    vendors = knowledge.modem_vendors | {vid for vid, _ in known_modems(knowledge.root)}
    vendors |= {vid for layout in knowledge.layouts for vid in layout.vendors}
    seen = "$attr{bInterfaceClass}/$attr{bInterfaceSubClass}/$attr{bInterfaceProtocol}"
    usb = Term("SUBSYSTEMS", "==", "usb")
    return Section(
        "Everything else leaves here. What is needed of a port's interface and device is noted.",
        [
            (Term("ACTION", "==", "remove"), _END),
            (Term("SUBSYSTEM", "!=", "tty|usb|usbmisc|wwan|mhi_q"), _END),
            (Term("ENV{DEVNAME}", "!=", "?*"), _END),
            (Term("SUBSYSTEM", "==", "tty"), Term("KERNEL", "!=", "tty[A-Z]*"), _END),
            (Term("SUBSYSTEM", "==", "usbmisc"), Term("KERNEL", "!=", "cdc-wdm*"), _END),
            (
                usb,
                Term("ATTRS{idVendor}", "==", "?*"),
                Term(_DEVICE, "=", "$attr{idVendor}:$attr{idProduct}"),
                Term("ENV{.ATPROBE_PATH}", "=", "$id"),
            ),
            (
                Term("SUBSYSTEM", "==", "wwan|mhi_q"),
                Term(_DEVICE, "==", ""),
                Term("GOTO", "=", "atprobe_pci"),
            ),
            (Term(_DEVICE, "!=", "|".join(f"{vid}:*" for vid in sorted(vendors))), _END),
            (
                Term("SUBSYSTEM", "!=", "usb"),
                usb,
                Term("ATTRS{bInterfaceNumber}", "==", "?*"),
                Term(_INTERFACE, "=", "$attr{bInterfaceNumber}"),
                Term(_CLASS, "=", seen),
                Term(_DRIVER, "=", "$driver"),
                Term(_NUMBER, "=", "$env{.ATPROBE_DEVICE}:$attr{bInterfaceNumber}"),
            ),
            (Term(_TRIPLES, "==", ""), Term("IMPORT{builtin}", "=", "usb_id")),
        ],
    )


def _known_devices(knowledge: Knowledge) -> Section:
    marked = Term("ENV{ID_ATPROBE}", "=", "1")
    listed: defaultdict[str, set[str]] = defaultdict(set)
    # Some numbers are listed as those of a module that waits for firmware and of one at work.
    at_work = {(vid, pid) for vid, pid, _ in port_table(knowledge.root)}
    at_work |= {(vid, pid) for layout in knowledge.layouts for vid in layout.vendors for pid in layout.products}
    waiting = firmware_modes(knowledge.root).keys() - at_work
    for vid, pid in known_modems(knowledge.root) - waiting:
        if vid not in knowledge.modem_vendors:
            listed[vid].add(f"{vid}:{pid}")
    shown: defaultdict[tuple[str, ...], set[str]] = defaultdict(set)
    for layout in knowledge.layouts:
        if layout.role.is_control and layout.triple is not None:
            known = knowledge.modem_vendors.union(*listed.values())
            patterns = tuple(each for each in _patterns(layout) if not {each, each[:4]} & known)
            if patterns:
                shown[patterns].add(layout.triple)
    whole = (*_devices(f"{vid}:*" for vid in knowledge.modem_vendors), marked)
    return Section(
        "Modems: of makers under whose vendor id there is nothing else, by number, and by a class of an AT port; but\n"
        "none that waits for new firmware",
        [
            *([(*_devices(f"{vid}:{pid}" for vid, pid in waiting), _END)] if waiting else []),
            *([whole] if knowledge.modem_vendors else []),
            *((*_devices(listed[vid]), marked) for vid in sorted(listed)),
            *((*_devices(patterns), _has(triples), marked) for patterns, triples in sorted(shown.items())),
            (Term("ENV{ID_ATPROBE}", "!=", "1"), _END),
        ],
    )


def _node(group: str) -> list[Rule]:
    return [
        (
            Term("SUBSYSTEM", "==", "usb"),
            Term("GROUP", "=", group),
            Term("MODE", "=", "0664"),
            Term("TAG", "+=", "uaccess"),
            Term("GOTO", "=", "atprobe_seat"),
        )
    ]


def _hso() -> list[Rule]:
    return [
        (Term("KERNEL", "==", "ttyHS*"), Term("ATTR{hsotype}", "==", kind), _be(role))
        for kind, role in HSO_ROLES.items()
    ]


def _patterns(layout: Layout) -> tuple[str, ...]:
    """The devices that a row speaks of; none for any device."""
    return tuple(sorted(f"{vid}:{pid}" for vid in layout.vendors for pid in layout.products or ("*",)))


def _layouts(layouts: Iterable[Layout]) -> list[Rule]:
    """A rule for rows that differ in nothing but the devices. The first row that fits an interface decides."""
    groups: list[list[Layout]] = []
    for layout in layouts:
        # A row may go to an earlier group unless a row of another role, that could fit the same, stands between.
        place = None
        for position, group in enumerate(groups):
            if _what(group[0]) == _what(layout) and bool(group[0].vendors) is bool(layout.vendors):
                place = position
            elif place is not None and any(_both(each, layout) and each.role is not layout.role for each in group):
                place = None
        if place is None:
            groups.append([layout])
        else:
            groups[place].append(layout)
    found = []
    for group in groups:
        first = group[0]
        terms = [_NO_ROLE]
        if first.driver is not None:
            terms.append(Term(_DRIVER, "==", first.driver))
        if first.triple is not None:
            terms.append(Term(_CLASS, "==", _starts(first.triple, "/")))
        if first.number is not None:
            terms.append(Term(_INTERFACE, "==", f"{first.number:02x}"))
        found.append((*terms, *_devices(each for layout in group for each in _patterns(layout)), _be(first.role)))
    return found


def _what(layout: Layout) -> tuple[Role, str | None, int | None, str | None]:
    return layout.role, layout.triple, layout.number, layout.driver


def _both(one: Layout, other: Layout) -> bool:
    """Whether some interface of some device could fit both rows."""
    return (
        (not one.vendors or not other.vendors or bool({*one.vendors} & {*other.vendors}))
        and (not one.products or not other.products or bool({*one.products} & {*other.products}))
        and None in (one.number, other.number, one.number if one.number == other.number else None)
        and (one.driver is None or other.driver is None or one.driver == other.driver)
        and _overlap(one.triple, other.triple)
    )


def _overlap(one: str | None, other: str | None) -> bool:
    if one is None or other is None:
        return True
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")


def _starts(triple: str, separator: str) -> str:
    """A pattern for the class codes that begin as `triple` does."""
    codes = triple.split("/")
    return separator.join(codes + ["??"] * (3 - len(codes)))


def _has(triples: Iterable[str]) -> Term:
    return Term(_TRIPLES, "==", "|".join(f"*:{_starts(triple, '')}:*" for triple in sorted(set(triples))))


def _shown(interfaces: Iterable[tuple[int, str | None]]) -> Term:
    """A match on an interface's descriptor: length 9, type 4, number, setting 0, endpoints, class (USB 2.0, 9.6.5)."""
    found = [
        f"* 09 04 {number:02x} 00 *" if triple is None else f"* 09 04 {number:02x} 00 ?? {_starts(triple, ' ')}*"
        for number, triple in interfaces
    ]
    return Term("RESULT", "==", "|".join(found))


def _applying(layouts: Iterable[Layout], vid: str, pid: str) -> list[Layout]:
    return [
        layout
        for layout in layouts
        if (not layout.vendors or vid in layout.vendors) and (not layout.products or pid in layout.products)
    ]


def _contradictions(knowledge: Knowledge, by_class: list[Layout]) -> list[_Disputed]:
    """What shows that the numbers of a device are not those of the composition that is switched on."""
    found: defaultdict[tuple[tuple[int, str], ...], set[str]] = defaultdict(set)
    for (vid, pid, number), role in port_table(knowledge.root).items():
        shown = [(number, start) for start in NO_PORT_CLASSES]
        earlier: list[Layout] = []
        for layout in _applying(by_class, vid, pid):
            if layout.number in (None, number) and layout.triple is not None:
                decided = any(f"{layout.triple}/".startswith(f"{each.triple}/") for each in earlier)
                if not decided and (layout.role in NO_PORT_ROLES or contradict(layout.role, role)):
                    shown.append((number, layout.triple))
                earlier.append(layout)
        found[tuple(sorted(set(shown)))].add(f"{vid}:{pid}")
    return [_Disputed(tuple(sorted(devices)), shown) for shown, devices in sorted(found.items())]


def _at_ports(by_class: list[Layout]) -> list[_AtPorts]:
    """How AT ports are known by class, and the devices for which that is so."""
    found: defaultdict[str, set[tuple[int | None, str]]] = defaultdict(set)
    for layout in by_class:
        if layout.role is Role.AT and layout.triple is not None:
            for pattern in _patterns(layout):
                found[pattern].add((layout.number, layout.triple))
    groups: defaultdict[frozenset[tuple[int | None, str]], set[str]] = defaultdict(set)
    for pattern, interfaces in found.items():
        groups[frozenset(interfaces | found.get(f"{pattern[:4]}:*", set()))].add(pattern)
    return sorted(
        (_AtPorts(tuple(sorted(devices)), interfaces) for interfaces, devices in groups.items()),
        key=lambda each: (any(device.endswith("*") for device in each.devices), each.devices),
        reverse=True,  # a vendor's before what is known of single devices
    )


def _seconds(knowledge: Knowledge, at_ports: list[_AtPorts]) -> list[Rule]:
    groups: list[Rule] = []
    seconds: list[Rule] = []
    for name, each in enumerate(at_ports, 1):
        group = Term("ENV{.ATPROBE_AT}", "", str(name))
        groups.append((*_devices(each.devices), group._replace(op="=")))
        for number in _INTERFACES:
            if shown := [
                (number, triple) for only, triple in sorted(each.interfaces, key=str) if only in (None, number)
            ]:
                seconds.append((group._replace(op="=="), _behind(number), _shown(shown), _be(Role.AT_SECONDARY)))
    numbered: defaultdict[int, set[str]] = defaultdict(set)
    by_class = {device for each in at_ports for device in each.devices}
    for (vid, pid, number), role in port_table(knowledge.root).items():
        if role is Role.AT and {f"{vid}:{pid}", f"{vid}:*"} & by_class:
            numbered[number].add(f"{vid}:{pid}")
    for number, devices in sorted(numbered.items()):
        numbers_hold = Term(_NUMBER, "==", "?*")
        seconds.append(
            (numbers_hold, _behind(number), *_devices(devices), _shown([(number, None)]), _be(Role.AT_SECONDARY))
        )
    return groups + seconds


def _behind(number: int) -> Term:
    """The interface's own number is larger than this one."""
    return Term(_INTERFACE, "==", f"0[{'0123456789abcdef'[number + 1 :]}]|1?")


def _looks(*lists: Iterable[_Disputed | _AtPorts]) -> list[Rule]:
    """Whose descriptors are worth a look: by vendor, which of a device's classes."""
    wanted: defaultdict[str, set[str]] = defaultdict(set)
    for each in (each for one in lists for each in one):
        for device in each.devices:
            wanted[device[:4]].update(triple for _, triple in each.interfaces)
    groups: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for vid, triples in wanted.items():
        groups[tuple(sorted(triples))].append(f"{vid}:*")
    return [(*_devices(vendors), _has(triples), Term(_LOOK, "=", "1")) for triples, vendors in sorted(groups.items())]


def _numbers(knowledge: Knowledge) -> list[Rule]:
    found: defaultdict[tuple[str, Role], list[str]] = defaultdict(list)
    for (vid, pid, number), role in sorted(port_table(knowledge.root).items()):
        found[vid, role].append(f"{vid}:{pid}:{number:02x}")
    order = list(Role)
    return [
        (_NO_ROLE, Term(_NUMBER, "==", "|".join(numbers)), _be(role))
        for (_, role), numbers in sorted(found.items(), key=lambda item: (item[0][0], order.index(item[0][1])))
    ]


def _pci() -> list[Rule]:
    label = (Term("LABEL", "=", "atprobe_pci"), Term("ENV{ID_ATPROBE}", "=", "1"))
    # The driver's ports are wwan0at0, wwan0at1; the module makers' own drivers name theirs mhi_DUN and mhi_DUN1.
    wwan = {f"wwan[0-9]*{name}": role for name, role in WWAN_ROLES.items()}
    mhi = {f"mhi_{name.upper()}": role for name, role in MHI_ROLES.items()}
    return [label, *_named({**wwan, **mhi}), (_NO_ROLE, _be(Role.UNKNOWN))]


def _named(names: Mapping[str, Role]) -> list[Rule]:
    found: list[Rule] = []
    for name, role in names.items():
        if role is Role.AT:
            found.append((Term("KERNEL", "==", f"{name}|{name}0"), _be(role)))
            found.append((Term("KERNEL", "==", f"{name}[1-9]*"), _be(Role.AT_SECONDARY)))
        else:
            found.append((Term("KERNEL", "==", f"{name}|{name}[0-9]*"), _be(role)))
    return found


def _links() -> list[Rule]:
    other, link = Term("SUBSYSTEM", "!=", "wwan|mhi_q"), "atprobe/$env{.ATPROBE_PATH}"
    numbered = [
        (Term(_INTERFACE, "==", f"{number:02x}"), Term("OPTIONS", "+=", f"link_priority={len(_INTERFACES) - number}"))
        for number in _INTERFACES
    ]
    return [
        (Term("LABEL", "=", "atprobe_port"),),
        (
            other,
            Term(_ROLE, "!=", Role.UNKNOWN),
            Term("SYMLINK", "+=", "atprobe/$env{.ATPROBE_PATH}-$env{ATPROBE_ROLE}"),
        ),
        (
            other,
            Term("KERNEL", "!=", "ttyHS*"),
            Term("SYMLINK", "+=", f"{link}-if$env{{.ATPROBE_INTERFACE}}"),
        ),
        (Term("SUBSYSTEM", "==", "wwan|mhi_q"), Term("SYMLINK", "+=", "atprobe/$kernel")),
        *numbered,
    ]


def _access(group: str) -> list[Rule]:
    wanted = "|".join(role for role in Role if role.is_control or role is Role.UNKNOWN)
    return [
        (
            Term(_ROLE, "==", wanted),
            Term("GROUP", "=", group),
            Term("MODE", "=", "0660"),
            Term("TAG", "+=", "uaccess"),
        )
    ]
