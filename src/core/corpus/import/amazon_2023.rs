//! Amazon Reviews 2023: one JSON object per line.

use serde_json::Value;

use super::entities::clean;
use super::fields::{identifier, number, optional, rating, text, text_or_empty, texts};
use crate::corpus::{Item, Review};

pub(super) fn review(row: &Value) -> Result<Review, String> {
    Ok(Review {
        user: identifier(row, "user_id")?,
        item: item_id(row)?,
        rating: rating(row, "rating")?,
        title: clean(&text_or_empty(row, "title")?),
        text: clean(&text(row, "text")?),
        // Milliseconds in this release.
        time: number(row, "timestamp")?.map_or(0, |ms| (ms / 1000.0).floor() as i64),
    })
}

pub(super) fn item(row: &Value) -> Result<Item, String> {
    let mut categories = texts(row, "categories")?;
    if categories.is_empty() {
        categories = texts(row, "main_category")?;
    }
    let mut description = texts(row, "description")?;
    // A heading that the shop inserts; it is not part of the description.
    description.retain(|piece| piece.trim() != "Product Description");
    Ok(Item {
        id: item_id(row)?,
        title: clean(&text_or_empty(row, "title")?),
        description: clean(&description.join(" ")),
        categories: categories.iter().map(|name| clean(name)).collect(),
    })
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
    use crate::corpus::import::records::Syntax;

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
    fn what_is_missing_is_named() {
        let missing = |row: Value| review(&row).unwrap_err();
        assert!(missing(json!({"parent_asin": "P", "text": "t"})).contains("`user_id`"));
        assert!(missing(json!({"user_id": "U", "text": "t"})).contains("`parent_asin`"));
        assert!(missing(json!({"user_id": "U", "asin": "A"})).contains("`text`"));
    }

    proptest! {
        #[test]
        fn any_line_is_a_row_or_a_reason(line in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(row) = Syntax::Json.parse(&line) {
                let _ = (review(&row), item(&row));
            }
        }

        #[test]
        fn any_fields_are_a_row_or_a_reason(values in prop::collection::vec(crate::corpus::import::python_literal_tests::any_json(), 7)) {
            let names = ["user_id", "parent_asin", "text", "title", "rating", "timestamp", "description"];
            let row: Value = names.iter().map(|n| (*n).to_owned()).zip(values).collect();
            let _ = (review(&row), item(&row));
        }

        #[test]
        fn a_printed_review_is_read_back(user in "\\S+", item in "\\S+", text in "[^&<]*", title in "[^&<]*", rating in prop::option::of(1..=5_u8), time in 0..4_000_000_000_i64) {
            let row = json!({"user_id": user, "parent_asin": item, "text": text, "title": title, "rating": rating, "timestamp": time * 1000 + 999});
            let read = review(&Syntax::Json.parse(row.to_string().as_bytes()).unwrap()).unwrap();
            prop_assert_eq!(read, Review { user, item, text, title, rating: rating.map(f32::from), time });
        }
    }
}
