//! Reviews of places and of apps: the files `Reviews.json` of Google Takeout, from Maps (GeoJSON, in its
//! older and its newer form) and from the Play Store.

use std::path::Path;

use serde_json::Value;

use super::archive::{self, ExportFiles, OWNER_UNNAMED};
use super::export_rows::{self, document, malformed};
use super::json_stream::{JsonVisitor, JsonWant};
use super::{ByteCount, Conversation, ExportMessage, ExportReader, Found, MessageAuthor, OnFound};
use crate::Result;

/// Reason for leaving out ratings without a text.
const NO_REVIEW: &str = "ratings without a review";
/// Reason for leaving out places that were only marked.
const SAVED: &str = "saved places";

/// Names of fields, the newer one first.
const TEXTS: [&str; 3] = ["review_text_published", "review_text", "Review Comment"];
const RATINGS: [&str; 3] = ["five_star_rating_published", "five_star_rating", "Star Rating"];
const DATES: [&str; 2] = ["date", "Published"];
const NAMES: [&str; 4] = ["location.name", "Location.Business Name", "Title", "name"];
const ADDRESSES: [&str; 2] = ["location.address", "Location.Address"];
const LINKS: [&str; 2] = ["google_maps_url", "Google Maps URL"];

/// Whether a file begins like a file of reviews, or a folder or an archive is a Takeout with one.
pub(super) fn looks_like(path: &Path, head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head);
    let is_places = text.contains("\"FeatureCollection\"")
        && (RATINGS.iter().chain(&TEXTS)).any(|name| text.contains(name));
    let is_apps = text.contains("\"review\"") && text.contains("\"documentType\"");
    is_places || is_apps || archive::holds(path, head, is_reviews)
}

fn is_reviews(name: &str) -> bool {
    let mut parts = name.rsplit('/');
    let is_named = parts.next() == Some("reviews.json");
    // The folders have names in the language of the account, but for Maps and Play.
    is_named
        && parts.next().is_some_and(|folder| folder.contains("maps") || folder.contains("play"))
}

/// Opens a file of reviews, or a Takeout with such files.
///
/// # Errors
/// [`crate::Error::Open`].
pub(super) fn open(path: &Path) -> Result<GoogleReader> {
    let files = ExportFiles::open(path)?;
    let is_single = path.is_file() && files.names().count() == 1;
    let documents = files.named(|name| is_single || name == "reviews.json" || is_reviews(name));
    Ok(GoogleReader { files, documents })
}

/// Reads reviews of Google Takeout.
pub(super) struct GoogleReader {
    files: ExportFiles,
    documents: Vec<String>,
}

impl ExportReader for GoogleReader {
    fn read(&mut self, on: &mut OnFound<'_>) -> Result<()> {
        if self.documents.is_empty() {
            let place = self.files.root().display().to_string();
            let reason = "no file Reviews.json of Maps or of the Play Store; name it, if it is called otherwise";
            on(Found::Malformed { place, reason: reason.to_owned() })?;
        }
        for name in &self.documents {
            let file = self.files.shown(name);
            let mut visitor = ReviewsVisitor { file: &file, n: 0, on };
            if !document(&self.files, name, &mut visitor)? {
                break;
            }
            if visitor.n == 0 {
                let reason =
                    "no list of reviews; expected Reviews.json of Google Takeout".to_owned();
                if !on(malformed(&file, 1, reason))? {
                    break;
                }
            }
        }
        Ok(())
    }

    fn bytes_read(&self) -> Option<ByteCount> {
        Some(self.files.bytes_read())
    }

    fn size(&self) -> Option<u64> {
        Some(self.files.size_of(&self.documents))
    }
}

struct ReviewsVisitor<'a, 'b> {
    file: &'a str,
    /// Number of lists entered and of values taken.
    n: u64,
    on: &'a mut OnFound<'b>,
}

impl JsonVisitor for ReviewsVisitor<'_, '_> {
    fn wants(&mut self, path: &str) -> JsonWant {
        match path {
            "" | "features" => JsonWant::Enter,
            "features[]" | "[]" => JsonWant::Take,
            _ => JsonWant::Skip,
        }
    }

    fn enter(&mut self, path: &str) {
        self.n += u64::from(path == "features");
    }

    fn take(&mut self, _path: &str, line: u64, value: Result<Value, String>) -> Result<bool> {
        self.n += 1;
        let found = match value.and_then(|value| review(&value)) {
            Ok(Ok(message)) => Found::Message(message),
            Ok(Err(reason)) => Found::Left { reason },
            Err(reason) => malformed(self.file, line, reason),
        };
        (self.on)(found)
    }
}

fn review(value: &Value) -> Result<Result<ExportMessage, &'static str>, String> {
    match (value.get("properties"), value.get("review")) {
        (Some(place), _) if place.is_object() => of_place(place),
        (_, Some(app)) if app.is_object() => of_app(app),
        _ => Err("neither `properties` of a place nor a `review` of an app".to_owned()),
    }
}

fn first(row: &Value, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| export_rows::text(row, name))
}

fn stars(text: Option<String>) -> Option<f64> {
    const WORDS: [&str; 5] = ["ONE", "TWO", "THREE", "FOUR", "FIVE"];
    let text = text?;
    let word = WORDS.iter().position(|word| text.trim().eq_ignore_ascii_case(word));
    let rating = word.map(|at| at as f64 + 1.0).or_else(|| text.trim().parse().ok());
    rating.filter(|rating| (1.0..=5.0).contains(rating))
}

