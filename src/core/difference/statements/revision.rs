//! The versions of a profile: each is a change made at one time, and none is ever rewritten.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::Edit;
use crate::corpus::{Error, Result, Store};

/// Change made by one version.
///
/// An undo is itself a change, so that a version number always means the same: a text made with
/// version 3 can be made again with version 3.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// Edits of statements, in this order.
    Edits(Vec<Edit>),
    /// Undo: the edits of this version no longer count.
    Undo(u32),
}

/// One version of a profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// Version number, from 1; 0 is the computed profile.
    pub version: u32,
    /// Time at which it was made, seconds since the epoch.
    pub time: i64,
    /// Change from the version before it.
    #[serde(flatten)]
    pub change: Change,
}

/// Returns the versions of a user's profile, oldest first. Version N is the result of the first N
/// of them.
///
/// # Errors
/// Error if the user is unknown, or if the store cannot be read.
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

/// Stores a change as the version after `after`, the newest version that its author saw.
///
/// # Errors
/// Error if the user is unknown, if the store cannot be written, or if the profile has a later
/// version by now ([`Error::EditedMeanwhile`]).
pub fn revise(store: &Store, user: &str, after: u32, change: Change) -> Result<Revision> {
    let value = serde_json::to_string(&change).map_err(|reason| Error::Unreadable {
        path: store.path().to_owned(),
        what: format!("a change of the profile of `{user}`"),
        reason: reason.to_string(),
    })?;
    let row = store.put_profile_edit(user, after, &value)?;
    Ok(Revision { version: row.version, time: row.time, change })
}

/// Returns the edits in force, oldest first: those that none of these versions undoes.
pub fn in_force(revisions: &[Revision]) -> impl Iterator<Item = &Edit> {
    let undone = undone(revisions);
    revisions.iter().filter(move |revision| !undone.contains(&revision.version)).flat_map(
        |revision| match &revision.change {
            Change::Edits(edits) => edits.as_slice(),
            Change::Undo(_) => &[],
        },
    )
}

/// Returns the version that an undo takes back: the newest with edits that is not undone yet.
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
