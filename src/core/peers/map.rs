//! Map of the users: a layout of their embeddings in the plane, stored under the hash of what it was
//! made from.
//!
//! Up to [`MAX_POINTS`] users are points. More are grouped into cells, which are laid out by their
//! centres; the users of one cell are laid out when it is asked for. The same reviews, encoder and
//! version give the same bytes on the same machine.

mod cells;
mod layout;
mod neighbours;

use std::collections::HashMap;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::index::{PeerIndex, UserEmbeddings, content_of};
use super::vectors::ensure_all;
use super::{EmbeddingKind, Result};
use crate::corpus::{Key, ReviewId, Store, View};
use cells::Cells;
use idiolect_engine::encoder::Encoder;
use idiolect_engine::progress::{Progress, Silent};
use layout::Layout;

/// Maximum number of users that are laid out as points.
pub const MAX_POINTS: usize = 50_000;

/// Kind under which maps are stored. They have no sources, so that every `forget` deletes them.
const KIND: &str = "map";

/// Version of the layout; incremented with every change of its results.
const VERSION: u32 = 2;

/// Map of the users, or of those in one cell. Coordinates are 0 to 1, with one scale for both axes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UserMap {
    /// Number of users of the map; of the cell, if it is one cell's.
    pub total_users: usize,
    /// Users that are points, sorted by the bytes of their ids; none if there are cells.
    pub users: Vec<String>,
    /// First coordinate of each user.
    pub x: Vec<f32>,
    /// Second coordinate of each user.
    pub y: Vec<f32>,
    /// Number of reviews of each user.
    pub n: Vec<u64>,
    /// Share of the ten users nearest by their embeddings that are among the ten nearest in the map,
    /// mean over users (at most 2,000 of them), 0 to 1; `None` if there are no more than eleven
    /// points, which cannot but be kept, or there are cells.
    pub kept_neighbours: Option<f64>,
    /// Cells, if there are more than [`MAX_POINTS`] users.
    pub cells: Option<Vec<MapCell>>,
    /// Time that the map took to make, seconds.
    pub computed_in_s: f64,
}

/// A group of similar users in a map.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MapCell {
    /// Number of the cell, from 0.
    pub id: usize,
    /// First coordinate of its centre.
    pub x: f32,
    /// Second coordinate of its centre.
    pub y: f32,
    /// Number of its users.
    pub users: usize,
    /// Number of their reviews.
    pub reviews: u64,
}

/// Cells of a map, and the cell of each user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct StoredCells {
    map: UserMap,
    /// Cell of each user, in the order of their ids.
    cells: Vec<u16>,
}

/// Returns the map of all users, or of the users of one cell, from the store, or makes it. `None` if
/// there is no such cell.
///
/// The embeddings are those of the store's index if it is up to date, else they are averaged anew.
///
/// # Errors
/// Too many reviews have no vector; the store or the encoder fails; [`Error::Stopped`](super::Error::Stopped)
/// if `progress` requests a stop.
pub fn user_map(
    store: &Store,
    encoder: &Encoder,
    cell: Option<usize>,
    progress: &dyn Progress,
) -> Result<Option<UserMap>> {
    MapMaker { progress, ..MapMaker::of(store, encoder) }.map(cell)
}

/// Returns the map of all users, or of the users of one cell, if the store has it.
///
/// # Errors
/// The store fails.
pub fn stored_map(
    store: &Store,
    encoder: &Encoder,
    cell: Option<usize>,
) -> Result<Option<UserMap>> {
    let maker = MapMaker::of(store, encoder);
    let key = maker.key(&part(cell))?;
    match cell {
        Some(_) => maker.stored(&key),
        None => Ok(maker.stored::<StoredCells>(&key)?.map(|stored| stored.map)),
    }
}

/// Hash of what determines the map: reviews, encoder, version, and the cell if it is one cell's.
///
/// # Errors
/// The store fails.
pub fn map_stamp(store: &Store, encoder: &Encoder, cell: Option<usize>) -> Result<String> {
    Ok(MapMaker::of(store, encoder).key(&part(cell))?.as_str().to_owned())
}

/// Name of a map in its key.
fn part(cell: Option<usize>) -> String {
    cell.map_or_else(|| "all".to_owned(), |cell| format!("cell {cell}"))
}

