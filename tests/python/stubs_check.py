"""Imports generated modules and asks their models about values.

Each line of standard input is {"path", "values"}; each line of the answer {"verdicts", "dumped"}, or {"error"} for a module
that can't be imported. `dumped` has what a model writes of each value that it takes.
"""

import ast
import importlib.util
import json
import sys
from pathlib import Path

from pydantic import BaseModel, ValidationError

# What runs when a generated module is imported: nothing but these.
STATEMENTS = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.FunctionDef, ast.ClassDef, ast.Expr, ast.Pass)


def model(path):
    # Not in `sys.modules`, as some tools load modules.
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    models = [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, BaseModel)]
    payloads = [value for value in models if getattr(value.__dict__.get("Meta"), "part", "") == "payload"]
    return payloads[-1]


def foreign_names(path):
    """Names that a module uses and neither defines, imports nor has from Python."""
    tree = ast.parse(path.read_text())
    own = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            own.add(node.name)
        elif isinstance(node, ast.arg):
            own.add(node.arg)
        elif isinstance(node, ast.alias):
            own.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            own.add(node.id)
    builtins = {"ValueError", "all", "any", "bool", "classmethod", "dict", "float", "frozenset", "getattr", "globals", "int", "len",
                "isinstance", "list", "property", "repr", "str", "sum", "tuple", "type", "zip"}
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    statements = [type(node).__name__ for node in tree.body if not isinstance(node, STATEMENTS)]
    modules = {node.module for node in tree.body if isinstance(node, ast.ImportFrom)}
    modules |= {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
    known = {"collections.abc", "fractions", "ipaddress", "itertools", "json", "math", "pydantic", "pydantic_core", "re", "typing"}
    return sorted(used - own - builtins) + statements + sorted(modules - known)


def answer(path, values):
    foreign = foreign_names(path)
    if foreign:
        return {"error": f"uses {foreign}"}
    try:
        cls = model(path)
    except BaseException as error:
        return {"error": f"{type(error).__name__}: {error}"}
    verdicts, dumped = [], []
    for value in values:
        try:
            event = cls.model_validate(value)
            verdicts.append(True)
            dumped.append(event.model_dump(mode="json"))
        except ValidationError:
            verdicts.append(False)
            dumped.append(None)
    return {"verdicts": verdicts, "dumped": dumped}


for line in sys.stdin:
    asked = json.loads(line)
    print(json.dumps(answer(Path(asked["path"]), asked["values"])))
