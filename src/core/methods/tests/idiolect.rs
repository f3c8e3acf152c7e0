//! Tests of `idiolect`: contrast prompts, statements, fits, best of n, attribution.

use std::sync::Mutex;

use super::*;
use crate::client::testing::text_of;
use crate::difference::statements::StatementStatus;
use crate::steering::{Contrast, PeerContrast};
use idiolect_engine::lm::tiny::Tiny;
use idiolect_engine::lm::{Lm, LoadOptions};
use idiolect_engine::model::LmFiles;

const PEERS: Contrast =
    Contrast::Peers(PeerContrast { a: 1.0, b: 0.3, plausible: 0.0, divergence: 0.0, ramp: 0 });

impl World {
    /// One prompt, and the user's words counted against others': no text is read before.
    pub(super) fn idiolect(&self, change: impl FnOnce(&mut IdiolectOptions)) -> MethodOptions {
        let mut options = MethodOptions { n: 3, ..self.options() };
        let counted = &mut options.idiolect;
        (counted.prompts, counted.expected, counted.corpus) = (1, Some(0.0), Some(0.0));
        (counted.lexical, counted.phrases) = (Some(0.5), Some(0.05));
        change(counted);
        options
    }

    /// A world with further users, each with a text on three items.
    fn with_more_users(n: usize, text: impl Fn(usize, usize) -> String) -> Self {
        let world = Self::new();
        let of = |user: usize, item: usize| Review {
            user: format!("more-{user}"),
            item: format!("i{item}"),
            rating: None,
            title: String::new(),
            text: text(user, item),
            time: 1,
        };
        let more: Vec<Review> =
            (0..n).flat_map(|user| [0, 1, 2].map(|item| of(user, item))).collect();
        world.store.put_reviews(&more).unwrap();
        world
    }

    fn prepared(&self, options: &MethodOptions) -> PreparedPrompt {
        let target = self.target("ann");
        block_on(Method::IDIOLECT.prepare(&self.inputs(), &target, options)).unwrap()
    }
}

/// A real language model of a few thousand weights.
fn tiny() -> (tempfile::TempDir, Lm) {
    let folder = tempfile::tempdir().unwrap();
    let gguf = folder.path().join("tiny.gguf");
    std::fs::write(&gguf, Tiny { context: 8192, ..Tiny::new("llama") }.bytes()).unwrap();
    let files = LmFiles { name: "tiny".into(), gguf, tokenizer: None, sha256: "0".repeat(64) };
    let lm = Lm::load(&files, &LoadOptions { threads: 1, ..LoadOptions::default() }).unwrap();
    (folder, lm)
}

#[test]
fn it_is_one_call_over_the_prompt_of_scp() {
    let world = World::new();
    let options = world.idiolect(|o| o.texts = Texts::Relevant);
    let written = world.write(Method::IDIOLECT, &options).unwrap();
    world.write(Method::SCP, &options).unwrap();
    assert_eq!((written.computed, world.model.n_requests()), (1, 2));
    assert_eq!(world.model.prompt(0), world.model.prompt(1));
    assert!(world.model.contrast.borrow()[0].is_empty());
    let stated = written.stated.unwrap();
    assert_eq!((stated.statements.len(), stated.tried), (0, 0));
}

#[test]
fn by_default_the_older_texts_have_a_prompt_of_their_own() {
    let world = World::new();
    let options = MethodOptions { n: 3, ..world.options() };
    let steered = world.prepared(&options).steered.unwrap();
    assert_eq!((steered.steering.further, steered.contrast.further.len()), (1, 1));
    assert!(steered.steering.expected.is_some() && steered.steering.lexical.is_none());
    world.write(Method::IDIOLECT, &options).unwrap();
    let shows = |prompt: &str| {
        (0..6).filter(|item| prompt.contains(&format!("text-ann-{item}"))).collect::<Vec<_>>()
    };
    assert_eq!(shows(&world.model.prompt(0)), [3, 4, 5]);
    let further = world.model.contrast.borrow()[0].clone();
    assert_eq!(
        further.iter().map(|prompt| shows(&text_of(prompt))).collect::<Vec<_>>(),
        [[0, 1, 2]]
    );
    // With four texts a prompt, two older ones fill half of the second; with five, one does not.
    let further = |n| world.prepared(&MethodOptions { n, ..world.options() }).steered.unwrap();
    assert_eq!((further(4).steering.further, further(5).steering.further), (1, 0));
}