/// Inputs of a map.
struct MapMaker<'a> {
    store: &'a Store,
    encoder: &'a Encoder,
    progress: &'a dyn Progress,
    /// [`MAX_POINTS`]; tests have a smaller one.
    max_points: usize,
}

impl<'a> MapMaker<'a> {
    /// A maker that shows no progress.
    fn of(store: &'a Store, encoder: &'a Encoder) -> Self {
        Self { store, encoder, progress: &Silent, max_points: MAX_POINTS }
    }
}

impl MapMaker<'_> {
    fn map(&self, cell: Option<usize>) -> Result<Option<UserMap>> {
        let start = Instant::now();
        let Some(cell) = cell else { return self.whole(start).map(|stored| Some(stored.map)) };
        let (key, reviews) = (self.key(&part(Some(cell)))?, self.store.review_ids()?);
        if let Some(map) = self.stored(&key)? {
            return Ok(Some(map));
        }
        let cells = self.whole(start)?.cells;
        let members: Vec<usize> =
            (0..cells.len()).filter(|&row| usize::from(cells[row]) == cell).collect();
        if members.is_empty() {
            return Ok(None);
        }
        let start = Instant::now();
        let all = self.embeddings()?;
        let map = self.points(&all.of_rows(&members), members.len(), start)?;
        self.put(&key, &map, &reviews)?;
        Ok(Some(map))
    }

    /// The map of all users.
    fn whole(&self, start: Instant) -> Result<StoredCells> {
        let (key, reviews) = (self.key(&part(None))?, self.store.review_ids()?);
        if let Some(stored) = self.stored(&key)? {
            return Ok(stored);
        }
        // Maps of earlier reviews or of another encoder are not used again.
        self.store.drop_derived(KIND)?;
        let embeddings = self.embeddings()?;
        let n_users = embeddings.users.len();
        let stored = match n_users > self.max_points {
            true => self.cells(&embeddings, start)?,
            false => {
                StoredCells { map: self.points(&embeddings, n_users, start)?, cells: Vec::new() }
            }
        };
        self.put(&key, &stored, &reviews)?;
        Ok(stored)
    }

    fn points(
        &self,
        embeddings: &UserEmbeddings,
        total_users: usize,
        start: Instant,
    ) -> Result<UserMap> {
        let n = self.numbers(&embeddings.users)?;
        // Of a cell with more users those with the most reviews are shown.
        let mut rows: Vec<usize> = (0..n.len()).collect();
        if rows.len() > self.max_points {
            rows.sort_by(|&a, &b| n[b].cmp(&n[a]).then(a.cmp(&b)));
            rows.truncate(self.max_points);
            rows.sort_unstable();
        }
        let shown = embeddings.of_rows(&rows);
        let layout = Layout::of(&shown.embeddings, shown.dimension, self.progress)?;
        let (x, y) = layout.points.iter().map(|[x, y]| (*x, *y)).unzip();
        Ok(UserMap {
            total_users,
            users: shown.users,
            x,
            y,
            n: rows.iter().map(|&row| n[row]).collect(),
            kept_neighbours: layout.kept_neighbours,
            cells: None,
            computed_in_s: start.elapsed().as_secs_f64(),
        })
    }

    fn cells(&self, embeddings: &UserEmbeddings, start: Instant) -> Result<StoredCells> {
        let n = self.numbers(&embeddings.users)?;
        let cells = Cells::of(&embeddings.embeddings, embeddings.dimension, self.progress)?;
        let layout = Layout::of(&cells.centres, embeddings.dimension, self.progress)?;
        let mut told: Vec<MapCell> = layout
            .points
            .iter()
            .enumerate()
            .map(|(id, [x, y])| MapCell { id, x: *x, y: *y, users: 0, reviews: 0 })
            .collect();
        for (cell, n) in cells.of_rows.iter().zip(n) {
            told[usize::from(*cell)].users += 1;
            told[usize::from(*cell)].reviews += n;
        }
        let map = UserMap {
            total_users: embeddings.users.len(),
            users: Vec::new(),
            x: Vec::new(),
            y: Vec::new(),
            n: Vec::new(),
            kept_neighbours: None,
            cells: Some(told),
            computed_in_s: start.elapsed().as_secs_f64(),
        };
        Ok(StoredCells { map, cells: cells.of_rows })
    }

    /// Embeddings of all users: those of the index if it fits the store, else computed.
    fn embeddings(&self) -> Result<UserEmbeddings> {
        if let Ok(index) = PeerIndex::open(self.store, self.encoder) {
            return Ok(index.into_embeddings());
        }
        let view = View::all(self.store);
        ensure_all(&view, self.encoder)?;
        UserEmbeddings::of_view(&view, self.encoder, self.kind(), self.progress)
    }

    /// Kind of the embeddings: the index's, if there is one of this encoder.
    fn kind(&self) -> EmbeddingKind {
        let manifest = PeerIndex::manifest_of(self.store, self.encoder);
        manifest.map_or(EmbeddingKind::Residual, |manifest| manifest.embedding)
    }

    /// Number of reviews of each user.
    fn numbers(&self, users: &[String]) -> Result<Vec<u64>> {
        let all: HashMap<String, u64> =
            self.store.users(1)?.into_iter().map(|user| (user.user, user.reviews)).collect();
        Ok(users.iter().map(|user| all.get(user).copied().unwrap_or(0)).collect())
    }

    /// Key of a map: the reviews and the encoder determine the embeddings, as in the index's stamp.
    fn key(&self, part: &str) -> Result<Key> {
        let (_, content) = content_of(self.store)?;
        let kind = match self.kind() {
            EmbeddingKind::Residual => "residual",
            EmbeddingKind::PlainMean => "plain-mean",
        };
        let key = Key::of(KIND)
            .with("version", VERSION.to_le_bytes())
            .with("encoder", self.encoder.stamp())
            .with("reviews", content)
            .with("embedding", kind)
            .with("points", self.max_points.to_le_bytes())
            .with("part", part);
        Ok(key.finish())
    }

    fn stored<T: for<'de> Deserialize<'de>>(&self, key: &Key) -> Result<Option<T>> {
        let value = self.store.derived(KIND, key)?;
        // A value in an older format is computed again.
        Ok(value.and_then(|value| serde_json::from_str(&value).ok()))
    }

    /// Stores a map that was made from `reviews`; if one of them was deleted meanwhile, nothing is
    /// stored.
    fn put(&self, key: &Key, map: &impl Serialize, reviews: &[ReviewId]) -> Result<()> {
        let value = serde_json::to_string(map).unwrap_or_default();
        Ok(self.store.put_derived_from_all(KIND, key, &value, reviews)?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::corpus::{ForgetScope, Review};
    use crate::peers::{BuildOptions, Error, build_index};
    use idiolect_engine::encoder::testing::{tiny_encoder, tiny_text};

    fn store_at(path: &std::path::Path, n_users: usize) -> Store {
        let store = Store::open(path).unwrap();
        let mut reviews = Vec::new();
        for user in 0..n_users {
            for item in 0..1 + user % 3 {
                reviews.push(Review {
                    user: format!("u{user:03}"),
                    item: format!("i{item}"),
                    rating: None,
                    title: String::new(),
                    text: tiny_text(7 * user + 31 * item),
                    time: user as i64,
                });
            }
        }
        store.put_reviews(&reviews).unwrap();
        store
    }

    fn map(store: &Store, cell: Option<usize>, max_points: usize) -> Option<UserMap> {
        let encoder = tiny_encoder();
        MapMaker { store, encoder: &encoder, progress: &Silent, max_points }.map(cell).unwrap()
    }

    #[test]
    fn a_map_is_stored_and_the_same_with_and_without_an_index() {
        let folder = tempfile::tempdir().unwrap();
        let store = store_at(&folder.path().join("s.sqlite"), 40);
        let mut made = map(&store, None, 100).unwrap();
        assert_eq!((made.total_users, made.users.len(), made.n[2]), (40, 40, 3));
        assert!(made.users.is_sorted() && made.cells.is_none());
        let within = |numbers: &[f32]| numbers.iter().all(|x| (0.0..=1.0).contains(x));
        assert!(made.x.len() == 40 && made.y.len() == 40 && within(&made.x) && within(&made.y));
        assert!(made.kept_neighbours.unwrap() > 0.3, "{:?}", made.kept_neighbours);
        // From the store, so that even the time is the same.
        assert_eq!(map(&store, None, 100).unwrap(), made);
        store.drop_derived(KIND).unwrap();
        build_index(&store, &tiny_encoder(), &BuildOptions::default(), &Silent).unwrap();
        let again = map(&store, None, 100).unwrap();
        made.computed_in_s = again.computed_in_s;
        assert_eq!(again, made);
        assert!(map(&store, Some(0), 100).is_none());
    }

    #[test]
    fn new_reviews_and_forgotten_users_change_the_map() {
        let folder = tempfile::tempdir().unwrap();
        let store = store_at(&folder.path().join("s.sqlite"), 20);
        map(&store, None, 100).unwrap();
        assert_eq!(store.derived_values(KIND).unwrap().len(), 1);
        store.forget("u007", &ForgetScope::User).unwrap();
        assert!(store.derived_values(KIND).unwrap().is_empty());
        let after = map(&store, None, 100).unwrap();
        assert!(after.users.len() == 19 && !after.users.contains(&"u007".to_owned()));
        let review = Review {
            user: "new".to_owned(),
            item: "i0".to_owned(),
            rating: None,
            title: String::new(),
            text: tiny_text(5),
            time: 1,
        };
        store.put_reviews(&[review]).unwrap();
        assert_eq!(map(&store, None, 100).unwrap().users.len(), 20);
        // The earlier map is gone.
        assert_eq!(store.derived_values(KIND).unwrap().len(), 1);
    }

    #[test]
    fn a_map_of_reviews_that_were_deleted_meanwhile_is_not_kept() {
        struct Forgets<'a>(&'a std::path::Path);
        impl Progress for Forgets<'_> {
            fn begin(&self, what: &str, _total: Option<u64>) {
                if what == "laying out users" {
                    let store = Store::open(self.0).unwrap();
                    store.forget("u007", &ForgetScope::User).unwrap();
                }
            }
            fn advance(&self, _n: u64) {}
            fn end(&self) {}
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.sqlite");
        let (store, encoder) = (store_at(&path, 20), tiny_encoder());
        let stamp = map_stamp(&store, &encoder, None).unwrap();
        assert!(stored_map(&store, &encoder, None).unwrap().is_none());
        let made = user_map(&store, &encoder, None, &Forgets(&path)).unwrap().unwrap();
        assert_eq!(made.users.len(), 20);
        assert!(store.derived_values(KIND).unwrap().is_empty());
        assert!(stored_map(&store, &encoder, None).unwrap().is_none());
        assert_ne!(map_stamp(&store, &encoder, None).unwrap(), stamp);
        let made = user_map(&store, &encoder, None, &Silent).unwrap();
        assert_eq!(stored_map(&store, &encoder, None).unwrap(), made);
    }

    #[test]
    fn many_users_are_cells_that_hold_each_of_them_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = store_at(&folder.path().join("s.sqlite"), 90);
        let whole = map(&store, None, 60).unwrap();
        let cells = whole.cells.clone().unwrap();
        assert!(whole.users.is_empty() && cells.len() > 1, "{}", cells.len());
        assert_eq!(cells.iter().map(|cell| cell.users).sum::<usize>(), 90);
        assert_eq!(cells.iter().map(|cell| cell.reviews).sum::<u64>(), 180);
        let mut users = Vec::new();
        for cell in &cells {
            let own = map(&store, Some(cell.id), 60);
            assert_eq!(own.is_some(), cell.users > 0, "{cell:?}");
            if let Some(own) = own {
                assert_eq!((own.total_users, own.users.len()), (cell.users, cell.users));
                assert_eq!(own.n.iter().sum::<u64>(), cell.reviews);
                users.extend(own.users);
            }
        }
        users.sort();
        users.dedup();
        assert_eq!(users.len(), 90);
        assert!(map(&store, Some(cells.len()), 60).is_none());
    }

    #[test]
    fn few_users_have_places_and_a_stop_is_heard() {
        struct Stopped;
        impl Progress for Stopped {
            fn begin(&self, _what: &str, _total: Option<u64>) {}
            fn advance(&self, _n: u64) {}
            fn end(&self) {}
            fn stop_requested(&self) -> bool {
                true
            }
        }
        let folder = tempfile::tempdir().unwrap();
        for n in 0..6 {
            let store = store_at(&folder.path().join(format!("{n}.sqlite")), n);
            let made = map(&store, None, 100).unwrap();
            assert_eq!((made.users.len(), made.kept_neighbours), (n, None));
        }
        let store = store_at(&folder.path().join("stopped.sqlite"), 30);
        let stopped = user_map(&store, &tiny_encoder(), None, &Stopped);
        assert!(matches!(stopped, Err(Error::Stopped)));
        assert!(store.derived_values(KIND).unwrap().is_empty());
    }
}
