//! Changes one member of a JSON body and leaves the others as they were written.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// An object whose members are not looked into.
#[derive(Default, Deserialize, Serialize)]
#[serde(transparent)]
struct Object<'a>(#[serde(borrow)] BTreeMap<String, &'a RawValue>);

/// The object `body` with the member at `path` set to the JSON text `value`. Objects on the way that
/// are missing, or null, are made.
pub(super) fn with_member(
    body: &[u8],
    path: &[&str],
    value: &str,
) -> Result<Vec<u8>, serde_json::Error> {
    let Some((name, rest)) = path.split_first() else {
        return Ok(value.as_bytes().to_vec());
    };
    let mut object: Option<Object<'_>> = serde_json::from_slice(body)?;
    let object = object.get_or_insert_default();
    let member = object.0.get(*name).map_or("null", |member| member.get());
    let member = with_member(member.as_bytes(), rest, value)?;
    let member: Box<RawValue> = serde_json::from_slice(&member)?;
    object.0.insert((*name).to_owned(), &member);
    serde_json::to_vec(object)
}
