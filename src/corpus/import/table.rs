//! Tables with a column map: separated values with a header, or JSON objects.

use serde_json::Value;

use super::dates::DayOrder;
use super::fields::{identifier, optional, optional_text, optional_texts, text, text_or_empty};
use super::notes::RowNotes;
use super::rating::rating;
use super::{nested, time};
use crate::{Error, Item, Result, Review, SourceContext, SourceReview};

/// Fields that a map may leave out, as messages list them.
pub const OPTIONAL_FIELDS: &str = "id|rating|title|time|item_title|item_description|item_categories|answers|answered_text|\
     answered_user";

/// Map from the fields to the columns of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnMap {
    id: Column,
    user: Column,
    item: Column,
    text: Column,
    rating: Column,
    title: Column,
    time: Column,
    item_title: Column,
    item_description: Column,
    item_categories: Column,
    /// Identifier of the review that is answered.
    answers: Column,
    answered_text: Column,
    answered_user: Column,
    /// Order of day and month in dates of numbers where only it decides.
    date_order: Option<DayOrder>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Column {
    name: String,
    /// Whether the map names the column, which is then required.
    named: bool,
}

impl Column {
    /// Whether the map says that the table has no such column.
    fn is_none(&self) -> bool {
        self.name.is_empty()
    }
}

impl Default for ColumnMap {
    /// The map in which every column has the name of its field.
    fn default() -> Self {
        let column = |name: &str| Column { name: name.to_owned(), named: false };
        Self {
            id: column("id"),
            user: column("user"),
            item: column("item"),
            text: column("text"),
            rating: column("rating"),
            title: column("title"),
            time: column("time"),
            item_title: column("item_title"),
            item_description: column("item_description"),
            item_categories: column("item_categories"),
            answers: column("answers"),
            answered_text: column("answered_text"),
            answered_user: column("answered_user"),
            date_order: None,
        }
    }
}

impl ColumnMap {
    /// Parses comma-separated `field=column` pairs. Fields are `user`, `item`, `text`, and those of
    /// [`OPTIONAL_FIELDS`]. The column of a field that is left out has the field's name; `id=` without
    /// a column ignores one of that name. In JSON a column may be a path, `author.name`; of a list of
    /// objects, `reviews.text`, each element is a row.
    pub fn parse(map: &str) -> Result<Self> {
        let mut columns = Self::default();
        for pair in map.split(',').filter(|pair| !pair.trim().is_empty()) {
            let bad = |problem: String| Error::BadMap {
                reason: format!(
                    "{problem}; expected user=...,item=...,text=...[,{OPTIONAL_FIELDS}=...]"
                ),
            };
            let Some((field, name)) = pair.split_once('=') else {
                return Err(bad(format!("`{}` has no `=`", pair.trim())));
            };
            let (field, name) = (field.trim(), name.trim());
            let Some(column) = columns.column(field) else {
                return Err(bad(format!("`{field}` is no field")));
            };
            if column.named {
                return Err(bad(format!("`{field}` is named twice")));
            }
            if name.is_empty() && field != "id" {
                return Err(bad(format!("`{field}` names no column")));
            }
            *column = Column { name: name.to_owned(), named: true };
        }
        Ok(columns)
    }

    /// The same map with an order of day and month in dates such as `03/02/2022`, which are not read
    /// without it.
    #[must_use]
    pub fn with_date_order(self, date_order: Option<DayOrder>) -> Self {
        Self { date_order, ..self }
    }

    /// Checks the header of a file of reviews. `items_apart`: whether items come from a separate
    /// file.
    pub(super) fn check_reviews(
        &self,
        source_name: &str,
        header: &[String],
        items_apart: bool,
    ) -> Result<()> {
        let is_used =
            |column: &&Column| !column.is_none() && (column.named || header.contains(&column.name));
        let mut needed = vec![&self.user, &self.item, &self.text];
        let optional = [&self.id, &self.rating, &self.title, &self.time];
        needed.extend(optional.into_iter().chain(self.of_context()).filter(is_used));
        if !items_apart {
            needed.extend(self.of_items().into_iter().filter(is_used));
        }
        check(source_name, header, &needed)
    }

