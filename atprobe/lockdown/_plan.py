"""Modules -> plan -> file -> plan. Sends nothing.

A plan that is read back is trusted in nothing: every command is made anew from the profile, and has to be the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from atprobe.knowledge import Knowledge, SettingRule
from atprobe.model import Advice, Module, ModulePlan, Plan, State, Step, Surface, is_imei

SCHEMA = "atprobe.plan/1"
MAX_BYTES = 4 * 1024 * 1024

_SAID = ("effect", "leaves", "risk", "persistent", "reboot", "confidence", "source")
"""What a step says of its switch, beside the title of the surface."""

_NO_IMEI = "the module gave no valid IMEI, so a plan cannot be bound to it"
_NO_SWITCH = "there is no switch that could be used now"
_TWINS = "another module here has the same IMEI, so a plan could reach the wrong one"


class PlanError(Exception):
    """A plan cannot be used. `problems` names every fault, at least one."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def make_plan(modules: Sequence[Module], include: Collection[str], knowledge: Knowledge, made: str) -> Plan:
    """What would switch off every surface of `modules` that is on, as far as a documented switch exists.

    `include` names the surfaces whose switch can cut a service of the product (`opt_in`); without it these are advice.
    `made` is the time. Raises PlanError where `include` has a name that no profile knows.
    """
    known = {rule.id for profile in knowledge.profiles.values() for rule in profile.surfaces}
    if unknown := sorted(set(include) - known):
        raise PlanError(f"no profile has a surface {', '.join(unknown)}; 'atprobe probe' shows the names")
    imeis = [module.identity.imei for module in modules]
    planned = tuple(_module(module, include, imeis.count(module.identity.imei) > 1) for module in modules)
    return Plan(_digest(made, knowledge.version, planned), made, knowledge.version, planned)


def _module(module: Module, include: Collection[str], twins: bool) -> ModulePlan:
    identity = module.identity
    port = next(iter([port.path for port in module.device.ports if port.probed]), module.device.ports[0].path)
    barred = _TWINS if twins else None if is_imei(identity.imei or "") else _NO_IMEI
    steps: list[Step] = []
    advice: list[Advice] = []
    for surface in module.surfaces:
        reason = barred or _why_not(surface, include)
        if surface.state is State.ON and reason is None:
            steps += _steps(surface)
        elif surface.state in (State.ON, State.UNKNOWN):
            parts = [part for part in (reason, surface.advice) if part] or [_NO_SWITCH]
            text = ". ".join(part[:1].upper() + part[1:].rstrip(".") for part in parts)
            advice.append(Advice(surface.id, surface.title, surface.state, text))
    return ModulePlan(
        identity.imei or "",
        identity.maker or "",
        identity.model,
        identity.build or identity.firmware,
        port,
        tuple(steps),
        tuple(advice),
    )


def _why_not(surface: Surface, include: Collection[str]) -> str | None:
    """Why nothing is sent for this surface, empty where its advice says that; None where something is sent."""
    switch = surface.switch
    if switch is None:
        return ""
    if not switch.automated:
        return f"a switch is only {switch.confidence} ({', '.join(switch.commands)}), so it is not sent"
    if not switch.commands:
        return "its settings are as they would be set; the switch does no more"
    if switch.opt_in and surface.id not in include:
        risk = f" ({switch.risk})" if switch.risk else ""
        return f"switching it off can cut a service of the product{risk}; add --include {surface.id} to plan it"
    return None


def _steps(surface: Surface) -> list[Step]:
    switch = surface.switch
    assert switch is not None
    return [
        Step(
            surface.id,
            surface.title,
            setting.name,
            setting.read,
            setting.values,
            setting.off,
            setting.write,
            setting.undo,
            switch.effect,
            switch.leaves,
            switch.risk,
            switch.persistent,
            switch.reboot,
            switch.confidence,
            switch.source,
        )
        for setting in switch.settings
        if setting.write is not None
    ]


def dump(plan: Plan) -> str:
    """The plan as a JSON document."""
    return json.dumps({"schema": SCHEMA, **_plain(plan)}, indent=2, ensure_ascii=True) + "\n"


