//! Texts of personal models: written by the function that `idiolect write` calls, with the same
//! inputs and settings, so that the same seed gives the same bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::http::HeaderMap;
use idiolect_core::client::OnText;
use idiolect_core::corpus::import::GivenMessage;
use idiolect_core::corpus::{Item, ReviewContext, Store, Target, View};
use idiolect_core::methods::{
    self, Generated, LiveAttribution, Method, MethodInputs, MethodOptions, PreparedPrompt,
    TokenAttribution,
};
use idiolect_core::steering::Vocabulary;
use idiolect_engine::progress::{self, Progress};
use idiolect_train::TrainedParts;
use serde_json::Value;

use crate::PersonalSettings;
use crate::answer::{AnswerEvent, AnswerSink, AnswerText, TokenUsage};
use crate::app::App;
use crate::error::ApiError;
use crate::fields::{BodyRoute, Fields, check_personal};
use crate::keys::Caller;
use crate::text_options::personal_options;

/// One text to write as a user.
#[derive(Debug, Clone)]
pub(crate) struct PersonalText {
    pub(crate) method: Method,
    pub(crate) user: String,
    pub(crate) subject: Subject,
    pub(crate) rating: Option<f32>,
    pub(crate) title: Option<String>,
    pub(crate) answers: Answers,
    pub(crate) options: MethodOptions,
    /// Factor of the strengths of steering; 1 leaves them as they are.
    pub(crate) strength: f32,
    /// Users and items whose texts the prompt must not hold, besides the user's own on the subject.
    pub(crate) also_hidden: Vec<(String, String)>,
    /// Whether an error may suggest names of users and items.
    pub(crate) tells_names: bool,
}

/// The subject of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Subject {
    /// The item with this id.
    Item(String),
    /// An item that is not in the store, with this title.
    Titled(String),
}

/// The message that a text answers, if the task shows one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answers {
    /// The newest text on the item by somebody else.
    Newest,
    /// This message.
    Given(String),
    /// No message.
    Nothing,
}

/// The sender of a request, as far as it says whom to write as.
pub(crate) struct Sender<'a> {
    pub(crate) caller: &'a Caller,
    pub(crate) headers: &'a HeaderMap,
}

/// A written text, what was asked for, and its attribution if that was asked for.
pub(crate) struct PersonalResult {
    pub(crate) generated: Generated,
    pub(crate) why: Option<Vec<TokenAttribution>>,
}

/// Receiver of the attributions of a text's tokens while it is written.
pub(crate) type OnTokens = Box<dyn FnMut(Vec<TokenAttribution>) + Send>;

/// A flag by which a dropped request stops its work.
#[derive(Default)]
pub(crate) struct StopFlag(AtomicBool);

impl Progress for StopFlag {
    fn begin(&self, _what: &str, _total: Option<u64>) {}
    fn advance(&self, _n: u64) {}
    fn end(&self) {}
    fn stop_requested(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Sets the flag when it is dropped.
pub(crate) struct StopOnDrop(pub(crate) Arc<StopFlag>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::SeqCst);
    }
}

/// Settings of personal models.
///
/// # Errors
/// 404 if the server has no store.
pub(crate) fn settings(app: &App) -> Result<&PersonalSettings, ApiError> {
    let none = || ApiError::not_found("this server has no store; start it with --store FILE");
    app.models()?.personal.as_ref().ok_or_else(none)
}

impl PersonalText {
    /// The text that a request to a personal model asks for. The user is `idiolect.user`, else
    /// `user`, else `safety_identifier`, else the header of --user-header, else `of_name`, the part
    /// of the model's name after `@`. If the task shows a message to answer, `message` is that one,
    /// unless `idiolect.context` gives another; else, without `idiolect.item`, the text is about
    /// `message`.
    ///
    /// # Errors
    /// 400 if a field is not applied by personal models or malformed, or no user is named; 403 if the
    /// key may not write as the user.
    pub(crate) fn of(
        app: &App,
        fields: &Fields<'_>,
        sender: &Sender<'_>,
        (method, of_name): (Method, Option<String>),
        message: Option<String>,
    ) -> Result<Self, ApiError> {
        check_personal(fields.route, fields.body)?;
        let own = PersonalFields::of(fields)?;
        let header = app.options.user_header.as_deref();
        let of_header = header.and_then(|name| sender.headers.get(name)?.to_str().ok());
        let named = own.user.as_deref();
        let named = named.or_else(|| fields.text("user"));
        let named = named.or_else(|| fields.text("safety_identifier")).or(of_header);
        let Some(user) = named.map(str::to_owned).or(of_name) else {
            let message =
                "a personal model needs a user: give `user`, or name it after `@` in `model`";
            return Err(ApiError::unknown_user(message, true));
        };
        let settings = settings(app)?;
        let message = message.filter(|message| !message.trim().is_empty());
        let given = match (own.context, &message) {
            (Some(given), _) => Some(given),
            (None, Some(message)) if settings.task.shows_context() => Some(message.clone()),
            _ => None,
        };
        let (answers, titled) = answers(settings, given.as_deref(), "idiolect.context")?;
        let subject = match (own.item, titled, message) {
            (Some(item), ..) => Subject::Item(item),
            (None, Some(title), _) => Subject::Titled(title),
            (None, None, Some(message)) => Subject::Titled(message.trim().to_owned()),
            _ => {
                let message = "there is nothing to write about: give `idiolect.item` or a message";
                return Err(ApiError::field("idiolect.item", message));
            }
        };
        let options = personal_options(fields, &settings.options);
        let (rating, title) = (own.rating, own.title);
        let text = Self {
            method,
            user,
            subject,
            rating,
            title,
            answers,
            options,
            strength: 1.0,
            also_hidden: Vec::new(),
            tells_names: false,
        };
        text.allowed(app, sender.caller)
    }