#[test]
fn each_text_is_read_after_those_before_it_and_only_once() {
    let world = World::new();
    let options = MethodOptions { n: 3, ..world.options() };
    world.prepared(&options);
    let read = world.model.scores.borrow().clone();
    let shown: Vec<usize> =
        read.iter().map(|(prompt, _)| text_of(prompt).matches("text-ann-").count()).collect();
    // The newest prompt first.
    assert_eq!(shown, [0, 1, 2, 0, 1, 2]);
    for ((prompt, text), item) in read.iter().zip([3, 4, 5, 0, 1, 2]) {
        assert_eq!(text.trim(), format!("text-ann-{item} is said."));
        assert!(!text_of(prompt).contains(text.trim()), "{text}");
    }
    world.prepared(&MethodOptions { seed: 9, ..options.clone() });
    assert_eq!(world.model.scores.borrow().len(), read.len());
    // Nothing is read that has no effect.
    let world = World::new();
    world.prepared(&world.idiolect(|_| ()));
    assert!(world.model.scores.borrow().is_empty());
}

#[test]
fn ends_that_the_model_expected_move_the_length_prior_and_no_score() {
    let (_folder, lm) = tiny();
    let world = World::new();
    let inputs = MethodInputs { model: &lm, ..world.inputs() };
    let target = world.target("ann");
    let steered = |expected| {
        let mut options = world.idiolect(|o| o.expected = Some(expected));
        options.idiolect.lexical = Some(0.0);
        block_on(Method::IDIOLECT.prepare(&inputs, &target, &options)).unwrap().steered.unwrap()
    };
    let (unread, read) = (steered(0.0), steered(1.0));
    let scores = read.steering.expected.unwrap().1.values();
    let ends = crate::client::Model::vocabulary(&lm).unwrap().end_tokens();
    assert!(!ends.is_empty() && ends.iter().all(|id| scores[*id as usize] == 0.0));
    // Random weights end a text as often as they write any other token, far more often than real ones.
    let shift = |steered: Option<crate::steering::LengthPrior>| steered.unwrap().shift(4);
    let n_vocab = scores.len() as f64;
    let (before, after) = (shift(unread.length), shift(read.length));
    let usual = crate::steering::LengthBackground::default().chance;
    let ratio = (ends.len() as f64 / n_vocab / usual).ln();
    assert!(
        ratio > 0.5 && before - after > 0.1 && before - after < 2.0 * ratio,
        "{before} {after}"
    );
}

#[test]
fn texts_of_others_are_read_if_there_are_enough_users_and_it_is_allowed() {
    let read_others = |n_more: usize, options: &dyn Fn(MethodOptions) -> MethodOptions| {
        let world =
            World::with_more_users(n_more, |user, item| format!("said of {item} by {user}"));
        world.prepared(&options(MethodOptions { n: 3, ..world.options() }));
        let scores = world.model.scores.borrow();
        let others = scores.iter().filter(|(_, text)| !text.contains("text-ann-"));
        (others.count(), scores.len())
    };
    let as_it_is = |options| options;
    // `ann` and five more have three texts.
    assert_eq!(read_others(1, &as_it_is), (0, 6));
    let (others, all) = read_others(2, &as_it_is);
    assert!(others >= 7 * 3 && all == others + 6, "{others} {all}");
    assert_eq!(read_others(2, &MethodOptions::without_peer_text), (0, 6));
    let given = |mut options: MethodOptions| {
        options.idiolect.corpus = Some(1.0);
        options.without_peer_text()
    };
    assert_eq!(read_others(2, &given), (others, all));
}

#[test]
fn of_long_texts_those_of_a_few_users_suffice() {
    let users_read = |n_words: usize| {
        let world = World::with_more_users(20, |user, item| {
            format!("said by {user} of {item}{}", " again".repeat(n_words))
        });
        world.prepared(&MethodOptions { n: 3, ..world.options() });
        let scores = world.model.scores.borrow();
        let mut users: Vec<String> = scores
            .iter()
            .filter_map(|(_, text)| {
                Some(text.split("said by ").nth(1)?.split(' ').next()?.to_owned())
            })
            .collect();
        users.sort_unstable();
        users.dedup();
        users.len()
    };
    // Three texts of a user stand in one prompt, so that 8,192 tokens are reached by 3 users (of whom 4 are
    // read), by some 8 to 14, and by nobody.
    assert_eq!(users_read(1000), 4);
    let some = users_read(200);
    assert!((8..=14).contains(&some), "{some}");
    assert!(users_read(2) >= 20);
}

