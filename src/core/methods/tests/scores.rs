//! Tests of scores of given texts, and of prompts with another user's past and with nobody's.

use super::*;
use crate::client::Scored;
use crate::client::testing::text_of;
use idiolect_engine::lm::tiny::Tiny;
use idiolect_engine::lm::{Lm, LoadOptions, ScoreRequest};
use idiolect_engine::model::LmFiles;

const TEXT: &str = "It whistles. It boils. It stays.";

fn of(user: &str) -> History {
    History::Of(user.to_owned())
}

impl World {
    fn prepare(&self, method: Method, options: &MethodOptions) -> Result<PreparedPrompt> {
        block_on(method.prepare(&self.inputs(), &self.target("ann"), options))
    }

    fn score(&self, method: Method, options: &MethodOptions, text: &str) -> Scored {
        let prepared = self.prepare(method, options).unwrap();
        block_on(prepared.score(&self.inputs(), options, text)).unwrap()
    }
}

#[test]
fn the_scored_prompt_is_the_one_that_is_completed() {
    for method in Method::all() {
        for history in [History::Own, of("b"), History::None] {
            let world = World::new();
            let options = MethodOptions { history, ..world.options() };
            let scored = world.score(method, &options, TEXT);
            // The user's prompt is the first of those that are scored together.
            let prepared = world.prepare(method, &options).unwrap();
            let further = prepared.steered.map_or(0, |steered| steered.steering.further);
            let n = world.model.n_requests();
            world.write(method, &options).unwrap();
            let written = world.model.requests.borrow()[n].prompt.clone();
            let (prompt, continuation) =
                world.model.scores.borrow().iter().nth_back(further).unwrap().clone();
            assert_eq!(prompt, written, "{method:?}");
            // In a conversation of past texts no label is asked for.
            let conversations =
                [Method::SCP, Method::CCP, Method::IDIOLECT, Method::INTERACT, Method::PAD];
            let labelled = !conversations.contains(&method);
            let wanted = if labelled { format!("[Review]: {TEXT}") } else { TEXT.to_owned() };
            assert_eq!(continuation, wanted, "{method:?}");
            assert_eq!((scored.n_tokens, scored.logprobs.len()), (6, 6));
            let total: f64 = scored.logprobs.iter().map(|logprob| f64::from(*logprob)).sum();
            assert_eq!(scored.log_probability, total);
            assert!(scored.bits_per_token().unwrap() > 0.0);
        }
    }
}

#[test]
fn a_score_is_kept_and_goes_with_the_review_it_is_of() {
    let world = World::new();
    let options = world.options();
    let own = world.store.history("loner").unwrap()[0].clone();
    let prepared = world.prepare(Method::RAG, &options).unwrap();
    let score = || block_on(prepared.score(&world.inputs(), &options, &own)).unwrap();
    let first = score();
    let second = score();
    assert_eq!((first.reused, second.reused), (false, true));
    assert_eq!(first.logprobs, second.logprobs);
    assert_eq!(world.model.scores.borrow().len(), 1);
    let mut newer = own.review.clone();
    (newer.text, newer.time) = ("Another.".to_owned(), newer.time + 1);
    world.replace(newer);
    block_on(prepared.score(&world.inputs(), &options, own.review.text.as_str())).unwrap();
    assert_eq!(world.model.scores.borrow().len(), 2);

    let fresh = MethodOptions { reuse: CachePolicy::Nothing, ..options.clone() };
    block_on(prepared.score(&world.inputs(), &fresh, TEXT)).unwrap();
    block_on(prepared.score(&world.inputs(), &fresh, TEXT)).unwrap();
    assert_eq!(world.model.scores.borrow().len(), 4);
}

#[test]
fn the_first_tokens_alone_can_be_counted() {
    let world = World::new();
    let long = "one two three four ".repeat(50);
    let whole = world.score(Method::RAG, &world.options(), &long);
    let limited = MethodOptions { score_limit: Some(3), ..world.options() };
    let first = world.score(Method::RAG, &limited, &long);
    assert_eq!((whole.n_tokens, first.n_tokens), (200, 3));
    assert_eq!(first.logprobs, whole.logprobs[..3]);
    // The rest of the text is not even sent to the model.
    assert!(world.model.scores.borrow()[1].1.len() < 80);
    assert_eq!(world.score(Method::RAG, &world.options(), " \n").bits_per_token(), None);
}