    /// Checks the header of a file of items.
    pub(super) fn check_items(&self, source_name: &str, header: &[String]) -> Result<()> {
        check(source_name, header, &[&self.item])
    }

    /// The names of all columns.
    pub(super) fn columns(&self) -> Vec<String> {
        let own =
            [&self.id, &self.user, &self.item, &self.text, &self.rating, &self.title, &self.time];
        let columns = own.into_iter().chain(self.of_items()).chain(self.of_context());
        columns.filter(|column| !column.is_none()).map(|column| column.name.clone()).collect()
    }

    /// Takes a row apart where a column leads through a list of objects.
    pub(super) fn rows(&self, row: Value) -> Result<Vec<Value>, String> {
        let columns = self.columns();
        nested::rows(row, &columns.iter().map(String::as_str).collect::<Vec<_>>())
    }

    pub(super) fn review(
        &self,
        row: &Value,
        notes: &mut RowNotes,
    ) -> Result<(SourceReview, Option<Item>), String> {
        let review = Review {
            user: identifier(row, &self.user.name)?,
            item: identifier(row, &self.item.name)?,
            text: text(row, &self.text.name)?,
            rating: rating(row, &self.rating.name, notes),
            title: optional_text(row, &self.title.name, notes),
            time: time::seconds_in(row, &self.time.name, self.date_order, notes),
        };
        let names = self.of_items().map(|column| column.name.as_str());
        let item = self.item_of(row, names, notes)?;
        let bare =
            item.title.is_empty() && item.description.is_empty() && item.categories.is_empty();
        let context = self.context_of(row, notes);
        Ok((SourceReview { id: self.id_of(row)?, review, context }, (!bare).then_some(item)))
    }

    /// Returns what the review answers.
    fn context_of(&self, row: &Value, notes: &mut RowNotes) -> SourceContext {
        let [id, text, user] =
            self.of_context().map(|column| optional_text(row, &column.name, notes));
        let some = |text: String| Some(text).filter(|text| !text.trim().is_empty());
        SourceContext { id: some(id), text, user: some(user) }
    }

    /// Returns the review's identifier; `None` if the row has none or a blank one.
    fn id_of(&self, row: &Value) -> Result<Option<String>, String> {
        if self.id.is_none() {
            return Ok(None);
        }
        let id = text_or_empty(row, &self.id.name)?;
        Ok(Some(id).filter(|id| !id.trim().is_empty()))
    }

    /// Reads a row of a file of items. If the map leaves a column out, it may also have the plain
    /// name: `title`, `description`, `categories`.
    pub(super) fn item(&self, row: &Value, notes: &mut RowNotes) -> Result<Item, String> {
        let plain = ["title", "description", "categories"];
        let mut names = plain;
        for ((name, column), plain) in names.iter_mut().zip(self.of_items()).zip(plain) {
            let prefixed = column.named || optional(row, &column.name).is_some();
            *name = if prefixed { &column.name } else { plain };
        }
        self.item_of(row, names, notes)
    }

    fn item_of(&self, row: &Value, names: [&str; 3], notes: &mut RowNotes) -> Result<Item, String> {
        let [title, description, categories] = names;
        Ok(Item {
            id: identifier(row, &self.item.name)?,
            title: optional_text(row, title, notes),
            description: optional_texts(row, description, notes).join(" "),
            categories: optional_texts(row, categories, notes),
        })
    }

    fn of_context(&self) -> [&Column; 3] {
        [&self.answers, &self.answered_text, &self.answered_user]
    }

    fn of_items(&self) -> [&Column; 3] {
        [&self.item_title, &self.item_description, &self.item_categories]
    }

