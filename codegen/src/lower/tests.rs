use serde_json::json;

use super::*;
use crate::names::Scope;

/// The lowered types in one line each, such as `Root { id: integer, next?: Root or null }`.
fn lowered(schema: Value) -> Vec<String> {
    let draft = Draft::of(&schema).unwrap();
    let mut space = lower_schema(&schema, draft, None, "Root");
    space.name_items(Scope::of_types());
    show(&space)
}

fn show(space: &Space) -> Vec<String> {
    let ty = |ty: &Type| format!("{}{}", written(space, &ty.core), if ty.nullable { " or null" } else { "" });
    let item = |item: &Item| match &item.shape {
        Shape::Record(record) => {
            let fields = record.fields.iter().map(|field| {
                let default = field.default.as_ref().map(|value| format!(" = {value}")).unwrap_or_default();
                format!("{}{}: {}{default}", field.key, if field.required { "" } else { "?" }, ty(&field.ty))
            });
            let extra = record.extra.iter().map(|extra| format!("..{}", ty(extra)));
            let closed = record.closed.then(|| "closed".to_owned());
            let members: Vec<String> = fields.chain(extra).chain(closed).collect();
            format!("{} {{ {} }}", item.name, members.join(", "))
        }
        Shape::Words(words) => format!("{} = {}", item.name, words.values.join(" | ")),
        Shape::Union(union) => {
            let variants: Vec<String> = union.variants.iter().map(|v| format!("{}({})", v.name, ty(&v.ty))).collect();
            let tag = union.tag.as_ref().map(|tag| format!(" by {tag}")).unwrap_or_default();
            format!("{}{tag} = {}", item.name, variants.join(" | "))
        }
        Shape::Alias(inner) => format!("{} is {}", item.name, ty(inner)),
    };
    space.items.iter().map(item).collect()
}

fn written(space: &Space, schema: &Value) -> String {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let index = reference.strip_prefix("#/definitions/").and_then(index_of).unwrap();
        return space.items[index].name.clone();
    }
    if let Some(any_of) = schema.get("anyOf").and_then(Value::as_array) {
        return format!("{} or null", written(space, &any_of[0]));
    }
    match (schema, schema.get("type").and_then(Value::as_str)) {
        (Value::Bool(true), _) => "any".to_owned(),
        (_, Some("array")) => match &schema["items"] {
            Value::Array(items) => {
                let items: Vec<String> = items.iter().map(|item| written(space, item)).collect();
                format!("({})", items.join(", "))
            }
            items => format!("[{}]", written(space, items)),
        },
        (_, Some("object")) => format!("map of {}", written(space, &schema["additionalProperties"])),
        (_, Some(name)) => name.to_owned(),
        _ => panic!("{schema}"),
    }
}

/// The type of a property `p` of an object with these definitions.
fn property(schema: Value, definitions: Value) -> Vec<String> {
    lowered(json!({ "type": "object", "properties": { "p": schema }, "$defs": definitions }))
}

#[test]
fn what_only_limits_values_is_left_to_the_validator() {
    for (schema, ty) in [
        (json!({"type": "string", "minLength": 1, "pattern": "^(a+)+$", "format": "uuid"}), "string"),
        (json!({"type": "integer", "minimum": 0, "maximum": 255, "format": "uint8"}), "integer"),
        (json!({"type": "number", "multipleOf": 0.01}), "number"),
        (
            json!({"type": "array", "items": {"type": "string"}, "uniqueItems": true, "contains": {"const": "x"}}),
            "[string]",
        ),
        (
            json!({"type": "object", "propertyNames": {"pattern": "x"}, "additionalProperties": {"type": "integer"}}),
            "map of integer",
        ),
        (json!({"enum": [1, 2]}), "integer"),
        (json!({"enum": [1, 2.5]}), "number"),
        (json!({"const": true}), "boolean"),
        (json!({"type": ["integer", "number"]}), "number"),
        (json!({"enum": ["a", 1]}), "any"),
        (json!({"not": {"type": "string"}}), "any"),
        (json!({"type": "null"}), "any"),
        (json!({"minLength": 3}), "any"),
        (json!({}), "any"),
        (json!(true), "any"),
    ] {
        assert_eq!(property(schema.clone(), json!({})), [format!("Root {{ p?: {ty} }}")], "{schema}");
    }
}

#[test]
fn null_is_told_in_every_spelling() {
    for schema in [
        json!({"type": ["string", "null"]}),
        json!({"anyOf": [{"type": "string"}, {"type": "null"}]}),
        json!({"oneOf": [{"type": "null"}, {"$ref": "#/$defs/s"}]}),
        json!({"$ref": "#/$defs/n"}),
        json!({"allOf": [{"$ref": "#/$defs/n"}], "description": "x"}),
        json!({"anyOf": [{"const": null}, {"type": "string", "maxLength": 3}]}),
    ] {
        let definitions = json!({"s": {"type": "string"}, "n": {"type": ["null", "string"]}});
        assert_eq!(property(schema.clone(), definitions), ["Root { p?: string or null }"], "{schema}");
    }
}

