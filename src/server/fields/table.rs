//! The fields, route by route.

use super::BodyRoute::{
    Chat, Compare, Completions, Detokenize, Embeddings, Guess, Profile, Responses, Score, Tokenize,
    Write,
};
use super::Treatment::{Applied, Only, PlainOnly, Refused, Required, Unused};
use super::{BodyField, BodyRoute, FieldKind, Treatment};

const TEXTS: &[BodyRoute] = &[Chat, Completions];
const ANSWERS: &[BodyRoute] = &[Chat, Completions, Responses];
const SAMPLED: &[BodyRoute] = &[Chat, Completions, Write, Compare];
/// Routes that write as a user, and those that write or score as one.
const WRITTEN: &[BodyRoute] = &[Write, Compare];
const PERSONAL: &[BodyRoute] = &[Write, Score, Compare];
const CHATS: &[BodyRoute] = &[Chat, Responses];

const fn field(
    name: &'static str,
    routes: &'static [BodyRoute],
    kind: FieldKind,
    treatment: Treatment,
    about: &'static str,
) -> BodyField {
    BodyField { name, routes, kind, treatment, about }
}

use FieldKind::{
    Any, Flag, Ids, Integer, List, Number, Object, OneOf, Text, TextOrList, TextOrTexts,
};

/// Maximum number of tokens that a request may ask for.
const MAX_TOKENS: i64 = 1 << 20;

