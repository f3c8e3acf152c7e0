//! Texts generated and scored under several prompts at once, whose distributions a rule combines.

use super::calls::{Shown, seed_of};
use super::scores::{Continuation, KIND, Kept};
use super::{CachedLm, LmAnswer, LmCall, Result, ScoreCall, Scored};
use crate::corpus::{Key, KeyBuilder};
use crate::task::{Cut, Draft, Fitted, Stage, fit};
use idiolect_engine::lm::{
    Chat, Completion, Ending, NgramBlocklist, Prompt, Rule, SteeredRequest, Steering,
};

/// Contrast prompts: prompts of the same stage that are combined with the user's.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Beside {
    /// Unconditional prompt, without any user's texts.
    pub nobody: Draft,
    /// Prompts with peers' texts on the same items, any number.
    pub peers: Vec<Draft>,
}

/// Settings of steered generation.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Steered {
    /// The contrast prompts.
    pub beside: Beside,
    /// The rule and its strengths.
    pub steering: Steering,
    /// Texts from which a generated text must not copy.
    pub guard: Option<NgramBlocklist>,
    /// Length prior of a generated text.
    pub ending: Option<Ending>,
}

/// Fitted prompts, the user's first.
struct ContrastPrompts {
    fitted: Vec<Fitted>,
}

impl ContrastPrompts {
    fn prompt_tokens(&self) -> usize {
        self.fitted.iter().map(|fitted| fitted.prompt_tokens).sum()
    }

    fn prompts(&self) -> Vec<Prompt> {
        self.fitted.iter().map(|fitted| Prompt::Chat(fitted.chat.clone())).collect()
    }

    /// Parts left out of the user's prompt. Those left out of the contrast prompts are not
    /// reported.
    fn cut(&self) -> Vec<Cut> {
        self.fitted.first().map(|fitted| fitted.cut.clone()).unwrap_or_default()
    }

    fn chats(&self) -> impl Iterator<Item = &Chat> {
        self.fitted.iter().map(|fitted| &fitted.chat)
    }
}