#[test]
fn bases_come_first_and_are_narrowed_by_what_follows() {
    let schema = json!({
        "allOf": [{"$ref": "#/$defs/B"}, {"$ref": "#/$defs/A"}],
        "properties": {"own": {"type": "string"}, "level": {"const": "high"}},
        "required": ["level"],
        "$defs": {
            "A": {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]},
            "B": {"allOf": [{"$ref": "#/$defs/A"}], "properties": {"level": {"enum": ["low", "high"]}}},
        },
    });
    assert_eq!(lowered(schema), ["Root { id: integer, level: RootLevel, own?: string }", "RootLevel = high"]);
}

#[test]
fn what_holds_itself_has_a_name() {
    assert_eq!(lowered(json!({"type": "object", "properties": {"next": {"$ref": "#"}}})), ["Root { next?: Root }"]);
    let json = json!({"anyOf": [{"type": "string"}, {"type": "array", "items": {"$ref": "#/$defs/Json"}}]});
    let expected = ["Root { p?: Json }", "Json = String(string) | Array([Json])"];
    assert_eq!(property(json!({"$ref": "#/$defs/Json"}), json!({"Json": json})), expected);
    let list = json!({"type": "array", "items": {"$ref": "#/$defs/L"}});
    assert_eq!(property(json!({"$ref": "#/$defs/L"}), json!({"L": list})), ["Root { p?: L }", "L is [L]"]);
    let maybe = json!({"type": ["object", "null"], "properties": {"n": {"$ref": "#/$defs/M"}}});
    assert_eq!(
        property(json!({"$ref": "#/$defs/M"}), json!({"M": maybe})),
        ["Root { p?: M or null }", "M { n?: M or null }"]
    );
    for nothing in [
        json!({"A": {"$ref": "#/$defs/A"}}),
        json!({"A": {"allOf": [{"$ref": "#/$defs/A"}]}}),
        json!({"A": {"anyOf": [{"$ref": "#/$defs/A"}]}}),
    ] {
        let shown = property(json!({"$ref": "#/$defs/A"}), nothing.clone());
        assert!(shown[0] == "Root { p?: any }" || shown[1..] == ["A is any"], "{nothing}: {shown:?}");
    }
    // A base and what derives from it hold each other: the schemas that apply come round.
    let twins = json!({
        "A": {"type": "object", "properties": {"child": {"$ref": "#/$defs/A"}}},
        "B": {"allOf": [{"$ref": "#/$defs/A"}], "properties": {"child": {"$ref": "#/$defs/B"}}},
    });
    let shown = property(json!({"$ref": "#/$defs/B"}), twins);
    assert_eq!(shown, ["Root { p?: B }", "B { child?: B }"]);
}

