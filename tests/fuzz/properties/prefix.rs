//! Keys and values of a prompt in a file.

use idiolect_engine::lm::SavedPrefix;

pub fn check(mut input: &[u8]) {
    let whole = input;
    let Ok(saved) = SavedPrefix::read(&mut input) else { return };
    let mut written = Vec::new();
    saved.write(&mut written).unwrap();
    assert_eq!(written, whole, "a file that is read is written alike");
}
