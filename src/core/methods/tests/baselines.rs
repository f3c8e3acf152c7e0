//! Tests of the calls that each baseline makes, their order and fields; and of DPL with parts left
//! out.

use super::*;
use crate::difference::{DRP_DIFFERENCE, DRP_VALIDATION};
use idiolect_engine::lm::Role;

/// The items of `user`'s texts that a prompt shows, in its order.
fn shown(prompt: &str, user: &str) -> Vec<usize> {
    let mark = format!("text-{user}-");
    prompt.split(&mark).skip(1).map(|rest| rest[..1].parse().unwrap()).collect()
}

/// The answer to the `i`-th request, without label.
fn told(world: &World, i: usize) -> String {
    let request = world.model.requests.borrow()[i].clone();
    world.model.requests.borrow_mut().truncate(i);
    let text = world.model.answer(request).unwrap().text;
    text[text.find("told").unwrap()..].trim().to_owned()
}

struct Run {
    prompts: Vec<String>,
    answers: Vec<String>,
    written: Generated,
}

fn run(method: Method, user: &str, change: impl FnOnce(&mut MethodOptions)) -> Run {
    let world = World::new();
    let mut options = world.options();
    change(&mut options);
    let written =
        block_on(method.write(&world.inputs(), &world.target(user), &options, None)).unwrap();
    let n = world.model.n_requests();
    let prompts: Vec<String> = (0..n).map(|i| world.model.prompt(i)).collect();
    let mut answers: Vec<String> = (0..n).rev().map(|i| told(&world, i)).collect();
    answers.reverse();
    assert_eq!((written.computed, written.method), (n, method));
    assert_eq!(answers.last(), Some(&written.text));
    Run { prompts, answers, written }
}

#[test]
fn intsum_sums_up_everything_and_retrieves() {
    let Run { prompts, answers, written } = run(Method::INTSUM, "ann", |options| options.n = 2);
    assert_eq!(prompts.len(), 2);
    assert_eq!(shown(&prompts[0], "ann"), [5, 4, 3, 2, 1, 0]);
    assert_eq!(shown(&prompts[1], "ann"), [4, 0]);
    assert!(prompts[1].contains(&format!("[Profile Summary]: {}", answers[0])));
    assert!(prompts[1].contains("Item 6") && !prompts[0].contains("Item 6"));
    assert_eq!(written.profile.unwrap().summary, answers[0]);
    // The summary is made once per user: another target needs the last call alone.
    let world = World::new();
    world.write(Method::INTSUM, &world.options()).unwrap();
    let other = Target { item: world.store.item("i7").unwrap(), ..world.target("ann") };
    let (inputs, options) = (world.inputs(), world.options());
    let again = block_on(Method::INTSUM.write(&inputs, &other, &options, None)).unwrap();
    assert_eq!((again.computed, again.reused), (1, 1));
}

#[test]
fn llm_trsr_goes_block_by_block() {
    let Run { prompts, answers, .. } = run(Method::LLM_TRSR_RECURRENT, "ann", |_| ());
    assert_eq!(prompts.len(), 3);
    assert_eq!(shown(&prompts[0], "ann"), [0, 1, 2, 3, 4]);
    assert_eq!(shown(&prompts[1], "ann"), [5]);
    assert!(prompts[1].contains(&answers[0]));
    assert!(prompts[2].contains(&answers[1]) && !prompts[2].contains(&answers[0]));

    let Run { prompts, answers, .. } = run(Method::LLM_TRSR_HIERARCHICAL, "ann", |_| ());
    assert_eq!(prompts.len(), 4);
    assert_eq!(shown(&prompts[1], "ann"), [5]);
    assert!(!prompts[1].contains(&answers[0]));
    let at = |text: &str| prompts[2].find(text).unwrap();
    assert!(at(&answers[0]) < at(&answers[1]) && shown(&prompts[2], "ann").is_empty());
    assert!(prompts[3].contains(&answers[2]) && !prompts[3].contains(&answers[0]));
    // One block is its own summary.
    assert_eq!(run(Method::LLM_TRSR_HIERARCHICAL, "loner", |_| ()).prompts.len(), 2);
}

