//! Who wrote a message: persons with several names and addresses are one user.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::MessageAuthor;

/// Author of messages whose export does not name its owner.
const OWNER_UNNAMED: &str = "me";

/// Names of people, as the user of the program tells them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PersonNames {
    /// Names and addresses of the user of the program. The first one names the user.
    pub me: Vec<String>,
    /// Other persons: the name of the user, and a name or address that also is theirs.
    pub aliases: Vec<(String, String)>,
    /// Whether each address is a person of its own. Otherwise addresses with the same full name are one.
    pub by_address: bool,
}

/// A person with several names or addresses.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct MergedPerson {
    /// The user.
    pub user: String,
    /// The addresses and names that were found, sorted.
    pub known_as: Vec<String>,
}

/// Assigns authors to users.
#[derive(Debug)]
pub(in crate::import) struct People {
    /// Users by names and addresses in lower case, as the user of the program says.
    told: HashMap<String, String>,
    /// Users by addresses, in lower case.
    of_address: HashMap<String, String>,
    /// Users by names, in lower case.
    of_name: HashMap<String, String>,
    /// Names and addresses by user.
    known_as: BTreeMap<String, BTreeSet<String>>,
    by_address: bool,
}

impl People {
    pub(in crate::import) fn new(names: &PersonNames) -> Self {
        let mut told = HashMap::new();
        for (user, alias) in &names.aliases {
            told.insert(key(&in_order(alias)), user.clone());
        }
        if let Some(user) = names.me.first() {
            for name in names.me.iter().map(String::as_str).chain([OWNER_UNNAMED]) {
                told.insert(key(&in_order(name)), user.clone());
            }
        }
        let (of_address, of_name) = (HashMap::new(), HashMap::new());
        let known_as = BTreeMap::new();
        Self { told, of_address, of_name, known_as, by_address: names.by_address }
    }

