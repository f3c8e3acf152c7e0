//! Worker threads for loops of a few microseconds.
//!
//! A transformer layer forks and joins ten times in a fraction of a millisecond. Idle workers
//! therefore poll for the next job for a short time before they sleep, and the caller takes tasks
//! as well. The caller waits only for tasks that a worker has started, so a worker that was
//! descheduled before it took a task delays nothing.

#![allow(unsafe_code)]

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Time that an idle worker polls for work before it sleeps.
const WATCH: Duration = Duration::from_micros(60);
/// Polls of the job word between two reads of the clock.
const LOOKS: usize = 64;
/// Low bits of the job word: the number of tasks not yet taken. The high bits are the job's number.
const TASK_BITS: u32 = 24;
const TASK_MASK: u64 = (1 << TASK_BITS) - 1;

/// Thread pool that runs the tasks of one job at a time. Dropping it ends the threads.
pub struct Pool {
    shared: Arc<PoolShared>,
    workers: Vec<JoinHandle<()>>,
    /// Number of the last job; locked while a job runs.
    busy: Mutex<u64>,
}

impl Pool {
    /// Starts a pool of `threads` threads, including the caller's; 0 means one per core. The pool
    /// has fewer threads if the system refuses to start one.
    #[must_use]
    pub fn new(threads: usize) -> Self {
        let threads = match threads {
            0 => std::thread::available_parallelism().map_or(1, |n| n.get()),
            n => n,
        };
        let shared = Arc::new(PoolShared::new(threads - 1));
        let workers = (0..threads - 1)
            .map_while(|index| {
                let shared = Arc::clone(&shared);
                std::thread::Builder::new()
                    .name(format!("kernel-{index}"))
                    .spawn(move || shared.work(index))
                    .ok()
            })
            .collect();
        Self { shared, workers, busy: Mutex::new(0) }
    }

    /// Number of threads, including the caller's.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `task` once for every index below `n_tasks`, on any thread and in any order, and
    /// returns when all calls are done. All tasks run on the calling thread if the pool is busy, be
    /// it with another caller's job or with the job that this call is made from. A panic of a task
    /// is raised again after the other tasks have ended.
    pub fn run(&self, n_tasks: usize, task: impl Fn(usize) + Sync) {
        let alone = n_tasks < 2 || n_tasks as u64 > TASK_MASK || self.workers.is_empty();
        let Some(mut job) = (if alone { None } else { self.busy.try_lock().ok() }) else {
            (0..n_tasks).for_each(task);
            return;
        };
        *job += 1;
        self.shared.run(*job, n_tasks, &task, &self.workers);
        let panic = self.shared.panic.lock().map_or(None, |mut slot| slot.take());
        drop(job);
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }

    /// Calls `work` once for every item, with its index, as [`Pool::run`] does.
    pub fn for_each<T: Send>(&self, items: &mut [T], work: impl Fn(usize, &mut T) + Sync) {
        let n_items = items.len();
        let items = super::shared::Shared::new(items);
        self.run(n_items, |index| {
            // SAFETY: each task takes only the item of its own index.
            let item = unsafe { items.part(index..index + 1) };
            work(index, &mut item[0]);
        });
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pool({})", self.threads())
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::SeqCst);
        for worker in self.workers.drain(..) {
            worker.thread().unpark();
            // A worker catches the panics of its tasks, so there is none to pass on.
            let _ = worker.join();
        }
    }
}

/// Calls the closure that the first argument points to with a task's index.
type TaskCall = unsafe fn(*const (), usize);

struct PoolShared {
    /// Number of the job, and how many of its tasks are not yet taken. A task is taken by one
    /// compare-and-swap of this word, which fails if the job has changed.
    job: AtomicU64,
    /// The closure and its caller; written only while all tasks are taken and finished.
    closure: AtomicPtr<()>,
    call: AtomicPtr<()>,
    n_tasks: AtomicUsize,
    unfinished: AtomicUsize,
    sleeping: Vec<AtomicBool>,
    closing: AtomicBool,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

impl PoolShared {
    fn new(workers: usize) -> Self {
        Self {
            job: AtomicU64::new(0),
            closure: AtomicPtr::new(std::ptr::null_mut()),
            call: AtomicPtr::new(std::ptr::null_mut()),
            n_tasks: AtomicUsize::new(0),
            unfinished: AtomicUsize::new(0),
            sleeping: (0..workers).map(|_| AtomicBool::new(false)).collect(),
            closing: AtomicBool::new(false),
            panic: Mutex::new(None),
        }
    }

