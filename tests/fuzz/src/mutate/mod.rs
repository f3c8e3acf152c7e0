//! Changes of inputs that follow their structure. libFuzzer's own changes are made as well, to half of the
//! inputs and to what the structure ends in.

mod gguf;
mod json;
mod random;
pub mod seeds;

use random::Random;

/// Kind of the inputs of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutator {
    /// GGUF, alone or several behind `SPLIT`.
    Gguf,
    /// A header of JSON after its length, then bytes.
    Safetensors,
    /// Texts with JSON documents in them: one, one in each line, or within other text.
    Json,
    /// Any bytes.
    Plain,
}

impl Mutator {
    /// The kind of the inputs of a target.
    pub fn of_target(target: &str) -> Self {
        match target {
            "gguf" => Self::Gguf,
            "safetensors" => Self::Safetensors,
            "encoder" | "tokenizer" | "json-lines" | "chats" | "posts" | "schema" | "http" => {
                Self::Json
            }
            _ => Self::Plain,
        }
    }

    /// Changes the first `size` bytes of `data` and returns the new size, `max_size` at most.
    pub fn mutate(self, data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
        let mut random = Random::new(seed);
        let changed = match self {
            _ if random.one_in(2) => None,
            Self::Plain => None,
            Self::Gguf => gguf::changed(&data[..size], &mut random),
            Self::Safetensors => json::changed_header(&data[..size], &mut random),
            Self::Json => json::changed(&data[..size], &mut random),
        };
        match changed {
            Some(changed) if changed.len() <= max_size && changed != data[..size] => {
                data[..changed.len()].copy_from_slice(&changed);
                changed.len()
            }
            _ => libfuzzer_sys::fuzzer_mutate(data, size, max_size),
        }
    }
}
