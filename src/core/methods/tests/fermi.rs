//! Tests of improved instructions: what is split, scored, shown and kept.

use super::*;
use crate::client::testing::text_of;
use crate::corpus::ReviewId;

fn options(optimiser: FermiOptimiser) -> MethodOptions {
    let fermi = FermiOptions { optimiser, rounds: 2 };
    MethodOptions { fermi, ..World::new().options() }
}

fn ids(world: &World, items: &[usize]) -> Vec<ReviewId> {
    let of = |item: &usize| {
        let all = world.store.reviews_of(&format!("i{item}")).unwrap();
        all.into_iter().find(|stored| stored.review.user == "ann").unwrap().id
    };
    items.iter().map(of).collect()
}

#[test]
fn the_model_sees_scores_and_drafts_and_what_it_proposes_is_scored() {
    let world = World::new();
    let options = options(FermiOptimiser::Model);
    let search = block_on(fermi_search(&world.inputs(), "ann", &options)).unwrap();
    // Six texts: the older four, and the newest two.
    assert_eq!(search.improve, ids(&world, &[0, 1, 2, 3]));
    assert_eq!(search.choose, ids(&world, &[4, 5]));
    // The scripted model proposes one instruction a round, under four names.
    let first = world.model.prompt(3);
    assert!(first.contains("+0.000: (no instruction)"), "{first}");
    assert_eq!(first.matches("[Written by the person]: text-ann-").count(), 3, "{first}");
    assert_eq!(first.matches("[Written with the instruction]: told ").count(), 3, "{first}");
    assert!(!first.contains("text-ann-4") && !first.contains("text-ann-5"), "{first}");
    assert!((2..=3).contains(&search.tried), "{search:?}");
    for prompt in &search.prompts {
        assert!(prompt.lines.is_empty() || prompt.lines[0].starts_with("told "), "{prompt:?}");
        assert_eq!((prompt.improve.texts, prompt.choose.texts), (4, 2));
    }
    // Gains are differences of scores under the prompts with and without the instruction.
    let best = search.prompts.iter().find(|prompt| !prompt.lines.is_empty());
    if let Some(best) = best {
        let gain = block_on(fermi_gain(
            &world.inputs(),
            "ann",
            &options,
            &best.lines,
            &ids(&world, &[4, 5]),
        ));
        assert_eq!(gain.unwrap(), best.choose);
    }
    let scores = world.model.scores.borrow();
    let seed = scores.iter().filter(|(prompt, _)| !text_of(prompt).contains("How this person"));
    assert!(seed.clone().any(|(_, text)| text.contains("text-ann-0")));
    let is_peers = |text: &str| {
        ["b", "c", "d", "e", "f"].iter().any(|peer| text.contains(&format!("text-{peer}-0")))
    };
    assert!(seed.clone().any(|(_, text)| is_peers(text)), "a peer's text is scored");
}

#[test]
fn the_method_shows_an_instruction_that_helps_or_the_tasks_own_prompt() {
    let world = World::new();
    let options = options(FermiOptimiser::Model);
    let (inputs, target) = (world.inputs(), world.target("ann"));
    let search = block_on(fermi_search(&inputs, "ann", &options)).unwrap();
    let prepared = block_on(Method::FERMI.prepare(&inputs, &target, &options)).unwrap();
    let written = world.write(Method::FERMI, &options).unwrap();
    assert!(written.text.starts_with("told "));
    let prompt = world.model.prompt(world.model.n_requests() - 1);
    let helps = search.prompts.iter().any(|prompt| prompt.choose.helps());
    if prompt.contains("How this person writes") {
        assert!(helps, "{search:?}");
    }
    assert!(prompt.contains("Item 6") && !prompt.contains("text-ann"), "{prompt}");
    // The result goes with each text that was scored.
    for id in search.improve.iter().chain(&search.choose) {
        assert!(prepared.sources.contains(id));
    }
    // Nobody's history, or too little of it, leaves the task's own prompt.
    let nobody = MethodOptions { history: History::None, ..options.clone() };
    let prepared = block_on(Method::FERMI.prepare(&inputs, &target, &nobody)).unwrap();
    assert_eq!(prepared.sources, []);
    let target = world.target("loner");
    let prepared = block_on(Method::FERMI.prepare(&inputs, &target, &options)).unwrap();
    assert_eq!(prepared.sources, []);
    let search = block_on(fermi_search(&inputs, "loner", &options)).unwrap();
    assert_eq!((search.rounds, search.prompts.len()), (0, 0));
}

#[test]
fn measured_statements_need_no_answer_of_the_model() {
    let world = World::new();
    let options = options(FermiOptimiser::Measured);
    let search = block_on(fermi_search(&world.inputs(), "ann", &options)).unwrap();
    assert_eq!(world.model.n_requests(), 0);
    assert!(Method::FERMI.needs_peers(&options));
    assert!(!search.prompts.is_empty());
    // Of equals the task's own prompt is first.
    let fitness: Vec<f64> = search.prompts.iter().map(|prompt| prompt.improve.specific()).collect();
    assert!(search.prompts[0].lines.is_empty() || fitness[0] > 0.0, "{search:?}");
}