fn of_place(place: &Value) -> Result<Result<ExportMessage, &'static str>, String> {
    let rating = first(place, &RATINGS);
    let Some(text) = first(place, &TEXTS) else {
        return Ok(Err(if rating.is_some() { NO_REVIEW } else { SAVED }));
    };
    let (name, address, link) =
        (first(place, &NAMES), first(place, &ADDRESSES), first(place, &LINKS));
    let known =
        [name.clone(), address.clone()].into_iter().flatten().collect::<Vec<_>>().join(", ");
    let id = Some(known).filter(|known| !known.is_empty()).or(link);
    Ok(Ok(ExportMessage {
        author: MessageAuthor { name: Some(OWNER_UNNAMED.to_owned()), address: None },
        conversation: Conversation {
            id: id.ok_or("the place has neither a name nor an address nor a link")?,
            title: name,
            description: address,
        },
        time: DATES.iter().find_map(|name| export_rows::seconds(place, name)),
        text: text.trim().to_owned(),
        rating: stars(rating),
        ..ExportMessage::default()
    }))
}

fn of_app(app: &Value) -> Result<Result<ExportMessage, &'static str>, String> {
    let field = |name: &str| export_rows::text(app, name);
    let Some(text) = field("comment") else { return Ok(Err(NO_REVIEW)) };
    let title = field("title").ok_or("the app has no `title`")?;
    Ok(Ok(ExportMessage {
        author: MessageAuthor { name: Some(OWNER_UNNAMED.to_owned()), address: None },
        conversation: Conversation {
            id: title.clone(),
            title: Some(title),
            description: field("documentType"),
        },
        time: export_rows::seconds(app, "creationTime"),
        text: text.trim().to_owned(),
        title: field("reviewTitle"),
        rating: stars(field("starRating")),
        ..ExportMessage::default()
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::import::messages::testing;

    fn places() -> Value {
        let point = json!({"type": "Point", "coordinates": [8.2, 50.1]});
        json!({"type": "FeatureCollection", "features": [
            {"type": "Feature", "geometry": point, "properties": {
                "date": "2023-01-13T09:01:00Z", "five_star_rating_published": 4,
                "google_maps_url": "https://www.google.com/maps/place//data=1",
                "location": {"address": "Pier 1, Tamsel", "country_code": "DE", "name": "Boat House"},
                "questions": [{"question": "Price?", "rating": 4}], "review_text_published": "Good tea.\nCold feet."}},
            {"type": "Feature", "geometry": point, "properties": {
                "Google Maps URL": "https://maps.google.com/?cid=7", "Published": "2019-01-13T09:01:00Z", "Star Rating": "FIVE",
                "Location": {"Address": "Pier 2", "Business Name": "Tent Shop", "Country Code": "DE"}, "Review Comment": "Fine"}},
            {"type": "Feature", "properties": {"five_star_rating_published": 9, "location": {"name": "X"}}},
            {"type": "Feature", "properties": {"location": {"name": "Home"}}},
            {"type": "Feature", "properties": {"review_text_published": "Where?"}},
            {"type": "Feature", "properties": null},
        ]})
    }

    #[test]
    fn a_takeout() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let write = |name: &str, value: &Value| {
            fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            fs::write(root.join(name), serde_json::to_vec_pretty(value).unwrap()).unwrap();
        };
        write("Takeout/Maps (your places)/Reviews.json", &places());
        write(
            "Takeout/Maps (your places)/Saved Places.json",
            &json!({"features": [{"properties": {}}]}),
        );
        write(
            "Takeout/Google Play Store/Reviews.json",
            &json!([
                {"review": {"documentType": "Android Apps", "title": "Lake Maps", "creationTime": "2023-01-13T09:01:00Z", "starRating": 2, "comment": "Lost me."}},
                {"review": {"title": "Silent", "starRating": 5}}, 5,
            ]),
        );
        assert!(looks_like(root, b""));
        let read = testing::summary(&mut open(root).unwrap());
        let [app, boat, tent] = &read.messages[..] else { panic!("{read:?}") };
        assert_eq!((app.conversation.id.as_str(), app.rating), ("Lake Maps", Some(2.0)));
        assert_eq!((boat.text.as_str(), boat.rating), ("Good tea.\nCold feet.", Some(4.0)));
        assert_eq!(
            (boat.conversation.id.as_str(), boat.time),
            ("Boat House, Pier 1, Tamsel", Some(1_673_600_460))
        );
        assert_eq!(
            (tent.conversation.title.as_deref(), tent.rating),
            (Some("Tent Shop"), Some(5.0))
        );
        assert_eq!(read.left, [(NO_REVIEW, 2), (SAVED, 1)].into());
        assert_eq!(read.malformed.len(), 3, "{:?}", read.malformed);
    }

    #[test]
    fn a_damaged_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("Rezensionen.json");
        let whole = serde_json::to_vec_pretty(&places()).unwrap();
        assert!(looks_like(&path, &whole[..700]));
        let at = whole.windows(9).position(|w| w == b"Tent Shop").unwrap();
        fs::write(&path, &whole[..at]).unwrap();
        let cut = testing::summary(&mut open(&path).unwrap());
        assert_eq!((cut.messages.len(), cut.malformed.len()), (1, 1));
        fs::write(&path, "{\"type\": \"x\"}").unwrap();
        let other = testing::summary(&mut open(&path).unwrap());
        assert!(other.malformed[0].1.contains("Google Takeout"));
    }

    proptest! {
        #[test]
        fn any_value_is_read(values in prop::collection::vec(crate::import::python_literal_tests::any_json(), 0..6)) {
            let mut row = json!({});
            let names = ["review_text_published", "location", "date", "Star Rating", "comment", "title"];
            for (name, value) in names.iter().zip(&values) {
                row[*name] = value.clone();
            }
            for value in [json!({"properties": row}), json!({"review": row}), json!(values)] {
                if let Ok(Ok(message)) = review(&value) {
                    prop_assert!(!message.text.trim().is_empty());
                }
            }
        }
    }
}
