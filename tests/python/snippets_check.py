"""Runs one block of code of a contract's page against the real celery-salt. Argument: {"title", "code"}.

All of it runs but what would need a broker: of `Event(..).publish()` and `Event(..).call(..)` the event is made, which checks
its payload, and the call is held against the method's signature. A subscriber must be given the model that it names, and a handler
of requests gives its answer, which celery-salt checks.
"""

import ast
import inspect
import json
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2] / "examples/python"), "."]

import celery_salt
from celery_salt.core import decorators

asked = json.loads(sys.argv[1])
tree = ast.parse(asked["code"])
# The name of the module whose classes these are.
names = {"__name__": "snippet"}


def run(statements):
    exec(compile(ast.Module(statements, []), "snippet", "exec"), names)


def value(expression):
    return eval(compile(ast.Expression(expression), "snippet", "eval"), names)


def sends(statement):
    """The call that sends an event, if a statement is one."""
    call = getattr(statement, "value", None)
    is_sending = isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in ("publish", "call")
    return call if is_sending else None


def check_sending():
    [(at, call)] = [(at, sends(statement)) for at, statement in enumerate(tree.body) if sends(statement)]
    run(tree.body[:at])
    event = value(call.func.value)
    assert isinstance(event, celery_salt.SaltEvent), type(event)
    assert call.func.attr == asked["title"]
    arguments = {keyword.arg: value(keyword.value) for keyword in call.keywords}
    inspect.signature(getattr(event, call.func.attr)).bind(**arguments)
    # What follows a call looks at its reply.
    assert all(ast.unparse(after) == "print(reply.payload)" for after in tree.body[at + 1 :])


def check_subscribing():
    handler = tree.body.pop()
    run(tree.body)
    # celery-salt makes the model that payloads are read with as it decorates, of the registry's schema.
    made = []
    model_of = decorators._create_model_from_schema
    decorators._create_model_from_schema = lambda schema: made.append(model_of(schema)) or made[-1]
    run([handler])
    annotated = value(handler.args.args[0].annotation)
    assert made == [annotated], f"the handler says {annotated} and is given {made}"


def check_serving():
    run(tree.body)
    [event] = [found for found in names.values() if isinstance(found, type) and found.__module__ == "snippet"]
    assert event.Meta.mode == "rpc", event
    # The function without its decorator, which makes a task of it.
    handler = tree.body[-1]
    handler.decorator_list = []
    run([handler])
    answer = names[handler.name](event.__new__(event))
    if "Response" in vars(event):
        assert isinstance(answer, event.Response), answer


{"publish": check_sending, "call": check_sending, "subscribe": check_subscribing, "serve": check_serving}[asked["title"]]()
print(json.dumps("fine"))