    fn column(&mut self, field: &str) -> Option<&mut Column> {
        match field {
            "id" => Some(&mut self.id),
            "user" => Some(&mut self.user),
            "item" => Some(&mut self.item),
            "text" => Some(&mut self.text),
            "rating" => Some(&mut self.rating),
            "title" => Some(&mut self.title),
            "time" => Some(&mut self.time),
            "item_title" => Some(&mut self.item_title),
            "item_description" => Some(&mut self.item_description),
            "item_categories" => Some(&mut self.item_categories),
            "answers" => Some(&mut self.answers),
            "answered_text" => Some(&mut self.answered_text),
            "answered_user" => Some(&mut self.answered_user),
            _ => None,
        }
    }
}

fn check(source_name: &str, header: &[String], needed: &[&Column]) -> Result<()> {
    let twice = |column: &&&Column| header.iter().filter(|name| **name == column.name).count() > 1;
    if let Some(column) = needed.iter().find(twice) {
        let (source_name, column) = (source_name.to_owned(), column.name.clone());
        return Err(Error::ColumnTwice { source_name, column });
    }
    let Some(column) = needed.iter().find(|column| !header.contains(&column.name)) else {
        return Ok(());
    };
    let named = header.iter().filter(|name| !name.is_empty());
    let present: Vec<String> = named.map(|name| format!("`{name}`")).collect();
    Err(Error::NoColumn {
        source_name: source_name.to_owned(),
        column: column.name.clone(),
        present: present.join(", "),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::import::python_literal_tests::any_json;

    #[test]
    fn columns_go_where_the_map_says() {
        let map =
            ColumnMap::parse("user=who, item=what,text=said,time=on,item_title=named").unwrap();
        let row = json!({"who": 7, "what": "x", "said": "&amp; <br>", "on": "1970-01-02", "rating": "4", "named": "X"});
        let (SourceReview { id, review, context }, item) =
            map.review(&row, &mut RowNotes::default()).unwrap();
        assert_eq!((id, context), (None, SourceContext::default()));
        assert_eq!((review.user.as_str(), review.text.as_str()), ("7", "&amp; <br>"));
        assert_eq!((review.time, review.rating), (86_400, Some(4.0)));
        assert_eq!(item.unwrap().title, "X");
        let (_, bare) = ColumnMap::default()
            .review(&json!({"user": "u", "item": "i", "text": ""}), &mut RowNotes::default())
            .unwrap();
        assert_eq!(bare, None);
    }

    #[test]
    fn what_a_row_answers_is_read() {
        let row = json!({"user": "u", "item": "i", "text": "t", "parent": "m1", "answered_text": "Tea?", "answered_user": "bo"});
        let map = ColumnMap::parse("answers=parent").unwrap();
        let read = map.review(&row, &mut RowNotes::default()).unwrap().0;
        let some = |text: &str| Some(text.to_owned());
        let expected = SourceContext { id: some("m1"), text: "Tea?".to_owned(), user: some("bo") };
        assert_eq!(read.context, expected);
        let header = ["user", "item", "text"].map(str::to_owned);
        assert!(map.check_reviews("f", &header, false).is_err());
    }

    #[test]
    fn an_id_is_read_if_there_is_one() {
        let id = |map: &str, row: Value| {
            let map = ColumnMap::parse(map).unwrap();
            map.review(&row, &mut RowNotes::default()).unwrap().0.id
        };
        let row = json!({"user": "u", "item": "i", "text": "t", "id": 7, "mail": "<a@b>"});
        assert_eq!(id("", row.clone()).as_deref(), Some("7"));
        assert_eq!(id("id=mail", row.clone()).as_deref(), Some("<a@b>"));
        assert_eq!(id("id=,user=user", row), None);
        for blank in [json!(null), json!(" ")] {
            assert_eq!(id("", json!({"user": "u", "item": "i", "text": "t", "id": blank})), None);
        }
        let list = json!({"user": "u", "item": "i", "text": "t", "id": [1]});
        let reason = ColumnMap::default().review(&list, &mut RowNotes::default()).unwrap_err();
        assert!(reason.contains("`id`"), "{reason}");
        let header = ["user", "item", "text"].map(str::to_owned);
        assert!(ColumnMap::parse("id=").unwrap().check_reviews("f", &header, false).is_ok());
        assert!(ColumnMap::parse("id=mail").unwrap().check_reviews("f", &header, false).is_err());
    }

    #[test]
    fn a_file_of_items_may_use_plain_names() {
        let map = ColumnMap::parse("user=user,item=item,text=text,title=title").unwrap();
        let plain =
            json!({"item": "i", "title": "T", "description": ["D"], "categories": ["A", "B"]});
        let prefixed = json!({"item": "i", "title": "-", "item_title": "T", "item_description": "D", "item_categories": ["A", "B"]});
        assert_eq!(
            map.item(&plain, &mut RowNotes::default()),
            map.item(&prefixed, &mut RowNotes::default())
        );
        assert_eq!(map.item(&plain, &mut RowNotes::default()).unwrap().title, "T");
        // In a row of a review, the plain `title` is the review's title.
        let row = json!({"user": "u", "item": "i", "text": "t", "title": "T"});
        assert_eq!(map.review(&row, &mut RowNotes::default()).unwrap().1, None);
        let named = ColumnMap::parse("item_title=name").unwrap();
        assert_eq!(named.item(&plain, &mut RowNotes::default()).unwrap().title, "");
    }

    #[test]
    fn maps_and_headers_that_do_not_fit_are_refused() {
        for map in ["user", "who=user", "user=", "user=a,user=b", "=x"] {
            assert!(matches!(ColumnMap::parse(map), Err(Error::BadMap { .. })), "{map}");
        }
        let header = ["user", "item", "text", "stars"].map(str::to_owned);
        let map = ColumnMap::parse("rating=stars").unwrap();
        assert!(map.check_reviews("f", &header, false).is_ok());
        let map = ColumnMap::parse("rating=points").unwrap();
        let message = map.check_reviews("f", &header, false).unwrap_err().to_string();
        assert!(message.contains("`points`") && message.contains("`stars`"), "{message}");
        let map = ColumnMap::parse("item_title=name").unwrap();
        assert!(map.check_reviews("f", &header, true).is_ok());
        assert!(map.check_reviews("f", &header, false).is_err());
    }

    #[test]
    fn only_used_columns_must_be_unique() {
        let header =
            ["user", "item", "text", "", "", "note", "note", "time", "time"].map(str::to_owned);
        let unused = ColumnMap::parse("time=when").unwrap();
        let header_with = [&header[..7], &["when".to_owned()]].concat();
        assert!(unused.check_reviews("f", &header_with, false).is_ok());
        let message =
            ColumnMap::default().check_reviews("f", &header, false).unwrap_err().to_string();
        assert!(message.contains("`time`") && message.contains("twice"), "{message}");
    }

    #[test]
    fn a_row_with_a_list_of_reviews_becomes_several() {
        let map = ColumnMap::parse("user=by.name,item=reviews.item_id,text=reviews.said").unwrap();
        let row = json!({"by": {"name": "ann"}, "reviews": [
            {"item_id": "x", "said": "A"}, {"item_id": "y", "said": "B"}, {"said": "C"}]});
        let read: Vec<_> = map
            .rows(row)
            .unwrap()
            .iter()
            .map(|row| map.review(row, &mut RowNotes::default()).map(|(read, _)| read.review.text))
            .collect();
        assert_eq!(read[..2], [Ok("A".to_owned()), Ok("B".to_owned())]);
        assert!(read[2].as_ref().is_err_and(|reason| reason.contains("`reviews.item_id`")));
    }

    proptest! {
        #[test]
        fn any_fields_are_a_row_or_a_reason(values in prop::collection::vec(any_json(), 13)) {
            let names = ["id", "user", "item", "text", "rating", "title", "time", "item_title", "item_description", "item_categories", "answers", "answered_text", "answered_user"];
            let row: Value = names.iter().map(|n| (*n).to_owned()).zip(values).collect();
            let map = ColumnMap::default();
            let mut notes = RowNotes::default();
            let _ = (map.review(&row, &mut notes), map.item(&row, &mut notes), map.rows(row));
        }

        #[test]
        fn any_map_is_read_or_refused(map in "([a-z_=, ]|id|item|text|user)*") {
            let _ = ColumnMap::parse(&map);
        }
    }
}
