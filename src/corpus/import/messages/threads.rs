//! Threads of mails.

use std::collections::HashMap;

use idiolect_engine::key::Key;

use super::subject::{is_answer, without_prefixes};

/// Number of letters of a thread's identifier; with twelve, two of a million threads get one identifier at
/// odds of 1 to 500.
const ID_LETTERS: usize = 12;

/// Identifiers by which a mail refers to others.
#[derive(Debug, Clone, Default)]
pub(super) struct MailIds {
    /// Its own.
    pub(super) own: Option<String>,
    /// That of the mail which it answers.
    pub(super) parent: Option<String>,
    /// The first of those that it refers to: the first mail of the thread.
    pub(super) root: Option<String>,
}

/// Assigns mails to threads: by the first identifier in `References`, by `In-Reply-To`, or, for answers
/// without either, by subject and participants. Holds two numbers of each mail (32 bytes).
///
/// The identifier of a thread depends on its first mail only, so it is the same in a later export, and
/// whatever the order of the mails is, if their programs write `References`, as nearly all do.
#[derive(Debug, Default)]
pub(super) struct Threads {
    /// Thread by mail.
    of_mail: HashMap<u64, u64>,
    /// Newest thread by subject and participants.
    of_subject: HashMap<u64, u64>,
}

impl Threads {
    /// Returns the identifier of the thread of a mail.
    pub(super) fn of(&mut self, ids: &MailIds, subject: &str, people: &[String]) -> String {
        let own = ids.own.as_deref().map(number);
        let title = without_prefixes(subject).to_lowercase();
        let mut people: Vec<&str> = people.iter().map(String::as_str).collect();
        people.sort_unstable();
        people.dedup();
        let talk = number(&format!("{title}\n{}", people.join("\n")));
        let referred = || {
            let named = [&ids.root, &ids.parent].into_iter().flatten().map(|id| number(id));
            let known = named.clone().find_map(|id| self.of_mail.get(&id).copied());
            known.or_else(|| named.clone().next())
        };
        let known = own.and_then(|own| self.of_mail.get(&own).copied());
        let thread = known
            .or_else(referred)
            .or_else(|| {
                let answers = is_answer(subject) && !title.is_empty();
                answers.then(|| self.of_subject.get(&talk).copied()).flatten()
            })
            .or(own)
            .unwrap_or(talk);
        if let Some(own) = own {
            self.of_mail.insert(own, thread);
        }
        for id in [&ids.root, &ids.parent].into_iter().flatten() {
            self.of_mail.entry(number(id)).or_insert(thread);
        }
        self.of_subject.insert(talk, thread);
        format!("thread-{}", &format!("{thread:016x}")[..ID_LETTERS])
    }
}

/// A number that stands for a text.
fn number(text: &str) -> u64 {
    let key = Key::of("thread").with("of", text).finish();
    u64::from_str_radix(&key.as_str()[..16], 16).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(own: &str, parent: &str, root: &str) -> MailIds {
        let id = |id: &str| (!id.is_empty()).then(|| id.to_owned());
        MailIds { own: id(own), parent: id(parent), root: id(root) }
    }

    #[test]
    fn references_decide_in_any_order() {
        let mails = [ids("a", "", ""), ids("b", "a", "a"), ids("c", "b", "a")];
        for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
            let mut threads = Threads::default();
            let of: Vec<String> =
                order.iter().map(|&i| threads.of(&mails[i], "tea", &[])).collect();
            assert!(of.iter().all(|thread| *thread == of[0]), "{order:?}");
        }
        let mut threads = Threads::default();
        assert_ne!(threads.of(&mails[0], "tea", &[]), threads.of(&ids("x", "", ""), "tea", &[]));
    }

    #[test]
    fn answers_without_references_are_found_by_subject_and_people() {
        let mut threads = Threads::default();
        let people =
            |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let first = threads.of(&ids("a", "", ""), "Tea on Friday", &people(&["ann", "bo"]));
        let answer = threads.of(&ids("b", "", ""), "AW: tea on friday", &people(&["bo", "ann"]));
        assert_eq!(first, answer);
        let others = threads.of(&ids("c", "", ""), "Re: Tea on Friday", &people(&["cy", "bo"]));
        assert_ne!(first, others);
        let new = threads.of(&ids("d", "", ""), "Tea on Friday", &people(&["ann", "bo"]));
        assert_ne!(first, new);
    }
}
