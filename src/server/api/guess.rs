//! `/api/guess`: a visitor's own swap test. Two people wrote a text each on one item: who wrote which?

mod question;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::{Extension, Json};
use futures::future::try_join_all;
use idiolect_core::corpus::StoredReview;
use idiolect_core::methods::{Method, MethodOptions};
use idiolect_metrics::statistics::{Interval, binomial_interval};
use serde_json::{Value, json};

use super::compare::score;
use super::on_store;
use super::parameters::{GivenParameters, parameters};
use crate::app::App;
use crate::body::read_object;
use crate::error::ApiError;
use crate::fields::{BodyRoute, Fields};
use crate::guesses::Question;
use crate::keys::Caller;
use crate::personal::{Answers, PersonalText, Subject, settings};
use crate::run::within;

/// Number of tokens of a text by which the machine answers, from its first.
const SCORED_TOKENS: usize = 200;

/// 1 minus the confidence of the interval.
const LEVEL: f64 = 0.05;

/// A question. The same seed gives the same one; only the server knows the order of its texts.
pub(super) async fn ask(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    given: GivenParameters,
) -> Result<Json<Value>, ApiError> {
    let given = parameters(BodyRoute::Guess.path(), given)?;
    let seed = given.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    on_store(Arc::clone(&app), caller, move |work| {
        let store = work.store()?;
        let question = question::choose(&store, seed, &|user| work.caller.may(user));
        let question = question.map_err(|error| work.of_store(&error))?;
        let none = || {
            let message = "there are no two users with four texts of some length each";
            ApiError::not_found(message).with_code("no_question")
        };
        let question = question.ok_or_else(none)?;
        let [first, second] = &question.texts;
        let item = match first.review.item == second.review.item {
            true => {
                let item = store.item(&first.review.item);
                let item = item.map_err(|error| work.of_store(&error))?;
                json!({ "item": item.id, "title": item.title })
            }
            false => Value::Null,
        };
        let mut texts =
            question.texts.each_ref().map(|stored| json!({ "text": stored.review.text }));
        if app.guesses.truth(&question) == 1 {
            texts.reverse();
        }
        let people = question.texts.each_ref().map(|stored| stored.review.user.clone());
        let people = people.iter().zip(&question.studied).map(|(user, studied)| {
            let texts: Vec<&str> = studied.iter().map(|s| s.review.text.as_str()).collect();
            json!({ "user": user, "texts": texts })
        });
        let people: Vec<Value> = people.collect();
        let id = app.guesses.ask(question.clone());
        Ok(Json(json!({ "id": id, "seed": seed, "item": item, "texts": texts, "people": people })))
    })
    .await
}

/// The answer to a question, and the machine's.
pub(super) async fn answer(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<Value>, ApiError> {
    let body = read_object(request).await?;
    let fields = Fields::checked(BodyRoute::Guess, &body)?;
    let id = fields.text("id").unwrap_or_default();
    let unknown = || {
        let message = "there is no such question, or it was answered; ask a new one";
        ApiError::field("id", message).with_code("guess_unknown")
    };
    let question = app.guesses.take(id).ok_or_else(unknown)?;
    if !question.texts.iter().all(|stored| caller.may(&stored.review.user)) {
        return Err(unknown());
    }
    let truth = app.guesses.truth(&question);
    let guessed = fields.integer("answer");
    let _place = app.enter()?;
    let margin = within(&app, margin_bits(&app, &question)).await;
    // A text that does not fit the model's window has no machine's answer.
    let margin = match margin {
        Ok(margin) => Some(margin),
        Err(error) if error.is_of_client() => None,
        Err(error) => return Err(error),
    };
    // A tie is no answer.
    let machine = margin.filter(|margin| *margin != 0.0).map(|margin| margin > 0.0);
    let tally = app.guesses.count(&question, machine);
    let Interval { low, high } = binomial_interval(tally.right, tally.of, LEVEL);
    Ok(Json(json!({
        "right": guessed == Some(i64::from(truth)),
        "truth": truth,
        "machine": machine.map(|right| json!({ "right": right, "margin_bits": margin })),
        "machine_figure": { "right": tally.right, "of": tally.of, "low": low, "high": high },
    })))
}

/// Bits by which the texts are likelier as they were written than exchanged: the log-probabilities of
/// each text under the prompt of each person, which holds neither text. Negative if the machine would
/// exchange them.
async fn margin_bits(app: &Arc<App>, question: &Question) -> Result<f64, ApiError> {
    let options = &settings(app)?.options;
    let options = MethodOptions { score_limit: Some(SCORED_TOKENS), ..options.clone() };
    let hidden = |person: usize| {
        let items = question.texts.iter().map(|stored| stored.review.item.clone());
        let user = question.texts[person].review.user.clone();
        items.map(move |item| (user.clone(), item))
    };
    let under = |person: usize, text: &StoredReview| PersonalText {
        method: Method::IDIOLECT,
        user: question.texts[person].review.user.clone(),
        subject: Subject::Item(text.review.item.clone()),
        // They would tell which text is meant.
        rating: None,
        title: None,
        // The newest text by another person may answer the hidden ones.
        answers: Answers::Nothing,
        options: options.clone(),
        strength: 1.0,
        also_hidden: hidden(0).chain(hidden(1)).collect(),
        tells_names: false,
    };
    let pairs = [(0, 0), (0, 1), (1, 0), (1, 1)];
    let scores = pairs.map(|(person, text)| {
        let text = &question.texts[text];
        score(app, under(person, text), text.clone())
    });
    let bits: Vec<f64> = try_join_all(scores).await?.iter().map(|scored| -scored.bits()).collect();
    Ok(bits[0] + bits[3] - bits[1] - bits[2])
}