    /// Returns the user who is the author; `None` if the author has neither a name nor an address.
    ///
    /// In this order: the user whom the user of the program named for the address or the name (beside a mail
    /// address only a full name counts, since many people are called Ann); the user of an earlier message
    /// with the address; with a full name, that of an earlier message with the name. A new user is named by
    /// a mail address, else by the name, else by what the export has.
    pub(in crate::import) fn user(&mut self, author: &MessageAuthor) -> Option<String> {
        let some = |text: &Option<String>| {
            text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let name = some(&author.name).map(|name| in_order(&name));
        let address = some(&author.address).map(|address| match is_mail_address(&address) {
            true => address.to_lowercase(),
            false => address,
        });
        let has_mail = address.as_deref().is_some_and(is_mail_address);
        let telling = name.as_ref().filter(|name| !has_mail || is_full_name(name));
        let told = address.iter().chain(telling).find_map(|text| self.told.get(&key(text)));
        let user = match told {
            Some(user) => user.clone(),
            None => self.found(address.as_deref(), name.as_deref())?,
        };
        if let Some(address) = &address {
            self.of_address.insert(key(address), user.clone());
        }
        if let Some(name) = &name {
            self.of_name.entry(key(name)).or_insert_with(|| user.clone());
        }
        let known_as = self.known_as.entry(user.clone()).or_default();
        known_as.extend(address.or(name));
        Some(user)
    }

    /// The user of an author about whom the user of the program said nothing.
    fn found(&self, address: Option<&str>, name: Option<&str>) -> Option<String> {
        let known = address.and_then(|address| self.of_address.get(&key(address)));
        if let Some(user) = known {
            return Some(user.clone());
        }
        let namesake = name.and_then(|name| self.of_name.get(&key(name)));
        let Some(name) = name else { return address.map(str::to_owned) };
        let Some(address) = address else {
            // Without an address the name is all that tells persons apart.
            return Some(namesake.cloned().unwrap_or_else(|| name.to_owned()));
        };
        match namesake {
            Some(user) if !self.by_address && is_full_name(name) => Some(user.clone()),
            _ if is_mail_address(address) => Some(address.to_owned()),
            Some(_) => Some(format!("{name} ({address})")),
            None => Some(name.to_owned()),
        }
    }

    /// Whether a message was by the user.
    pub(in crate::import) fn knows(&self, user: &str) -> bool {
        self.known_as.contains_key(user)
    }

    /// Persons with several names or addresses.
    pub(in crate::import) fn merged(&self) -> Vec<MergedPerson> {
        let several = self.known_as.iter().filter(|(_, known_as)| known_as.len() > 1);
        several
            .map(|(user, known_as)| MergedPerson {
                user: user.clone(),
                known_as: known_as.iter().cloned().collect(),
            })
            .collect()
    }
}

/// A name or address in the form in which it is compared.
fn key(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// A name with the given name first: `Example, Ann` is `Ann Example`.
fn in_order(name: &str) -> String {
    match name.split_once(',') {
        Some((last, first)) if !first.contains(',') && is_full_name(&format!("{first} {last}")) => {
            format!("{} {}", first.trim(), last.trim())
        }
        _ => name.to_owned(),
    }
}

/// Whether a name has at least two words of letters, so that two persons rarely share it.
fn is_full_name(name: &str) -> bool {
    let is_word = |word: &&str| {
        word.chars().filter(|c| c.is_alphabetic()).count() >= 2 && !word.contains(['@', '/'])
    };
    name.split_whitespace().filter(is_word).count() >= 2
}

fn is_mail_address(address: &str) -> bool {
    address.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && domain.contains('.'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn author(name: &str, address: &str) -> MessageAuthor {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        MessageAuthor { name: some(name), address: some(address) }
    }

    #[test]
    fn addresses_of_one_full_name_are_one_person() {
        let mut people = People::new(&PersonNames::default());
        let mut user = |name, address| people.user(&author(name, address)).unwrap();
        assert_eq!(user("Ann Example", "ann@example.org"), "ann@example.org");
        assert_eq!(user("Example, Ann", "ann@work.example"), "ann@example.org");
        assert_eq!(user("", "Ann@work.example"), "ann@example.org");
        assert_eq!(user("Bo", "bo@example.org"), "bo@example.org");
        assert_eq!(user("Bo", "bo@other.example"), "bo@other.example");
        assert_eq!(people.user(&author("", " ")), None);
        let merged = people.merged();
        assert_eq!(merged.len(), 1);
        assert_eq!(merged[0].known_as, ["ann@example.org", "ann@work.example"]);
    }

    #[test]
    fn names_that_are_told_win() {
        let me = ["me".to_owned(), "ann@example.org".to_owned(), "Ann".to_owned()].to_vec();
        let aliases =
            vec![("bo".to_owned(), "Bo Other".to_owned()), ("bo".to_owned(), "+44 1".to_owned())];
        let mut people = People::new(&PersonNames { me, aliases, by_address: false });
        let mut user = |name, address| people.user(&author(name, address)).unwrap();
        assert_eq!(user("x", "ANN@example.org"), "me");
        assert_eq!(user("ann", ""), "me");
        assert_eq!(user("Bo  Other", "bo@example.org"), "bo");
        assert_eq!(user("", "bo@example.org"), "bo");
        assert_eq!(user("", "+44 1"), "bo");
        assert_eq!(user("me", ""), "me");
        assert_eq!(user("Ann", "another.ann@example.org"), "another.ann@example.org");
    }

    #[test]
    fn each_address_can_be_a_person() {
        let names = PersonNames { by_address: true, ..PersonNames::default() };
        let mut people = People::new(&names);
        let mut user = |name, address| people.user(&author(name, address)).unwrap();
        assert_eq!(user("Ann Example", "ann@example.org"), "ann@example.org");
        assert_eq!(user("Ann Example", "ann@work.example"), "ann@work.example");
        // Of chats the name is what people know.
        assert_eq!(user("Cy", "U01"), "Cy");
        assert_eq!(user("Cy", "U02"), "Cy (U02)");
        assert_eq!(user("Cy", "U01"), "Cy");
    }
}
