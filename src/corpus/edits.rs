//! Manual edits of users' profiles, one row per version.

use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{OptionalExtension, params};

use super::{Error, Result, Store, sums};

/// One edit of a user's profile. It is deleted together with the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileEdit {
    /// Version that the edit created: 1, 2, ... without gaps.
    pub version: u32,
    /// Time of the edit, seconds since the Unix epoch.
    pub time: i64,
    /// The edit, in the caller's format.
    pub value: String,
}

impl Store {
    /// Returns the edits of a user's profile, oldest first.
    ///
    /// # Errors
    /// [`Error::UnknownUser`], or the store cannot be read.
    pub fn profile_edits(&self, user: &str) -> Result<Vec<ProfileEdit>> {
        let sql = "SELECT version, time, value, profile_edit.sum FROM profile_edit
                   JOIN user ON user.id = profile_edit.user WHERE user.name = ?1 ORDER BY version";
        let edits = self.list(sql, [user], |row| {
            let value: String = row.get(2)?;
            let what = || format!("an edit of the profile of `{user}`");
            sums::check(row.get(3)?, sums::of_texts(&[&value]), what)?;
            Ok(ProfileEdit { version: row.get(0)?, time: row.get(1)?, value })
        })?;
        if edits.is_empty() {
            self.require_user(user)?;
        }
        Ok(edits)
    }

    /// Adds an edit to a user's profile. `after` is the last version that the author of the edit
    /// saw (0 for none).
    ///
    /// # Errors
    /// [`Error::UnknownUser`]; [`Error::EditedMeanwhile`] if the last version in the store is not
    /// `after`, because an edit refers to the version its author saw; or the store cannot be read
    /// or written.
    pub fn put_profile_edit(&self, user: &str, after: u32, value: &str) -> Result<ProfileEdit> {
        self.require_user(user)?;
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_secs() as i64);
        let version = after.saturating_add(1);
        let found = self.write(|transaction| {
            let last: Option<u32> = transaction
                .prepare_cached(
                    "SELECT max(version) FROM profile_edit
                     JOIN user ON user.id = profile_edit.user WHERE user.name = ?1",
                )?
                .query_row([user], |row| row.get(0))
                .optional()?
                .flatten();
            let last = last.unwrap_or(0);
            if last == after {
                transaction
                    .prepare_cached(
                        "INSERT INTO profile_edit(user, version, time, value, sum)
                         SELECT id, ?2, ?3, ?4, ?5 FROM user WHERE name = ?1",
                    )?
                    .execute(params![user, version, time, value, sums::of_texts(&[value])])?;
            }
            Ok(last)
        })?;
        if found != after {
            return Err(Error::EditedMeanwhile { user: user.to_owned(), seen: after, found });
        }
        Ok(ProfileEdit { version, time, value: value.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::Review;

    fn store() -> Store {
        let store = Store::in_memory().unwrap();
        let review = |user: &str| Review {
            user: user.to_owned(),
            item: "x".to_owned(),
            rating: None,
            title: String::new(),
            text: "t".to_owned(),
            time: 0,
        };
        store.put_reviews(&[review("ann"), review("bob")]).unwrap();
        store
    }

    #[test]
    fn edits_are_numbered_for_each_user() {
        let store = store();
        assert!(store.profile_edits("ann").unwrap().is_empty());
        let first = store.put_profile_edit("ann", 0, "a").unwrap();
        store.put_profile_edit("bob", 0, "b").unwrap();
        let second = store.put_profile_edit("ann", 1, "c").unwrap();
        assert_eq!((first.version, second.version), (1, 2));
        assert!(first.time > 1_700_000_000);
        assert_eq!(store.profile_edits("ann").unwrap(), [first, second]);
        assert!(matches!(store.profile_edits("cyd"), Err(Error::UnknownUser { .. })));
        let unknown = store.put_profile_edit("cyd", 0, "d");
        assert!(matches!(unknown, Err(Error::UnknownUser { .. })));
    }

    #[test]
    fn of_two_who_edit_the_same_version_the_second_is_refused() {
        let store = store();
        store.put_profile_edit("ann", 0, "a").unwrap();
        for seen in [0, 2, u32::MAX] {
            let refused = store.put_profile_edit("ann", seen, "b").unwrap_err();
            assert!(matches!(refused, Error::EditedMeanwhile { found: 1, .. }), "{refused}");
        }
        assert_eq!(store.profile_edits("ann").unwrap().len(), 1);
    }

    #[test]
    fn edits_go_with_their_user_and_only_with_theirs() {
        let store = store();
        store.put_profile_edit("ann", 0, "a").unwrap();
        store.put_profile_edit("bob", 0, "b").unwrap();
        let sql = "DELETE FROM review WHERE user = (SELECT id FROM user WHERE name = 'ann');
                   DELETE FROM user WHERE name = 'ann';";
        store.write(|transaction| transaction.execute_batch(sql)).unwrap();
        let left: Vec<String> =
            store.list("SELECT value FROM profile_edit", [], |row| row.get(0)).unwrap();
        assert_eq!(left, ["b"]);
    }
}