    fn run<T: Fn(usize) + Sync>(
        &self,
        number: u64,
        n_tasks: usize,
        task: &T,
        workers: &[JoinHandle<()>],
    ) {
        let call: TaskCall = call_closure::<T>;
        self.closure.store(std::ptr::from_ref(task).cast_mut().cast(), Ordering::Relaxed);
        self.call.store(call as *mut (), Ordering::Relaxed);
        self.n_tasks.store(n_tasks, Ordering::Relaxed);
        self.unfinished.store(n_tasks, Ordering::Relaxed);
        // Sequentially consistent with the sleeper's flag: either the worker sees the job or this
        // thread sees that the worker sleeps.
        self.job.store((number << TASK_BITS) | n_tasks as u64, Ordering::SeqCst);
        for (worker, sleeping) in workers.iter().zip(&self.sleeping) {
            if sleeping.load(Ordering::SeqCst) && sleeping.swap(false, Ordering::SeqCst) {
                worker.thread().unpark();
            }
        }
        self.take_tasks();
        let mut looks = 0_usize;
        while self.unfinished.load(Ordering::Acquire) != 0 {
            looks += 1;
            if looks > 4096 {
                std::thread::yield_now();
            } else {
                std::hint::spin_loop();
            }
        }
    }

    /// Takes and runs tasks of the current job until none is left to take.
    fn take_tasks(&self) {
        loop {
            let word = self.job.load(Ordering::Acquire);
            let untaken = word & TASK_MASK;
            if untaken == 0 {
                return;
            }
            let closure = self.closure.load(Ordering::Relaxed);
            let call = self.call.load(Ordering::Relaxed);
            let n_tasks = self.n_tasks.load(Ordering::Relaxed);
            let taken =
                self.job.compare_exchange(word, word - 1, Ordering::AcqRel, Ordering::Relaxed);
            if taken.is_err() {
                continue;
            }
            // SAFETY: `run` stored `call` as a `TaskCall`. The swap succeeded, so this job was still
            // current and had an untaken task after closure and caller were read: they belong to
            // it. `run` keeps the closure alive until this task is counted as finished.
            let outcome = catch_unwind(AssertUnwindSafe(|| unsafe {
                let call = std::mem::transmute::<*mut (), TaskCall>(call);
                call(closure, n_tasks - untaken as usize);
            }));
            if let Err(panic) = outcome
                && let Ok(mut slot) = self.panic.lock()
            {
                slot.get_or_insert(panic);
            }
            self.unfinished.fetch_sub(1, Ordering::Release);
        }
    }

    fn work(&self, index: usize) {
        while !self.closing.load(Ordering::SeqCst) {
            if self.watch() {
                self.take_tasks();
                continue;
            }
            self.sleeping[index].store(true, Ordering::SeqCst);
            let idle = self.job.load(Ordering::SeqCst) & TASK_MASK == 0;
            if idle && !self.closing.load(Ordering::SeqCst) {
                std::thread::park();
            }
            self.sleeping[index].store(false, Ordering::SeqCst);
        }
    }

    /// Polls for a task and returns whether one appeared before the time was over.
    fn watch(&self) -> bool {
        let start = Instant::now();
        loop {
            for _ in 0..LOOKS {
                if self.job.load(Ordering::Relaxed) & TASK_MASK != 0 {
                    return true;
                }
                std::hint::spin_loop();
            }
            if start.elapsed() > WATCH || self.closing.load(Ordering::Relaxed) {
                return false;
            }
        }
    }
}

/// # Safety
/// `closure` points to a living `T`.
unsafe fn call_closure<T: Fn(usize) + Sync>(closure: *const (), task: usize) {
    // SAFETY: as the caller guarantees.
    unsafe { (*closure.cast::<T>())(task) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_task_runs_once_whatever_the_number_of_threads() {
        for threads in [1, 2, 3, 5] {
            let pool = Pool::new(threads);
            assert_eq!(pool.threads(), threads);
            let rounds = if cfg!(miri) { 3 } else { 300 };
            for n_tasks in (0..rounds).map(|round| round % 17) {
                let counts: Vec<_> = (0..n_tasks).map(|_| AtomicUsize::new(0)).collect();
                pool.run(n_tasks, |task| {
                    counts[task].fetch_add(1, Ordering::Relaxed);
                });
                assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == 1));
            }
        }
    }

    #[test]
    fn workers_wake_after_they_slept() {
        let pool = Pool::new(2);
        for _ in 0..3 {
            std::thread::sleep(Duration::from_millis(2));
            let sum = AtomicUsize::new(0);
            pool.run(100, |task| {
                sum.fetch_add(task, Ordering::Relaxed);
            });
            assert_eq!(sum.into_inner(), 4950);
        }
    }

    #[test]
    fn a_panic_reaches_the_caller_and_leaves_the_pool_usable() {
        let pool = Pool::new(2);
        let caught = catch_unwind(AssertUnwindSafe(|| {
            pool.run(8, |task| assert!(task != 5, "task five"));
        }));
        assert!(caught.is_err());
        let count = AtomicUsize::new(0);
        pool.run(8, |_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(count.into_inner(), 8);
    }

    #[test]
    fn nested_and_concurrent_jobs_finish() {
        let pool = Pool::new(2);
        let count = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    pool.run(4, |_| {
                        pool.run(4, |_| {
                            count.fetch_add(1, Ordering::Relaxed);
                        });
                    });
                });
            }
        });
        assert_eq!(count.into_inner(), 48);
    }
}
