//! The keys and values of a user's last prompts, kept on disk, so that the next process that writes as the
//! user need not read their texts again. The texts are the same, bit for bit.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use futures::future::LocalBoxFuture;

use super::Model;
use crate::corpus::{Key, Store, remove_overwritten};
use crate::steering::Vocabulary;
use crate::task::Window;
use idiolect_engine::lm::{
    self, Completion, Lm, Prompt, Request, SavedPrefix, Score, ScoreRequest, TextToScore,
};

/// Maximum bytes of all files of a store; the oldest are removed first.
pub const MAX_PREFIX_BYTES: u64 = 1 << 30;

/// Minimum number of tokens that are worth a file.
const MIN_TOKENS: usize = 128;

/// Number of prompts of a request that are kept, its first.
const N_PROMPTS: usize = 2;

/// A language model that begins with the keys and values of the user's last prompts, and keeps those of its
/// own last request.
pub struct PrefixSavingLm<'a> {
    lm: &'a Lm,
    store: &'a Store,
    data_version: i64,
    files: [PrefixFile; N_PROMPTS],
    last_prompts: RefCell<Vec<Prompt>>,
}

/// File of one of the prompts.
struct PrefixFile {
    path: PathBuf,
    /// The tokens that the file held.
    loaded: Vec<u32>,
}

impl PrefixFile {
    /// Loads a file into the prefix cache of a model.
    fn load(path: PathBuf, lm: &Lm) -> Self {
        let saved = read(&path);
        let loaded = saved.map(|saved| (saved.tokens().to_vec(), lm.load_prefix(saved)));
        let loaded = loaded.filter(|(_, is_known)| *is_known).map(|(tokens, _)| tokens);
        Self { path, loaded: loaded.unwrap_or_default() }
    }
}

impl<'a> PrefixSavingLm<'a> {
    /// Loads what is kept for the user into the prefix cache of the model. A file that is damaged or of
    /// another model counts as none. `None` for a store that is in memory or cannot be written.
    #[must_use]
    pub fn of_user(lm: &'a Lm, store: &'a Store, user: &str) -> Option<Self> {
        store.require_writable().ok()?;
        let folder = store.prefix_folder()?;
        let data_version = store.data_version().ok()?;
        let files = std::array::from_fn(|place| {
            let key = Key::of("prefix").with("model", lm.fingerprint()).with("user", user);
            let key = if place == 0 { key } else { key.with("prompt", place.to_le_bytes()) };
            PrefixFile::load(folder.join(key.finish().as_str()), lm)
        });
        Some(Self { lm, store, data_version, files, last_prompts: RefCell::default() })
    }

    /// Keeps the last prompts for the next process, unless the files hold most of them already. Nothing is
    /// kept if the store was changed meanwhile, since a prompt may hold a text that is deleted.
    ///
    /// # Errors
    /// A file cannot be written.
    pub async fn keep(&self) -> io::Result<()> {
        let prompts = self.last_prompts.take();
        for (prompt, file) in prompts.iter().zip(&self.files) {
            self.keep_one(prompt, file).await?;
        }
        Ok(())
    }

    async fn keep_one(&self, prompt: &Prompt, file: &PrefixFile) -> io::Result<()> {
        let PrefixFile { path, loaded } = file;
        let Ok(Some(saved)) = self.lm.saved_prefix(prompt).await else { return Ok(()) };
        let tokens = saved.tokens();
        let known = tokens.iter().zip(loaded).take_while(|(a, b)| a == b).count();
        let is_worth_it = tokens.len() >= MIN_TOKENS && 4 * known < 3 * tokens.len();
        let n_bytes = saved.n_bytes() as u64;
        if !is_worth_it || n_bytes > MAX_PREFIX_BYTES || !self.is_unchanged() {
            return Ok(());
        }
        let Some(folder) = path.parent() else { return Ok(()) };
        fs::create_dir_all(folder)?;
        make_room(folder, path, n_bytes)?;
        let fresh = path.with_extension(format!("new-{}", std::process::id()));
        let mut file = BufWriter::new(File::create(&fresh)?);
        let written = saved.write(&mut file).and_then(|()| file.flush());
        if let Err(error) = written.and_then(|()| fs::rename(&fresh, path)) {
            drop(remove_overwritten(&fresh));
            return Err(error);
        }
        if !self.is_unchanged() {
            remove_overwritten(path).map_err(io::Error::other)?;
        }
        Ok(())
    }

