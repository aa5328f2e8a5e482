T = TypeVar("T")

Rule = Callable[[Any], bool]


def _integral(value: Any) -> Any:
    """In JSON, 1.0 is an integer."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


Integer = Annotated[int, Strict(), BeforeValidator(_integral)]

Number = Union[Annotated[int, Strict()], Annotated[float, Strict(), AllowInfNan(False)]]


def _present(value: Any) -> Any:
    if value is None:
        raise ValueError("may be absent, but not null")
    return value


# May be absent, which is None here; null is refused.
Maybe = Annotated[Union[T, None], BeforeValidator(_present)]


def _obey(keyword: str, rule: Rule) -> BeforeValidator:
    """Refuses what breaks a rule of the contract."""

    def check(value: Any) -> Any:
        if not rule(to_jsonable_python(value, by_alias=True)):
            raise ValueError(f"breaks the contract's `{keyword}`")
        return value

    return BeforeValidator(check)


class _Contract(BaseModel):
    """Writes the names of the contract, and leaves out what was never set."""

    model_config = ConfigDict(
        extra="allow",
        hide_input_in_errors=True,
        serialize_by_alias=True,
        protected_namespaces=(),
    )
    _rules: ClassVar[dict[str, Rule]] = {}

    @model_validator(mode="before")
    @classmethod
    def _keep_rules(cls, value: Any) -> Any:
        if cls._rules and not isinstance(value, cls):
            plain = to_jsonable_python(value, by_alias=True)
            for keyword, rule in cls._rules.items():
                if not rule(plain):
                    raise ValueError(f"breaks the contract's `{keyword}`")
        return value

    @model_serializer(mode="wrap")
    def _leave_out(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = handler(self)
        for name, field in type(self).model_fields.items():
            if name not in self.model_fields_set:
                written.pop(field.alias or name, None)
        return written


def _anything(value: Any) -> bool:
    return True


def _nothing(value: Any) -> bool:
    return False


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _kind(*names: str) -> Rule:
    """The value is of one of these types of JSON."""

    def is_kind(value: Any, name: str) -> bool:
        if name == "null":
            return value is None
        if name == "boolean":
            return isinstance(value, bool)
        if name == "number":
            return _is_number(value)
        if name == "integer":
            return _is_number(value) and value == value // 1
        return isinstance(value, {"string": str, "array": list, "object": dict}[name])

    return lambda value: any(is_kind(value, name) for name in names)


def _key(value: Any) -> Any:
    """Equal for values that JSON Schema takes for equal: 1 and 1.0, but not true."""
    if isinstance(value, list):
        return ("array", tuple(_key(item) for item in value))
    if isinstance(value, dict):
        members = frozenset((name, _key(member)) for name, member in value.items())
        return ("object", members)
    return ("number" if _is_number(value) else type(value).__name__, value)


def _equals(*values: Any) -> Rule:
    keys = {_key(value) for value in values}
    return lambda value: _key(value) in keys


def _length(at_least: int = 0, at_most: Optional[int] = None) -> Rule:
    def holds(value: Any) -> bool:
        if not isinstance(value, str):
            return True
        return len(value) >= at_least and (at_most is None or len(value) <= at_most)

    return holds


def _pattern(pattern: str) -> Rule:
    """Found anywhere in a text, by an engine whose time is linear."""
    schema = core_schema.str_schema(pattern=pattern, strict=True)
    found = SchemaValidator(schema).isinstance_python
    return lambda value: not isinstance(value, str) or found(value)


def _search(pattern: str) -> Rule:
    """Found anywhere in a text, by an engine that knows how to look around."""
    search = re.compile(pattern, re.ASCII).search
    return lambda value: not isinstance(value, str) or search(value) is not None


def _format(kind: str, **options: Any) -> Rule:
    """A text that pydantic's own type of this kind reads."""
    schema = getattr(core_schema, f"{kind}_schema")(**options)
    reads = SchemaValidator(schema).isinstance_python
    return lambda value: not isinstance(value, str) or reads(value)


