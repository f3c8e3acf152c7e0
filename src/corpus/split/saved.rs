//! Storing and reading splits.

use rusqlite::{OptionalExtension, params};

use super::{SplitParameters, SplitPart};
use crate::{Error, Result, ReviewId, Store};

/// A stored split of the reviews into profiles and held-out inputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Its name in the store.
    pub name: String,
    /// Parameters it was made with.
    pub parameters: SplitParameters,
    /// Its users, sorted by name.
    pub users: Vec<UserSplit>,
}

/// One user's part of a split.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct UserSplit {
    /// The user.
    pub user: String,
    /// Reviews that methods may read, oldest first. For the nth input, the earlier inputs are part
    /// of the history too.
    pub profile: Vec<ReviewId>,
    /// Held-out reviews with the part each belongs to, oldest first.
    pub inputs: Vec<(SplitPart, ReviewId)>,
}

impl Split {
    /// Returns the user and the review of each held-out review of a part.
    pub fn held_out(&self, part: SplitPart) -> impl Iterator<Item = (&str, ReviewId)> {
        self.users.iter().flat_map(move |user| {
            let inputs = user.inputs.iter().filter(move |(of, _)| *of == part);
            inputs.map(|(_, review)| (user.user.as_str(), *review))
        })
    }
}

impl Store {
    /// Stores a split in one transaction. Replaces an earlier split of the same name.
    pub fn put_split(&self, split: &Split) -> Result<()> {
        let rows = || {
            split.users.iter().flat_map(|user| {
                let profile = user.profile.iter().map(|review| (SplitPart::Profile, *review));
                profile.chain(user.inputs.iter().copied())
            })
        };
        let parameters = serde_json::json!(split.parameters).to_string();
        self.write(|transaction| {
            transaction.execute("DELETE FROM split WHERE name = ?1", [&split.name])?;
            let id = transaction
                .prepare_cached("INSERT INTO split(name, parameters, size) VALUES (?1, ?2, ?3)")?
                .insert(params![split.name, parameters, rows().count() as i64])?;
            let mut insert = transaction.prepare_cached(
                "INSERT INTO split_row(split, rank, review, part) VALUES (?1, ?2, ?3, ?4)",
            )?;
            for (rank, (part, review)) in rows().enumerate() {
                insert.execute(params![id, rank as i64, review.0, name_of(part)])?;
            }
            Ok(())
        })
    }

    /// Returns the split called `name`.
    pub fn split(&self, name: &str) -> Result<Split> {
        let sql = "SELECT id, parameters, size FROM split WHERE name = ?1";
        let found = self.read(|connection| {
            let row = |row: &rusqlite::Row<'_>| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?))
            };
            connection.prepare_cached(sql)?.query_row([name], row).optional()
        })?;
        let Some((id, parameters, size)) = found else {
            return Err(self.unknown_split(name)?);
        };
        let unreadable = |reason: String| Error::Unreadable {
            path: self.path().to_owned(),
            what: format!("split `{name}`"),
            reason,
        };
        let parameters =
            serde_json::from_str(&parameters).map_err(|error| unreadable(error.to_string()))?;
        let sql = "SELECT user.name, split_row.part, split_row.review
                   FROM split_row JOIN review ON review.id = split_row.review
                   JOIN user ON user.id = review.user
                   WHERE split_row.split = ?1 ORDER BY split_row.rank";
        let rows = self.list(sql, [id], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, ReviewId(row.get(2)?)))
        })?;
        let (n, size) = (rows.len() as u64, size as u64);
        if n != size {
            return Err(Error::StaleSplit { name: name.to_owned(), lost: size.abs_diff(n), size });
        }
        let mut users: Vec<UserSplit> = Vec::new();
        for (user, part, review) in rows {
            if users.last().is_none_or(|last| last.user != user) {
                users.push(UserSplit { user, profile: Vec::new(), inputs: Vec::new() });
            }
            let Some(last) = users.last_mut() else { continue };
            match part_named(&part).ok_or_else(|| unreadable(format!("part `{part}`")))? {
                SplitPart::Profile => last.profile.push(review),
                part => last.inputs.push((part, review)),
            }
        }
        Ok(Split { name: name.to_owned(), parameters, users })
    }

    /// Returns the names of all splits, sorted.
    pub fn splits(&self) -> Result<Vec<String>> {
        self.list("SELECT name FROM split ORDER BY name", [], |row| row.get(0))
    }

    fn unknown_split(&self, name: &str) -> Result<Error> {
        let names: Vec<String> = self.splits()?.iter().map(|name| format!("`{name}`")).collect();
        let present = match names.is_empty() {
            true => String::new(),
            false => format!(" (it has {})", names.join(", ")),
        };
        Ok(Error::UnknownSplit { name: name.to_owned(), present })
    }
}

const NAMES: [(SplitPart, &str); 4] = [
    (SplitPart::Profile, "profile"),
    (SplitPart::Train, "train"),
    (SplitPart::Val, "val"),
    (SplitPart::Test, "test"),
];

fn name_of(part: SplitPart) -> &'static str {
    NAMES[part as usize].1
}

fn part_named(name: &str) -> Option<SplitPart> {
    NAMES.iter().find(|(_, of)| *of == name).map(|(part, _)| *part)
}