#[test]
fn lengths_vary_as_much_as_those_of_other_users_texts() {
    let shift_at_the_start = |n_words: fn(usize) -> usize| {
        let world = World::with_more_users(20, |_, item| "again ".repeat(n_words(item)));
        let steered = world.prepared(&MethodOptions { n: 3, ..world.options() }).steered.unwrap();
        steered.length.unwrap().shift(1)
    };
    let alike = shift_at_the_start(|_| 20);
    let usual = shift_at_the_start(|item| 20 + 10 * item);
    let different = shift_at_the_start(|item| 2 + 60 * item);
    assert!(alike < usual && usual < different, "{alike} {usual} {different}");
}

#[test]
fn a_model_without_distributions_counts_words_against_others() {
    let mut world = World::new();
    world.model.tells_distributions = false;
    let steering =
        world.prepared(&MethodOptions { n: 3, ..world.options() }).steered.unwrap().steering;
    assert!(world.model.scores.borrow().is_empty());
    assert_eq!((steering.lexical.unwrap().0, steering.expected, steering.further), (0.5, None, 0));
}

#[test]
fn peers_texts_on_the_same_items_stand_beside_the_users() {
    let world = World::new();
    let options = world.idiolect(|o| (o.contrast, o.texts) = (PEERS, Texts::Relevant));
    world.write(Method::IDIOLECT, &options).unwrap();
    let beside = world.model.contrast.borrow()[0].clone();
    let (nobody, peers) = beside.split_first().unwrap();
    assert!(!text_of(nobody).contains("text-"));
    // Four representatives are chosen on items with that many; item 4 has one other reviewer.
    assert_eq!(peers.len(), 4);
    for (rank, prompt) in peers.iter().map(text_of).enumerate() {
        assert!(!prompt.contains("text-ann"), "{prompt}");
        let user = ["b", "c", "d", "e"][rank];
        assert!(prompt.contains(&format!("text-{user}-0")), "{prompt}");
        assert_eq!(prompt.contains("text-b-4"), rank == 0, "{prompt}");
    }
    // A rule without peers reads none of their prompts.
    let cos = world.idiolect(|o| o.contrast = Contrast::ContextSteering { strength: 0.2 });
    world.write(Method::IDIOLECT, &cos).unwrap();
    assert_eq!(world.model.contrast.borrow()[1].len(), 1);
}

#[test]
fn the_contrast_counts_as_far_as_the_user_is_distinct() {
    let world = World::new();
    let b = |user: &str, distinct| {
        let options = world.idiolect(|o| (o.contrast, o.distinct) = (PEERS, distinct));
        let (inputs, target) = (world.inputs(), world.target(user));
        let prepared = block_on(Method::IDIOLECT.prepare(&inputs, &target, &options)).unwrap();
        match prepared.steered.unwrap().steering.contrast {
            Contrast::Peers(peers) => peers.b,
            _ => unreachable!(),
        }
    };
    // With these test peers, distinctness is the share of the user's items that others wrote about.
    assert_eq!(b("ann", None), 0.3);
    assert_eq!(b("loner", None), 0.0);
    assert_eq!(b("ann", Some(0.5)), 0.15);
    assert_eq!(b("loner", Some(1.0)), 0.3);
}

#[test]
fn told_statements_stand_before_the_target_once_they_proved_themselves_or_need_not() {
    let world = World::new();
    let told = |verify| {
        world.idiolect(|o| {
            (o.statements, o.verify) = (Statements::Told, verify);
        })
    };
    let written = world.write(Method::IDIOLECT, &told(false)).unwrap();
    let stated = written.stated.unwrap();
    assert!(stated.statements.iter().all(|s| s.status == StatementStatus::Unverified));
    assert_eq!(stated.statements.len(), 9);
    let prompt = world.model.prompt(world.model.n_requests() - 1);
    let (before, target) = prompt.split_once("Item 6").unwrap();
    assert!(before.contains(&stated.statements[0].statement.text) && !target.contains("told"));

    let written = world.write(Method::IDIOLECT, &told(true)).unwrap();
    let stated = written.stated.unwrap();
    // The three newest texts are held out for validation; statements are made from the others
    // alone.
    let newest: Vec<ReviewId> =
        world.store.history("ann").unwrap()[3..].iter().map(|stored| stored.id).collect();
    for stated in &stated.statements {
        let gain = stated.gain.unwrap();
        assert_eq!(gain.reviews, 3);
        assert!(stated.statement.reviews.iter().all(|id| !newest.contains(id)));
        assert!(matches!(stated.status, StatementStatus::Accepted | StatementStatus::Rejected));
        let gains = gain.own > 0.0 && gain.specific > 0.0;
        assert!(stated.status != StatementStatus::Accepted || gains);
    }
    let prompt = world.model.prompt(world.model.n_requests() - 1);
    for stated in &stated.statements {
        let shown = prompt.contains(&stated.statement.text);
        assert_eq!(shown, stated.status == StatementStatus::Accepted, "{prompt}");
    }
}