#[test]
fn cicl_sets_each_text_against_a_representatives() {
    let Run { prompts, answers, written } = run(Method::CICL, "ann", |_| ());
    assert_eq!(prompts.len(), 2);
    for prompt in &prompts {
        let mut pairs = shown(prompt, "ann");
        assert_eq!(shown(prompt, "b"), pairs);
        pairs.sort_unstable();
        assert_eq!(pairs, [0, 1, 2, 3, 4, 5]);
        assert!(prompt.contains("[Not by this person]: text-b-0"), "{prompt}");
    }
    assert!(prompts[1].contains(&format!("[Analysis]: {}", answers[0])));
    assert_eq!(written.profile.unwrap().sources().len(), 12);
    // If nobody else wrote about the item, the model writes the negative example.
    let Run { prompts, answers, .. } = run(Method::CICL, "loner", |_| ());
    assert_eq!(prompts.len(), 3);
    assert!(prompts[0].contains("Item 7") && !prompts[0].contains("text-loner"));
    assert!(prompts[1].contains(&format!("[Not by this person]: {}", answers[0])));
}

#[test]
fn ccp_rejects_a_wrong_text_before_each_real_one() {
    let world = World::new();
    world.write(Method::CCP, &MethodOptions { n: 2, ..world.options() }).unwrap();
    assert_eq!(world.model.n_requests(), 1);
    let Prompt::Chat(chat) = world.model.requests.borrow()[0].prompt.clone() else { panic!() };
    let (user, assistant) = (Role::User, Role::Assistant);
    let turns = [user, assistant, user, assistant];
    let roles: Vec<Role> = chat.messages.iter().map(|m| m.role).collect();
    assert_eq!(roles, [&[Role::System], &turns[..], &turns[..], &[user]].concat());
    let text = |i: usize| chat.messages[i].content.as_str();
    assert_eq!((text(2), text(4)), ("text-b-0 is said.", "text-ann-0 is said."));
    assert_eq!((text(6), text(8)), ("text-b-4 is said.", "text-ann-4 is said."));
    assert!(text(3).starts_with("No") && text(7) == text(3) && text(9).contains("Item 6"));
}

#[test]
fn persona_db_extracts_refines_and_looks_beside() {
    let Run { prompts, answers, written } = run(Method::PERSONA_DB, "ann", |options| options.n = 2);
    // One extraction and one refinement for the user and for each of three neighbours.
    assert_eq!(prompts.len(), 2 * 4 + 1);
    for (i, user) in ["ann", "b", "c", "d"].into_iter().enumerate() {
        let whole = if i < 2 { vec![5, 4, 3, 2, 1, 0] } else { vec![3, 2, 1, 0] };
        assert_eq!(shown(&prompts[2 * i], user), whole);
        assert_eq!(shown(&prompts[2 * i + 1], user), whole);
        assert!(prompts[2 * i + 1].contains(&format!("[Persona]: {}", answers[2 * i])));
    }
    let last = &prompts[8];
    let at = |text: &str| last.find(text).unwrap_or_else(|| panic!("{text} in {last}"));
    let persona = |i: usize| format!("[Persona]: {}\n{}", answers[2 * i], answers[2 * i + 1]);
    let order = [at("Item 6"), at(&persona(0)), at("text-ann-4"), at("Neighbour 1")];
    assert!(order.is_sorted() && at("Neighbour 1") < at(&persona(1)), "{last}");
    assert_eq!(shown(last, "ann"), [4, 0]);
    let beside = ["b", "c", "d"].map(|user| shown(last, user));
    assert_eq!(beside, [vec![4], vec![0], vec![0]]);
    assert!(!last.contains("text-e-"));
    assert_eq!(written.profile.unwrap().summary, persona(0)["[Persona]: ".len()..]);
}

#[test]
fn drp_looks_for_further_dimensions_and_then_doubts_them() {
    let Run { prompts, answers, written } = run(Method::DRP, "ann", |_| ());
    assert_eq!(prompts.len(), 4 * 2 + 2);
    let profile = written.profile.unwrap();
    for (i, difference) in profile.differences.iter().enumerate() {
        let (open, kept) = (&prompts[2 * i], &prompts[2 * i + 1]);
        let item = difference.item.replace('i', "text-ann-");
        for prompt in [open, kept] {
            assert!(prompt.contains(&item) && prompt.contains("text-b-"), "{prompt}");
        }
        assert!(open.contains("Emotional style") && open.contains("further dimensions"));
        assert!(kept.contains(&answers[2 * i]) && !open.contains(&answers[2 * i]));
        assert_eq!(difference.text, answers[2 * i + 1]);
        assert!(prompts[8].contains(&difference.text));
    }
    assert!(prompts[9].contains(&format!("[Profile Summary]: {}", answers[8])));
    let task = Task::load("review").unwrap();
    for stage in [DRP_DIFFERENCE, DRP_VALIDATION] {
        assert_eq!(task.stage(stage).unwrap().sampling.temperature, 0.0);
    }
}

