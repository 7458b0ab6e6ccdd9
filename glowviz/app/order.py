"""The order of graph passes as data: read from YAML, written as YAML, and one pass moved before another."""

from typing import Any

import yaml

from glowviz.app.problem import Problem
from glowviz.compiler.pipeline import GRAPH_STAGES, arranged, pipeline_passes
from glowviz.compiler.rewrite import PASSES, PassProblem

Order = dict[str, list[str]]
PLAIN = (bool, int, float, str)


def order_of(options: dict[str, Any]) -> Order:
    """Return the order that a recording's options say, else the pipeline's own."""
    return dict(options.get("order") or ()) or {stage.name: list(stage.passes) for stage in GRAPH_STAGES}


def order_option(order: Order) -> list[tuple[str, list[str]]]:
    """Return an order as a job's option: a list, because the keys of a job's arguments have no order."""
    return list(order.items())


def order_text(order: Order) -> str:
    """Return an order as YAML, one stage a line or more."""
    return yaml.safe_dump(order, sort_keys=False, default_flow_style=None, width=72)


def read_order(text: str) -> Order:
    """Return the order in a YAML text; raises Problem for one that cannot be, with the reason."""
    try:
        order = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise Problem(f"The order is no YAML: {error}.", "Order of passes", "Stage: [pass, pass]") from error
    if not isinstance(order, dict) or not all(isinstance(names, list) for names in order.values()):
        raise Problem("The order does not say stages with lists of passes.", "Order of passes", "Stage: [pass, pass]")
    named = {str(stage): [str(name) for name in names] for stage, names in order.items()}
    try:
        arranged(named)
    except PassProblem as problem:
        raise Problem(f"{problem}.", "Order of passes", remedy="Change the order.") from problem
    return named


def settable(options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the options of all passes that have any: {pass, options [{name, kind, default, value}]}."""
    given = options.get("passes") or {}
    rows = []
    for name in dict.fromkeys((*pipeline_passes(), *PASSES)):
        own = [{"name": one.name, "kind": one.kind.__name__, "default": one.default,
                "value": given.get(name, {}).get(one.name, one.default)}
               for one in PASSES[name].options.values() if one.kind in PLAIN]
        if own and name != "bind_shapes":
            rows.append({"pass": name, "options": own})
    return rows


def pass_options(given: object) -> dict[str, dict[str, Any]]:
    """Return options of passes as a job takes them, without those that are as ever; Problem for what no pass has."""
    if not isinstance(given, dict) or not all(isinstance(own, dict) for own in given.values()):
        raise Problem("The options are no options of passes.", "Options of passes", "{pass: {option: value}}")
    found: dict[str, dict[str, Any]] = {}
    for name, own in given.items():
        if name not in PASSES:
            raise Problem(f"There is no pass {name!r}.", "Options of passes", ", ".join(sorted(PASSES)))
        try:
            PASSES[name].check(own)
        except PassProblem as problem:
            raise Problem(f"{problem}.", "Options of passes", remedy="Change the option.") from problem
        for key, value in own.items():
            if value != PASSES[name].options[key].default:
                found.setdefault(name, {})[key] = value
    return found


def moved(order: Order, name: str, position: int) -> Order:
    """Return `order` with the first `name` after place `position` (counted from 0 over all stages) moved there."""
    flat = [(stage, one) for stage, names in order.items() for one in names]
    later = next((at for at in range(position, len(flat)) if flat[at][1] == name), None)
    if not 0 <= position < len(flat) or later is None:
        raise Problem(f"{name} does not run after place {position}.", "Order of passes", remedy="Reload the page.")
    del flat[later]
    flat.insert(position, (flat[position][0], name))
    made: Order = {stage: [] for stage in order}
    for stage, one in flat:
        made[stage].append(one)
    return made
