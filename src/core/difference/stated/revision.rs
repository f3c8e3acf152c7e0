//! The versions of a profile: each is what was changed at one time, and none is ever rewritten.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::Edit;
use crate::corpus::{Error, Result, Store};

/// What was changed at one time.
///
/// An undo is a change of its own, so that the number of a version means the same for ever: whatever
/// was made with version 3 can be made again with version 3.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// Statements, in this order.
    Edits(Vec<Edit>),
    /// The edits of this version do not count any more.
    Undo(u32),
}

/// One version of a profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// Its number, from 1; 0 is what was computed.
    pub version: u32,
    /// When it was made, seconds since the epoch.
    pub time: i64,
    /// What makes it another than the one before it.
    #[serde(flatten)]
    pub change: Change,
}

/// The versions of a user's profile, oldest first. Version N is what the first N of them make.
///
/// # Errors
/// The user is unknown, or the store cannot be read.
pub fn revisions(store: &Store, user: &str) -> Result<Vec<Revision>> {
    let rows = store.profile_edits(user)?;
    let read = rows.into_iter().map(|row| {
        let change = serde_json::from_str(&row.value).map_err(|reason| Error::Unreadable {
            path: store.path().to_owned(),
            what: format!("version {} of the profile of `{user}`", row.version),
            reason: reason.to_string(),
        })?;
        Ok(Revision { version: row.version, time: row.time, change })
    });
    read.collect()
}

/// Makes the version after `after`, the newest that its author saw.
///
/// # Errors
/// The user is unknown, the store cannot be written, or the profile has a later version by now
/// ([`Error::EditedMeanwhile`]).
pub fn revise(store: &Store, user: &str, after: u32, change: Change) -> Result<Revision> {
    let value = serde_json::to_string(&change).map_err(|reason| Error::Unreadable {
        path: store.path().to_owned(),
        what: format!("a change of the profile of `{user}`"),
        reason: reason.to_string(),
    })?;
    let row = store.put_profile_edit(user, after, &value)?;
    Ok(Revision { version: row.version, time: row.time, change })
}

/// The edits that count, oldest first: those that none of these versions undoes.
pub fn in_force(revisions: &[Revision]) -> impl Iterator<Item = &Edit> {
    let undone = undone(revisions);
    revisions.iter().filter(move |revision| !undone.contains(&revision.version)).flat_map(
        |revision| match &revision.change {
            Change::Edits(edits) => edits.as_slice(),
            Change::Undo(_) => &[],
        },
    )
}

/// The version that an undo takes back: the newest with edits that is not undone yet.
#[must_use]
pub fn next_undo(revisions: &[Revision]) -> Option<u32> {
    let undone = undone(revisions);
    let counts =
        |r: &&Revision| matches!(r.change, Change::Edits(_)) && !undone.contains(&r.version);
    revisions.iter().rev().find(counts).map(|revision| revision.version)
}

fn undone(revisions: &[Revision]) -> HashSet<u32> {
    let undone = revisions.iter().filter_map(|revision| match revision.change {
        Change::Undo(version) => Some(version),
        Change::Edits(_) => None,
    });
    undone.collect()
}
