//! Deletes a user, or some of their reviews, with everything that was derived from them, and leaves none
//! of it in the bytes of the file.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension, params};

use super::{Error, Result, ReviewId, Store, StoredReview, evaluations, sums};

/// Minimum number of characters of a title by which derived values are searched; shorter ones occur by
/// chance.
const MIN_SEARCHED: usize = 8;

/// Kind of the derived value that says that the file is still to be rewritten.
const PENDING: &str = "scrub-pending";

/// Places that may hold texts of a user and that [`Store::forget`] does not reach, because it does not
/// know where they are.
pub const NOT_REACHED: [&str; 8] = [
    "copies and backups of the store",
    "reports and figures written elsewhere (--html, --csv, --json)",
    "recorded requests (--record-requests), unless named with --also",
    "profiles exported or edited outside the store",
    "the files that were imported",
    "shards and tables of texts (export --parquet, export --background, batch), vectors (export --vectors)",
    "what a language model on a server (--lm http://...) keeps of its requests",
    "blocks that the file system or the disk keeps after they were overwritten",
];

/// The part of a user's data to delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForgetScope {
    /// The user with all reviews and edits of the profile.
    User,
    /// The reviews that the user wrote about this item.
    Item(String),
    /// One review, by the row id that `export` shows.
    Review(ReviewId),
}

/// Numbers of rows that were, or would be, deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Forgotten {
    /// Whether the user's name is deleted too.
    pub user: bool,
    /// Reviews of the user.
    pub reviews: u64,
    /// Vectors of these reviews.
    pub vectors: u64,
    /// Derived values (answers, scores, differences, profiles, strengths) made from these reviews or
    /// naming the user; all reports of evaluations; and those without sources, whose prompts could
    /// have held a title of the user's.
    pub derived: u64,
    /// Rows of splits, i.e. of evaluations, that name these reviews.
    pub split_rows: u64,
    /// Versions of the user's profile.
    pub profile_versions: u64,
    /// Items that nobody else reviewed; their titles and descriptions go with them.
    pub items: u64,
    /// Items of others, too, whose title or description has the user's name, as that of a chat with them;
    /// these are emptied.
    pub item_names: u64,
    /// Reviews by others that answered a text of the user's, whose quotation of it or reference to it is
    /// deleted; and with the user all quotations whose author is not known, since each may be of them.
    pub contexts: u64,
    /// Files with keys and values of prompts, of any user, beside the store.
    pub saved_prefixes: u64,
    /// Reviews by others that contain the user's name. They stay.
    pub mentions_by_others: u64,
}

impl Store {
    /// Returns what [`Store::forget`] would delete.
    ///
    /// # Errors
    /// [`Error::UnknownUser`]; [`Error::NothingToForget`] if the user has no such review; or the store
    /// cannot be read.
    pub fn would_forget(&self, user: &str, scope: &ForgetScope) -> Result<Forgotten> {
        let reviews = self.reviews_in(user, scope)?;
        self.read(|connection| {
            let transaction = connection.unchecked_transaction()?;
            let forgotten = delete(&transaction, user, scope, &reviews)?;
            transaction.rollback()?;
            Ok(Forgotten { saved_prefixes: self.count_prefixes(), ..forgotten })
        })
    }

    /// Deletes the user's data in one transaction, and then rewrites the file: freed pages are
    /// overwritten (`secure_delete`), the file is rebuilt (`VACUUM`), and the write-ahead log is
    /// truncated, so that no byte of the deleted texts stays in the store's files. A call that was
    /// interrupted after the deletion is completed by [`Store::scrub`].
    ///
    /// The index over users is not part of the store's file; the caller removes it.
    ///
    /// # Errors
    /// As [`Store::would_forget`]; [`Error::ReadOnly`]; [`Error::Unscrubbed`] if the rows are deleted but
    /// the file could not be rewritten, because another process uses it.
    pub fn forget(&self, user: &str, scope: &ForgetScope) -> Result<Forgotten> {
        self.require_writable()?;
        let reviews = self.reviews_in(user, scope)?;
        // First, since after an interruption the user may be gone, and a rerun would not get here.
        let saved_prefixes = self.remove_prefixes()?;
        self.read(|connection| connection.execute_batch("PRAGMA secure_delete = ON;"))?;
        let forgotten = self.write(|transaction| {
            let forgotten = delete(transaction, user, scope, &reviews)?;
            transaction.execute(
                "INSERT OR IGNORE INTO derived(kind, key, value, made) VALUES (?1, '', '', 0)",
                [PENDING],
            )?;
            Ok(forgotten)
        })?;
        // One that another process saved meanwhile.
        self.remove_prefixes()?;
        self.scrub()?;
        Ok(Forgotten { saved_prefixes, ..forgotten })
    }

