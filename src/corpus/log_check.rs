//! Looks for damage in a store's write-ahead log. SQLite reads the log up to the first frame whose checksum
//! is wrong, since that is how a log ends that a crash cut short; where a later byte changed, it passes over
//! what was committed behind it without a word.
//!
//! Format: <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::time::Duration;

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
/// Beginning of the log; the last bit is set if checksums are of big-endian numbers.
const MAGIC: u32 = 0x377f_0682;
/// Looks and the time between them: another process may write to the log during one.
const LOOKS: usize = 3;
const BETWEEN: Duration = Duration::from_millis(30);

/// Damage of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogDamage {
    /// Byte at which the first damaged frame begins; 0 for the log's own header.
    pub at: u64,
    /// Number of committed transactions behind it that are not read.
    pub lost_commits: u64,
}

/// The damage of a log, if it has any that stays the same; `None` if there is no log.
pub(super) fn damage_of(log: &Path) -> Option<LogDamage> {
    let first = look(log).ok().flatten()?;
    for _ in 1..LOOKS {
        std::thread::sleep(BETWEEN);
        if look(log).ok().flatten() != Some(first) {
            return None;
        }
    }
    Some(first)
}

fn look(log: &Path) -> io::Result<Option<LogDamage>> {
    let mut log = BufReader::with_capacity(1 << 16, File::open(log)?);
    let mut header = [0; HEADER];
    if !filled(&mut log, &mut header)? {
        return Ok(None);
    }
    let sums = Checksum::of_header(&header);
    let page = match number(&header, 8) {
        1 => 65_536,
        size => size as usize,
    };
    let is_size = page.is_power_of_two() && (512..=65_536).contains(&page);
    let page = if is_size { page } else { 4096 };
    let mut frame = vec![0; FRAME_HEADER + page];
    let Some(mut sum) = sums else {
        // Without its header nothing of the log is read.
        let mut lost_commits = 0;
        while filled(&mut log, &mut frame)? {
            lost_commits += u64::from(number(&frame, 4) != 0);
        }
        return Ok((lost_commits > 0).then_some(LogDamage { at: 0, lost_commits }));
    };
    let (mut at, mut damaged_at, mut lost_commits) = (HEADER as u64, None, 0);
    while filled(&mut log, &mut frame)? {
        let has_salts = frame[8..16] == header[16..24];
        let is_commit = number(&frame, 4) != 0;
        if damaged_at.is_none() {
            sum.add(&frame[..8]);
            sum.add(&frame[FRAME_HEADER..]);
            let is_valid = has_salts
                && number(&frame, 0) != 0
                && [number(&frame, 16), number(&frame, 20)] == sum.value;
            if !is_valid {
                damaged_at = Some(at);
            }
        }
        // Frames of an earlier use of the log have other salts; those of a transaction that was given up
        // have no commit.
        lost_commits += u64::from(damaged_at.is_some() && has_salts && is_commit);
        at += frame.len() as u64;
    }
    Ok(damaged_at.filter(|_| lost_commits > 0).map(|at| LogDamage { at, lost_commits }))
}

/// The checksum of a log so far.
struct Checksum {
    value: [u32; 2],
    is_big_endian: bool,
}

impl Checksum {
    /// The checksum after the header; `None` if it is not the one that the header has.
    fn of_header(header: &[u8; HEADER]) -> Option<Self> {
        let magic = number(header, 0);
        let mut sum = Self { value: [0, 0], is_big_endian: magic & 1 == 1 };
        sum.add(&header[..24]);
        let is_right = [number(header, 24), number(header, 28)] == sum.value;
        (magic & !1 == MAGIC && is_right).then_some(sum)
    }

    /// Adds bytes, whose number is divisible by eight.
    fn add(&mut self, bytes: &[u8]) {
        let (pairs, _) = bytes.as_chunks::<8>();
        let [mut a, mut b] = self.value;
        for [p, q, r, s, t, u, v, w] in pairs.iter().copied() {
            let (first, second) = match self.is_big_endian {
                true => (u32::from_be_bytes([p, q, r, s]), u32::from_be_bytes([t, u, v, w])),
                false => (u32::from_le_bytes([p, q, r, s]), u32::from_le_bytes([t, u, v, w])),
            };
            a = a.wrapping_add(first).wrapping_add(b);
            b = b.wrapping_add(second).wrapping_add(a);
        }
        self.value = [a, b];
    }
}

/// The big-endian number at a byte.
fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Fills a buffer; returns whether there were enough bytes.
fn filled(log: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match log.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rand::{RngExt, SeedableRng};
    use rusqlite::Connection;

    use super::*;
    use crate::store::log_of;
    use crate::{Error, Store};

    /// A store with a log of several commits beside it, and the bytes of the log.
    fn with_log(folder: &Path) -> (std::path::PathBuf, Vec<u8>) {
        let (path, kept) = (folder.join("s.sqlite"), folder.join("kept.sqlite"));
        drop(Store::open(&path).unwrap());
        let writer = Connection::open(&path).unwrap();
        writer.execute_batch("PRAGMA wal_autocheckpoint = 0;").unwrap();
        for n in 0..5 {
            writer.execute("INSERT INTO user(name) VALUES (?1)", [format!("user{n}")]).unwrap();
        }
        std::fs::copy(&path, &kept).unwrap();
        std::fs::copy(log_of(&path), log_of(&kept)).unwrap();
        let bytes = std::fs::read(log_of(&kept)).unwrap();
        (kept, bytes)
    }

    fn users(path: &Path) -> Result<(i64, Option<LogDamage>), Error> {
        let store = Store::open(path)?;
        let sql = "SELECT count(*) FROM user";
        let n = store.read(|connection| connection.query_row(sql, [], |row| row.get(0)))?;
        Ok((n, store.log_damage()))
    }

    #[test]
    fn a_whole_log_and_a_torn_one_are_fine() {
        let folder = tempfile::tempdir().unwrap();
        let (path, bytes) = with_log(folder.path());
        let store = std::fs::read(&path).unwrap();
        assert_eq!(users(&path).unwrap(), (5, None));
        for cut in [1, 1000, 5000] {
            std::fs::write(&path, &store).unwrap();
            std::fs::write(log_of(&path), &bytes[..bytes.len() - cut]).unwrap();
            let (n, damage) = users(&path).unwrap();
            assert!(n < 5 && damage.is_none(), "{n} {damage:?}");
        }
        assert_eq!(damage_of(&folder.path().join("none")), None);
    }

    #[test]
    fn a_changed_byte_is_told_if_committed_rows_are_lost() {
        let folder = tempfile::tempdir().unwrap();
        let (path, bytes) = with_log(folder.path());
        let store = std::fs::read(&path).unwrap();
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(5);
        let mut n_told = 0;
        for round in 0..60 {
            // The header and the last frame's own header, too.
            let at = match round {
                0 => 3,
                1 => 20,
                _ => rng.random_range(0..bytes.len()),
            };
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << rng.random_range(0..8);
            std::fs::write(&path, &store).unwrap();
            std::fs::write(log_of(&path), &damaged).unwrap();
            let (n, damage) = users(&path).unwrap();
            // A commit whose own frame header changed cannot be told from one that never was.
            let last = bytes.len() - 4120;
            let is_in_last = (last..last + FRAME_HEADER).contains(&at);
            assert!(n == 5 || damage.is_some() || is_in_last, "byte {at}: {n} users");
            n_told += u32::from(damage.is_some());
        }
        assert!(n_told > 50, "{n_told}");
    }
}