    /// The text, if the key may write as its user.
    ///
    /// # Errors
    /// 403 if it may not.
    pub(crate) fn allowed(self, app: &App, caller: &Caller) -> Result<Self, ApiError> {
        if !caller.may(&self.user) {
            let message = "the key may not write as this user";
            return Err(ApiError::forbidden(message, "user_not_allowed"));
        }
        Ok(Self { tells_names: app.on_loopback && caller.users.is_none(), ..self })
    }

    /// `n` texts; the seeds of those after the first follow the first one's.
    pub(crate) fn times(self, n: usize) -> impl Iterator<Item = Self> {
        (0..n as u64).map(move |i| {
            let mut text = self.clone();
            text.options.seed = self.options.seed.wrapping_add(i);
            text
        })
    }

    /// Writes the text on a thread of its own. Dropping the future stops the work.
    pub(crate) async fn run(
        self,
        app: &Arc<App>,
        index: usize,
        sink: Option<AnswerSink>,
    ) -> Result<AnswerText, ApiError> {
        let mut times = app.metrics.text_times();
        let sends = sink.clone();
        let on_text: OnText = Box::new(move |piece: &str| {
            times.piece();
            if let Some(sink) = &sends {
                let (text, tokens) = (piece.to_owned(), Vec::new());
                // Whoever listened may have hung up; the request is then cancelled.
                drop(sink.send(AnswerEvent::Piece { index, text, tokens }));
            }
        });
        let result = self.write(app, on_text, None).await?;
        let generated = result.generated;
        let usage = generated.usage();
        let (prompt, completion) = usage.tokens_when_cold();
        let usage = TokenUsage { prompt, cached: usage.saved_prompt_tokens, completion };
        let answer = AnswerText {
            text: generated.text,
            tokens: Vec::new(),
            finish: generated.finish,
            usage,
            n_past: Some(generated.past.len()),
        };
        if let Some(sink) = sink {
            drop(sink.send(AnswerEvent::Ended { index, answer: answer.clone() }));
        }
        Ok(answer)
    }

    /// Writes the text. If there is a receiver `why`, it gets the tokens' attributions while the text
    /// is written, and the result has those of the whole text. Dropping the future stops the work.
    pub(crate) async fn write(
        self,
        app: &Arc<App>,
        on_text: OnText,
        why: Option<OnTokens>,
    ) -> Result<PersonalResult, ApiError> {
        on_thread(app, move |app, stop| self.write_now(app, stop, on_text, why)).await
    }

    fn write_now(
        &self,
        app: &App,
        stop: &StopFlag,
        on_text: OnText,
        why: Option<OnTokens>,
    ) -> Result<PersonalResult, ApiError> {
        let lm = app.models()?.lm.clone();
        self.prepared(app, stop, async |prepared, inputs, options| {
            let again = why.is_some().then(|| prepared.clone());
            let token_bytes = Box::new(move |id| lm.token_bytes(id));
            let live = why.map(|on_tokens| LiveAttribution { token_bytes, on_tokens });
            let generated = prepared.write_attributed(inputs, options, Some(on_text), live).await?;
            let why = match again {
                Some(prepared) => {
                    Some(prepared.attribute(inputs, options, generated.text.as_str()).await?)
                }
                None => None,
            };
            Ok(PersonalResult { generated, why })
        })
    }

    /// Attributes the tokens of a given text on a thread of its own, as if it had been written.
    /// Dropping the future stops the work.
    pub(crate) async fn attribute(
        self,
        app: &Arc<App>,
        given: String,
    ) -> Result<Vec<TokenAttribution>, ApiError> {
        on_thread(app, move |app, stop| {
            self.prepared(app, stop, async |prepared, inputs, options| {
                prepared.attribute(inputs, options, given.as_str()).await
            })
        })
        .await
    }

