//! `POST /v1/completions`, with the log-probabilities of the prompt.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use idiolect_engine::lm::{Finish, TokenLogprob};
use serde_json::{Value, json};

use crate::ServedModels;
use crate::answer::{AnswerText, finish_reason};
use crate::app::App;
use crate::body::read_object;
use crate::chat::with_past;
use crate::choices;
use crate::echo::{self, GivenPrompt, ShownPrompt};
use crate::error::ApiError;
use crate::fields::{BodyRoute, Fields};
use crate::keys::Caller;
use crate::logprobs::{self, CompletionLogprobs};
use crate::model_names::{NamedModel, named};
use crate::personal::{PersonalText, Sender};
use crate::plain::{self, PlainText};
use crate::run::{TextWork, run_all, stream_all, usage_of};
use crate::sse::{AnswerFormat, SseMessage, ToldTokens, usage_chunk};
use crate::text_options::{StreamOptions, TextOptions, max_tokens};

/// OpenAI's default of `max_tokens`.
const DEFAULT_TOKENS: usize = 16;
/// Maximum number of completions of a request, of all prompts together.
const MAX_COMPLETIONS: usize = 128;

/// Parts of an answer besides its text.
#[derive(Debug, Clone, Copy)]
struct Told {
    echo: bool,
    /// Number of likeliest tokens beside each token.
    logprobs: Option<usize>,
    /// Number of likeliest tokens beside each token of the prompt, in vLLM's form.
    prompt_logprobs: Option<usize>,
    ids: bool,
}