    /// Whether rows were deleted whose bytes may still be in the file, because the deletion was
    /// interrupted before [`Store::scrub`].
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn needs_scrub(&self) -> Result<bool> {
        self.read(|connection| {
            connection.prepare_cached("SELECT 1 FROM derived WHERE kind = ?1")?.exists([PENDING])
        })
    }

    /// Rewrites the file of the store without what was deleted from it.
    ///
    /// # Errors
    /// [`Error::ReadOnly`]; [`Error::Unscrubbed`] if another process uses the store.
    pub fn scrub(&self) -> Result<()> {
        self.require_writable()?;
        let busy = self.read(|connection| {
            // What SQLite needs beside the file while it rebuilds it stays in memory.
            connection
                .execute_batch("PRAGMA secure_delete = ON; PRAGMA temp_store = MEMORY; VACUUM;")?;
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))
        });
        match busy {
            Ok(0) => self.write(|transaction| {
                transaction.execute("DELETE FROM derived WHERE kind = ?1", [PENDING]).map(drop)
            }),
            Ok(_) => Err(Error::Unscrubbed { path: self.path().to_owned() }),
            Err(Error::Sqlite { source, .. })
                if source.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) =>
            {
                Err(Error::Unscrubbed { path: self.path().to_owned() })
            }
            Err(error) => Err(error),
        }
    }

    /// The user's reviews in the scope.
    fn reviews_in(&self, user: &str, scope: &ForgetScope) -> Result<Vec<StoredReview>> {
        let mut reviews = match self.history(user) {
            // Somebody may be known only as the author of texts that others answered.
            Err(Error::UnknownUser { .. })
                if *scope == ForgetScope::User && !self.contexts_by(user)?.is_empty() =>
            {
                return Ok(Vec::new());
            }
            found => found?,
        };
        match scope {
            ForgetScope::User => return Ok(reviews),
            ForgetScope::Item(item) => reviews.retain(|stored| stored.review.item == *item),
            ForgetScope::Review(id) => reviews.retain(|stored| stored.id == *id),
        }
        match reviews.is_empty() {
            true => Err(Error::NothingToForget { user: user.to_owned() }),
            false => Ok(reviews),
        }
    }

    /// Texts by a user that are stored with others' answers to them, with the row id of the answer.
    fn contexts_by(&self, user: &str) -> Result<Vec<(i64, String)>> {
        let sql = "SELECT review, text FROM answered WHERE author = ?1 AND text IS NOT NULL";
        self.list(sql, [user], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// Everything that the store holds about a user, as one JSON object: reviews with their row ids and
    /// what they answer, texts that are stored with others' answers to them, edits of the profile, derived
    /// values made from the reviews, and vectors. A text by another user that is in the store is named by
    /// its row id and not repeated.
    ///
    /// # Errors
    /// [`Error::UnknownUser`], or the store cannot be read.
    pub fn export_user(&self, user: &str) -> Result<serde_json::Value> {
        let quoted = self.contexts_by(user)?;
        let mut reviews = match self.history(user) {
            Err(Error::UnknownUser { .. }) if !quoted.is_empty() => Vec::new(),
            found => found?,
        };
        for stored in &mut reviews {
            if let Some(context) = &mut stored.context
                && context.review.is_some()
            {
                context.text.clear();
            }
        }
        let quoted: Vec<_> = quoted
            .into_iter()
            .map(|(review, text)| serde_json::json!({ "answered_by": review, "text": text }))
            .collect();
        let edits = match self.profile_edits(user) {
            Err(Error::UnknownUser { .. }) if !quoted.is_empty() => Vec::new(),
            found => found?,
        };
        let ids: Vec<i64> = reviews.iter().map(|stored| stored.id.0).collect();
        let (mut derived, mut vectors, mut splits) = (Vec::new(), Vec::new(), Vec::new());
        self.read(|connection| {
            let mut of_review = connection.prepare(
                "SELECT DISTINCT derived.id, kind, key, value, made FROM derived_source
                 JOIN derived ON derived.id = derived_source.derived
                 WHERE review = ?1 AND kind != ?2",
            )?;
            let mut vectors_of = connection.prepare(
                "SELECT stamp.name, hex(value) FROM vector JOIN stamp ON stamp.id = vector.stamp
                 WHERE review = ?1",
            )?;
            let mut splits_of = connection.prepare(
                "SELECT split.name, part FROM split_row JOIN split ON split.id = split_row.split
                 WHERE review = ?1",
            )?;
            let mut seen = std::collections::HashSet::new();
            for id in &ids {
                // A report has the texts of many users.
                let mut rows = of_review.query(params![id, evaluations::REPORT])?;
                while let Some(row) = rows.next()? {
                    if seen.insert(row.get::<_, i64>(0)?) {
                        let value: String = row.get(3)?;
                        derived.push(serde_json::json!({
                            "kind": row.get::<_, String>(1)?,
                            "key": row.get::<_, String>(2)?,
                            "value": serde_json::from_str(&value)
                                .unwrap_or(serde_json::Value::String(value)),
                            "made": row.get::<_, i64>(4)?,
                        }));
                    }
                }
                let mut rows = vectors_of.query([id])?;
                while let Some(row) = rows.next()? {
                    vectors.push(serde_json::json!({
                        "review": id,
                        "encoder": row.get::<_, String>(0)?,
                        "f32_little_endian_hex": row.get::<_, String>(1)?,
                    }));
                }
                let mut rows = splits_of.query([id])?;
                while let Some(row) = rows.next()? {
                    splits.push(serde_json::json!({
                        "review": id, "split": row.get::<_, String>(0)?, "part": row.get::<_, String>(1)?,
                    }));
                }
            }
            Ok(())
        })?;
        let edits: Vec<_> = edits
            .into_iter()
            .map(|edit| {
                let value = serde_json::from_str(&edit.value)
                    .unwrap_or(serde_json::Value::String(edit.value));
                serde_json::json!({ "version": edit.version, "time": edit.time, "value": value })
            })
            .collect();
        Ok(serde_json::json!({
            "user": user,
            "reviews": reviews,
            "quoted": quoted,
            "profile_versions": edits,
            "derived": derived,
            "vectors": vectors,
            "splits": splits,
        }))
    }
}

/// Deletes within a transaction and counts.
fn delete(
    connection: &Connection,
    user: &str,
    scope: &ForgetScope,
    reviews: &[StoredReview],
) -> rusqlite::Result<Forgotten> {
    let whole = *scope == ForgetScope::User;
    let ids: Vec<i64> = reviews.iter().map(|stored| stored.id.0).collect();
    let mut forgotten =
        Forgotten { user: whole, reviews: ids.len() as u64, ..Forgotten::default() };
    let count = |table: &str| -> rusqlite::Result<u64> {
        connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
            row.get::<_, i64>(0).map(|n| n as u64)
        })
    };
    let before = [
        count("vector")?,
        count("derived")?,
        count("split_row")?,
        count("profile_edit")?,
        count("item")?,
    ];
    let contexts = contexts_of(connection, user, scope, reviews)?;
    forgotten.contexts = contexts.len() as u64;
    for id in derived_of(connection, user, reviews, &contexts)? {
        connection.prepare_cached("DELETE FROM derived WHERE id = ?1")?.execute([id])?;
    }
    for id in &contexts {
        connection.prepare_cached("DELETE FROM answered WHERE review = ?1")?.execute([id])?;
    }
    for id in &ids {
        // Vectors, derived values and rows of splits go with it.
        connection.prepare_cached("DELETE FROM review WHERE id = ?1")?.execute([id])?;
    }
    for item in reviews.iter().map(|stored| &stored.review.item) {
        connection
            .prepare_cached(
                "DELETE FROM item WHERE name = ?1
                 AND NOT EXISTS (SELECT 1 FROM review WHERE review.item = item.id)",
            )?
            .execute([item])?;
    }
    if whole {
        connection.execute("DELETE FROM user WHERE name = ?1", [user])?;
        forgotten.item_names = empty_items_named(connection, user, reviews)?;
    }
    // Estimates over the corpus hold no text, but some of them were made with these.
    connection.execute_batch("DELETE FROM stamp WHERE id NOT IN (SELECT stamp FROM vector);")?;
    forgotten.vectors = before[0] - count("vector")?;
    forgotten.derived = before[1] - count("derived")?;
    forgotten.split_rows = before[2] - count("split_row")?;
    forgotten.profile_versions = before[3] - count("profile_edit")?;
    forgotten.items = before[4] - count("item")?;
    forgotten.mentions_by_others = connection.query_row(
        "SELECT count(*) FROM review JOIN user ON user.id = review.user
         WHERE user.name != ?1 AND (instr(text, ?1) > 0 OR instr(title, ?1) > 0)",
        params![user],
        |row| row.get::<_, i64>(0).map(|n| n as u64),
    )?;
    Ok(forgotten)
}

