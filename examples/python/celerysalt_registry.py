"""The registry of released contracts, for services on celery-salt 1.6.0.

`celerysalt sync` releases contracts to a PostgreSQL table. With this module a Python service subscribes to them by
topic, and needs nothing else of whoever publishes:

    import celerysalt_registry
    celerysalt_registry.use("postgresql://reader@db/contracts", service="mail")

    @subscribe("pulse.risk.created")
    def notify(event): ...

Call `use` before anything that says `@subscribe`: celery-salt looks its schema up there and then.
"""

from __future__ import annotations

import importlib.util
import logging
import re
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Optional, Union

import psycopg
import celery_salt
from celery_salt.core import decorators
from celery_salt.core.exceptions import SchemaRegistryUnavailableError
from celery_salt.core.registry import set_schema_registry
from jsonschema import validators
from jsonschema.protocols import Validator
from psycopg.rows import dict_row
from pydantic import BaseModel, ConfigDict, create_model, model_validator
from referencing import Registry

logger = logging.getLogger(__name__)

SUPPORTED = "1.6.0"

# celery-salt's own reading of a schema, for schemas that are not from the registry.
_read_schema = decorators._create_model_from_schema


class ReleasedSchema(dict[str, Any]):
    """The schema of a released contract, which remembers of which."""

    topic: str
    version: str


@dataclass(frozen=True)
class Contract:
    """A row of the registry."""

    topic: str
    version: str
    mode: str
    schema: dict[str, Any]
    status: str


class PostgresSchemaRegistry:
    """What celery-salt asks of a registry, answered from the table `celerysalt_schemas`.

    It only reads contracts: releasing them is what `celerysalt sync` does. A role with SELECT on the table is enough.
    Subscribers are recorded where the role may write to `celerysalt_subscribers`.
    """

    def __init__(self, url: str, service: str = "", timeout: int = 5) -> None:
        self._url = url
        self._service = service
        self._timeout = timeout

    def get_schema(self, topic: str, version: str = "latest") -> ReleasedSchema:
        """The schema of a version, or of the newest one that is not deprecated."""
        known = self._contracts(topic)
        if version == "latest":
            active = [one for one in known if one.status == "active"] or known
            found = max(active, key=lambda one: _parts(one.version), default=None)
        else:
            wanted = _parts(version)
            found = next((one for one in known if _parts(one.version) == wanted), None)
        if found is None:
            versions = ", ".join(one.version for one in known) or "none"
            raise SchemaRegistryUnavailableError(
                f"no contract {topic}@{version} is released (released: {versions}); "
                f"its publisher releases it with `celerysalt sync`"
            )
        schema = ReleasedSchema(found.schema)
        schema.topic, schema.version = found.topic, found.version
        return schema

    def register_schema(
        self,
        topic: str,
        version: str,
        schema: dict[str, Any],
        publisher_module: str,
        publisher_class: str,
        mode: str = "broadcast",
        description: str = "",
        response_schema: Optional[dict[str, Any]] = None,
        error_schema: Optional[dict[str, Any]] = None,
    ) -> dict[str, Any]:
        """Compares a class with the contract that is released.

        celery-salt raises `SchemaConflictError` when they differ in more than titles and descriptions.
        """
        released = self.get_schema(topic, version)
        same = _meaning(released) == _meaning(schema)
        return {"created": False, "existing_schema": schema if same else released}

    def track_subscriber(self, topic: str, handler_name: str) -> None:
        """Records who subscribes, for `celerysalt show`. What can't be recorded is no reason not to start."""
        try:
            with self._connect() as connection:
                connection.execute(
                    """INSERT INTO celerysalt_subscribers (topic, version, service, handler, host)
                       VALUES (%s, '*', %s, %s, %s)
                       ON CONFLICT (topic, version, service, handler)
                       DO UPDATE SET last_seen = now(), host = excluded.host""",
                    (topic, self._service, handler_name, socket.gethostname()),
                )
        except (psycopg.Error, SchemaRegistryUnavailableError) as error:
            logger.debug(
                "the subscriber of %s is not recorded: %s", topic, type(error).__name__
            )

    def _contracts(self, topic: str) -> list[Contract]:
        try:
            with self._connect() as connection:
                rows = connection.execute(
                    "SELECT topic, version, mode, schema, status FROM celerysalt_schemas WHERE topic = %s",
                    (topic,),
                ).fetchall()
        except psycopg.errors.UndefinedTable as error:
            raise SchemaRegistryUnavailableError(
                "the database has no table celerysalt_schemas: `celerysalt sync` makes it"
            ) from error
        except psycopg.Error as error:
            raise SchemaRegistryUnavailableError(
                f"can't read the registry: {type(error).__name__}"
            ) from error
        return [Contract(**row) for row in rows]

    def _connect(self) -> psycopg.Connection[dict[str, Any]]:
        try:
            return psycopg.connect(
                self._url, row_factory=dict_row, connect_timeout=self._timeout
            )
        except psycopg.OperationalError as error:
            # Its text names the host and the user, and never the password.
            raise SchemaRegistryUnavailableError(
                f"can't reach the registry: {error}"
            ) from error