impl CachedLm<'_> {
    /// Answers like [`CachedLm::answer`], under the user's prompt and the contrast prompts. The call
    /// must not have a constraint: the key does not include it.
    ///
    /// # Errors
    /// As [`CachedLm::answer`].
    pub async fn answer_steered(&self, call: LmCall<'_>, steered: &Steered) -> Result<LmAnswer> {
        let LmCall { stage, draft, sources, sampling, max_tokens, constraint, on_text } = call;
        let spec = self.task.stage(stage)?;
        let max_tokens = max_tokens.unwrap_or_else(|| spec.max_tokens(self.model.context()));
        let lanes = self.lanes(stage, &draft, steered, &steered.steering, max_tokens)?;
        let guard = steered.guard.as_ref();
        let key = Key::of(stage.name())
            .with("model", self.model.fingerprint())
            .with("sampling", serde_json::to_vec(&sampling).unwrap_or_default())
            .with("max_tokens", max_tokens.to_le_bytes())
            .with("steering", steered.steering.key())
            .with("guard", guard.map_or("", NgramBlocklist::hash))
            .with("ending", steered.ending.map(|ending| ending.key()).unwrap_or_default());
        let key = with_chats(key, lanes.chats()).finish();
        let finished = |completion: Completion, reused| LmAnswer {
            text: crate::task::strip_label(&completion.text, &spec.label),
            finish: completion.finish,
            cut: lanes.cut(),
            reused,
        };
        if let Some(completion) = self.stored::<Completion>(stage.name(), &key)? {
            self.count_reused(completion.prompt_tokens, completion.completion_tokens);
            let answer = finished(completion, true);
            if let Some(mut on_text) = on_text {
                on_text(&answer.text);
            }
            return Ok(answer);
        }
        let request = SteeredRequest {
            prompts: lanes.prompts(),
            rule: steered.steering.rule(),
            sampling: idiolect_engine::lm::Sampling { seed: seed_of(&key), ..sampling },
            max_tokens,
            stop: Vec::new(),
            constraint,
            guard: steered.guard.clone(),
            ending: steered.ending,
        };
        let completion = match on_text {
            Some(on_text) => {
                let shown = Shown::new(&spec.label, on_text);
                let receiver = Some(shown.receiver());
                let completion = self.model.complete_steered(request, receiver).await?;
                shown.finish();
                completion
            }
            None => self.model.complete_steered(request, None).await?,
        };
        let value = serde_json::to_string(&completion).unwrap_or_default();
        self.store.put_derived(stage.name(), &key, &value, sources)?;
        self.count_computed(completion.prompt_tokens, completion.completion_tokens);
        Ok(finished(completion, false))
    }

    /// Scores like [`CachedLm::score`], once per steering. All scores that are not in the store are
    /// computed in one pass over the prompts.
    ///
    /// # Errors
    /// As [`CachedLm::score`].
    pub async fn score_steered(
        &self,
        call: ScoreCall<'_>,
        beside: &Beside,
        steerings: &[Steering],
    ) -> Result<Vec<Scored>> {
        let asked = Continuation::of(self, &call)?;
        let ScoreCall { stage, draft, sources, .. } = call;
        let steered = Steered { beside: beside.clone(), ..Steered::default() };
        let mut all = Vec::with_capacity(steerings.len());
        let mut missing: Vec<(usize, Key)> = Vec::new();
        let mut most_tokens = 0;
        for (index, steering) in steerings.iter().enumerate() {
            let lanes = self.lanes(stage, &draft, &steered, steering, asked.room)?;
            most_tokens = most_tokens.max(lanes.prompt_tokens());
            let mut chats = lanes.chats();
            let Some(own) = chats.next() else { continue };
            let key = asked.key(self.model, own);
            // Without steering the score is an ordinary one.
            let key = match *steering == Steering::default() {
                true => key,
                false => with_chats(key.with("steering", steering.key()), chats),
            }
            .finish();
            let kept = self.stored::<Kept>(KIND, &key)?;
            match kept {
                Some(_) => {}
                None => missing.push((index, key)),
            }
            all.push((kept, lanes.cut()));
        }
        let widest = missing.iter().map(|(index, _)| steerings[*index].clone());
        let widest = widest.max_by_key(|steering| {
            let lanes = steering.lanes();
            (lanes.peers, lanes.nobody)
        });
        let mut computed = Vec::new();
        if let Some(widest) = widest {
            let lanes = self.lanes(stage, &draft, &steered, &widest, asked.room)?;
            let rules: Vec<Box<dyn Rule>> =
                missing.iter().map(|(index, _)| steerings[*index].rule()).collect();
            let scores =
                self.model.score_steered(lanes.prompts(), rules, asked.whole.clone()).await?;
            let prompt_tokens = lanes.prompt_tokens();
            self.count_computed(prompt_tokens, asked.n_tokens);
            for ((index, key), score) in missing.into_iter().zip(scores) {
                let kept = asked.kept(prompt_tokens, &score);
                let value = serde_json::to_string(&kept).unwrap_or_default();
                self.store.put_derived(KIND, &key, &value, sources)?;
                computed.push((index, kept));
            }
        }
        let mut counted = !computed.is_empty();
        let mut computed = computed.into_iter().peekable();
        let mut scores = Vec::with_capacity(all.len());
        for (index, (stored, cut)) in all.into_iter().enumerate() {
            let reused = stored.is_some();
            if let Some(kept) = &stored {
                // All scores share one pass over the prompts. It was counted already if any score
                // is computed now.
                match std::mem::replace(&mut counted, true) {
                    false => self.count_reused(most_tokens, kept.continuation_tokens),
                    true => self.count_reused(0, 0),
                }
            }
            let new = computed.next_if(|(of, _)| *of == index).map(|(_, kept)| kept);
            let logprobs = stored.or(new).map(|kept| kept.logprobs).unwrap_or_default();
            scores.push(Scored::of(logprobs, cut, reused));
        }
        Ok(scores)
    }

    /// The prompts that a steering reads, each fitted separately.
    fn lanes(
        &self,
        stage: Stage,
        draft: &Draft,
        steered: &Steered,
        steering: &Steering,
        room: usize,
    ) -> Result<ContrastPrompts> {
        let wanted = steering.lanes();
        let nobody = wanted.nobody.then_some(&steered.beside.nobody);
        let peers = steered.beside.peers.iter().filter(|_| wanted.peers);
        let drafts = std::iter::once(draft).chain(nobody).chain(peers);
        let fitted = drafts.map(|draft| fit(self.task, stage, draft, self.model, room));
        Ok(ContrastPrompts { fitted: fitted.collect::<crate::task::Result<_>>()? })
    }
}

fn with_chats<'c>(key: KeyBuilder, chats: impl Iterator<Item = &'c Chat>) -> KeyBuilder {
    chats.fold(key, |key, chat| key.with("prompt", serde_json::to_vec(chat).unwrap_or_default()))
}
