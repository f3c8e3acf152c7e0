//! Imports into an empty store, and what their counts must add up to.

use idiolect_core::corpus::Store;
use idiolect_core::corpus::import::{Import, ImportOptions, ImportReport};
use idiolect_engine::progress::Silent;

/// Imports twice. Each row counts once, what the store has is what was counted, and the second import
/// changes nothing. `n_bytes` is the size of the input, which bounds what is found in it.
pub fn check(options: &ImportOptions, n_bytes: usize) {
    let Ok(import) = Import::open(options) else { return };
    let store = Store::in_memory().unwrap();
    let Ok((first, counts)) = import.run(&store, &Silent) else {
        // What was read before a row that ends the import stays.
        store.counts().unwrap();
        return;
    };
    add_up(&first, n_bytes);
    assert_eq!(counts.reviews, first.new - first.removed, "{first:?}");
    assert!(counts.users <= counts.reviews);
    let stored: u64 = store.users(1).unwrap().iter().map(|user| user.reviews).sum();
    assert_eq!(stored, counts.reviews);

    let (second, again) = Import::open(options).unwrap().run(&store, &Silent).unwrap();
    add_up(&second, n_bytes);
    assert_eq!((second.new, second.updated, second.removed), (0, 0, 0), "{first:?} {second:?}");
    assert_eq!(
        (again.reviews, again.users, again.items),
        (counts.reviews, counts.users, counts.items)
    );
    assert_eq!(second.reviews_read, first.reviews_read);
    assert_eq!(second.malformed, first.malformed);
    assert_eq!(second.left_out, first.left_out);
}

fn add_up(report: &ImportReport, n_bytes: usize) {
    let outcomes =
        [report.new, report.updated, report.unchanged, report.outdated, report.duplicates];
    assert_eq!(report.reviews_read, outcomes.iter().sum::<u64>(), "{report:?}");
    assert!(report.further <= report.new, "{report:?}");
    let dropped: u64 = report.dropped.iter().map(|rows| rows.rows).sum();
    assert_eq!(report.malformed, dropped, "{report:?}");
    assert!(report.malformed_lines.len() as u64 <= report.malformed, "{report:?}");
    let left: u64 = report.left_out.iter().map(|rows| rows.rows).sum();
    let found = report.reviews_read + report.items_read + report.malformed + left;
    assert!(found <= 3 * n_bytes as u64 + 64, "{found} things in {n_bytes} bytes");
}