#[test]
fn alternatives_become_an_enum_where_they_can_be_told_apart() {
    let object =
        |properties: Value, required: Value| json!({"type": "object", "properties": properties, "required": required});
    let tagged = json!({"oneOf": [
        object(json!({"k": {"const": "a"}, "x": {"type": "string"}}), json!(["k"])),
        object(json!({"k": {"const": "b"}}), json!(["k"])),
    ]});
    assert_eq!(
        property(tagged, json!({})),
        ["Root { p?: RootP }", "RootP by k = A(RootPA) | B(RootPB)", "RootPA { x?: string }", "RootPB {  }"]
    );
    let by_members = json!({"anyOf": [
        object(json!({"a": {"type": "string"}}), json!([])),
        object(json!({"a": {"type": "string"}, "b": {"type": "string"}}), json!(["b"])),
    ]});
    // The one that demands more comes first.
    assert_eq!(
        property(by_members, json!({})),
        [
            "Root { p?: RootP }",
            "RootP = Variant1(RootPVariant1) | Variant2(RootPVariant2)",
            "RootPVariant1 { a?: string, b: string }",
            "RootPVariant2 { a?: string }",
        ]
    );
    let alike = json!({"anyOf": [
        object(json!({"a": {"type": "string"}, "c": {"type": "string"}}), json!([])),
        object(json!({"b": {"type": "integer"}, "c": {"type": "boolean"}}), json!([])),
    ]});
    assert_eq!(property(alike, json!({})), ["Root { p?: RootP }", "RootP { a?: string, c?: any, b?: integer }"]);
    let scalars =
        json!({"anyOf": [{"type": "string"}, {"enum": ["low", "high"]}, {"type": "integer"}, {"type": "null"}]});
    assert_eq!(
        property(scalars, json!({})),
        [
            "Root { p?: RootP or null }",
            "RootP = Known(RootPKnown) | String(string) | Integer(integer)",
            "RootPKnown = low | high"
        ]
    );
    let arrays = json!({"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "array"}]});
    assert_eq!(property(arrays, json!({})), ["Root { p?: any }"]);
    let only_required = json!({"type": "object", "properties": {"a": {}, "b": {}}, "oneOf": [{"required": ["a"]}, {"required": ["b"]}]});
    assert_eq!(property(only_required, json!({})), ["Root { p?: RootP }", "RootP { a?: any, b?: any }"]);
}

#[test]
fn undeclared_properties_are_kept_where_the_schema_describes_them() {
    let closed = json!({"type": "object", "properties": {"a": {}}, "patternProperties": {"^x": {"type": "string"}}, "additionalProperties": false});
    assert_eq!(lowered(closed), ["Root { a?: any, ..map of string }"]);
    let open = json!({"type": "object", "properties": {"a": {}}, "patternProperties": {"^x": {"type": "string"}}});
    assert_eq!(lowered(open), ["Root { a?: any, ..map of any }"]);
    assert_eq!(
        lowered(json!({"type": "object", "properties": {"a": {}}, "additionalProperties": {"type": "integer"}})),
        ["Root { a?: any, ..map of integer }"]
    );
    assert_eq!(lowered(json!({"type": "object"})), ["Root {  }"]);
    assert_eq!(lowered(json!({"type": "object", "additionalProperties": false})), ["Root {  }"]);
    assert_eq!(lowered(json!({"type": "object", "properties": {}})), ["Root {  }"]);
}

#[test]
fn drafts_say_the_same_in_their_own_words() {
    let old = |draft: &str| {
        json!({
            "type": "object",
            "$schema": format!("http://json-schema.org/{draft}/schema#"),
            "definitions": {"s": {"type": "string"}},
            "properties": {
                "s": {"$ref": "#/definitions/s", "type": "integer"},
                "t": {"type": "array", "items": [{"type": "number"}, {"type": "string"}], "additionalItems": false, "minItems": 2},
            },
        })
    };
    for draft in ["draft-04", "draft-06", "draft-07"] {
        assert_eq!(lowered(old(draft)), ["Root { s?: string, t?: (number, string) }"], "{draft}");
    }
    let new = json!({"type": "object", "properties": {
        "t": {"type": "array", "prefixItems": [{"type": "number"}, {"type": "string"}], "items": false, "minItems": 2},
        "v": {"type": "array", "prefixItems": [{"type": "number"}], "items": {"type": "integer"}},
        "w": {"$ref": "#word"}, "d": {"$dynamicRef": "#word"},
    }, "$defs": {"x": {"$anchor": "word", "type": "string"}}});
    assert_eq!(lowered(new), ["Root { d?: string, t?: (number, string), v?: [number], w?: string }"]);
}

#[test]
fn without_a_type_there_are_values_of_every_type() {
    assert_eq!(
        lowered(json!({"properties": {"a": {"type": "string"}}, "required": ["a"]})),
        ["Root = Object(RootObject) | Other(any)", "RootObject { a: string }"]
    );
    assert_eq!(lowered(json!({"items": {"type": "string"}})), ["Root is any"]);
}

#[test]
fn conditions_add_what_they_declare() {
    let schema = json!({
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "if": {"properties": {"a": {"const": "x"}}},
        "then": {"properties": {"b": {"type": "string"}, "c": {"type": "integer"}}},
        "else": {"properties": {"c": {"type": "integer"}}},
        "dependentSchemas": {"a": {"properties": {"d": {"type": "string"}}}},
    });
    assert_eq!(lowered(schema), ["Root { a?: string, b?: any, c?: integer, d?: any }"]);
}

#[test]
fn hostile_documents_end() {
    let nested = |levels: usize, wrap: &dyn Fn(Value) -> Value| {
        (0..levels).fold(json!({"type": "string"}), |inner, _| wrap(inner))
    };
    for schema in [
        nested(115, &|inner| json!({"type": "object", "properties": {"a": inner}})),
        nested(115, &|inner| json!({"type": "array", "items": inner})),
        nested(115, &|inner| json!({"allOf": [inner]})),
        nested(115, &|inner| json!({"anyOf": [inner, {"type": "integer"}]})),
        nested(60, &|inner| json!({"type": "object", "properties": {"a": {"oneOf": [inner, {"type": "integer"}]}}})),
    ] {
        assert!(!lowered(json!({"properties": {"p": schema}})).is_empty());
    }
    for wrap in [
        |next: &str| json!({"type": "array", "prefixItems": [{"$ref": next}, {"$ref": next}], "items": false, "minItems": 2}),
        |next: &str| json!({"anyOf": [{"$ref": next}, {"$ref": next}]}),
        |next: &str| json!({"allOf": [{"$ref": next}, {"$ref": next}]}),
        |next: &str| json!({"type": "object", "properties": {"a": {"$ref": next}, "b": {"$ref": next}}}),
    ] {
        let mut definitions = serde_json::Map::new();
        for level in 0..60 {
            definitions.insert(level.to_string(), wrap(&format!("#/$defs/{}", level + 1)));
        }
        definitions.insert("60".to_owned(), json!({"type": "string"}));
        let shown = property(json!({"$ref": "#/$defs/0"}), Value::Object(definitions));
        assert!(shown.iter().map(String::len).sum::<usize>() < 100_000);
    }
}
