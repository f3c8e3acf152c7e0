//! One text to write or to score as a user: the inputs of the command `write`.

use std::sync::Arc;

use idiolect_core::corpus::import::GivenMessage;
use idiolect_core::corpus::{Item, ReviewContext, ReviewId, Store, Target, View};
use idiolect_core::methods::{Method, MethodInputs, MethodOptions};
use idiolect_core::task::Task;
use idiolect_engine::encoder::Encoder;
use idiolect_engine::lm::Lm;
use idiolect_engine::progress::Progress;
use idiolect_train::TrainedParts;
use idiolect_train::np::NpHead;
use idiolect_train::pad::PadHead;
use serde::Deserialize;

use crate::failure::{CallFailure, Result};
use crate::parts::EngineParts;
use crate::settings::SettingsArgs;

/// The user and what they are to write.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TextArgs {
    pub(crate) user: String,
    /// Identifier of an item of the store.
    pub(crate) item: Option<String>,
    /// Title of an item that is not in the store.
    pub(crate) about: Option<String>,
    /// The message to answer, a text or a mail with its headers.
    pub(crate) context: Option<String>,
    pub(crate) rating: Option<f32>,
    pub(crate) title: Option<String>,
}

/// How texts are written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HowArgs {
    pub(crate) methods: Vec<String>,
    pub(crate) seed: Option<u64>,
    pub(crate) max_tokens: Option<usize>,
    /// Seconds since 1970; texts written from then on are hidden.
    pub(crate) before: Option<i64>,
    pub(crate) no_peer_text: bool,
    pub(crate) settings: SettingsArgs,
}

/// Everything that texts are made from, loaded.
pub(crate) struct TextMaker {
    pub(crate) task: Task,
    pub(crate) methods: Vec<Method>,
    pub(crate) options: MethodOptions,
    store: Arc<Store>,
    lm: Lm,
    encoder: Option<Arc<Encoder>>,
    head: Option<TrainedParts>,
    before: Option<i64>,
    no_peer_text: bool,
}

/// A target and the reviews that may be seen while it is written.
pub(crate) struct VisibleTarget<'a> {
    pub(crate) target: Target,
    view: View<'a>,
}

impl TextMaker {
    /// Checks the arguments, then opens the store, then loads the models.
    pub(crate) fn load(
        work: &EngineParts,
        how: &HowArgs,
        texts: &[TextArgs],
        progress: &dyn Progress,
    ) -> Result<Self> {
        let task = how.settings.task()?;
        let mut options = how.settings.options(&task)?;
        options.seed = how.seed.unwrap_or(options.seed);
        options.max_tokens = how.max_tokens.or(options.max_tokens);
        let methods = methods_of(&how.methods)?;
        for method in &methods {
            options.sampling.over(&task.stage(method.stage())?.sampling).check()?;
        }
        let options = if how.no_peer_text { options.without_peer_text() } else { options };
        check_peer_text(how.no_peer_text, &methods, &options)?;
        if !task.shows_context() && texts.iter().any(|text| text.context.is_some()) {
            return Err(CallFailure::argument(format!(
                "the prompts of the task `{}` show no message to answer; give task=\"reply\"",
                task.name
            )));
        }
        let store = work.store()?;
        // An unknown name is an error before the models are loaded.
        if let [text] = texts {
            store.history(&text.user)?;
            text.item.as_deref().map(|item| store.item(item)).transpose()?;
        }
        let lm = work.lm(progress)?;
        let encoder = || work.encoder(progress);
        let head = trained_parts((&store, &[]), &methods, &options, &lm, encoder)?;
        let compares = methods.iter().any(|method| method.needs_peers(&options));
        let encoder = compares.then(|| work.encoder(progress)).transpose()?;
        let (before, no_peer_text) = (how.before, how.no_peer_text);
        Ok(Self { task, methods, options, store, lm, encoder, head, before, no_peer_text })
    }

    /// The language model.
    pub(crate) fn lm(&self) -> &Lm {
        &self.lm
    }