/// The table.
pub(crate) const TABLE: &[BodyField] = &[
    // What is asked for.
    field(
        "model",
        &[Chat, Completions, Responses, Embeddings],
        Text,
        Required,
        "model of GET /v1/models: `NAME`, `NAME+METHOD` or `NAME+METHOD@USER`",
    ),
    field("model", &[Tokenize, Detokenize], Text, Applied, "model of GET /v1/models"),
    field(
        "messages",
        &[Chat],
        List,
        Required,
        "messages with `role` (system, developer, user, assistant) and `content`, a text or parts of \
         type text; a personal model writes about the last user message",
    ),
    field(
        "prompt",
        &[Completions],
        TextOrList,
        Required,
        "a text, a list of texts, a list of token ids, or a list of such lists; a text is data and \
         yields no control token",
    ),
    field("input", &[Responses], TextOrList, Required, "a text, or a list of messages"),
    field("input", &[Embeddings], TextOrList, Required, "a text, or a list of up to 2048 texts"),
    field("instructions", &[Responses], Text, PlainOnly("null"), "system message before the input"),
    field(
        "prompt",
        &[Tokenize],
        Text,
        Applied,
        "text; one that is exactly a control marker gives its id",
    ),
    field("messages", &[Tokenize], List, Applied, "messages, in place of `prompt`"),
    field(
        "add_special_tokens",
        &[Tokenize],
        Flag,
        Applied,
        "whether the token before a prompt is added, if the model has one [default: true]",
    ),
    field(
        "add_generation_prompt",
        &[Tokenize],
        Flag,
        Only("true"),
        "the template always begins the answer",
    ),
    field(
        "return_token_strs",
        &[Tokenize],
        Flag,
        Applied,
        "whether the texts of the tokens are given",
    ),
    field("tokens", &[Detokenize], Ids, Required, "token ids"),
    // Sampling.
    field(
        "temperature",
        ANSWERS,
        Number(0.0, 2.0),
        Applied,
        "0 takes the likeliest token [default: 1; personal models: the task's]",
    ),
    field(
        "temperature",
        WRITTEN,
        Number(0.0, 2.0),
        Applied,
        "0 takes the likeliest token [default: the task's]",
    ),
    field(
        "top_p",
        &[Chat, Completions, Responses, Write, Compare],
        Number(0.0, 1.0),
        Applied,
        "keeps the likeliest tokens whose probability reaches this",
    ),
    field(
        "top_k",
        SAMPLED,
        Integer(-1, 1_000_000),
        Applied,
        "keeps the k likeliest tokens; -1 or 0 keeps all",
    ),
    field(
        "min_p",
        SAMPLED,
        Number(0.0, 1.0),
        Applied,
        "keeps tokens with at least this fraction of the largest probability",
    ),
    field(
        "repetition_penalty",
        SAMPLED,
        Number(0.01, 100.0),
        Applied,
        "divides positive and multiplies negative logits of tokens that occurred, prompt included",
    ),
    field(
        "dry_multiplier",
        SAMPLED,
        Number(0.0, 100.0),
        Applied,
        "strength of the penalty on repeated runs of tokens; 0 is off",
    ),
    field("dry_base", TEXTS, Number(1.0, 100.0), PlainOnly("1.75"), "growth of the DRY penalty"),
    field(
        "dry_allowed_length",
        TEXTS,
        Integer(0, MAX_TOKENS),
        PlainOnly("2"),
        "shortest repeated run that is penalised, tokens",
    ),
    field(
        "penalty_window",
        TEXTS,
        Integer(0, MAX_TOKENS),
        PlainOnly("0"),
        "number of last tokens that `repetition_penalty` and DRY consider; 0 is all",
    ),
    field(
        "frequency_penalty",
        ANSWERS,
        Number(-2.0, 2.0),
        PlainOnly("0"),
        "subtracted from a token's logit for each time it occurs in the answer",
    ),
    field(
        "presence_penalty",
        ANSWERS,
        Number(-2.0, 2.0),
        PlainOnly("0"),
        "subtracted once from the logit of each token in the answer",
    ),
    field(
        "logit_bias",
        TEXTS,
        Object,
        PlainOnly("{}"),
        "token ids and what is added to their logits, -100 to 100; up to 1024",
    ),
    field(
        "seed",
        &[Chat, Completions, Responses, Write, Compare],
        Integer(i64::MIN, i64::MAX),
        Applied,
        "seed of the sampling; the same request and seed give the same bytes. Absent: a random one, \
         told in the header `x-idiolect`",
    ),
    field(
        "n",
        TEXTS,
        Integer(1, 8),
        Applied,
        "number of answers; those after the first have the seeds that follow",
    ),
    field("best_of", &[Completions], Integer(1, 8), Only("1"), "give `n`"),
    // Length.
    field(
        "max_tokens",
        &[Chat],
        Integer(1, MAX_TOKENS),
        Applied,
        "maximum number of tokens of an answer [default: the server's]",
    ),
    field(
        "max_tokens",
        &[Completions],
        Integer(0, MAX_TOKENS),
        Applied,
        "maximum number of tokens of a completion; 0 with `echo` scores the prompt alone \
         [default: 16]",
    ),
    field(
        "max_tokens",
        WRITTEN,
        Integer(1, MAX_TOKENS),
        Applied,
        "maximum number of tokens of the text [default: the task's]",
    ),
    field(
        "max_completion_tokens",
        &[Chat],
        Integer(1, MAX_TOKENS),
        Applied,
        "the same as `max_tokens`",
    ),
    field(
        "max_output_tokens",
        &[Responses],
        Integer(1, MAX_TOKENS),
        Applied,
        "maximum number of tokens of the answer [default: the server's]",
    ),
    field("stop", TEXTS, TextOrTexts(16), PlainOnly("[]"), "texts that end an answer"),
    field(
        "ignore_eos",
        TEXTS,
        Flag,
        PlainOnly("false"),
        "whether end tokens are never chosen, so that an answer has its maximum length",
    ),
    // Form.
    field(
        "response_format",
        TEXTS,
        Object,
        PlainOnly("{\"type\":\"text\"}"),
        "`text`, `json_object`, or `json_schema` with a schema that the answer satisfies",
    ),
    field(
        "text",
        &[Responses],
        Object,
        PlainOnly("{\"format\":{\"type\":\"text\"}}"),
        "`format`: `text`, `json_object` or `json_schema`",
    ),
    field(
        "echo",
        &[Completions],
        Flag,
        PlainOnly("false"),
        "whether the prompt is part of the text",
    ),
    field("suffix", &[Completions], Text, Only("\"\""), "there is no text after a completion"),
    field(
        "continue_final_message",
        &[Chat],
        Flag,
        PlainOnly("false"),
        "whether the last message, an assistant's, is continued",
    ),
    field(
        "add_generation_prompt",
        &[Chat],
        Flag,
        PlainOnly("true"),
        "false only with `continue_final_message`",
    ),
    // Log-probabilities.
    field(
        "logprobs",
        &[Chat],
        Flag,
        PlainOnly("false"),
        "whether the answer's tokens are given with natural log-probabilities, before penalties and \
         temperature",
    ),
    field(
        "top_logprobs",
        &[Chat],
        Integer(0, 20),
        PlainOnly("0"),
        "number of likeliest tokens at each position; needs `logprobs`",
    ),
    field(
        "top_logprobs",
        &[Responses],
        Integer(0, 20),
        PlainOnly("0"),
        "number of likeliest tokens at each position",
    ),
    field(
        "logprobs",
        &[Completions],
        Integer(0, 20),
        PlainOnly("null"),
        "number of likeliest tokens at each position; with `echo` of the prompt as well",
    ),
    field(
        "prompt_logprobs",
        &[Completions],
        Integer(0, 20),
        PlainOnly("null"),
        "number of likeliest tokens at each position of the prompt, beside its own; not with \
         `stream`",
    ),
    field(
        "prompt_logprobs_start",
        &[Completions],
        Integer(1, MAX_TOKENS),
        PlainOnly("1"),
        "index of the first token whose `prompt_logprobs` are told; those before it are null and not \
         computed",
    ),
    field(
        "return_token_ids",
        &[Completions],
        Flag,
        PlainOnly("false"),
        "whether the ids of prompt and completion are given",
    ),
    // Stream.
    field("stream", ANSWERS, Flag, Applied, "whether the answer comes as server-sent events"),
    field("stream_options", ANSWERS, Object, Applied, "`include_usage`: whether usage comes last"),
    // Person.
    field(
        "user",
        &[Chat, Completions, Responses],
        Text,
        Applied,
        "user to write as, for personal models; plain models do not use it",
    ),
    field("safety_identifier", ANSWERS, Text, Applied, "used as `user` if that is absent"),
    field(
        "idiolect",
        ANSWERS,
        Object,
        Applied,
        "for personal models: `user`, `item`, `rating`, `title`, `context`; without an item the \
         text is about the last message, or answers it, if the task shows a message to answer. Plain \
         models refuse it",
    ),
    field("user", &[Embeddings], Text, Unused, "not used"),
    field("user", &[Write, Score], Text, Required, "user to write as"),
    field("item", PERSONAL, Text, Required, "item to write about"),
    field("rating", PERSONAL, Number(-1e6, 1e6), Applied, "rating that the text gives the item"),
    field("title", PERSONAL, Text, Applied, "title of the text"),
    field(
        "context",
        PERSONAL,
        Text,
        Applied,
        "message to answer, if the server's task shows one: a text, or a mail with its headers \
         [default: the newest text on the item by somebody else]",
    ),
    field("method", &[Write, Score], Text, Applied, "method [default: idiolect]"),
    field(
        "strength",
        PERSONAL,
        Number(0.0, 3.0),
        Applied,
        "factor of the strengths of steering; 0 writes after the user's texts alone [default: 1]",
    ),
    field("text", &[Score], Text, Required, "text to score"),
    field(
        "columns",
        &[Compare],
        List,
        Required,
        "2 to 4 objects with `method` and `user`: texts to write side by side",
    ),
    field("id", &[Guess], Text, Required, "the question's `id`, from GET"),
    field(
        "answer",
        &[Guess],
        Integer(0, 1),
        Required,
        "number of the text that the first person wrote",
    ),
    field(
        "why",
        &[Write],
        Flag,
        Applied,
        "whether each token's log-probabilities come after the text",
    ),
    // Edits of a profile.
    field("pin", &[Profile], TextOrTexts(100), Applied, "keys of statements that are always shown"),
    field("drop", &[Profile], TextOrTexts(100), Applied, "keys of statements that are never shown"),
    field("restore", &[Profile], TextOrTexts(100), Applied, "keys of statements whose edits end"),
    field("reword", &[Profile], Object, Applied, "keys of statements and their new texts"),
    field("add", &[Profile], List, Applied, "new statements: `dimension` and `text`"),
    field("undo", &[Profile], Flag, Applied, "whether the newest change is undone; alone"),
    field(
        "version",
        &[Profile],
        Integer(0, 1 << 31),
        Applied,
        "version that the edits were made from; if it is not the newest, they are refused",
    ),
    // Embeddings.
    field(
        "encoding_format",
        &[Embeddings],
        OneOf(&["float", "base64"]),
        Applied,
        "form of the vectors; base64 is of little-endian f32",
    ),
    field(
        "dimensions",
        &[Embeddings],
        Integer(1, MAX_TOKENS),
        Applied,
        "length of the vectors; only the encoder's own",
    ),
    // Documented, not used.
    field(
        "prompt_cache_key",
        ANSWERS,
        Text,
        Unused,
        "not used: prefixes are found by their tokens",
    ),
    field("prompt_cache_retention", CHATS, Text, Unused, "not used"),
    field("store", CHATS, Flag, Unused, "not used: nothing is kept for later requests"),
    field("metadata", CHATS, Object, Unused, "not used"),
    field("service_tier", CHATS, Text, Unused, "not used"),
    field("verbosity", &[Chat], Text, Unused, "not used"),
    field("include", &[Responses], List, Unused, "not used"),
    field("reasoning_effort", &[Chat], Text, Only("\"none\""), "thinking is off"),
    field("reasoning", &[Responses], Object, Unused, "not used: thinking is off"),
    field("parallel_tool_calls", CHATS, Flag, Only("true"), "there are no tools"),
    field(
        "truncation",
        &[Responses],
        Text,
        Only("\"disabled\""),
        "an input that is too long is refused",
    ),
    field("background", &[Responses], Flag, Only("false"), "answers are not kept"),
    field("modalities", &[Chat], List, Only("[\"text\"]"), "answers are text"),
    field("tools", CHATS, List, Only("[]"), "tools are not supported"),
    field("tool_choice", CHATS, Any, Unused, "not used: there are no tools"),
    field("functions", &[Chat], List, Only("[]"), "functions are not supported"),
    // Refused.
    field(
        "previous_response_id",
        &[Responses],
        Text,
        Refused,
        "answers are not kept; send the whole conversation as `input`",
    ),
    field("conversation", &[Responses], Any, Refused, "conversations are not kept"),
    field("max_tool_calls", &[Responses], Any, Refused, "there are no tools"),
    field("audio", &[Chat], Object, Refused, "there is no audio"),
    field("prediction", &[Chat], Object, Refused, "there are no predicted outputs"),
    field("web_search_options", &[Chat], Object, Refused, "there is no web search"),
];