/// Row ids of others' reviews whose context goes: those that answer one of the reviews, and those with a
/// quotation by the user, by nobody known, or with the user's name or a text of theirs in it. If only some
/// reviews go, the quotations by nobody known stay that are on other items.
fn contexts_of(
    connection: &Connection,
    user: &str,
    scope: &ForgetScope,
    reviews: &[StoredReview],
) -> rusqlite::Result<Vec<i64>> {
    let own: HashSet<i64> = reviews.iter().map(|stored| stored.id.0).collect();
    let mut found = Vec::new();
    let mut answers = connection.prepare(
        "SELECT answered.review FROM answered JOIN review ON review.name = answered.name
         WHERE review.id = ?1",
    )?;
    for id in &own {
        let ids = answers.query_map([id], |row| row.get::<_, i64>(0))?;
        found.extend(ids.collect::<rusqlite::Result<Vec<_>>>()?);
    }
    let whole = *scope == ForgetScope::User;
    let items: HashSet<&str> = reviews.iter().map(|stored| stored.review.item.as_str()).collect();
    let texts: Vec<&str> = reviews
        .iter()
        .flat_map(|stored| [stored.review.title.trim(), stored.review.text.trim()])
        .filter(|text| text.chars().count() >= MIN_SEARCHED)
        .collect();
    let mut quoted = connection.prepare(
        "SELECT answered.review, answered.text, answered.author, item.name
         FROM answered JOIN review ON review.id = answered.review JOIN item ON item.id = review.item
         WHERE answered.text IS NOT NULL",
    )?;
    let mut rows = quoted.query([])?;
    while let Some(row) = rows.next()? {
        let text = row.get_ref(1)?.as_str()?;
        let on_item = items.contains(row.get_ref(3)?.as_str()?);
        let may_be_theirs = row.get_ref(2)?.as_str_or_null()?.is_none_or(|author| author == user);
        let is_theirs = (may_be_theirs && (whole || on_item))
            || (whole && has_word(text, user))
            || texts.iter().any(|own| text.contains(own));
        if is_theirs {
            found.push(row.get(0)?);
        }
    }
    found.retain(|id| !own.contains(id));
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Empties the titles and descriptions of items of the reviews that have the user's name as a word, such as
/// the title of a chat with them. Returns their number.
fn empty_items_named(
    connection: &Connection,
    user: &str,
    reviews: &[StoredReview],
) -> rusqlite::Result<u64> {
    let items: HashSet<&str> = reviews.iter().map(|stored| stored.review.item.as_str()).collect();
    let mut n = 0;
    for item in items {
        let texts = connection
            .prepare_cached("SELECT title, description FROM item WHERE name = ?1")?
            .query_row([item], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))
            .optional()?;
        let Some((title, description)) = texts else { continue };
        if has_word(&title, user) || has_word(&description, user) {
            connection
                .prepare_cached("UPDATE item SET title = '', description = '' WHERE name = ?1")?
                .execute([item])?;
            sums::sum_item(connection, item)?;
            n += 1;
        }
    }
    Ok(n)
}

