//! Amazon Reviews 2023: one JSON object per line.

use serde_json::Value;

use super::entities::clean;
use super::fields::{identifier, optional, optional_text, optional_texts, text};
use super::notes::RowNotes;
use super::rating::rating;
use super::time;
use crate::{Item, Review};

pub(super) fn review(row: &Value, notes: &mut RowNotes) -> Result<Review, String> {
    Ok(Review {
        user: identifier(row, "user_id")?,
        item: item_id(row)?,
        text: clean(&text(row, "text")?),
        rating: rating(row, "rating", notes),
        title: clean(&optional_text(row, "title", notes)),
        // Milliseconds in this release.
        time: time::seconds_of_milliseconds(row, "timestamp", notes),
    })
}

pub(super) fn item(row: &Value, notes: &mut RowNotes) -> Result<Item, String> {
    let mut categories = optional_texts(row, "categories", notes);
    if categories.is_empty() {
        categories = optional_texts(row, "main_category", notes);
    }
    Ok(Item {
        id: item_id(row)?,
        title: clean(&optional_text(row, "title", notes)),
        description: clean(&description(row, notes)),
        categories: categories.iter().map(|name| clean(name)).collect(),
    })
}

/// The description; many items have none, and then their features say what they are, else their
/// details (the makers of the data set advise to take features and details).
fn description(row: &Value, notes: &mut RowNotes) -> String {
    let mut description = optional_texts(row, "description", notes);
    // A heading that the shop inserts; it is not part of the description.
    description.retain(|piece| piece.trim() != "Product Description");
    if description.is_empty() {
        description = optional_texts(row, "features", notes);
    }
    if description.is_empty() {
        description.extend(details(row));
    }
    description.join(" ")
}

/// The details as one sentence (`Brand: Heddle; Colour: red.`), without values that are no texts.
fn details(row: &Value) -> Option<String> {
    let details = match optional(row, "details")? {
        // Some copies of the data set have the object as a text.
        Value::String(text) => serde_json::from_str(text).ok()?,
        details => details.clone(),
    };
    let pairs = details.as_object()?.iter().filter_map(|(name, value)| match value {
        Value::String(value) if !value.trim().is_empty() => Some(format!("{name}: {value}")),
        Value::Number(value) => Some(format!("{name}: {value}")),
        _ => None,
    });
    let pairs: Vec<String> = pairs.collect();
    (!pairs.is_empty()).then(|| format!("{}.", pairs.join("; ")))
}

/// Editions of one product share the parent. The few rows without a parent use their own ASIN.
fn item_id(row: &Value) -> Result<String, String> {
    match optional(row, "parent_asin") {
        None if optional(row, "asin").is_some() => identifier(row, "asin"),
        _ => identifier(row, "parent_asin"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::import::json_lines::parse;

    fn review(row: &Value) -> Result<Review, String> {
        super::review(row, &mut RowNotes::default())
    }

    fn item(row: &Value) -> Result<Item, String> {
        super::item(row, &mut RowNotes::default())
    }

    #[test]
    fn a_review_and_its_item() {
        let row = json!({
            "rating": 4.0, "title": "Fine &amp; dry", "text": "One.<br />Two &#34;three&#34;.",
            "asin": "A1", "parent_asin": "P1", "user_id": "U", "timestamp": 1_588_687_728_923_i64,
            "helpful_vote": 0, "verified_purchase": true, "images": []
        });
        let read = review(&row).unwrap();
        assert_eq!((read.user.as_str(), read.item.as_str()), ("U", "P1"));
        assert_eq!((read.rating, read.time), (Some(4.0), 1_588_687_728));
        assert_eq!(
            (read.title.as_str(), read.text.as_str()),
            ("Fine & dry", "One.\nTwo \"three\".")
        );

        let row = json!({
            "main_category": "Books", "title": "T", "parent_asin": "P1", "price": null,
            "description": ["Product Description", "One.", "", "Two."], "categories": ["Books", "History"], "details": {}
        });
        let read = item(&row).unwrap();
        assert_eq!(read.description, "One. Two.");
        assert_eq!(read.categories, ["Books", "History"]);
    }

    #[test]
    fn an_item_without_description_is_described_by_its_features_or_details() {
        let described = |features: Value, details: Value| {
            let row = json!({"parent_asin": "P", "description": [], "features": features, "details": details});
            item(&row).unwrap().description
        };
        let details = json!({"Brand": "Heddle", "Weight": 2, "Size": {"x": 1}});
        assert_eq!(described(json!(["Iron", "Large"]), details.clone()), "Iron Large");
        assert_eq!(described(json!([]), details.clone()), "Brand: Heddle; Weight: 2.");
        assert_eq!(described(json!(null), json!(details.to_string())), "Brand: Heddle; Weight: 2.");
        assert_eq!(described(json!(null), json!({})), "");
    }

    #[test]
    fn what_is_missing_is_named() {
        let missing = |row: Value| review(&row).unwrap_err();
        assert!(missing(json!({"parent_asin": "P", "text": "t"})).contains("`user_id`"));
        assert!(missing(json!({"user_id": "U", "text": "t"})).contains("`parent_asin`"));
        assert!(missing(json!({"user_id": "U", "asin": "A"})).contains("`text`"));
    }

    proptest! {
        #[test]
        fn any_line_is_a_row_or_a_reason(line in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(row) = parse(&line) {
                let _ = (review(&row), item(&row));
            }
        }

        #[test]
        fn any_fields_are_a_row_or_a_reason(values in prop::collection::vec(crate::import::python_literal_tests::any_json(), 7)) {
            let names = ["user_id", "parent_asin", "text", "title", "rating", "timestamp", "description"];
            let row: Value = names.iter().map(|n| (*n).to_owned()).zip(values).collect();
            let _ = (review(&row), item(&row));
        }

        #[test]
        fn a_printed_review_is_read_back(user in "\\S+", item in "\\S+", text in "[^&<]*", title in "[^&<]*", rating in prop::option::of(1..=5_u8), time in 0..4_000_000_000_i64) {
            let row = json!({"user_id": user, "parent_asin": item, "text": text, "title": title, "rating": rating, "timestamp": time * 1000 + 999});
            let read = review(&parse(row.to_string().as_bytes()).unwrap()).unwrap();
            prop_assert_eq!(read, Review { user, item, text, title, rating: rating.map(f32::from), time });
        }
    }
}