    fn is_unchanged(&self) -> bool {
        self.store.data_version().is_ok_and(|version| version == self.data_version)
    }
}

fn read(path: &Path) -> Option<SavedPrefix> {
    let file = File::open(path).ok()?;
    let saved = SavedPrefix::read(&mut BufReader::new(&file)).ok()?;
    // The time of its last use, for `make_room`.
    drop(file.set_modified(SystemTime::now()));
    Some(saved)
}

/// Removes the files with the oldest last use until `n_bytes` more fit beside all but `replaced`.
fn make_room(folder: &Path, replaced: &Path, n_bytes: u64) -> io::Result<()> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let facts = entry.metadata()?;
        if facts.is_file() && entry.path() != replaced {
            files.push((facts.modified()?, facts.len(), entry.path()));
        }
    }
    files.sort();
    let mut total: u64 = files.iter().map(|(_, n, _)| n).sum();
    for (_, n, path) in files {
        if total + n_bytes <= MAX_PREFIX_BYTES {
            break;
        }
        remove_overwritten(&path).map_err(io::Error::other)?;
        total -= n;
    }
    Ok(())
}

impl Window for PrefixSavingLm<'_> {
    fn context(&self) -> usize {
        Window::context(self.lm)
    }

    fn count(&self, prompt: &Prompt) -> lm::Result<usize> {
        Window::count(self.lm, prompt)
    }

    fn count_text(&self, text: &str) -> lm::Result<usize> {
        Window::count_text(self.lm, text)
    }
}

