//! Between [`Json`] and serde: generated types can go wherever serde's types go, and types of serde can be events.

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeOwned, Error as _},
    ser::Error as _,
};
use serde_json::Value;

use super::{Json, Mismatch, Reader, Writer, from_text, to_text};

/// `Serialize::serialize` of a type that is [`Json`].
///
/// # Errors
/// What the serializer refuses, and numbers that are not finite.
pub fn serialize<T: Json, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    let text = to_text(value).map_err(|_| S::Error::custom("a number is not finite, which JSON has no words for"))?;
    let tree: Value = from_text(&text).map_err(|Mismatch| S::Error::custom("the value has no JSON form"))?;
    tree.serialize(serializer)
}

/// `Deserialize::deserialize` of a type that is [`Json`].
///
/// # Errors
/// What the deserializer refuses, and JSON of another form.
pub fn deserialize<'de, T: Json, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    let tree = Value::deserialize(deserializer)?;
    from_text(&tree.to_string()).map_err(|Mismatch| D::Error::custom("the value does not have the type's form"))
}

/// `Json::read` of a type of serde.
///
/// # Errors
/// [`Mismatch`] for what serde refuses.
pub fn read_by_serde<T: DeserializeOwned>(reader: &mut Reader<'_>) -> Result<T, Mismatch> {
    let text = reader.skip()?;
    serde_json::from_str(text).map_err(|_| Mismatch)
}

/// `Json::write` of a type of serde; one that serde refuses is written as a text that no contract accepts.
pub fn write_by_serde<T: Serialize>(value: &T, writer: &mut Writer) {
    match serde_json::to_string(value) {
        Ok(text) => writer.push(&text),
        Err(_) => writer.refuse(),
    }
}
