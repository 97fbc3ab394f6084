use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{Given, Taken, Values};

type Numbers = Values<usize, &'static str>;

fn soon() -> Instant {
    Instant::now() + Duration::from_millis(10)
}

#[test]
fn values_come_in_their_order_and_stay_readable_after_the_end() {
    let values = Numbers::new(2);
    assert!(matches!(values.take(), Taken::Nothing));
    assert!(matches!(values.give(1, true), Given::Yes(None)));
    assert!(matches!(values.give(2, true), Given::Yes(None)));
    assert!(matches!(values.give(3, true), Given::Full(3)));
    assert!(matches!(values.give(3, false), Given::Yes(None)));
    assert!(values.end().is_empty());
    assert!(matches!(values.give(4, false), Given::Ended(4)));
    assert_eq!(values.len(), 3);
    for number in 1..=3 {
        assert!(matches!(values.take(), Taken::Value(value, None) if value == number));
    }
    assert!(matches!(values.take(), Taken::End));
}

#[test]
fn a_bell_is_rung_once_and_one_that_is_not_needed_comes_back() {
    let values = Numbers::new(1);
    let first = values.await_value("first").unwrap();
    let second = values.await_value("second").unwrap();
    assert!(matches!(values.give(1, true), Given::Yes(Some("first"))));
    assert_eq!(values.await_value("third"), Err("third"));
    // The first was rung, and will not look: the second is told.
    assert_eq!(values.give_up(first), None);
    assert_eq!(values.pass_on(), ["second"]);
    assert_eq!(values.give_up(second), None);
    let pokes = values.pokes();
    values.await_room("giver", pokes).unwrap();
    assert!(values.is_full());
    assert!(matches!(values.take(), Taken::Value(1, Some("giver"))));
    assert!(!values.is_full());
    assert_eq!(values.await_room("giver", pokes), Err("giver"));
}

#[test]
fn a_poke_has_givers_look_again_and_an_end_rings_every_bell() {
    let values = Numbers::new(1);
    assert!(matches!(values.give(1, true), Given::Yes(None)));
    let pokes = values.pokes();
    assert!(!values.wait_for_room(pokes, Some(soon())));
    values.await_room("giver", pokes).unwrap();
    assert_eq!(values.poke(), ["giver"]);
    assert!(values.wait_for_room(pokes, None));
    assert_eq!(values.await_room("giver", pokes), Err("giver"));
    let pokes = values.pokes();
    values.await_room("giver", pokes).unwrap();
    assert_eq!(values.end(), ["giver"]);
    assert!(values.wait_for_room(pokes, None));
    assert!(values.wait_for_value(None));
}

/// Four give and three take, with little room: each value comes once, and everybody comes home.
#[test]
fn no_value_is_lost_or_comes_twice_and_no_wake_is_lost() {
    const EACH: usize = 5_000;
    for bound in [1, 3, 1000] {
        let values = Arc::new(Values::<usize, ()>::new(bound));
        let seen: Arc<Vec<AtomicUsize>> = Arc::new((0..4 * EACH).map(|_| 0.into()).collect());
        let too_many = Arc::new(AtomicBool::new(false));
        let givers: Vec<_> = (0..4)
            .map(|giver| {
                let values = Arc::clone(&values);
                thread::spawn(move || {
                    for number in 0..EACH {
                        let mut value = giver * EACH + number;
                        loop {
                            let pokes = values.pokes();
                            match values.give(value, true) {
                                Given::Yes(_) => break,
                                Given::Full(back) => value = back,
                                Given::Ended(_) | Given::Short(_) => panic!("it goes on"),
                            }
                            assert!(values.wait_for_room(pokes, None));
                        }
                    }
                })
            })
            .collect();
        let takers: Vec<_> = (0..3)
            .map(|_| {
                let (values, seen) = (Arc::clone(&values), Arc::clone(&seen));
                let too_many = Arc::clone(&too_many);
                thread::spawn(move || {
                    loop {
                        if values.len() > bound {
                            too_many.store(true, Ordering::Relaxed);
                        }
                        match values.take() {
                            Taken::Value(value, _) => {
                                seen[value].fetch_add(1, Ordering::Relaxed);
                            }
                            Taken::Nothing => assert!(values.wait_for_value(None)),
                            Taken::End => return,
                        }
                    }
                })
            })
            .collect();
        for giver in givers {
            giver.join().unwrap();
        }
        assert!(values.end().is_empty());
        for taker in takers {
            taker.join().unwrap();
        }
        assert!(seen.iter().all(|count| count.load(Ordering::Relaxed) == 1));
        assert!(!too_many.load(Ordering::Relaxed));
    }
}
