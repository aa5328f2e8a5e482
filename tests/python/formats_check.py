"""Asks pydantic's types which texts they read.

Each line of standard input is {"type", "texts"}; each line of the answer {"schema", "verdicts"}: the JSON Schema that
pydantic writes for the type, and whether it reads each text.
"""

import json
import sys
from datetime import date, datetime, time, timedelta
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from uuid import UUID

from pydantic import (
    UUID1,
    UUID3,
    UUID4,
    UUID5,
    AnyUrl,
    IPvAnyAddress,
    IPvAnyInterface,
    IPvAnyNetwork,
    TypeAdapter,
    ValidationError,
)

TYPES = {
    known.__name__ if isinstance(known, type) else name: known
    for name, known in {
        "datetime": datetime,
        "date": date,
        "time": time,
        "timedelta": timedelta,
        "UUID": UUID,
        "UUID1": UUID1,
        "UUID3": UUID3,
        "UUID4": UUID4,
        "UUID5": UUID5,
        "IPv4Address": IPv4Address,
        "IPv4Network": IPv4Network,
        "IPv4Interface": IPv4Interface,
        "IPv6Address": IPv6Address,
        "IPv6Network": IPv6Network,
        "IPv6Interface": IPv6Interface,
        "IPvAnyAddress": IPvAnyAddress,
        "IPvAnyNetwork": IPvAnyNetwork,
        "IPvAnyInterface": IPvAnyInterface,
        "AnyUrl": AnyUrl,
    }.items()
}


def reads(adapter, text):
    try:
        adapter.validate_json(json.dumps(text))
    except ValidationError:
        return False
    return True


for line in sys.stdin:
    asked = json.loads(line)
    adapter = TypeAdapter(TYPES[asked["type"]])
    verdicts = [reads(adapter, text) for text in asked["texts"]]
    print(json.dumps({"schema": adapter.json_schema(), "verdicts": verdicts}))
