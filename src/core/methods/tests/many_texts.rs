//! Tests with several texts of each user on each item, like the mails of a thread.

use std::collections::BTreeSet;

use super::*;
use crate::client::testing::text_of;

const USERS: [&str; 6] = ["ann", "b", "c", "d", "e", "f"];
const TURNS: usize = 3;

/// Six users who wrote three texts each on the items `i0` to `i3`, in turns.
fn threads() -> World {
    let world = World { store: Store::in_memory().unwrap(), ..World::new() };
    let item = |id: &str| Item {
        id: id.to_owned(),
        title: format!("Item {id}"),
        description: format!("thread {id}"),
        categories: Vec::new(),
    };
    world.store.put_items(&["i0", "i1", "i2", "i3", "i6"].map(item)).unwrap();
    let mut reviews = Vec::new();
    for item in 0..4 {
        for turn in 0..TURNS {
            reviews.extend(USERS.iter().enumerate().map(|(n, user)| Review {
                user: (*user).to_owned(),
                item: format!("i{item}"),
                rating: None,
                title: String::new(),
                text: format!("text-{user}-{item}-{turn} is said."),
                time: (1000 * item + 100 * turn + n) as i64,
            }));
        }
    }
    let outcomes = world.store.put_reviews(&reviews).unwrap();
    assert!(outcomes.iter().all(|outcome| *outcome == UpsertOutcome::New));
    world
}

#[test]
fn an_item_is_compared_once_with_one_text_of_each_peer() {
    let world = threads();
    let written = world.write(Method::DPL, &world.options()).unwrap();
    let profile = written.profile.unwrap();
    let items: BTreeSet<&str> = profile.differences.iter().map(|d| d.item.as_str()).collect();
    assert_eq!((items.len(), profile.differences.len()), (4, 4));
    for (call, difference) in profile.differences.iter().enumerate() {
        let users: Vec<&str> =
            difference.representatives.iter().map(|peer| peer.user.as_str()).collect();
        assert_eq!(users, ["b", "c", "d", "e"]);
        let prompt = world.model.prompt(call);
        let item = difference.item.trim_start_matches('i');
        for user in ["ann", "b"] {
            let shown = |turn: usize| prompt.contains(&format!("text-{user}-{item}-{turn}"));
            // The newest, and of a peer the text nearest in time to it.
            assert_eq!([shown(0), shown(1), shown(2)], [false, false, true], "{prompt}");
        }
    }
    // All past texts can be shown: N of the twelve.
    assert_eq!(written.past.len(), world.options().n);
}

#[test]
fn told_statements_of_one_item_have_one_key_each() {
    let world = threads();
    let options = world.idiolect(|o| (o.statements, o.verify) = (Statements::Told, false));
    let stated = world.write(Method::IDIOLECT, &options).unwrap().stated.unwrap();
    let keys: BTreeSet<&str> =
        stated.statements.iter().map(|stated| stated.statement.key.as_str()).collect();
    assert_eq!((keys.len(), stated.statements.len()), (9, 9));
}

#[test]
fn a_left_out_text_is_scored_without_itself_and_the_later_ones_on_its_item() {
    let changes: [fn(&mut IdiolectOptions); 3] = [
        |o| o.fit = true,
        |o| o.texts = Texts::Chosen,
        |o| (o.statements, o.verify) = (Statements::Told, true),
    ];
    for change in changes {
        let world = threads();
        world.write(Method::IDIOLECT, &world.idiolect(change)).unwrap();
        let scores = world.model.scores.borrow();
        let (mut n_own, mut n_earlier) = (0, 0);
        for (prompt, text) in scores.iter() {
            let Some(of) = text.trim().strip_prefix("text-ann-") else { continue };
            let numbers: Vec<usize> =
                of.split(['-', ' ']).take(2).map(|n| n.parse().unwrap()).collect();
            let [item, turn] = numbers[..] else { panic!("{of}") };
            let prompt = text_of(prompt);
            let shown = |turn: &usize| prompt.contains(&format!("text-ann-{item}-{turn}"));
            assert!(!(turn..TURNS).any(|later| shown(&later)), "{text} in {prompt}");
            n_earlier += (0..turn).filter(shown).count();
            n_own += 1;
        }
        assert!(n_own > 0 && n_earlier > 0, "{n_own} {n_earlier}");
    }
}

#[test]
fn another_users_past_is_without_all_texts_on_the_targets_item() {
    for method in Method::all() {
        let world = threads();
        let item = world.store.item("i0").unwrap();
        let target = Target { user: "ann".into(), item, rating: None, title: None, context: None };
        let options = MethodOptions { history: History::Of("b".into()), ..world.options() };
        block_on(method.write(&world.inputs(), &target, &options, None)).unwrap();
        for call in 0..world.model.n_requests() {
            let prompt = world.model.prompt(call);
            assert!(!prompt.contains("text-b-0") && !prompt.contains("text-ann"), "{prompt}");
        }
    }
}

#[test]
fn what_a_view_hides_of_an_item_is_in_no_prompt() {
    for method in Method::all() {
        let world = threads();
        let item = world.store.item("i3").unwrap();
        let view = View::all(&world.store).without_text("ann", "i3").unwrap();
        let inputs = MethodInputs { view, ..world.inputs() };
        let target = Target { user: "ann".into(), item, rating: None, title: None, context: None };
        block_on(method.write(&inputs, &target, &world.options(), None)).unwrap();
        for call in 0..world.model.n_requests() {
            let prompt = world.model.prompt(call);
            assert!(!prompt.contains("text-ann-3"), "{prompt}");
        }
    }
}