/// Completes prompts.
pub(crate) async fn completions(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, ApiError> {
    let headers = request.headers().clone();
    let body = read_object(request).await?;
    let fields = Fields::checked(BodyRoute::Completions, &body)?;
    let models = app.models()?;
    let name = fields.text("model").unwrap_or_default().to_owned();
    let stream = StreamOptions::of(&fields)?;
    let told = Told::of(&fields, stream)?;
    let given = echo::given_prompts(fields.value("prompt").unwrap_or(&Value::Null))?;
    let n = fields.count("n").unwrap_or(1);
    if given.len() * n > MAX_COMPLETIONS {
        return Err(ApiError::field("n", "`n` times the prompts is more than 128"));
    }
    let stops = fields.texts("stop");
    let mut prompts = Vec::new();
    let (works, done): (Vec<TextWork>, _) = match named(models, &name)? {
        NamedModel::Plain => {
            let shown = given.into_iter().map(|prompt| echo::shown(models, prompt));
            prompts = shown.collect::<Result<_, _>>()?;
            set_unscored(&fields, told, &mut prompts)?;
            let texts = plain_texts(models, &fields, told, &prompts)?;
            let done = choices::done_plain(texts.first().map_or(0, |t| t.options.sampling.seed));
            (
                texts
                    .into_iter()
                    .flat_map(|text| text.times(n))
                    .map(Box::new)
                    .map(TextWork::Plain)
                    .collect(),
                done,
            )
        }
        NamedModel::Personal { method, user } => {
            let [GivenPrompt::Text(about)] = given.as_slice() else {
                return Err(ApiError::field("prompt", "a personal model takes one text"));
            };
            let sender = Sender { caller: &caller, headers: &headers };
            let model = (method, user);
            let text = PersonalText::of(&app, &fields, &sender, model, Some(about.clone()))?;
            let done = choices::done_personal(&text);
            (text.times(n).map(Box::new).map(TextWork::Personal).collect(), done)
        }
        NamedModel::Encoder => {
            return Err(ApiError::field("model", "this model embeds texts only"));
        }
    };
    let place = app.enter()?;
    let scored = told.logprobs.filter(|_| told.echo).max(told.prompt_logprobs);
    if let Some(n_top) = scored {
        echo::score(&app, &mut prompts, n_top).await?;
    }
    let mut head = choices::head(models, "cmpl-", "text_completion", &name);
    if stream.stream {
        let format = CompletionChunks {
            head,
            app: Arc::clone(&app),
            stream,
            told,
            stops,
            prompts,
            n,
            offsets: vec![0; works.len()],
            told_tokens: ToldTokens::default(),
            ended: Vec::new(),
        };
        let response = stream_all(Arc::clone(&app), place, works, format).await?;
        return Ok(choices::with_header(response, &done));
    }
    let answers = run_all(&app, works, None).await?;
    drop(place);
    let choice = |(index, answer): (usize, &AnswerText)| {
        let mut choice = choice(models, told, prompts.get(index / n), (index, answer));
        choice["stop_reason"] = stop_reason(answer.finish, &stops);
        choice
    };
    head["choices"] = answers.iter().enumerate().map(choice).collect();
    head["usage"] = usage_of(&answers, n).to_json();
    Ok(choices::answer(head, &with_past(done, &answers)))
}

impl Told {
    fn of(fields: &Fields<'_>, stream: StreamOptions) -> Result<Self, ApiError> {
        let told = Self {
            echo: fields.flag("echo") == Some(true),
            logprobs: fields.count("logprobs"),
            prompt_logprobs: fields.count("prompt_logprobs"),
            ids: fields.flag("return_token_ids") == Some(true),
        };
        if stream.stream && (told.prompt_logprobs.is_some() || told.ids) {
            let field = if told.ids { "return_token_ids" } else { "prompt_logprobs" };
            return Err(ApiError::field(field, format!("`{field}` is not told in a stream")));
        }
        Ok(told)
    }

    /// Number of likeliest tokens that a completion tells; `None` if it tells no tokens.
    fn of_completion(self) -> Option<usize> {
        self.logprobs.or(self.ids.then_some(0))
    }
}

/// Sets the number of tokens of each prompt that have no scores.
fn set_unscored(
    fields: &Fields<'_>,
    told: Told,
    prompts: &mut [ShownPrompt],
) -> Result<(), ApiError> {
    let name = "prompt_logprobs_start";
    let Some(start) = fields.count(name) else { return Ok(()) };
    if told.prompt_logprobs.is_none() || told.echo {
        let message = format!("`{name}` needs `prompt_logprobs`, and no `echo`");
        return Err(ApiError::field(name, message));
    }
    for prompt in prompts {
        if start > prompt.ids.len() {
            let n_ids = prompt.ids.len();
            let message = format!("`{name}` is {start}; the prompt has {n_ids} tokens");
            return Err(ApiError::field(name, message));
        }
        prompt.n_unscored = start;
    }
    Ok(())
}

/// vLLM's `stop_reason`: the stop text that ended a completion; of several possible ones it does not
/// say which.
fn stop_reason(finish: Finish, stops: &[String]) -> Value {
    match (finish, stops) {
        (Finish::Stop, [stop]) => json!(stop),
        (Finish::Stop, _) => json!("stop"),
        (Finish::End | Finish::Length, _) => Value::Null,
    }
}

/// One text after each prompt.
fn plain_texts(
    models: &ServedModels,
    fields: &Fields<'_>,
    told: Told,
    prompts: &[ShownPrompt],
) -> Result<Vec<PlainText>, ApiError> {
    if fields.object("idiolect").is_some_and(|own| !own.is_empty()) {
        let message = "only personal models apply `idiolect`; name one, `NAME+METHOD`, in `model`";
        return Err(ApiError::field("idiolect", message));
    }
    let given = max_tokens(fields);
    if given == Some(0) && !told.echo && told.prompt_logprobs.is_none() {
        let message = "`max_tokens` of 0 asks for nothing but with `echo` or `prompt_logprobs`";
        return Err(ApiError::field("max_tokens", message));
    }
    let options = TextOptions::of(fields)?;
    let text = |prompt: &ShownPrompt| PlainText {
        prompt: prompt.ids.clone(),
        options: options.clone(),
        max_tokens: plain::limit(models, prompt.ids.len(), given, DEFAULT_TOKENS),
        logprobs: told.of_completion(),
    };
    Ok(prompts.iter().map(text).collect())
}

/// One choice of an answer. `prompt` is that of a plain model.
fn choice(
    models: &ServedModels,
    told: Told,
    prompt: Option<&ShownPrompt>,
    (index, answer): (usize, &AnswerText),
) -> Value {
    let tokenizer = models.lm.tokenizer();
    let shown = prompt.filter(|_| told.echo);
    let text = shown.map(|prompt| prompt.text.as_str()).unwrap_or_default().to_owned();
    let listed = told.logprobs.map(|n_top| {
        let mut list = CompletionLogprobs::new(tokenizer, 0);
        if let Some(prompt) = shown {
            add_prompt(&mut list, prompt, n_top);
        }
        list.extend(&answer.tokens);
        list.to_json()
    });
    let mut choice = json!({
        "index": index,
        "text": text + &answer.text,
        "logprobs": listed,
        "finish_reason": finish_reason(answer.finish),
    });
    if let (Some(n_top), Some(prompt)) = (told.prompt_logprobs, prompt) {
        choice["prompt_logprobs"] =
            logprobs::of_prompt(tokenizer, prompt.n_unscored, &with_top(&prompt.scores, n_top));
    }
    if let (true, Some(prompt)) = (told.ids, prompt) {
        choice["prompt_token_ids"] = json!(prompt.ids);
        choice["token_ids"] = answer.tokens.iter().map(|token| token.id).collect();
    }
    choice
}

fn add_prompt(list: &mut CompletionLogprobs<'_>, prompt: &ShownPrompt, n_top: usize) {
    list.first(prompt.ids[0]);
    list.extend(&with_top(&prompt.scores, n_top));
}

/// Scores with at most `n_top` likeliest tokens. Two fields may ask for different numbers.
fn with_top(scores: &[TokenLogprob], n_top: usize) -> Vec<TokenLogprob> {
    let mut scores = scores.to_vec();
    scores.iter_mut().for_each(|score| score.top.truncate(n_top));
    scores
}

/// The chunks of streamed completions.
struct CompletionChunks {
    head: Value,
    app: Arc<App>,
    stream: StreamOptions,
    told: Told,
    stops: Vec<String>,
    /// Empty for personal models.
    prompts: Vec<ShownPrompt>,
    n: usize,
    /// For each completion, the character at which its next token begins.
    offsets: Vec<usize>,
    told_tokens: ToldTokens,
    ended: Vec<AnswerText>,
}

impl CompletionChunks {
    fn chunk(
        &mut self,
        index: usize,
        text: &str,
        tokens: &[TokenLogprob],
        finish: Option<Finish>,
    ) -> SseMessage {
        let mut listed = Value::Null;
        let app = Arc::clone(&self.app);
        if let (Some(_), Ok(models)) = (self.told.logprobs, app.models()) {
            let offset = self.offsets.get(index).copied().unwrap_or(0);
            let mut list = CompletionLogprobs::new(models.lm.tokenizer(), offset);
            list.extend(tokens);
            self.set_offset(index, list.end());
            listed = list.to_json();
        }
        self.message(index, text, listed, finish)
    }

    fn message(
        &self,
        index: usize,
        text: &str,
        listed: Value,
        finish: Option<Finish>,
    ) -> SseMessage {
        let mut chunk = self.head.clone();
        chunk["choices"] = json!([{
            "index": index,
            "text": text,
            "logprobs": listed,
            "finish_reason": finish.map(finish_reason),
            "stop_reason": finish.map(|finish| stop_reason(finish, &self.stops)),
        }]);
        if self.stream.include_usage {
            chunk["usage"] = Value::Null;
        }
        SseMessage::json(&chunk)
    }

    fn set_offset(&mut self, index: usize, offset: usize) {
        if let Some(known) = self.offsets.get_mut(index) {
            *known = offset;
        }
    }
}

impl AnswerFormat for CompletionChunks {
    /// The prompts, if they are echoed.
    fn begin(&mut self) -> Vec<SseMessage> {
        if !self.told.echo {
            return Vec::new();
        }
        let app = Arc::clone(&self.app);
        let mut messages = Vec::new();
        for index in 0..self.offsets.len() {
            let Some(prompt) = self.prompts.get(index / self.n).cloned() else { continue };
            let mut listed = Value::Null;
            if let (Some(n_top), Ok(models)) = (self.told.logprobs, app.models()) {
                let mut list = CompletionLogprobs::new(models.lm.tokenizer(), 0);
                add_prompt(&mut list, &prompt, n_top);
                listed = list.to_json();
                let end = list.end();
                self.set_offset(index, end);
            }
            messages.push(self.message(index, &prompt.text, listed, None));
        }
        messages
    }

    fn piece(&mut self, index: usize, text: &str, tokens: &[TokenLogprob]) -> Vec<SseMessage> {
        self.told_tokens.add(index, tokens.len());
        vec![self.chunk(index, text, tokens, None)]
    }

    fn ended(&mut self, index: usize, answer: &AnswerText) -> Vec<SseMessage> {
        let rest = self.told_tokens.rest(index, &answer.tokens).to_vec();
        self.ended.push(answer.clone());
        vec![self.chunk(index, "", &rest, Some(answer.finish))]
    }

    fn finish(&mut self) -> Vec<SseMessage> {
        // Texts end in any order, so that those of one prompt do not stand together.
        let mut usage = usage_of(&self.ended, 1);
        usage.prompt /= self.n;
        usage.cached /= self.n;
        let usage = self
            .stream
            .include_usage
            .then(|| SseMessage::json(&usage_chunk(&self.head, usage.to_json())));
        usage.into_iter().chain([SseMessage::done()]).collect()
    }
}
