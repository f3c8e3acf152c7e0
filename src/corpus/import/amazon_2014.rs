//! Amazon reviews of 2014: reviews are JSON lines, metadata lines are Python literals.

use serde_json::Value;

use super::entities::clean;
use super::fields::{identifier, optional, optional_text, optional_texts, text};
use super::notes::RowNotes;
use super::rating::rating;
use super::time;
use crate::{Item, Review};

pub(super) fn review(row: &Value, notes: &mut RowNotes) -> Result<Review, String> {
    Ok(Review {
        user: identifier(row, "reviewerID")?,
        item: identifier(row, "asin")?,
        text: clean(&text(row, "reviewText")?),
        rating: rating(row, "overall", notes),
        title: clean(&optional_text(row, "summary", notes)),
        time: time::seconds(row, "unixReviewTime", notes),
    })
}

pub(super) fn item(row: &Value, notes: &mut RowNotes) -> Result<Item, String> {
    Ok(Item {
        id: identifier(row, "asin")?,
        title: clean(&optional_text(row, "title", notes)),
        description: clean(&optional_texts(row, "description", notes).join(" ")),
        categories: first_path(row, notes).iter().map(|name| clean(name)).collect(),
    })
}

/// An item has several category paths; the first one is its main one.
fn first_path(row: &Value, notes: &mut RowNotes) -> Vec<String> {
    match optional(row, "categories") {
        Some(Value::Array(paths)) if paths.iter().any(Value::is_array) => {
            let first = paths.iter().find(|p| p.as_array().is_some_and(|p| !p.is_empty()));
            first.map_or(Vec::new(), |path| {
                optional_texts(&serde_json::json!({ "categories": path }), "categories", notes)
            })
        }
        _ => optional_texts(row, "categories", notes),
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
            "reviewerID": "U", "asin": "0001", "reviewerName": "N", "helpful": [0, 1],
            "reviewText": "Caf&eacute; &quot;x&quot;", "overall": 5.0, "summary": "S",
            "unixReviewTime": 1_158_019_200, "reviewTime": "09 12, 2006"
        });
        let read = review(&row).unwrap();
        assert_eq!((read.user.as_str(), read.item.as_str()), ("U", "0001"));
        assert_eq!((read.text.as_str(), read.time), ("Café \"x\"", 1_158_019_200));

        let line = r#"{'asin': '0001', 'title': "It's", 'price': 9.49, 'description': 'D &amp; E', 'related': {'also_bought': ['x']}, 'categories': [['CDs & Vinyl', 'Pop'], ['Digital Music']]}"#;
        let read = item(&parse(line.as_bytes()).unwrap()).unwrap();
        assert_eq!((read.title.as_str(), read.description.as_str()), ("It's", "D & E"));
        assert_eq!(read.categories, ["CDs & Vinyl", "Pop"]);
    }

    #[test]
    fn an_item_needs_nothing_but_its_id() {
        let bare = item(&json!({"asin": "1", "categories": [[]]})).unwrap();
        assert_eq!((bare.title, bare.categories), (String::new(), vec![]));
        assert!(item(&json!({"title": "t"})).unwrap_err().contains("`asin`"));
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
            let names = ["reviewerID", "asin", "reviewText", "summary", "overall", "unixReviewTime", "categories"];
            let row: Value = names.iter().map(|n| (*n).to_owned()).zip(values).collect();
            let _ = (review(&row), item(&row));
        }
    }
}