def use(
    url: str, service: str = "", stubs: Optional[Union[str, Path]] = None
) -> PostgresSchemaRegistry:
    """Has celery-salt take its schemas from the registry at `url`, and check payloads against the whole of them.

    `stubs` is the folder that `celerysalt generate-stubs` wrote: handlers then get its models. Without it, or for a
    contract that it does not have, they get a model that is made on the spot.
    """
    if celery_salt.__version__ != SUPPORTED:
        raise RuntimeError(
            f"celerysalt_registry is written for celery-salt {SUPPORTED}, and this is {celery_salt.__version__}"
        )
    models = dict(_models(Path(stubs))) if stubs is not None else {}

    def model_of(schema: dict[str, Any]) -> type[BaseModel]:
        if not isinstance(schema, ReleasedSchema):
            return _read_schema(schema)
        known = models.get((schema.topic, _parts(schema.version)))
        return known or checked_model(schema)

    # celery-salt knows properties of simple types; `$ref`, `allOf`, nested objects and most rules are lost on it.
    decorators._create_model_from_schema = model_of
    registry = PostgresSchemaRegistry(url, service)
    # Its type is that of the registry in memory, which is the only one that celery-salt has.
    set_schema_registry(registry)  # type: ignore[arg-type]
    return registry


class _Checked(BaseModel):
    """A payload that was checked against its contract."""

    model_config = ConfigDict(
        extra="allow", hide_input_in_errors=True, protected_namespaces=()
    )
    _validator: ClassVar[Validator]

    @model_validator(mode="before")
    @classmethod
    def _check(cls, value: Any) -> Any:
        # By place and rule: a payload's values don't belong in logs.
        broken = sorted(
            f"/{'/'.join(map(str, error.path))}: {error.validator}"
            for error in cls._validator.iter_errors(value)
        )
        if broken:
            raise ValueError("; ".join(broken[:20]))
        return value


def checked_model(schema: ReleasedSchema) -> type[BaseModel]:
    """A model that takes exactly what the schema does. Its fields are the payload's values as JSON has them."""
    validator = validators.validator_for(schema, default=validators.validator_for({}))
    fields: dict[str, Any] = {}
    for name in _properties(schema, schema, set()):
        if (
            name.isidentifier()
            and not name.startswith("_")
            and not hasattr(BaseModel, name)
        ):
            fields[name] = (Any, None)
    title = schema.get("title")
    model = create_model(
        title if isinstance(title, str) and title else "Event",
        __base__=_Checked,
        **fields,
    )
    # References lead into the schema itself; nothing is fetched.
    model._validator = validator(schema, registry=Registry())
    return model


def _properties(root: dict[str, Any], schema: Any, seen: set[int]) -> Iterator[str]:
    """The names of the properties, those of `$ref` and `allOf` too."""
    if not isinstance(schema, dict) or id(schema) in seen:
        return
    seen.add(id(schema))
    yield from schema.get("properties", {})
    for part in schema.get("allOf", []):
        yield from _properties(root, part, seen)
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#"):
        target: Any = root
        for key in filter(None, reference[1:].split("/")):
            key = key.replace("~1", "/").replace("~0", "~")
            target = target.get(key, {}) if isinstance(target, dict) else {}
        yield from _properties(root, target, seen)


def _models(
    folder: Path,
) -> Iterator[tuple[tuple[str, tuple[int, ...]], type[BaseModel]]]:
    """The models in a folder of stubs, by topic and version."""
    if not folder.is_dir():
        raise FileNotFoundError(
            f"there is no folder {folder}: `celerysalt generate-stubs` writes it"
        )
    for path in sorted(folder.glob("*.py")):
        for value in vars(_import(path)).values():
            if not isinstance(value, type) or not issubclass(value, BaseModel):
                continue
            meta = value.__dict__.get("Meta")
            # Responses and errors are of the same contract, and are no payloads.
            if meta is not None and getattr(meta, "part", "") == "payload":
                yield (meta.topic, _parts(meta.version)), value


def _import(path: Path) -> ModuleType:
    # A service that imports the stub itself must get the same classes.
    for module in list(sys.modules.values()):
        if (
            getattr(module, "__file__", None)
            and Path(module.__file__).resolve() == path.resolve()
        ):
            return module
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no module")
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)
    spec.loader.exec_module(module)
    return module


def _parts(version: str) -> tuple[int, ...]:
    """`v1.10` is newer than `v1.2`, and `v1` is `v1.0`."""
    numbers = [int(number) for number in re.findall(r"\d+", version)][:3]
    return tuple(numbers + [0] * (3 - len(numbers)))


def _meaning(schema: Any) -> Any:
    """A schema without what only describes it."""
    describing = {
        "title",
        "description",
        "examples",
        "$schema",
        "$comment",
        "x-celerysalt",
    }
    if isinstance(schema, dict):
        return {
            # Below `properties` and `$defs` these are names.
            key: (
                {name: _meaning(part) for name, part in value.items()}
                if key in {"properties", "$defs", "patternProperties"}
                and isinstance(value, dict)
                else _meaning(value)
            )
            for key, value in schema.items()
            if key not in describing
        }
    if isinstance(schema, list):
        return [_meaning(item) for item in schema]
    return schema