#[test]
fn another_users_past_makes_the_prompt_and_theirs_on_the_item_is_hidden() {
    let histories = [History::Own, of("b"), History::None];
    for method in Method::all() {
        for (history, at) in histories.iter().flat_map(|history| [(history, 0), (history, 5)]) {
            let world = World::new();
            let held_out = world.store.history("ann").unwrap()[at].clone();
            let marks = [format!("text-ann-{at}"), format!("text-b-{at}")];
            let inputs = MethodInputs {
                view: View::all(&world.store).without(held_out.id),
                ..world.inputs()
            };
            let item = world.store.item(&held_out.review.item).unwrap();
            let target = Target { item, ..world.target("ann") };
            let options = MethodOptions { history: history.clone(), ..world.options() };
            let prepared = block_on(method.prepare(&inputs, &target, &options)).unwrap();
            block_on(prepared.score(&inputs, &options, &held_out)).unwrap();
            block_on(prepared.write(&inputs, &options, None)).unwrap();
            let prompts = (0..world.model.n_requests()).map(|i| world.model.prompt(i));
            let prompts: Vec<String> =
                prompts.chain([text_of(&world.model.scores.borrow().last().unwrap().0)]).collect();
            for prompt in &prompts {
                assert!(!prompt.contains(&marks[0]), "{method:?} {prompt}");
                if *history == of("b") {
                    assert!(!prompt.contains(&marks[1]), "{method:?} {prompt}");
                    // The target's user is not even a peer of the other user.
                    assert!(!prompt.contains("text-ann-"), "{method:?} {prompt}");
                }
            }
            let last = prompts.last().unwrap();
            let shown = |user: &str| last.contains(&format!("text-{user}-4"));
            let own = match history {
                History::Own => "ann",
                History::Of(_) => "b",
                History::None => "",
            };
            if shows_past(method) {
                assert_eq!(shown("ann"), own == "ann", "{method:?} {last}");
                assert!(own.is_empty() || shown(own), "{method:?} {last}");
            }
            assert!(last.contains(&format!("Item {at}")) && last.contains("given-title"), "{last}");
        }
    }
}

#[test]
fn nobodys_past_takes_one_call_and_an_unknown_users_is_an_error() {
    for method in Method::all() {
        let world = World::new();
        let options = MethodOptions { history: History::None, ..world.options() };
        let written = world.write(method, &options).unwrap();
        assert_eq!((written.computed, written.past.len()), (1, 0), "{method:?}");
        assert!(written.profile.is_none());
        let options = MethodOptions { history: of("nobody"), ..world.options() };
        let error = world.prepare(method, &options).unwrap_err().to_string();
        assert!(error.contains("nobody"), "{error}");
    }
}

#[test]
fn a_score_is_what_the_language_model_says_of_text_behind_the_label() {
    let folder = tempfile::tempdir().unwrap();
    let gguf = folder.path().join("tiny.gguf");
    let tiny = Tiny { context: 8192, ..Tiny::new("llama") };
    std::fs::write(&gguf, tiny.bytes()).unwrap();
    let files = LmFiles { name: "tiny".into(), gguf, tokenizer: None, sha256: "0".repeat(64) };
    let lm = Lm::load(&files, &LoadOptions { threads: 1, ..LoadOptions::default() }).unwrap();
    let world = World::new();
    let inputs = MethodInputs { model: &lm, ..world.inputs() };
    let options = MethodOptions { n: 2, score_limit: Some(12), ..world.options() };
    let completion = {
        let mut completion = options.clone();
        completion.scp.form = Form::Completion;
        completion
    };
    let cases = [
        (Method::RAG, "[Review]: ", &options),
        (Method::SCP, "", &options),
        (Method::SCP, "", &completion),
    ];
    for (method, label, options) in cases {
        let prepared = block_on(method.prepare(&inputs, &world.target("ann"), options)).unwrap();
        let scored = block_on(prepared.score(&inputs, options, TEXT)).unwrap();
        let rendered = world.task.render(prepared.stage, &prepared.draft).unwrap();
        let is_document = matches!(rendered.prompt, Prompt::Text(_));
        assert_eq!(is_document, options.scp.form == Form::Completion);
        let whole = format!("{label}{TEXT}");
        let plain = block_on(lm.score(ScoreRequest::new(rendered.prompt, whole))).unwrap();
        // A byte is a token here; the space before the text belongs to the text.
        let n_label = label.trim().len();
        assert_eq!(scored.logprobs, plain[0].logprobs[n_label..n_label + 12]);
        let again = block_on(prepared.score(&inputs, options, TEXT)).unwrap();
        assert_eq!((again.logprobs, again.reused), (scored.logprobs, true));
    }
}
