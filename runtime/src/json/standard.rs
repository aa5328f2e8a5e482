//! How the types of fields are read and written.

use std::collections::BTreeMap;

use serde_json::{Map, Number, Value};

use super::{Integer, Json, Mismatch, Reader, Writer};

impl Json for String {
    #[inline]
    fn read(reader: &mut Reader<'_>) -> Result<Self, Mismatch> {
        reader.owned_string()
    }

    fn write(&self, writer: &mut Writer) {
        writer.string(self);
    }
}

impl Json for bool {
    #[inline]
    fn read(reader: &mut Reader<'_>) -> Result<Self, Mismatch> {
        reader.boolean()
    }

    fn write(&self, writer: &mut Writer) {
        writer.push(if *self { "true" } else { "false" });
    }
}

impl Json for i64 {
    #[inline]
    fn read(reader: &mut Reader<'_>) -> Result<Self, Mismatch> {
        reader.integer()
    }

    fn write(&self, writer: &mut Writer) {
        writer.integer(*self);
    }
}

impl Json for Integer {
    #[inline]
    fn read(reader: &mut Reader<'_>) -> Result<Self, Mismatch> {
        let (value, same) = Self::from_number(reader.number()?).ok_or(Mismatch)?;
        if !same {
            reader.not_exact();
        }
        Ok(value)
    }

    fn write(&self, writer: &mut Writer) {
        match self.as_i64() {
            Some(value) => writer.integer(value),
            None => writer.push(&self.to_string()),
        }
    }
}

impl Json for f64 {
    #[inline]
    fn read(reader: &mut Reader<'_>) -> Result<Self, Mismatch> {
        reader.float()
    }

    fn write(&self, writer: &mut Writer) {
        writer.float(*self);
    }
}

impl<T: Json> Json for Option<T> {
    #[inline]
    fn read(reader: &mut Reader<'_>) -> Result<Self, Mismatch> {
        if reader.null() { Ok(None) } else { T::read(reader).map(Some) }
    }

    fn write(&self, writer: &mut Writer) {
        match self {
            Some(value) => value.write(writer),
            None => writer.push("null"),
        }
    }
}

impl<T: Json> Json for Box<T> {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Mismatch> {
        T::read(reader).map(Self::new)
    }

    fn write(&self, writer: &mut Writer) {
        T::write(self, writer);
    }
}

impl<T: Json> Json for Vec<T> {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Mismatch> {
        let mut items = Self::new();
        reader.array(|reader, _| {
            items.push(T::read(reader)?);
            Ok(())
        })?;
        Ok(items)
    }

    fn write(&self, writer: &mut Writer) {
        writer.array(self);
    }
}

impl<T: Json> Json for BTreeMap<String, T> {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Mismatch> {
        let mut members = Self::new();
        reader.object(&[], &mut |reader, _, name| {
            let name = reader.name(name).into_owned();
            members.insert(name, T::read(reader)?);
            Ok(())
        })?;
        Ok(members)
    }

    fn write(&self, writer: &mut Writer) {
        writer.open();
        for (name, value) in self {
            writer.field(name, value);
        }
        writer.close();
    }
}

impl Json for Map<String, Value> {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Mismatch> {
        let mut members = Self::new();
        reader.object(&[], &mut |reader, _, name| {
            let name = reader.name(name).into_owned();
            members.insert(name, Value::read(reader)?);
            Ok(())
        })?;
        Ok(members)
    }

    fn write(&self, writer: &mut Writer) {
        writer.open();
        for (name, value) in self {
            writer.field(name, value);
        }
        writer.close();
    }
}

impl Json for Value {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Mismatch> {
        match reader.peek() {
            Some(b'{') => Map::read(reader).map(Self::Object),
            Some(b'[') => Vec::read(reader).map(Self::Array),
            Some(b'"') => String::read(reader).map(Self::String),
            Some(b't' | b'f') => bool::read(reader).map(Self::Bool),
            Some(b'n') if reader.null() => Ok(Self::Null),
            _ => {
                let number = reader.number()?;
                if !number.is_exact_value() {
                    reader.not_exact();
                }
                let integer = |text: &str| {
                    let signed = text.parse::<i64>().ok().filter(|value| *value != 0 || !text.starts_with('-'));
                    signed.map(Number::from).or_else(|| text.parse::<u64>().ok().map(Number::from))
                };
                let exact = if number.is_plain { integer(number.text) } else { None };
                // Beyond all floats, the largest is the nearest there is.
                let float = || Number::from_f64(number.to_f64().clamp(f64::MIN, f64::MAX));
                exact.or_else(float).map(Self::Number).ok_or(Mismatch)
            }
        }
    }

    fn write(&self, writer: &mut Writer) {
        match self {
            Self::Null => writer.push("null"),
            Self::Bool(value) => value.write(writer),
            Self::Number(number) => writer.push(&number.to_string()),
            Self::String(text) => writer.string(text),
            Self::Array(items) => items.write(writer),
            Self::Object(members) => members.write(writer),
        }
    }
}

macro_rules! tuples {
    ($($length:literal: $($name:ident $place:tt),+;)+) => {$(
        impl<$($name: Json),+> Json for ($($name,)+) {
            fn read(reader: &mut Reader<'_>) -> Result<Self, Mismatch> {
                let mut slots = ($(None::<$name>,)+);
                reader.array(|reader, index| {
                    match index {
                        $($place => slots.$place = Some($name::read(reader)?),)+
                        _ => return Err(Mismatch),
                    }
                    Ok(())
                })?;
                Ok(($(slots.$place.ok_or(Mismatch)?,)+))
            }

            fn write(&self, writer: &mut Writer) {
                writer.push("[");
                $(
                    writer.comma($place);
                    self.$place.write(writer);
                )+
                writer.push("]");
            }
        }
    )+};
}
tuples! {
    1: A 0;
    2: A 0, B 1;
    3: A 0, B 1, C 2;
    4: A 0, B 1, C 2, D 3;
    5: A 0, B 1, C 2, D 3, E 4;
    6: A 0, B 1, C 2, D 3, E 4, F 5;
    7: A 0, B 1, C 2, D 3, E 4, F 5, G 6;
    8: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7;
    9: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8;
    10: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9;
    11: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10;
    12: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11;
}
