//! Whether a method shows the language model what others wrote.

use super::{Method, MethodOptions, Texts};

impl Method {
    /// Whether it shows the language model texts by other users than the author, or uses their phrases. What
    /// only counts everybody's words, or forbids copies of others' texts, does not.
    #[must_use]
    pub fn shows_peer_text(self, options: &MethodOptions) -> bool {
        let settings = &options.idiolect;
        let is_on = |strength: Option<f32>| strength.is_some_and(|strength| strength > 0.0);
        let of_item = is_on(settings.item) || is_on(settings.item_phrases);
        let estimates = settings.estimate || settings.texts == Texts::Estimated;
        let reads_corpus = settings.corpus.is_none_or(|strength| strength > 0.0);
        // `fermi` scores peers' texts, whoever makes the instructions.
        self.needs_peers(options)
            || self == Self::FERMI
            || ([Self::IDIOLECT, Self::INTERACT].contains(&self)
                && (of_item || estimates || reads_corpus))
    }
}

impl MethodOptions {
    /// The same without what reads texts by other users unless it is turned off: the model's expectation of
    /// their words, if its strength is not given.
    #[must_use]
    pub fn without_peer_text(mut self) -> Self {
        self.idiolect.corpus = self.idiolect.corpus.or(Some(0.0));
        self
    }
}