/// Ids of the derived values to delete: those made from the reviews, those made from others' reviews whose
/// context goes (`contexts`), those without sources, reports of evaluations, which were made from
/// everybody's, and those that contain the user's name as a word, or a title or text of the reviews.
fn derived_of(
    connection: &Connection,
    user: &str,
    reviews: &[StoredReview],
    contexts: &[i64],
) -> rusqlite::Result<Vec<i64>> {
    let mut found = Vec::new();
    let mut of_review =
        connection.prepare("SELECT derived FROM derived_source WHERE review = ?1")?;
    for id in reviews.iter().map(|stored| stored.id.0).chain(contexts.iter().copied()) {
        let ids = of_review.query_map([id], |row| row.get::<_, i64>(0))?;
        found.extend(ids.collect::<rusqlite::Result<Vec<_>>>()?);
    }
    let texts = reviews.iter().flat_map(|stored| [&stored.review.title, &stored.review.text]);
    let searched: Vec<String> = texts
        .filter(|text| text.chars().count() >= MIN_SEARCHED)
        .map(|text| in_json(text))
        .collect();
    let name = in_json(user);
    let mut all = connection.prepare(
        "SELECT id, value, kind IN (?1, ?2)
            OR NOT EXISTS (SELECT 1 FROM derived_source WHERE derived = derived.id)
         FROM derived",
    )?;
    let mut rows = all.query([evaluations::SUMMARY, evaluations::REPORT])?;
    while let Some(row) = rows.next()? {
        let (value, is_free) = (row.get_ref(1)?.as_str()?, row.get::<_, bool>(2)?);
        let is_theirs =
            || has_word(value, &name) || searched.iter().any(|text| value.contains(text));
        if is_free || is_theirs() {
            found.push(row.get(0)?);
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// A text as it is within JSON strings.
fn in_json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// Whether a text has `word` with no letter or digit beside it.
fn has_word(text: &str, word: &str) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    text.match_indices(word).any(|(at, _)| {
        !is_part(text[..at].chars().next_back()) && !is_part(text[at + word.len()..].chars().next())
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::{EvaluationSummary, KeptReviews, Key, Review, SourceContext, SourceReview};

    fn review(user: &str, item: &str, text: &str) -> Review {
        let (user, item, text) = (user.to_owned(), item.to_owned(), text.to_owned());
        Review { user, item, rating: None, title: "A title of theirs".to_owned(), text, time: 1 }
    }

    /// Two users on two items; values derived from either, from both, and from nothing.
    fn store() -> Store {
        let store = Store::in_memory().unwrap();
        store
            .put_reviews(&[
                review("ann", "kettle", "It sings."),
                review("ann", "lamp", "It is bright."),
                review("bob", "kettle", "It drips, says ann."),
            ])
            .unwrap();
        let ids = store.review_ids().unwrap();
        for id in &ids {
            store.put_vectors("e", &[(*id, vec![1.0])]).unwrap();
        }
        let put = |name: &str, value: &str, sources: &[ReviewId]| {
            store
                .put_derived("answer", &Key::of("k").with("n", name).finish(), value, sources)
                .unwrap();
        };
        put("ann", "1", &ids[..1]);
        put("bob", "2", &ids[2..]);
        put("both", "3", &ids);
        put("nothing", "4", &[]);
        put("names ann", "\"as ann writes\"", &ids[2..]);
        put("annex", "\"the annex\"", &ids[2..]);
        let summary = EvaluationSummary {
            id: "1f".to_owned(),
            name: "Evaluation of rag".to_owned(),
            time: 1,
            methods: vec!["rag".to_owned()],
            users: 2,
            texts: 2,
        };
        store.put_evaluation(&summary, "<p>of &quot;ann&quot; and bob", &ids[2..]).unwrap();
        store.put_profile_edit("ann", 0, "{}").unwrap();
        store
    }

    #[test]
    fn a_user_goes_with_everything_and_others_stay() {
        let store = store();
        let planned = store.would_forget("ann", &ForgetScope::User).unwrap();
        assert_eq!(store.counts().unwrap().reviews, 3, "a plan changes nothing");
        let done = store.forget("ann", &ForgetScope::User).unwrap();
        assert_eq!(planned, done);
        let expected = Forgotten {
            user: true,
            reviews: 2,
            vectors: 2,
            derived: 6,
            split_rows: 0,
            profile_versions: 1,
            items: 1,
            item_names: 0,
            contexts: 0,
            saved_prefixes: 0,
            mentions_by_others: 1,
        };
        assert_eq!(done, expected);
        assert_eq!(store.derived_values("answer").unwrap(), ["2", "\"the annex\""]);
        assert!(matches!(store.history("ann"), Err(Error::UnknownUser { .. })));
        assert_eq!(store.history("bob").unwrap().len(), 1);
        assert_eq!(store.item_ids().unwrap(), ["kettle"]);
    }

    #[test]
    fn one_item_or_one_review_can_go_alone() {
        let store = store();
        let done = store.forget("ann", &ForgetScope::Item("lamp".to_owned())).unwrap();
        assert_eq!((done.user, done.reviews, done.items), (false, 1, 1));
        let left = store.history("ann").unwrap();
        assert_eq!(left.len(), 1);
        assert_eq!(store.profile_edits("ann").unwrap().len(), 1);
        let bobs = store.history("bob").unwrap()[0].id;
        let foreign = store.forget("ann", &ForgetScope::Review(bobs));
        assert!(matches!(foreign, Err(Error::NothingToForget { .. })));
        store.forget("ann", &ForgetScope::Review(left[0].id)).unwrap();
        assert!(store.history("ann").unwrap().is_empty());
    }

    /// A store where bob and cyd answer ann, cyd by a quotation, and dan answers nobody known.
    fn answers() -> Store {
        let store = Store::in_memory().unwrap();
        let source = |id: &str, user: &str, item: &str, text: &str, context: SourceContext| {
            SourceReview { id: Some(id.to_owned()), review: review(user, item, text), context }
        };
        let quoted = |id: Option<&str>, text: &str, user: Option<&str>| SourceContext {
            id: id.map(str::to_owned),
            text: text.to_owned(),
            user: user.map(str::to_owned),
        };
        let rows = [
            source("b1", "bob", "x", "It does.", quoted(Some("a1"), "It sings, I hear.", None)),
            source("a1", "ann", "x", "It sings, I hear.", SourceContext::default()),
            source("c1", "cyd", "y", "No.", quoted(Some("a9"), "Is it dry?", Some("ann"))),
            source("d1", "dan", "z", "Yes.", quoted(None, "Is it green?", None)),
            source("d2", "dan", "z", "Maybe.", quoted(Some("e1"), "Is it blue?", Some("eve"))),
            source("d3", "dan", "z", "Sure.", quoted(Some("e2"), "ann says it is", Some("eve"))),
        ];
        store.put_source_reviews(&rows, KeptReviews::All).unwrap();
        let ids = store.review_ids().unwrap();
        for (at, id) in ids.iter().enumerate() {
            let key = Key::of("k").with("n", at.to_string()).finish();
            store.put_derived("answer", &key, &at.to_string(), &[*id]).unwrap();
        }
        store
    }

    fn contexts(store: &Store, user: &str) -> Vec<Option<String>> {
        let history = store.history(user).unwrap().into_iter();
        history.map(|stored| stored.context.map(|context| context.text)).collect()
    }

    #[test]
    fn a_text_that_is_stored_is_referred_to_and_not_copied() {
        let store = answers();
        let copies = || {
            let sql = "SELECT count(*) FROM answered WHERE text LIKE '%sings%'";
            store.list(sql, [], |row| row.get::<_, i64>(0)).unwrap()[0]
        };
        assert_eq!(copies(), 0);
        let bobs = store.history("bob").unwrap()[0].context.clone().unwrap();
        assert_eq!((bobs.text.as_str(), bobs.user.as_deref()), ("It sings, I hear.", Some("ann")));
        assert!(bobs.review.is_some());
        let cyds = store.history("cyd").unwrap()[0].context.clone().unwrap();
        assert_eq!((cyds.text.as_str(), cyds.user.as_deref()), ("Is it dry?", Some("ann")));
        assert_eq!(cyds.review, None);
    }

    #[test]
    fn what_others_answered_goes_with_its_author() {
        let store = answers();
        let planned = store.would_forget("ann", &ForgetScope::User).unwrap();
        let done = store.forget("ann", &ForgetScope::User).unwrap();
        assert_eq!(planned, done);
        // bob's reference, cyd's quotation, dan's of nobody known, and eve's that names ann.
        assert_eq!((done.reviews, done.contexts, done.derived), (1, 4, 5));
        assert_eq!(contexts(&store, "bob"), [None]);
        assert_eq!(contexts(&store, "cyd"), [None]);
        assert_eq!(contexts(&store, "dan"), [None, Some("Is it blue?".to_owned()), None]);
        assert_eq!(store.derived_values("answer").unwrap(), ["4"]);
    }

    #[test]
    fn somebody_who_is_only_quoted_can_be_exported_and_forgotten() {
        let store = answers();
        let all = store.export_user("eve").unwrap();
        assert_eq!(all["quoted"][0]["text"], "Is it blue?");
        assert_eq!(all["reviews"], serde_json::json!([]));
        let done = store.forget("eve", &ForgetScope::User).unwrap();
        assert_eq!((done.reviews, done.contexts), (0, 3));
        assert!(matches!(store.forget("eve", &ForgetScope::User), Err(Error::UnknownUser { .. })));
        // An export names the texts of others that are stored, and does not repeat them.
        let bobs = store.export_user("bob").unwrap();
        assert_eq!(bobs["reviews"][0]["context"]["text"], "");
        assert_eq!(bobs["reviews"][0]["context"]["user"], "ann");
    }

    #[test]
    fn one_review_takes_its_answers_context_along() {
        let store = answers();
        let anns = store.history("ann").unwrap()[0].id;
        let done = store.forget("ann", &ForgetScope::Review(anns)).unwrap();
        assert_eq!((done.reviews, done.contexts), (1, 1));
        assert_eq!(contexts(&store, "cyd"), [Some("Is it dry?".to_owned())]);
    }

    #[test]
    fn an_edited_text_takes_what_was_made_from_its_answers() {
        let store = answers();
        let edited = Review { time: 2, ..review("ann", "x", "It hums, I hear.") };
        let edited = SourceReview {
            id: Some("a1".to_owned()),
            review: edited,
            context: SourceContext::default(),
        };
        store.put_source_reviews(&[edited], KeptReviews::All).unwrap();
        assert_eq!(contexts(&store, "bob"), [Some("It hums, I hear.".to_owned())]);
        assert_eq!(store.derived_values("answer").unwrap(), ["2", "3", "4", "5"]);
    }

    #[test]
    fn a_chat_that_is_titled_by_a_person_loses_the_title() {
        let store = answers();
        let item = |title: &str| crate::Item {
            id: "x".to_owned(),
            title: title.to_owned(),
            description: String::new(),
            categories: Vec::new(),
        };
        store.put_items(&[item("ann, 2020-01-01")]).unwrap();
        assert_eq!(store.forget("ann", &ForgetScope::User).unwrap().item_names, 1);
        assert_eq!(store.item("x").unwrap().title, "");
    }

    #[test]
    fn an_export_has_all_that_is_held() {
        let store = store();
        let all = store.export_user("ann").unwrap();
        assert_eq!(all["reviews"].as_array().unwrap().len(), 2);
        assert_eq!(all["reviews"][0]["text"], "It sings.");
        // A report of an evaluation is not part of it: it has the texts of others.
        assert_eq!(all["derived"].as_array().unwrap().len(), 2);
        assert_eq!(store.export_user("bob").unwrap()["derived"].as_array().unwrap().len(), 5);
        assert_eq!(all["vectors"][0]["f32_little_endian_hex"], "0000803F");
        assert_eq!(all["profile_versions"][0]["version"], 1);
        assert!(matches!(store.export_user("cyd"), Err(Error::UnknownUser { .. })));
    }
}