#[test]
fn statements_are_told_in_a_form_freely_or_along_open_dimensions() {
    let stages = |extraction| {
        let world = World::new();
        let options = world.idiolect(|o| {
            (o.statements, o.verify, o.extraction) = (Statements::Told, false, extraction);
        });
        let written = world.write(Method::IDIOLECT, &options).unwrap();
        let n_calls = world.model.n_requests();
        assert!((0..n_calls).all(|call| !world.model.prompt(call).contains("text-ann-6")));
        (n_calls, written.stated.unwrap().statements.len())
    };
    // One call for each of three items (two with open dimensions), and one for the text. The free
    // answers of this model are too short to be statements.
    assert_eq!(stages(Extraction::Constrained), (4, 9));
    assert_eq!(stages(Extraction::Free), (4, 0));
    assert_eq!(stages(Extraction::Open), (7, 0));
}

#[test]
fn of_several_draws_one_is_taken_and_all_are_paid_for() {
    let world = World::new();
    let one = world.write(Method::IDIOLECT, &world.idiolect(|_| ())).unwrap();
    let best = world.write(Method::IDIOLECT, &world.idiolect(|o| o.best_of = 3)).unwrap();
    // The first text was in the store. Each text is scored under the user's prompt and four peers'.
    assert_eq!((best.computed, best.reused), (2 + 3 * 5, 1));
    assert!(best.prompt_tokens > 10 * one.prompt_tokens);
    let draws: Vec<String> = (0..3)
        .map(|draw| {
            let options = world.idiolect(|_| ());
            let options = MethodOptions { seed: options.seed + draw, ..options };
            world.write(Method::IDIOLECT, &options).unwrap().text
        })
        .collect();
    assert!(draws.contains(&best.text));
}

/// Likes one text, and records for whom it was asked and whether it saw the target's user.
struct Likes {
    text: String,
    asked: Mutex<Vec<(String, bool)>>,
}

impl TextReward for Likes {
    fn rewards(
        &self,
        view: &View<'_>,
        user: &str,
        texts: &[&str],
    ) -> std::result::Result<Vec<f32>, RewardError> {
        let sees = view.history("ann").is_ok_and(|history| !history.is_empty());
        self.asked.lock().unwrap().push((user.to_owned(), sees));
        if self.text.is_empty() {
            return Err("no opinion".into());
        }
        Ok(texts.iter().map(|text| f32::from(u8::from(*text == self.text))).collect())
    }
}

#[test]
fn a_trained_head_ranks_the_texts_of_every_method() {
    let world = World::new();
    let by_np = |o: &mut IdiolectOptions| (o.best_of, o.by) = (3, RankedBy::Np);
    for method in [Method::NON_PERSO, Method::SCP, Method::IDIOLECT, Method::INTERACT] {
        let inputs = MethodInputs { reward: None, ..world.inputs() };
        let (target, options) = (world.target("ann"), world.idiolect(by_np));
        let none = block_on(method.write(&inputs, &target, &options, None)).unwrap_err();
        assert!(matches!(none, Error::NoReward { .. }), "{none}");
        let third = world.idiolect(|_| ());
        let third = MethodOptions { seed: third.seed + 2, ..third };
        let third = world.write(method, &third).unwrap().text;
        let likes = Likes { text: third.clone(), asked: Mutex::default() };
        let inputs = MethodInputs { reward: Some(&likes), ..world.inputs() };
        let target = world.target("ann");
        let best = block_on(method.write(&inputs, &target, &world.idiolect(by_np), None)).unwrap();
        assert_eq!(best.text, third, "{method:?}");
        // Peers' prompts are neither made nor scored.
        assert!(world.model.scores.borrow().is_empty());
        let other = MethodOptions { history: History::Of("b".into()), ..world.idiolect(by_np) };
        block_on(method.write(&inputs, &target, &other, None)).unwrap();
        let asked = likes.asked.lock().unwrap().clone();
        assert_eq!(asked, [("ann".to_owned(), true), ("b".to_owned(), false)]);
        let fails = Likes { text: String::new(), asked: Mutex::default() };
        let inputs = MethodInputs { reward: Some(&fails), ..world.inputs() };
        let error = block_on(method.write(&inputs, &target, &world.idiolect(by_np), None));
        assert!(matches!(error, Err(Error::Reward { n: 3, .. })));
    }
}

