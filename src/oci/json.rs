//! JSON as Go's `encoding/json` has it where real images depend on that: `null` stands for the empty
//! value of any type, a set of names is a map to empty objects, and empty values are left out.

use std::collections::{BTreeMap, BTreeSet};

use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// Returns the JSON of one of this crate's structures, without white space.
pub(crate) fn to_vec<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("our structures have texts for keys and always serialize")
}

/// Returns one of this crate's, or `oci-spec`'s, structures as JSON that can be changed.
pub(crate) fn to_value<T: Serialize>(value: &T) -> Value {
    serde_json::to_value(value).expect("the structures have texts for keys and always serialize")
}

/// Reads a value, or its default for `null`.
pub(crate) fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads a text where `null` and the empty text both say that there is none.
pub(crate) fn empty_is_none<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    let text: Option<String> = Option::deserialize(deserializer)?;
    Ok(text.filter(|text| !text.is_empty()))
}

/// Reads the names of `{"80/tcp": {}}`.
pub(crate) fn name_set<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeSet<String>, D::Error> {
    let map: Option<BTreeMap<String, Value>> = Option::deserialize(deserializer)?;
    Ok(map.unwrap_or_default().into_keys().collect())
}

#[derive(Serialize)]
struct Empty {}

/// Writes names as `{"80/tcp": {}}`.
pub(crate) fn write_name_set<S: Serializer>(
    names: &BTreeSet<String>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(names.len()))?;
    for name in names {
        map.serialize_entry(name, &Empty {})?;
    }
    map.end()
}

/// Says whether a flag is at Go's zero value, which `omitempty` leaves out.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde's skip_serializing_if passes a reference"
)]
pub(crate) fn is_false(flag: &bool) -> bool {
    !*flag
}

/// Says whether a number is at Go's zero value, which `omitempty` leaves out.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde's skip_serializing_if passes a reference"
)]
pub(crate) fn is_zero(number: &i64) -> bool {
    *number == 0
}
