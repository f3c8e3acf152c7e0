//! Tickets by which a browser shows a report in a frame. A frame cannot send a key, and a key must
//! not stand in an address; a ticket opens one address once, soon after it was given to somebody with
//! a key.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::Uri;
use sha2::{Digest, Sha256};

use crate::ids;

/// Time after which a ticket is worth nothing.
pub(crate) const TICKET_LIFE: Duration = Duration::from_secs(60);

/// Maximum number of tickets that wait; the oldest is dropped for a new one.
const MAX_OPEN: usize = 64;

/// Name of the parameter of an address.
pub(crate) const TICKET: &str = "ticket";

/// Tickets that were not used yet.
#[derive(Default)]
pub(crate) struct Tickets(Mutex<VecDeque<Ticket>>);

struct Ticket {
    hash: [u8; 32],
    path: String,
    made: Instant,
}

impl Tickets {
    /// The address of `path` with a new ticket.
    pub(crate) fn address(&self, path: &str) -> String {
        let ticket = ids::new("");
        let mut open = self.open();
        if open.len() == MAX_OPEN {
            open.pop_front();
        }
        let hash = Sha256::digest(&ticket).into();
        open.push_back(Ticket { hash, path: path.to_owned(), made: Instant::now() });
        format!("{path}?{TICKET}={ticket}")
    }

    /// Whether the address has a ticket for its path; the ticket is used up.
    pub(crate) fn take(&self, address: &Uri) -> bool {
        let parameters = address.query().into_iter().flat_map(|query| query.split('&'));
        let given = parameters.filter_map(|one| one.strip_prefix(TICKET)?.strip_prefix('='));
        // Hashes are compared, so that the time tells nothing of a ticket.
        let hashes: Vec<[u8; 32]> = given.map(|ticket| Sha256::digest(ticket).into()).collect();
        let mut open = self.open();
        open.retain(|ticket| ticket.made.elapsed() < TICKET_LIFE);
        let at = open
            .iter()
            .position(|ticket| ticket.path == address.path() && hashes.contains(&ticket.hash));
        at.and_then(|at| open.remove(at)).is_some()
    }

    fn open(&self) -> MutexGuard<'_, VecDeque<Ticket>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn taken(tickets: &Tickets, address: &str) -> bool {
        tickets.take(&address.parse().unwrap())
    }

    #[test]
    fn a_ticket_opens_its_address_once() {
        let tickets = Tickets::default();
        let address = tickets.address("/api/evaluations/1f/report");
        assert!(address.len() > "/api/evaluations/1f/report?ticket=".len() + 31, "{address}");
        for other in [
            "/api/evaluations/1f/report".to_owned(),
            "/api/evaluations/1f/report?ticket=".to_owned(),
            address.replace("1f", "2f"),
            address.replace("/report", "/reports"),
            address.replace("ticket=", "ticket=0"),
        ] {
            assert!(!taken(&tickets, &other), "{other}");
        }
        assert!(taken(&tickets, &address) && !taken(&tickets, &address));
    }

    #[test]
    fn old_tickets_make_room() {
        let tickets = Tickets::default();
        let first = tickets.address("/a");
        let others: Vec<String> = (0..MAX_OPEN).map(|_| tickets.address("/a")).collect();
        assert!(!taken(&tickets, &first));
        assert!(others.iter().all(|address| taken(&tickets, address)));
        let late = tickets.address("/a");
        for ticket in tickets.open().iter_mut() {
            ticket.made = Instant::now().checked_sub(TICKET_LIFE).unwrap();
        }
        assert!(!taken(&tickets, &late));
    }
}