#[test]
fn a_fit_tries_strengths_on_own_texts_alone() {
    let world = World::new();
    let options = world.idiolect(|o| o.fit = true);
    let prepared =
        block_on(Method::IDIOLECT.prepare(&world.inputs(), &world.target("ann"), &options));
    let steering = prepared.unwrap().steered.unwrap().steering;
    let (strength, _) = steering.lexical.unwrap();
    assert!((0.0..=1.0).contains(&strength), "{strength}");
    for (prompt, text) in world.model.scores.borrow().iter() {
        // The scored text is not in its own prompt.
        assert!(!text_of(prompt).contains(text.trim()), "{text}");
    }
    assert!(!world.model.scores.borrow().is_empty());
    // One past text is too few for a fit.
    let loner = world.target("loner");
    let prepared = block_on(Method::IDIOLECT.prepare(&world.inputs(), &loner, &options));
    let steering = prepared.unwrap().steered.unwrap().steering;
    assert_eq!(steering.lexical.unwrap().0, 0.5);
}

#[test]
fn a_fit_of_the_contrast_stays_on_its_grid_and_is_kept() {
    let (_folder, lm) = tiny();
    let world = World::new();
    let inputs = MethodInputs { model: &lm, ..world.inputs() };
    let options = world.idiolect(|o| (o.contrast, o.fit) = (PEERS, true));
    let target = world.target("ann");
    let fitted = || {
        let prepared = Method::IDIOLECT.prepare(&inputs, &target, &options);
        let prepared = block_on(prepared).unwrap();
        (prepared.steered.unwrap(), prepared.usage)
    };
    let (steered, first) = fitted();
    let Contrast::Peers(peers) = steered.steering.contrast else { unreachable!() };
    assert!((0.8..=1.2).contains(&peers.a) && (0.0..=0.6).contains(&peers.b), "{peers:?}");
    assert!(peers.b != 0.3, "{peers:?}");
    assert_eq!(peers.plausible, 0.0);
    assert!([1, 4].contains(&steered.contrast.peers.len()));
    let (again, second) = fitted();
    assert_eq!(again.steering, steered.steering);
    assert!(first.computed > 0 && second.computed == 0, "{first:?} {second:?}");
    // The cost with an empty store is the same whether or not the scores were stored.
    assert_eq!(first.tokens_when_cold(), second.tokens_when_cold());
}

#[test]
fn past_texts_are_chosen_by_what_own_texts_gain() {
    let world = World::new();
    let prompt = |texts| {
        world
            .write(Method::IDIOLECT, &world.idiolect(|o| (o.texts, o.phrases) = (texts, Some(0.0))))
            .unwrap();
        world.model.prompt(world.model.n_requests() - 1)
    };
    prompt(Texts::Relevant);
    assert!(world.model.scores.borrow().is_empty());
    // Three of the six texts, the newest last.
    let newest = prompt(Texts::Newest);
    let places: Vec<usize> =
        (3..6).map(|item| newest.find(&format!("text-ann-{item}")).unwrap()).collect();
    assert!(places.is_sorted() && !newest.contains("text-ann-2"), "{newest}");
    let chosen = prompt(Texts::Chosen);
    assert!(chosen.contains("text-ann-"));
    let scores = world.model.scores.borrow();
    assert!(!scores.is_empty());
    for (prompt, text) in scores.iter() {
        assert!(!text_of(prompt).contains(text.trim()), "{text}");
    }
    // Half as many texts is one of the validated selections.
    assert!(scores.iter().any(|(prompt, _)| text_of(prompt).matches("text-ann-").count() == 2));
}

