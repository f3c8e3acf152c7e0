//! Repetition of failed requests.

use std::thread;
use std::time::Duration;

use crate::http::Failure;

/// Longest time between two looks at whether a request was given up.
const PATIENCE: Duration = Duration::from_millis(100);

/// How often a request is repeated, and how long is waited before. The waits double; those that a server
/// asks for (`Retry-After`) are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Maximum number of attempts, at least 1.
    pub tries: usize,
    /// Wait before the second attempt.
    pub first_wait: Duration,
    /// Longest wait.
    pub longest_wait: Duration,
}

impl Default for RetryPolicy {
    /// Ten attempts in about two minutes.
    fn default() -> Self {
        Self {
            tries: 10,
            first_wait: Duration::from_millis(500),
            longest_wait: Duration::from_secs(30),
        }
    }
}

impl RetryPolicy {
    /// Wait after attempt `n`, counted from 0: between three and five quarters of the doubled wait, by
    /// `salt`, so that requests that failed together do not come back together.
    fn wait(&self, n: usize, salt: u64) -> Duration {
        let doubled = self.first_wait.saturating_mul(1 << n.min(16)).min(self.longest_wait);
        let mixed = (salt ^ n as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 48;
        doubled.mul_f64(0.75 + 0.5 * mixed as f64 / f64::from(1 << 16))
    }

    /// Makes attempts until one succeeds, fails for good, or all have failed. `attempt` gets the number
    /// of lost connections so far. `is_given_up` ends the waiting.
    ///
    /// # Errors
    /// The cause of the last failure, with the number of attempts if there were several.
    pub(crate) fn run<T>(
        &self,
        salt: u64,
        is_given_up: &dyn Fn() -> bool,
        attempt: &mut dyn FnMut(usize) -> Result<T, Failure>,
    ) -> Result<T, String> {
        let mut n_lost = 0;
        let mut n = 0;
        loop {
            let (what, wait) = match attempt(n_lost) {
                Ok(done) => return Ok(done),
                Err(Failure::Final(what)) => return Err(what),
                Err(Failure::Lost(what)) => {
                    n_lost += 1;
                    (what, None)
                }
                Err(Failure::Busy { what, wait }) => (what, wait),
            };
            n += 1;
            if n >= self.tries.max(1) || is_given_up() {
                let times = if n == 1 { "once".to_owned() } else { format!("{n} times") };
                return Err(format!("{what} (tried {times})"));
            }
            let asked = wait.unwrap_or_default().min(self.longest_wait);
            self.sleep(asked.max(self.wait(n - 1, salt)), is_given_up);
        }
    }

    fn sleep(&self, wait: Duration, is_given_up: &dyn Fn() -> bool) {
        let mut left = wait;
        while !left.is_zero() && !is_given_up() {
            let part = left.min(PATIENCE);
            thread::sleep(part);
            left -= part;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_differ_by_salt() {
        let policy = RetryPolicy::default();
        for n in 0..20 {
            let doubled = (0.5 * f64::powi(2.0, n)).min(30.0);
            let wait = policy.wait(n as usize, 7).as_secs_f64();
            assert!((0.75 * doubled..=1.25 * doubled).contains(&wait), "{n}: {wait}");
        }
        assert_ne!(policy.wait(3, 1), policy.wait(3, 2));
    }

    #[test]
    fn what_fails_for_good_is_not_repeated_and_what_is_busy_is() {
        let policy = RetryPolicy { tries: 3, first_wait: Duration::ZERO, ..RetryPolicy::default() };
        let mut n = 0;
        let refused: Result<(), String> = policy.run(0, &|| false, &mut |_| {
            n += 1;
            Err(Failure::Final("no".to_owned()))
        });
        assert_eq!((refused, n), (Err("no".to_owned()), 1));
        let mut lost = Vec::new();
        let answer = policy.run(0, &|| false, &mut |n_lost| {
            lost.push(n_lost);
            match lost.len() {
                1 => Err(Failure::Lost("gone".to_owned())),
                2 => Err(Failure::Busy { what: "full".to_owned(), wait: None }),
                _ => Ok(5),
            }
        });
        assert_eq!((answer, lost), (Ok(5), vec![0, 1, 1]));
        let mut n = 0;
        let failed: Result<(), String> = policy.run(0, &|| false, &mut |_| {
            n += 1;
            Err(Failure::Busy { what: "full".to_owned(), wait: None })
        });
        assert_eq!((failed, n), (Err("full (tried 3 times)".to_owned()), 3));
    }
}