#[test]
fn hyperalign_puts_up_hypotheses_and_keeps_to_them() {
    let Run { prompts, answers, .. } = run(Method::HYPERALIGN, "ann", |options| options.n = 2);
    assert_eq!(prompts.len(), 2);
    assert_eq!(shown(&prompts[0], "ann"), [4, 0]);
    assert_eq!(shown(&prompts[1], "ann"), [4, 0]);
    assert!(prompts[1].contains(&format!("[Hypotheses]: {}", answers[0])));
}

#[test]
fn without_differences_the_profile_is_made_of_texts() {
    let Run { prompts, answers, written } =
        run(Method::DPL, "ann", |options| options.differences = false);
    assert_eq!(prompts.len(), 2);
    assert!(written.profile.unwrap().differences.is_empty());
    assert_eq!(shown(&prompts[0], "ann").len(), 6);
    assert!(!prompts[0].contains("apart") && !prompts[0].contains("text-b-"));
    assert!(prompts[1].contains(&answers[0]));
}

#[test]
fn dimensions_can_be_left_out() {
    let without = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
    for difference_format in [DifferenceFormat::Free, DifferenceFormat::Constrained] {
        let Run { prompts, .. } = run(Method::DPL, "ann", |options| {
            options.difference_format = difference_format;
            options.without_dimensions = without(&["writing", "semantic"]);
        });
        assert!(prompts[0].contains("Emotional style"));
        assert!(!prompts[0].contains("Writing style") && !prompts[0].contains("Semantic style"));
    }
    let world = World::new();
    let fails = |keys: &[&str]| {
        let options = MethodOptions { without_dimensions: without(keys), ..world.options() };
        world.write(Method::DPL, &options).unwrap_err().to_string()
    };
    let unknown = fails(&["writing", "colour"]);
    assert!(unknown.contains("`colour`; it has writing, emotional, semantic"), "{unknown}");
    assert!(fails(&["writing", "emotional", "semantic"]).contains("at least one"));
    assert_eq!(world.model.n_requests(), 0);
}

#[test]
fn every_method_fits_a_small_window_and_another_task() {
    for task in ["review", "headline"] {
        for method in Method::all() {
            let mut world = World::new();
            world.task = Task::load(task).unwrap();
            let mut long = world.store.history("ann").unwrap()[5].review.clone();
            long.text = "And so it goes on and on. ".repeat(2500);
            long.time += 1000;
            world.replace(long);
            world.model.window.0 = 900;
            // The model asserts that no prompt exceeds the window.
            let written = world.write(method, &world.options()).unwrap();
            let cut = written.cut.iter().any(|c| c.of.item.as_deref() == Some("i5"));
            assert_eq!(cut, shows_past(method), "{task} {method:?}");
        }
    }
}

#[test]
fn a_task_without_a_methods_prompt_says_so() {
    let mut world = World::new();
    let text = crate::task::testing::as_one_file("review");
    let (before, after) = text.split_once("[stages.hyperalign]").unwrap();
    let (_, after) = after.split_once("[stages.").unwrap();
    let without = format!("{before}[stages.{after}");
    world.task = Task::parse("mine".as_ref(), &without).unwrap();
    let error = world.write(Method::HYPERALIGN, &world.options()).unwrap_err().to_string();
    assert!(error.contains("no prompt for stage `hyperalign`"), "{error}");
    world.write(Method::CICL, &world.options()).unwrap();
}

#[test]
fn peers_are_needed_where_a_method_says_so() {
    for method in Method::all() {
        let world = World::new();
        let inputs = MethodInputs { peers: None, ..world.inputs() };
        let options = world.options();
        let done = block_on(method.write(&inputs, &world.target("ann"), &options, None));
        let missing = matches!(done, Err(Error::NoPeers { .. }));
        assert_eq!(missing, method.needs_peers(&options), "{method:?}");
    }
}