    /// The target of a text. The user's own texts on it are hidden.
    pub(crate) fn target(&self, text: &TextArgs) -> Result<VisibleTarget<'_>> {
        let given = text.context.as_deref().map(|given| GivenMessage::of_bytes(given.as_bytes()));
        if given.as_ref().is_some_and(|given| given.text.is_empty()) {
            return Err(CallFailure::argument("context has no text to answer"));
        }
        let item = match (&text.item, &text.about) {
            (Some(_), Some(_)) => {
                return Err(CallFailure::argument("give item or about, not both"));
            }
            (Some(id), None) => self.store.item(id)?,
            (None, about) => {
                let subject = given.as_ref().and_then(|given| given.subject.clone());
                let Some(title) =
                    about.clone().or(subject).or(given.as_ref().map(|_| String::new()))
                else {
                    return Err(CallFailure::argument("give item, about or context"));
                };
                Item {
                    id: String::new(),
                    title,
                    description: String::new(),
                    categories: Vec::new(),
                }
            }
        };
        let view = View::all(&self.store);
        let view = match self.before {
            Some(time) => view.before(time),
            None => view,
        };
        let view = view.without_text(&text.user, &item.id)?;
        let view = if self.no_peer_text { view.without_contexts() } else { view };
        let context = match given {
            Some(given) => Some(ReviewContext::given(given.text)),
            None if self.task.shows_context() && self.no_peer_text => {
                let message = "no_peer_text: give the message to answer as context";
                return Err(CallFailure::argument(message));
            }
            None if self.task.shows_context() => {
                view.newest_by_another(&item.id, &text.user)?.map(ReviewContext::from)
            }
            None => None,
        };
        let (user, rating, title) = (text.user.clone(), text.rating, text.title.clone());
        if rating.is_some_and(|rating| !rating.is_finite()) {
            return Err(CallFailure::argument("rating: a finite number is needed"));
        }
        Ok(VisibleTarget { target: Target { user, item, rating, title, context }, view })
    }

    /// The inputs of a method for a target.
    pub(crate) fn inputs<'a>(
        &'a self,
        of: &VisibleTarget<'a>,
        progress: &'a dyn Progress,
    ) -> MethodInputs<'a> {
        MethodInputs {
            view: of.view.clone(),
            model: &self.lm,
            peers: self.encoder.as_deref().map(|encoder| encoder as _),
            reward: self.head.as_ref().map(|head| head as _),
            task: &self.task,
            progress,
            held_out: &[],
        }
    }
}

/// The methods of these names.
pub(crate) fn methods_of(names: &[String]) -> Result<Vec<Method>> {
    let named = |name: &String| {
        Method::named(name).ok_or_else(|| {
            let known: Vec<_> = Method::all().map(Method::name).collect();
            let known = known.join(", ");
            CallFailure::argument(format!("there is no method `{name}`; the methods are {known}"))
        })
    };
    names.iter().map(named).collect()
}

/// Error if no text by other users may be shown and a method would show one.
pub(crate) fn check_peer_text(
    no_peer_text: bool,
    methods: &[Method],
    options: &MethodOptions,
) -> Result<()> {
    match methods.iter().find(|method| method.shows_peer_text(options)) {
        Some(method) if no_peer_text => Err(CallFailure::argument(format!(
            "no_peer_text: `{}` with these settings reads texts by other users",
            method.name()
        ))),
        _ => Ok(()),
    }
}

/// The newest heads and adapters that methods and settings need, of those that saw none of the texts `unseen`;
/// `None` if they need nothing. `encoder` gives the sentence encoder, if an adapter reads its vectors.
pub(crate) fn trained_parts(
    (store, unseen): (&Store, &[ReviewId]),
    methods: &[Method],
    options: &MethodOptions,
    lm: &Lm,
    encoder: impl Fn() -> Result<Arc<Encoder>>,
) -> Result<Option<TrainedParts>> {
    let missing = |what: &str| CallFailure::argument(format!("{what} that may be used"));
    let np = match options.idiolect.ranks_by_np() {
        true => {
            let np = NpHead::newest(store, unseen)?;
            Some(np.ok_or_else(|| {
                missing("by=\"np\": run `idiolect train np`; the store has no reward head")
            })?)
        }
        false => None,
    };
    let mut parts = match (np, methods.contains(&Method::PAD) && options.pad.weight != 0.0) {
        (None, false) => None,
        (np, false) => Some(TrainedParts::new(np, None)?),
        (np, true) => {
            let pad = PadHead::newest(store, lm.fingerprint(), unseen)?.ok_or_else(|| {
                missing(
                    "method `pad`: run `idiolect train pad`; the store has no token reward for this language \
                     model",
                )
            })?;
            Some(TrainedParts::new(np, Some((pad, &lm.output_head()?)))?)
        }
    };
    for (method, adapter) in
        TrainedParts::newest_adapters(store, methods, lm.fingerprint(), unseen)?
    {
        let name = method.name();
        let adapter = adapter.ok_or_else(|| {
            missing(&format!(
                "method `{name}`: run `idiolect train {name}`; the store has no adapter for this language model"
            ))
        })?;
        let encoder = adapter.needs_encoder().then(&encoder).transpose()?;
        parts = Some(parts.unwrap_or_default().with_adapter(adapter, encoder)?);
    }
    Ok(parts)
}