#[test]
fn reasons_add_up_to_what_the_text_was_chosen_by() {
    let (_folder, lm) = tiny();
    let world = World::new();
    let inputs = MethodInputs { model: &lm, ..world.inputs() };
    let options = world.idiolect(|o| o.contrast = PEERS);
    let target = world.target("ann");
    let prepared = block_on(Method::IDIOLECT.prepare(&inputs, &target, &options)).unwrap();
    let text = "It whistles and boils.";
    let why = block_on(prepared.attribute(&inputs, &options, text)).unwrap();
    let pieces: String = why.iter().map(|reason| reason.text.as_str()).collect();
    assert_eq!(pieces.trim(), text);
    let steered = block_on(prepared.score(&inputs, &options, text)).unwrap();
    let none = MethodOptions { history: History::None, ..options.clone() };
    let nobody = block_on(Method::IDIOLECT.prepare(&inputs, &target, &none)).unwrap();
    let nobody = block_on(nobody.score(&inputs, &none, text)).unwrap();
    for (i, reason) in why.iter().enumerate() {
        let sum = reason.user.unwrap() + reason.steer.unwrap();
        assert!((sum - (steered.logprobs[i] - nobody.logprobs[i])).abs() < 1e-3, "{reason:?}");
        assert_eq!(reason.logprob, steered.logprobs[i]);
        assert_eq!(reason.alternatives.len(), 3);
        let falling = reason.alternatives.windows(2).all(|two| two[0].logprob >= two[1].logprob);
        assert!(falling && reason.alternatives.iter().all(|other| other.text != reason.text));
    }
    assert!(why.iter().any(|reason| reason.steer != Some(0.0)));
    // Once more from the store.
    assert_eq!(block_on(prepared.attribute(&inputs, &options, text)).unwrap(), why);
    let plain = prepared.clone().with_strength(0.0);
    for reason in block_on(plain.attribute(&inputs, &options, text)).unwrap() {
        assert!(reason.steer.is_none_or(|steer| steer.abs() < 1e-3), "{reason:?}");
    }
    assert_eq!(prepared.clone().with_strength(1.0), prepared);
    let nobody = block_on(Method::NON_PERSO.prepare(&inputs, &target, &options)).unwrap();
    for reason in block_on(nobody.attribute(&inputs, &options, text)).unwrap() {
        assert_eq!((reason.user, reason.steer, reason.source), (None, None, None));
    }
}

#[test]
fn a_phrase_of_a_past_text_is_named_where_it_ends() {
    let (_folder, lm) = tiny();
    let world = World::new();
    let inputs = MethodInputs { model: &lm, ..world.inputs() };
    let options = world.idiolect(|_| {});
    let target = world.target("ann");
    let prepared = block_on(Method::IDIOLECT.prepare(&inputs, &target, &options)).unwrap();
    let past = &inputs.view.history("ann").unwrap()[0];
    let words: Vec<&str> = past.review.text.split_whitespace().collect();
    let text = format!("So: {}.", words[..3].join(" "));
    let why = block_on(prepared.attribute(&inputs, &options, text.as_str())).unwrap();
    let mut before = String::new();
    let mut found = Vec::new();
    for reason in &why {
        before.push_str(&reason.text);
        found.extend(reason.source.as_ref().map(|source| (before.clone(), source)));
    }
    let last = found.last().unwrap();
    let rest = &text[last.0.trim_start().len()..];
    assert!(!rest.contains(char::is_alphanumeric), "{rest}: {found:?}");
    assert!(past.review.text.contains(&last.1.phrase));
}

#[test]
fn a_language_model_writes_under_every_rule() {
    let (_folder, lm) = tiny();
    let world = World::new();
    let inputs = MethodInputs { model: &lm, ..world.inputs() };
    let outside = Some(5.0);
    let rules = [
        Contrast::None,
        Contrast::ContextSteering { strength: 0.5 },
        Contrast::Plausible { strength: 0.1, plausible: 0.1, outside },
        Contrast::TopK { k: 10, weight: 0.8, outside },
        PEERS,
    ];
    let mut bits = Vec::new();
    for contrast in rules {
        let options =
            MethodOptions { max_tokens: Some(12), ..world.idiolect(|o| o.contrast = contrast) };
        let prepared =
            block_on(Method::IDIOLECT.prepare(&inputs, &world.target("ann"), &options)).unwrap();
        let scored = block_on(prepared.score(&inputs, &options, "It boils.")).unwrap();
        bits.push(scored.bits());
        let written = block_on(prepared.clone().write(&inputs, &options, None)).unwrap();
        let again = block_on(prepared.write(&inputs, &options, None)).unwrap();
        assert_eq!((&written.text, again.reused), (&again.text, 1));
    }
    assert!(bits.iter().all(|bits| bits.is_finite() && *bits > 0.0));
    bits.sort_by(f64::total_cmp);
    bits.dedup();
    assert_eq!(bits.len(), rules.len());
}