impl Model for PrefixSavingLm<'_> {
    fn fingerprint(&self) -> &str {
        self.lm.fingerprint()
    }

    fn generate(&self, request: Request) -> LocalBoxFuture<'_, lm::Result<Completion>> {
        let kept = request.prompts.iter().take(N_PROMPTS).cloned().collect();
        self.last_prompts.replace(kept);
        Model::generate(self.lm, request)
    }

    fn score(&self, request: ScoreRequest) -> LocalBoxFuture<'_, lm::Result<Vec<Score>>> {
        Model::score(self.lm, request)
    }

    fn score_undivided(
        &self,
        prompt: Prompt,
        text: TextToScore,
    ) -> LocalBoxFuture<'_, lm::Result<Score>> {
        Model::score_undivided(self.lm, prompt, text)
    }

    fn vocabulary(&self) -> lm::Result<&dyn Vocabulary> {
        Model::vocabulary(self.lm)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::corpus::{ForgetScope, Item, Review};
    use futures::executor::block_on;
    use idiolect_engine::lm::ReusedTokens;
    use idiolect_engine::lm::tiny::Tiny;

    fn store(folder: &Path) -> Store {
        let store = Store::open(&folder.join("store.sqlite")).unwrap();
        let item = Item {
            id: "kettle".to_owned(),
            title: "A kettle".to_owned(),
            description: String::new(),
            categories: Vec::new(),
        };
        store.put_items(&[item]).unwrap();
        let review = |user: &str| Review {
            user: user.to_owned(),
            item: "kettle".to_owned(),
            rating: None,
            title: String::new(),
            text: "It whistles.".to_owned(),
            time: 1_600_000_000,
        };
        store.put_reviews(&[review("marta"), review("bob")]).unwrap();
        store
    }

    fn write(store: &Store, user: &str, prompt: &str) -> (Completion, usize) {
        let lm = Tiny { context: 2048, ..Tiny::new("llama") }.lm();
        let saving = PrefixSavingLm::of_user(&lm, store, user).unwrap();
        let counter = ReusedTokens::default();
        let mut request = Request::new(Prompt::Text(prompt.to_owned()), 12);
        request.reused = counter.clone();
        let completion = block_on(saving.generate(request)).unwrap();
        block_on(saving.keep()).unwrap();
        (completion, counter.get())
    }

    #[test]
    fn the_next_process_goes_on_where_the_last_ended() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let files = || store.prefix_folder().unwrap().read_dir().map_or(0, Iterator::count);
        let prompt = "Texts of Marta, all of them. ".repeat(20);
        let (first, reused) = write(&store, "marta", &prompt);
        assert_eq!((reused, files()), (0, 1));
        assert_eq!(write(&store, "marta", &prompt), (first.clone(), 576));
        let (_, reused) = write(&store, "marta", &format!("{}and then", &prompt[..400]));
        assert_eq!(reused, 400, "also the beginning of another prompt");
        let (_, reused) = write(&store, "bob", &prompt);
        assert_eq!((reused, files()), (0, 2), "each user has a file");
        write(&store, "short", "A short prompt");
        assert_eq!(files(), 2);

        // A damaged file counts as none, and is replaced.
        for file in store.prefix_folder().unwrap().read_dir().unwrap() {
            let path = file.unwrap().path();
            let mut bytes = fs::read(&path).unwrap();
            bytes[100] ^= 1;
            fs::write(&path, bytes).unwrap();
        }
        assert_eq!(write(&store, "marta", &prompt), (first.clone(), 0));
        assert_eq!(write(&store, "marta", &prompt), (first.clone(), 576));

        // Whoever is forgotten may be in any prompt.
        let planned = store.would_forget("bob", &ForgetScope::User).unwrap();
        assert_eq!((planned.saved_prefixes, files()), (2, 2));
        let done = store.forget("bob", &ForgetScope::User).unwrap();
        assert_eq!((done.saved_prefixes, files()), (2, 0));
        assert!(!store.prefix_folder().unwrap().exists());
        assert_eq!(write(&store, "marta", &prompt), (first, 0));
    }

    #[test]
    fn the_first_two_prompts_of_a_request_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let write = || {
            let lm = Tiny { context: 2048, ..Tiny::new("llama") }.lm();
            let saving = PrefixSavingLm::of_user(&lm, &store, "marta").unwrap();
            let counter = ReusedTokens::default();
            let texts = ["Texts of Marta, the newest. ", "Older texts of Marta. ", "Of others. "];
            let mut request = Request::new(Prompt::Text(texts[0].repeat(20)), 12);
            let further = texts[1..].iter().map(|text| Prompt::Text(text.repeat(20)));
            request.prompts.extend(further);
            request.combine = Some(Box::new(lm::WeightedSum(vec![0.5, 0.25, 0.25])));
            request.reused = counter.clone();
            let completion = block_on(saving.generate(request)).unwrap();
            block_on(saving.keep()).unwrap();
            (completion, counter.get())
        };
        let (first, reused) = write();
        let files = store.prefix_folder().unwrap().read_dir().unwrap().count();
        assert_eq!((reused, files), (0, 2));
        let (again, reused) = write();
        assert_eq!(again, first);
        let of_one = "Texts of Marta, the newest. ".len() * 20;
        assert!(reused > of_one, "{reused} of the first prompt's {of_one}");
    }

    #[test]
    fn nothing_is_kept_if_the_store_was_changed_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let lm = Tiny { context: 2048, ..Tiny::new("llama") }.lm();
        let saving = PrefixSavingLm::of_user(&lm, &store, "marta").unwrap();
        let prompt = Prompt::Text("Texts of Marta, all of them. ".repeat(20));
        block_on(saving.generate(Request::new(prompt, 4))).unwrap();
        let other = Store::open(&folder.path().join("store.sqlite")).unwrap();
        other.forget("bob", &ForgetScope::User).unwrap();
        block_on(saving.keep()).unwrap();
        assert!(!store.prefix_folder().unwrap().exists());
    }

    #[test]
    fn the_files_used_longest_ago_make_room() {
        let folder = tempfile::tempdir().unwrap();
        let names = ["a", "b", "c"].map(|name| folder.path().join(name));
        for (age, path) in names.iter().enumerate() {
            let file = File::create(path).unwrap();
            file.set_len(MAX_PREFIX_BYTES / 4).unwrap();
            let then = SystemTime::now() - std::time::Duration::from_secs(60 * (3 - age as u64));
            file.set_modified(then).unwrap();
        }
        make_room(folder.path(), &names[0], MAX_PREFIX_BYTES / 2).unwrap();
        assert_eq!(names.each_ref().map(|path| path.exists()), [true, true, true]);
        make_room(folder.path(), &names[0], MAX_PREFIX_BYTES / 4 * 3).unwrap();
        assert_eq!(names.each_ref().map(|path| path.exists()), [true, false, true]);
    }
}
