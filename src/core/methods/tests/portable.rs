//! Tests of profiles for other programs.

use super::*;
use crate::difference::statements::{Change, Edit, revise, revisions};
use idiolect_engine::lm::{Message, Role};

fn portable(world: &World, n: usize) -> PortableProfile {
    let options = MethodOptions { n, ..world.idiolect(|o| o.verify = false) };
    let edits = revisions(&world.store, "ann").unwrap();
    block_on(portable_profile(&world.inputs(), "ann", &options, &edits)).unwrap()
}

#[test]
fn a_portable_profile_has_the_newest_texts_and_what_a_person_pinned() {
    let world = World::new();
    let before = portable(&world, 3);
    let edit = Edit::add(&before.profile, "writing", "never uses a semicolon").unwrap();
    revise(&world.store, "ann", before.profile.version, Change::Edits(vec![edit])).unwrap();
    let made = portable(&world, 3);

    assert_eq!(made.n_texts, 3);
    // The three newest of six, the newest last.
    let at = |text: &str| made.system_prompt.find(text);
    let places = ["text-ann-3", "text-ann-4", "text-ann-5"].map(|text| at(text).unwrap());
    assert!(places.is_sorted(), "{}", made.system_prompt);
    assert_eq!(at("text-ann-2"), None);
    assert!(at("\n- never uses a semicolon\n").is_some(), "{}", made.system_prompt);
    for other in ["b", "c", "d", "e", "f"] {
        assert_eq!(at(&format!("text-{other}-")), None);
    }

    let (system, turns) = made.messages.split_first().unwrap();
    assert_eq!(system.role, Role::System);
    assert!(system.content.contains("\n- never uses a semicolon"), "{}", system.content);
    assert!(!system.content.contains("text-ann"), "{}", system.content);
    assert_eq!(turns.len(), 6);
    for (pair, item) in turns.chunks(2).zip(3..) {
        let [Message { role: asks, content }, Message { role: answers, content: text }] = pair
        else {
            panic!("{pair:?}")
        };
        assert_eq!((*asks, *answers), (Role::User, Role::Assistant));
        assert!(content.contains(&format!("Item {item}")), "{content}");
        assert!(text.starts_with(&format!("text-ann-{item}")), "{text}");
    }
    assert_eq!(world.model.n_requests(), 0);
}

#[test]
fn a_portable_profile_without_texts_or_statements_has_the_instructions() {
    let world = World::new();
    let made = portable(&world, 0);
    assert_eq!((made.n_texts, made.messages.len()), (0, 1));
    assert!(!made.system_prompt.contains("text-ann") && !made.system_prompt.contains("\n-"));
    assert_eq!(made.system_prompt, made.messages[0].content);
    let (inputs, options) = (world.inputs(), world.options());
    assert!(block_on(portable_profile(&inputs, "nobody", &options, &[])).is_err());
}