def _address(kind: str) -> Rule:
    """A text that this part of the module reads."""
    read = getattr(ipaddress, kind)

    def holds(value: Any) -> bool:
        try:
            return not isinstance(value, str) or read(value) is not None
        except ValueError:
            return False

    return holds


def _bounds(
    ge: Optional[float] = None,
    gt: Optional[float] = None,
    le: Optional[float] = None,
    lt: Optional[float] = None,
) -> Rule:
    def holds(value: Any) -> bool:
        if not _is_number(value):
            return True
        return (
            (ge is None or value >= ge)
            and (gt is None or value > gt)
            and (le is None or value <= le)
            and (lt is None or value < lt)
        )

    return holds


def _multiple(of: str) -> Rule:
    """In decimals, as JSON writes numbers: 0.3 is a multiple of 0.1."""
    step = Fraction(of)

    def holds(value: Any) -> bool:
        if not _is_number(value):
            return True
        if isinstance(value, float) and not isfinite(value):
            return False
        return Fraction(repr(value)) % step == 0

    return holds


def _size(at_least: int = 0, at_most: Optional[int] = None) -> Rule:
    def holds(value: Any) -> bool:
        if not isinstance(value, list):
            return True
        return len(value) >= at_least and (at_most is None or len(value) <= at_most)

    return holds


def _unique(value: Any) -> bool:
    if not isinstance(value, list):
        return True
    return len({_key(item) for item in value}) == len(value)


def _contains(rule: Rule, at_least: int = 1, at_most: Optional[int] = None) -> Rule:
    def holds(value: Any) -> bool:
        if not isinstance(value, list):
            return True
        count = sum(rule(item) for item in value)
        return count >= at_least and (at_most is None or count <= at_most)

    return holds


def _items(first: list[Rule], rest: Rule) -> Rule:
    def holds(value: Any) -> bool:
        if not isinstance(value, list):
            return True
        rules = chain(first, repeat(rest))
        return all(rule(item) for rule, item in zip(rules, value))

    return holds


def _members(at_least: int = 0, at_most: Optional[int] = None) -> Rule:
    def holds(value: Any) -> bool:
        if not isinstance(value, dict):
            return True
        return len(value) >= at_least and (at_most is None or len(value) <= at_most)

    return holds


def _required(*names: str) -> Rule:
    def holds(value: Any) -> bool:
        return not isinstance(value, dict) or all(name in value for name in names)

    return holds


def _with(name: str, rule: Rule) -> Rule:
    """The rule holds for an object that has this property."""

    def holds(value: Any) -> bool:
        return not isinstance(value, dict) or name not in value or rule(value)

    return holds


def _names(rule: Rule) -> Rule:
    def holds(value: Any) -> bool:
        return not isinstance(value, dict) or all(rule(name) for name in value)

    return holds


def _matching(name: Rule, rule: Rule) -> tuple[Rule, Rule]:
    return name, rule


def _properties(
    named: dict[str, Rule],
    patterns: list[tuple[Rule, Rule]],
    rest: Rule,
) -> Rule:
    def holds(value: Any) -> bool:
        if not isinstance(value, dict):
            return True
        for name, member in value.items():
            rules = [rule for matches, rule in patterns if matches(name)]
            if name in named:
                rules.append(named[name])
            if not all(rule(member) for rule in rules or [rest]):
                return False
        return True

    return holds


def _all(*rules: Rule) -> Rule:
    return lambda value: all(rule(value) for rule in rules)


def _any(*rules: Rule) -> Rule:
    return lambda value: any(rule(value) for rule in rules)


def _exactly_one(*rules: Rule) -> Rule:
    return lambda value: sum(rule(value) for rule in rules) == 1


def _not(rule: Rule) -> Rule:
    return lambda value: not rule(value)


def _if(condition: Rule, then: Rule, otherwise: Rule) -> Rule:
    return lambda value: then(value) if condition(value) else otherwise(value)


def _ref(rule: Callable[[], Rule]) -> Rule:
    """A rule that is defined further down."""
    return lambda value: rule()(value)
