"""Reads the dashboard by the types that Grafana publishes, and tells what they do not know.

A key that is misspelt is lost on the way through the types, so what comes out must be what went in. Values
of enumerations are looked up.
"""

import enum
import json
import sys
import typing

from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

# What Grafana reads beside its types: on import, in a variable, and in an annotation of Prometheus.
BESIDE = {"__inputs", "__requires", "definition", "step", "textFormat", "titleFormat"}


def lost(given, kept, path=""):
    if isinstance(given, dict):
        for key, value in given.items():
            if key in kept:
                yield from lost(value, kept[key], f"{path}.{key}")
            elif key not in BESIDE:
                yield f"{path}.{key}"
    elif isinstance(given, list):
        if len(given) != len(kept):
            yield f"{path} has {len(given)} entries, not {len(kept)}"
        for index, (one, other) in enumerate(zip(given, kept)):
            yield from lost(one, other, f"{path}[{index}]")
    elif given != kept:
        yield f"{path} is {given!r}, not {kept!r}"


def unknown(thing, path=""):
    if isinstance(thing, list):
        for index, part in enumerate(thing):
            yield from unknown(part, f"{path}[{index}]")
    elif isinstance(thing, dict):
        for key, part in thing.items():
            yield from unknown(part, f"{path}.{key}")
    elif type(thing).__module__.startswith("grafana_foundation_sdk"):
        hints = typing.get_type_hints(type(thing))
        for name, part in vars(thing).items():
            for hint in [hints.get(name), *typing.get_args(hints.get(name))]:
                is_enum = isinstance(hint, type) and issubclass(hint, enum.Enum)
                if is_enum and part is not None and part not in [one.value for one in hint]:
                    yield f"{path}.{name}: {part!r}"
            yield from unknown(part, f"{path}.{name}")


def main(path):
    plugins.register_default_plugins()
    with open(path, encoding="utf-8") as file:
        given = json.load(file)
    dashboard = Dashboard.from_json(given)
    kept = json.loads(JSONEncoder().encode(dashboard))
    missed = [*lost(given, kept), *unknown(dashboard)]
    for where in missed:
        print(f"{path}: Grafana's types do not know {where}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