    /// Prepares the prompt and passes it on with what it was made from.
    pub(crate) fn prepared<T>(
        &self,
        app: &App,
        stop: &StopFlag,
        last: impl AsyncFnOnce(
            PreparedPrompt,
            &MethodInputs<'_>,
            &MethodOptions,
        ) -> Result<T, methods::Error>,
    ) -> Result<T, ApiError> {
        let (models, personal) = (app.models()?, settings(app)?);
        let of_store = |error| ApiError::of_store(&error, self.tells_names);
        let store = Store::open_existing(&personal.store).map_err(of_store)?;
        let item = match &self.subject {
            Subject::Item(id) => store.item(id).map_err(of_store)?,
            Subject::Titled(title) => Item {
                id: String::new(),
                title: title.clone(),
                description: String::new(),
                categories: Vec::new(),
            },
        };
        let mut view = View::all(&store).without_text(&self.user, &item.id).map_err(of_store)?;
        for (user, item) in &self.also_hidden {
            view = view.without_text(user, item).map_err(of_store)?;
        }
        let context = match &self.answers {
            Answers::Newest if personal.task.shows_context() => {
                let newest = view.newest_by_another(&item.id, &self.user).map_err(of_store)?;
                newest.map(ReviewContext::from)
            }
            Answers::Given(text) => Some(ReviewContext::given(text.clone())),
            Answers::Newest | Answers::Nothing => None,
        };
        let target = Target {
            user: self.user.clone(),
            item,
            rating: self.rating,
            title: self.title.clone(),
            context,
        };
        let needs_peers = self.method.needs_peers(&self.options);
        let peers = models.encoder.as_deref().filter(|_| needs_peers).map(|encoder| encoder as _);
        let lm = Some(&models.lm).filter(|_| self.method == Method::PAD);
        let head = TrainedParts::newest(&store, self.options.idiolect.ranks_by_np(), lm)
            .and_then(|mut parts| {
                let fingerprint = models.lm.fingerprint();
                for (_, found) in
                    TrainedParts::newest_adapters(&store, &[self.method], fingerprint, &[])?
                {
                    // Without one, the method says what to do.
                    let Some(adapter) = found else { continue };
                    parts = parts.with_adapter(adapter, models.encoder.clone())?;
                }
                Ok(parts)
            })
            .map_err(|error| ApiError::internal("read what was trained", &error))?;
        let inputs = MethodInputs {
            view,
            model: &models.lm,
            peers,
            reward: Some(&head),
            task: &personal.task,
            progress: stop,
            held_out: &[],
        };
        let work = async {
            let prepared = self.method.prepare(&inputs, &target, &self.options).await?;
            last(prepared.with_strength(self.strength), &inputs, &self.options).await
        };
        match progress::block_on(stop, work) {
            Some(result) => result.map_err(|error| ApiError::of_method(&error, self.tells_names)),
            None => Err(ApiError::timeout()),
        }
    }
}

/// The message to answer that a request gives, a text or a mail with its headers, and the title of an
/// unlisted item that it is about: the mail's subject. Without a message the newest text is answered.
///
/// # Errors
/// 400 for the field `param` if the server's task shows no message.
pub(crate) fn answers(
    settings: &PersonalSettings,
    given: Option<&str>,
    param: &str,
) -> Result<(Answers, Option<String>), ApiError> {
    let Some(given) = given.filter(|given| !given.trim().is_empty()) else {
        return Ok((Answers::Newest, None));
    };
    if !settings.task.shows_context() {
        let name = &settings.task.name;
        let message = format!(
            "`{param}` is not applied: the prompts of the task `{name}` show no message to answer; \
             start the server with --task reply"
        );
        return Err(ApiError::field(param, message));
    }
    let GivenMessage { subject, text } = GivenMessage::of_bytes(given.as_bytes());
    if text.is_empty() {
        return Err(ApiError::field(param, format!("`{param}` has no text to answer")));
    }
    Ok((Answers::Given(text), Some(subject.unwrap_or_default())))
}

/// Runs work on a thread of its own. Dropping the future sets the work's flag.
pub(crate) async fn on_thread<T: Send + 'static>(
    app: &Arc<App>,
    work: impl FnOnce(&App, &StopFlag) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let stop = Arc::new(StopFlag::default());
    let guard = StopOnDrop(Arc::clone(&stop));
    let app = Arc::clone(app);
    let done = tokio::task::spawn_blocking(move || work(&app, &stop)).await;
    drop(guard);
    done.unwrap_or_else(|error| Err(ApiError::internal("write the text", &error)))
}

/// The object `idiolect` of a request.
#[derive(Default)]
struct PersonalFields {
    user: Option<String>,
    item: Option<String>,
    rating: Option<f32>,
    title: Option<String>,
    context: Option<String>,
}

impl PersonalFields {
    fn of(fields: &Fields<'_>) -> Result<Self, ApiError> {
        let mut own = Self::default();
        if fields.route == BodyRoute::Write {
            return Ok(own);
        }
        for (name, value) in fields.object("idiolect").into_iter().flatten() {
            let text = value.as_str().map(str::to_owned);
            match (name.as_str(), text, value) {
                (_, _, Value::Null) => {}
                ("user", Some(text), _) => own.user = Some(text),
                ("item", Some(text), _) => own.item = Some(text),
                ("title", Some(text), _) => own.title = Some(text),
                ("context", Some(text), _) => own.context = Some(text),
                ("rating", None, Value::Number(rating)) => {
                    own.rating = rating.as_f64().map(|rating| rating as f32);
                }
                _ => {
                    let param = format!("idiolect.{name}");
                    let message = format!("`{param}` is not known or has a wrong value");
                    return Err(ApiError::field(param, message));
                }
            }
        }
        Ok(own)
    }
}
