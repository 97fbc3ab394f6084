use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Limits, Names, Ticket};

fn names(all: &[&str]) -> Names {
    all.iter().map(|name| Arc::from(*name)).collect()
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn as_many_run_as_the_limit_says_and_the_next_goes_when_one_ends() {
    let (limits, now, api) = (Limits::new(), Instant::now(), names(&["api"]));
    limits.set("api", Some(2), None, now);
    assert_eq!(limits.admit(1, &api, 0, &Ticket::default(), now).ready, [1]);
    assert_eq!(limits.admit(2, &api, 0, &Ticket::default(), now).ready, [2]);
    let tickets: Vec<_> = [3, 4, 5]
        .into_iter()
        .map(|item| {
            let ticket = Ticket::default();
            let released = limits.admit(item, &api, 0, &ticket, now);
            assert!(released.ready.is_empty());
            ticket
        })
        .collect();
    assert_eq!(limits.count("api"), Some((2, 3)));
    assert_eq!(limits.leave(&api, now).ready, [3]);
    assert_eq!(limits.withdraw(&api, 0, &tickets[1]), Some(4));
    // Once; and not what has gone.
    assert_eq!(limits.withdraw(&api, 0, &tickets[1]), None);
    assert_eq!(limits.withdraw(&api, 0, &tickets[0]), None);
    assert_eq!(limits.leave(&api, now).ready, [5]);
    // A wider limit lets go what waited.
    assert!(
        limits
            .admit(6, &api, 0, &Ticket::default(), now)
            .ready
            .is_empty()
    );
    assert_eq!(limits.set("api", Some(9), None, now).ready, [6]);
}

#[test]
fn starts_are_spread_over_time() {
    let (limits, start, api) = (Limits::new(), Instant::now(), names(&["api"]));
    limits.set("api", None, Some(SECOND / 10), start);
    assert_eq!(
        limits.admit(0, &api, 0, &Ticket::default(), start).ready,
        [0]
    );
    let mut look_again = None;
    for item in 1..20 {
        let released = limits.admit(item, &api, 0, &Ticket::default(), start);
        assert!(released.ready.is_empty());
        look_again = released.look_again;
    }
    for item in 1..20 {
        let now = look_again.unwrap();
        assert_eq!(now, start + item * SECOND / 10);
        let released = limits.look(now);
        assert_eq!(released.ready, [item]);
        look_again = released.look_again;
    }
    assert!(look_again.is_none());
    // A long rest saves nothing up.
    let later = start + 100 * SECOND;
    assert_eq!(
        limits.admit(20, &api, 0, &Ticket::default(), later).ready,
        [20]
    );
    assert!(
        limits
            .admit(21, &api, 0, &Ticket::default(), later)
            .ready
            .is_empty()
    );
}

#[test]
fn one_that_needs_two_takes_both_or_none() {
    let (limits, now) = (Limits::new(), Instant::now());
    limits.set("a", Some(1), None, now);
    limits.set("b", Some(1), None, now);
    let (a, both) = (names(&["a"]), names(&["a", "b"]));
    assert_eq!(
        limits.admit("first", &a, 0, &Ticket::default(), now).ready,
        ["first"]
    );
    assert!(
        limits
            .admit("both", &both, 0, &Ticket::default(), now)
            .ready
            .is_empty()
    );
    assert_eq!(limits.count("b"), Some((0, 1)));
    assert!(
        limits
            .admit("second", &a, 0, &Ticket::default(), now)
            .ready
            .is_empty()
    );
    assert_eq!(limits.leave(&a, now).ready, ["both"]);
    assert_eq!(limits.leave(&both, now).ready, ["second"]);
}

#[test]
fn a_higher_rank_goes_first() {
    let (limits, now, api) = (Limits::new(), Instant::now(), names(&["api"]));
    limits.set("api", Some(1), None, now);
    limits.admit("running", &api, 0, &Ticket::default(), now);
    limits.admit("low", &api, -1, &Ticket::default(), now);
    limits.admit("plain", &api, 0, &Ticket::default(), now);
    limits.admit("high", &api, 5, &Ticket::default(), now);
    for next in ["high", "plain", "low"] {
        assert_eq!(limits.leave(&api, now).ready, [next]);
    }
}

#[test]
fn all_that_wait_are_taken_out_and_none_goes_after_that() {
    let (limits, now, api) = (Limits::new(), Instant::now(), names(&["api"]));
    limits.set("api", Some(1), None, now);
    for item in 1..=3 {
        limits.admit(item, &api, 0, &Ticket::default(), now);
    }
    assert_eq!(limits.take_all(), [2, 3]);
    assert_eq!(limits.count("api"), Some((1, 0)));
    assert!(limits.leave(&api, now).ready.is_empty());
}
