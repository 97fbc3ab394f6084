use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::{Admission, Closed, Pool, Wake};

const LONG: Duration = Duration::from_secs(60);

fn work(pool: &Pool<usize>, mut each: impl FnMut(usize)) {
    let mut arriving = true;
    loop {
        match pool.pop_or_rest(arriving) {
            Some(item) => {
                arriving = false;
                each(item);
            }
            None => match pool.park() {
                Wake::Work => arriving = true,
                Wake::Leave => return,
            },
        }
    }
}

#[test]
fn it_grows_by_need_up_to_the_bound() {
    let pool = Pool::new(2, LONG);
    assert_eq!(pool.push(1, 0).unwrap(), Admission::NeedsWorker);
    assert_eq!(pool.push(2, 0).unwrap(), Admission::NeedsWorker);
    assert_eq!(pool.push(3, 0).unwrap(), Admission::Queued);
    assert_eq!(pool.workers(), 2);
}

#[test]
fn a_rising_worker_counts_as_free() {
    let pool = Pool::new(8, LONG);
    assert_eq!(pool.push(1, 0).unwrap(), Admission::NeedsWorker);
    assert_eq!(pool.pop(true), Some(1));
    // It is busy now, so the next job needs another one.
    assert_eq!(pool.push(2, 0).unwrap(), Admission::NeedsWorker);
}

#[test]
fn a_worker_on_its_way_to_rest_counts_as_free_and_finds_what_came() {
    let pool = Pool::new(8, LONG);
    assert_eq!(pool.push(1, 0).unwrap(), Admission::NeedsWorker);
    assert_eq!(pool.pop_or_rest(true), Some(1));
    assert_eq!(pool.pop_or_rest(false), None);
    assert_eq!(pool.push(2, 0).unwrap(), Admission::Queued);
    // One is enough for one.
    assert_eq!(pool.push(3, 0).unwrap(), Admission::NeedsWorker);
    assert_eq!(pool.park(), Wake::Work);
    assert_eq!(pool.pop_or_rest(true), Some(2));
    assert_eq!(pool.push(4, 0).unwrap(), Admission::NeedsWorker);
}

#[test]
fn a_worker_that_cannot_be_started_is_not_counted() {
    let pool = Pool::new(1, LONG);
    pool.push(1, 0).unwrap();
    assert!(pool.worker_failed());
    assert_eq!(pool.withdraw(|item| *item == 1), Some(1));
    assert_eq!(pool.push(2, 0).unwrap(), Admission::NeedsWorker);
}

#[test]
fn idle_workers_leave_and_new_ones_come() {
    let pool = Arc::new(Pool::new(4, Duration::from_millis(1)));
    for round in 0..3 {
        assert_eq!(pool.push(round, 0).unwrap(), Admission::NeedsWorker);
        let worker = Arc::clone(&pool);
        thread::spawn(move || work(&worker, |_| ())).join().unwrap();
        assert_eq!(pool.workers(), 0);
    }
}

#[test]
fn a_closed_pool_gives_work_back_and_finishes_what_it_has() {
    let pool = Arc::new(Pool::new(1, LONG));
    pool.push(1, 0).unwrap();
    pool.push(2, 0).unwrap();
    pool.close();
    let Err(Closed(item)) = pool.push(3, 0) else {
        panic!("a closed pool took work")
    };
    assert_eq!(item, 3);
    let done = AtomicUsize::new(0);
    work(&pool, |item| {
        done.fetch_add(item, Ordering::Relaxed);
    });
    assert_eq!((done.into_inner(), pool.workers()), (3, 0));
}

/// Many pushers, workers that come and go at the idle time-out: nothing is lost, nobody sleeps beside work.
#[test]
fn no_wake_is_lost() {
    const PUSHERS: usize = 4;
    const EACH: usize = 20_000;
    let pool = Arc::new(Pool::new(3, Duration::from_micros(50)));
    let done = Arc::new(AtomicUsize::new(0));
    let pushers: Vec<_> = (0..PUSHERS)
        .map(|_| {
            let (pool, done) = (Arc::clone(&pool), Arc::clone(&done));
            thread::spawn(move || {
                let mut workers = Vec::new();
                for item in 0..EACH {
                    if pool.push(item, 0).unwrap() == Admission::NeedsWorker {
                        let (pool, done) = (Arc::clone(&pool), Arc::clone(&done));
                        workers.push(thread::spawn(move || {
                            work(&pool, |_| {
                                done.fetch_add(1, Ordering::Relaxed);
                            });
                        }));
                    }
                    if item % 100 == 0 {
                        thread::sleep(Duration::from_micros(60));
                    }
                }
                workers
            })
        })
        .collect();
    let workers: Vec<_> = pushers
        .into_iter()
        .flat_map(|pusher| pusher.join().unwrap())
        .collect();
    pool.close();
    for worker in workers {
        worker.join().unwrap();
    }
    assert_eq!(done.load(Ordering::Relaxed), PUSHERS * EACH);
    assert_eq!(pool.workers(), 0);
}

/// Workers that go after each piece of work, with others in their place: nothing is lost, also where the pool is closed, and
/// never more are at work than may be.
#[test]
fn workers_that_go_are_replaced_while_there_is_work() {
    const WORK: usize = 2_000;
    for workers in [1, 3] {
        let pool = Arc::new(Pool::new(workers, LONG));
        let (done, at_work) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            let (sender, receiver) = std::sync::mpsc::channel();
            for item in 0..WORK {
                if pool.push(item, 0).unwrap() == Admission::NeedsWorker {
                    sender.send(()).unwrap();
                }
            }
            pool.close();
            let (pool, done, at_work) = (&pool, &done, &at_work);
            while pool.workers() > 0 {
                let Ok(()) = receiver.recv_timeout(Duration::from_millis(1)) else {
                    continue;
                };
                let sender = sender.clone();
                scope.spawn(move || {
                    let mut arriving = true;
                    loop {
                        let Some(_item) = pool.pop_or_rest(std::mem::take(&mut arriving)) else {
                            match pool.park() {
                                Wake::Work => arriving = true,
                                Wake::Leave => return,
                            }
                            continue;
                        };
                        assert!(at_work.fetch_add(1, Ordering::SeqCst) < workers + 1);
                        done.fetch_add(1, Ordering::Relaxed);
                        at_work.fetch_sub(1, Ordering::SeqCst);
                        if pool.one_is_to_go() == Admission::NeedsWorker {
                            sender.send(()).unwrap();
                        }
                        if pool.one_goes() {
                            return;
                        }
                    }
                });
            }
        });
        assert_eq!((done.into_inner(), pool.workers()), (WORK, 0));
    }
}