def load(text: str, knowledge: Knowledge) -> Plan:
    """The plan of a JSON document, every command checked against the profiles. Raises PlanError."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PlanError(f"it is no JSON ({error})") from None
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise PlanError(f"it is no plan: its schema is not {SCHEMA}")
    try:
        modules = tuple(_read_module(entry) for entry in data["modules"])
        made, profiles = _text(data["made"]), _text(data["profiles"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PlanError(f"it is damaged ({error!r}); make a new one with 'atprobe lockdown plan'") from None
    imeis = [module.imei for module in modules]
    problems = [f"it has {imei} twice" for imei in dict.fromkeys(imeis) if imeis.count(imei) > 1 and imei]
    problems += [problem for module in modules for problem in _faults(module, knowledge)]
    if problems:
        raise PlanError(*problems)
    return Plan(_digest(made, profiles, modules), made, profiles, modules)


def rule_of(knowledge: Knowledge, maker: str, step: Step) -> SettingRule | None:
    """The profile's rule for the setting that a step writes; None where the profile has none that may be written."""
    found = next((rule for rule in knowledge.surfaces_of(maker) if rule.id == step.surface), None)
    if found is None or found.switch is None or not found.switch.automated:
        return None
    matching = [each for each in found.switch.settings if each.write == step.setting and each.read == step.read]
    return next((each for each in matching if _is_of(each, step)), None)


def _says(knowledge: Knowledge, maker: str, step: Step) -> bool:
    """Whether a step says of its switch what the profile says: people confirm it by that, and restarts go by it."""
    found = next((rule for rule in knowledge.surfaces_of(maker) if rule.id == step.surface), None)
    if found is None or found.switch is None:
        return False
    return step.title == found.title and all(getattr(step, name) == getattr(found.switch, name) for name in _SAID)


def _is_of(rule: SettingRule, step: Step) -> bool:
    return (
        rule.command(step.after) == step.command
        and rule.command(step.before) == step.undo
        and rule.same(rule.with_off(step.before), step.after)
    )


def _faults(module: ModulePlan, knowledge: Knowledge) -> list[str]:
    if not module.steps:
        return []
    if not is_imei(module.imei):
        return [f"{module.imei!r} is no IMEI"]
    faults = []
    for step in module.steps:
        if rule_of(knowledge, module.maker, step) is None:
            faults.append(
                f"{step.command!r} is not what the profile of {module.maker} has for {step.surface}; "
                "make a new plan with 'atprobe lockdown plan'"
            )
        elif not _says(knowledge, module.maker, step):
            faults.append(
                f"what it says of {step.surface} is not what the profile says; "
                "make a new plan with 'atprobe lockdown plan'"
            )
        elif knowledge.forbids(step.command) or knowledge.forbids(step.undo):
            faults.append(f"{step.command!r} must never be sent")
    return faults


def _plain(plan: Plan) -> dict[str, Any]:
    data = asdict(plan)
    for module in data["modules"]:
        for step in module["steps"]:
            step["before"], step["after"] = dict(step["before"]), dict(step["after"])
    return data


def _digest(made: str, profiles: str, modules: tuple[ModulePlan, ...]) -> str:
    content = json.dumps([made, profiles, [asdict(module) for module in modules]], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _optional(value: object) -> str | None:
    return None if value is None else _text(value)


def _values(value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, Mapping):
        raise TypeError(f"{value!r} is no mapping")
    return tuple((_text(key), _text(item)) for key, item in value.items())


_STEP: dict[str, Callable[[object], Any]] = {
    **dict.fromkeys(Step.__dataclass_fields__, _text),
    "before": _values,
    "after": _values,
    "leaves": _optional,
    "risk": _optional,
}


def read_step(entry: Mapping[str, object]) -> Step:
    """A step of a file or of the journal. Raises KeyError, TypeError."""
    return Step(**{name: read(entry[name]) for name, read in _STEP.items()})


def _read_module(entry: Mapping[str, Any]) -> ModulePlan:
    return ModulePlan(
        _text(entry["imei"]),
        _text(entry["maker"]),
        _optional(entry["model"]),
        _optional(entry["firmware"]),
        _text(entry["port"]),
        tuple(read_step(step) for step in entry["steps"]),
        tuple(
            Advice(_text(each["surface"]), _text(each["title"]), State(each["state"]), _text(each["text"]))
            for each in entry["advice"]
        ),
    )
