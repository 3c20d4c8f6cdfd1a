//! Vectors as providers write them: a list of numbers, or base64 of little-endian f32.
//!
//! What f32 has no finite number for is refused: JSON has no form for it, so no client could be told.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::json::{DecodeError, Item};

const EXPECTED: &str = "numbers, or base64 of little-endian f32";

/// The vector in either form.
pub(crate) fn decode(item: &Item<'_>) -> Result<Vec<f32>, DecodeError> {
    let wrong = || item.expected(EXPECTED);
    let vector: Vec<f32> = if item.is_string() {
        let bytes = STANDARD.decode(item.string()?).map_err(|_| wrong())?;
        let (numbers, []) = bytes.as_chunks::<4>() else { return Err(wrong()) };
        numbers.iter().map(|number| f32::from_le_bytes(*number)).collect()
    } else {
        serde_json::from_str(item.raw()).map_err(|_| wrong())?
    };
    if vector.iter().all(|number| number.is_finite()) { Ok(vector) } else { Err(wrong()) }
}

/// Its base64 form.
pub(crate) fn base64(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Json;

    fn read(text: &str) -> Result<Vec<f32>, DecodeError> {
        decode(&Json::parse(text).unwrap().item("data[0].embedding"))
    }

    #[test]
    fn both_forms_are_read() {
        assert_eq!(read("[1, -2.5, 0]"), Ok(vec![1.0, -2.5, 0.0]));
        // struct.pack("<2f", 1.0, -2.5)
        assert_eq!(read("\"AACAPwAAIMA=\""), Ok(vec![1.0, -2.5]));
        assert_eq!(base64(&[1.0, -2.5]), "AACAPwAAIMA=");
        assert_eq!((read("[]"), read("\"\"")), (Ok(vec![]), Ok(vec![])));
    }

    #[test]
    fn what_is_no_number_is_refused_by_its_place() {
        let packed = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY].map(|number| format!("{:?}", base64(&[0.5, number])));
        let others = ["[1e39]", "[-1e39]", "[null]", "[\"1\"]", "7", "null", "{}", "\"AACA\"", "\"?\""];
        for text in packed.iter().map(String::as_str).chain(others) {
            let error = read(text).expect_err(text).to_string();
            assert!(error.contains("data[0].embedding"), "{text}: {error}");
        }
    }
}
