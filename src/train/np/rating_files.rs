//! Files of ratings and of the texts that they are of, plain or compressed by gzip.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use serde::Deserialize;

use super::TextRating;
use crate::{Error, Result};

/// A line of a file of texts; other fields are ignored.
#[derive(Deserialize)]
struct TextLine {
    item: String,
    text: String,
}

/// Reads ratings from a table with a heading and the columns `user`, `item` and `rating`, separated by
/// commas and without quotes.
///
/// # Errors
/// [`Error::File`] names the file and the line.
pub fn read_ratings(path: &Path) -> Result<Vec<TextRating>> {
    let mut lines = lines_of(path)?.into_iter();
    let fail = |line: usize, what: String| Error::File { path: path.to_owned(), line, what };
    let heading = lines.next().unwrap_or_default();
    let names: Vec<&str> = heading.split(',').map(str::trim).collect();
    let column = |name: &str| {
        let at = names.iter().position(|other| *other == name);
        at.ok_or_else(|| fail(1, format!("the heading `{heading}` has no column `{name}`")))
    };
    let (user, item, rating) = (column("user")?, column("item")?, column("rating")?);
    let mut ratings = Vec::new();
    for (number, line) in (2..).zip(lines) {
        if line.trim().is_empty() {
            continue;
        }
        let cells: Vec<&str> = line.split(',').map(str::trim).collect();
        let cell = |at: usize| cells.get(at).copied().unwrap_or_default();
        let value = cell(rating).parse::<f32>().ok().filter(|value| value.is_finite());
        let Some(rating) = value else {
            return Err(fail(number, format!("`{}` is no rating", cell(rating))));
        };
        let (user, text) = (cell(user).to_owned(), cell(item).to_owned());
        ratings.push(TextRating { user, text, rating });
    }
    Ok(ratings)
}

/// Reads texts from JSON lines with the fields `item` and `text`.
///
/// # Errors
/// [`Error::File`] names the file and the line.
pub fn read_rated_texts(path: &Path) -> Result<BTreeMap<String, String>> {
    let mut texts = BTreeMap::new();
    for (number, line) in (1..).zip(lines_of(path)?) {
        if line.trim().is_empty() {
            continue;
        }
        let read: TextLine = serde_json::from_str(&line).map_err(|error| {
            let what = format!("no JSON object with `item` and `text`: {error}");
            Error::File { path: path.to_owned(), line: number, what }
        })?;
        texts.insert(read.item, read.text);
    }
    Ok(texts)
}

fn lines_of(path: &Path) -> Result<Vec<String>> {
    let fail = |line: usize, error: &std::io::Error| Error::File {
        path: path.to_owned(),
        line,
        what: error.to_string(),
    };
    let file = File::open(path).map_err(|error| fail(0, &error))?;
    let is_compressed = path.extension().is_some_and(|extension| extension == "gz");
    let reader: Box<dyn Read> = match is_compressed {
        true => Box::new(MultiGzDecoder::new(file)),
        false => Box::new(file),
    };
    let lines = (1..).zip(BufReader::new(reader).lines());
    lines.map(|(number, line)| line.map_err(|error| fail(number, &error))).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn files_are_read_and_mistakes_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let read =
            read_ratings(&path("r.csv", "item,user,rating\nj1,u1,-3.5\n\nj2,u1,4\n")).unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!(read[0], TextRating { user: "u1".into(), text: "j1".into(), rating: -3.5 });
        let texts = path("t.jsonl", "{\"item\": \"j1\", \"text\": \"Knock.\", \"n\": 1}\n");
        assert_eq!(read_rated_texts(&texts).unwrap()["j1"], "Knock.");
        for (wrong, said) in [("user,rating\n", "`item`"), ("user,item,rating\na,b,c\n", "line 2")]
        {
            let error = read_ratings(&path("w.csv", wrong)).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        let error = read_rated_texts(&path("w.jsonl", "{\"item\": 1}")).unwrap_err();
        assert!(error.to_string().contains("line 1"), "{error}");
        assert!(read_ratings(Path::new("no-such-file")).is_err());
    }
}
