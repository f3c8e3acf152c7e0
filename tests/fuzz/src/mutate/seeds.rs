//! Seeds that code makes: models of each family, tables of each encoding. They are made when they are
//! needed, so that no weights lie in the tree.

use std::fs;
use std::io;
use std::path::Path;

use idiolect_engine::encoder::testing::tiny_folder;
use idiolect_engine::lm::decoder::DecoderFamily;
use idiolect_engine::lm::tiny::Tiny;

/// Writes them to a folder for each target below `folder`.
pub fn write(folder: &Path) -> io::Result<()> {
    let put = |target: &str, name: &str, bytes: &[u8]| {
        let folder = folder.join(target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(name), bytes)
    };
    for family in DecoderFamily::ALL {
        let architecture = family.architecture();
        let tiny = Tiny {
            n_layers: 1,
            n_embd: 32,
            n_ff: 32,
            n_heads: 2,
            n_kv_heads: 1,
            head_dim: 16,
            context: 64,
            ..Tiny::new(architecture)
        };
        put("gguf", architecture, &tiny.bytes())?;
    }
    let encoder = tiny_folder();
    put("safetensors", "tiny", &fs::read(encoder.path().join("model.safetensors"))?)
}
