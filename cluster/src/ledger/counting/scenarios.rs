//! The rules one by one, in small worlds.

use std::collections::BTreeSet;

use super::*;
use crate::identity::Incarnation;
use crate::ledger::allowance::AllowanceId;

const NOW: i64 = 1_000_000_000;

fn actor(name: &str) -> Actor {
    Actor { node: name.parse().unwrap(), incarnation: Incarnation(1) }
}

fn actors<const N: usize>(names: [&str; N]) -> BTreeSet<Actor> {
    names.map(actor).into()
}

fn founders<const N: usize>(names: [&str; N]) -> Begin {
    Begin::Founders(names.map(|name| name.parse().unwrap()).into())
}

fn counter(window_start: i64) -> CounterId {
    CounterId { allowance: AllowanceId::from_bytes([1; 16]), window_start }
}

/// Everything is durable at once.
fn done(counting: &mut Counting, actions: Actions) {
    counting.persisted(actions.persist.len());
}

fn tick(counting: &mut Counting, now: i64) {
    let actions = counting.tick(now);
    done(counting, actions);
}

fn tell(from: &Counting, to: &mut Counting, now: i64) {
    let actions = to.receive(&from.gossip(), now).unwrap();
    done(to, actions);
}

/// A node that came later and has heard what `of` has to say.
fn newcomer(name: &str, of: &Counting) -> Counting {
    let mut newcomer = Counting::new(actor(name), of.begin.clone());
    tell(of, &mut newcomer, NOW);
    newcomer
}

fn talk(a: &mut Counting, b: &mut Counting, now: i64) {
    for _ in 0..2 {
        tell(a, b, now);
        tell(b, a, now);
    }
}

#[test]
fn founders_that_come_together_begin_together_and_one_that_is_late_holds_up_nobody() {
    let all = ["a", "b", "c"];
    let [mut a, mut b, mut c] = all.map(|name| Counting::new(actor(name), founders(all)).with_patience(5));
    talk(&mut a, &mut b, NOW);
    assert_eq!((a.active_from(), b.active_from()), (None, None), "a quorum, but one may be on its way");
    talk(&mut b, &mut c, NOW + 2);
    talk(&mut a, &mut b, NOW + 2);
    talk(&mut a, &mut c, NOW + 2);
    talk(&mut b, &mut c, NOW + 2);
    for counting in [&a, &b, &c] {
        assert_eq!(counting.active_from(), Some(WindowFrom::Beginning));
        assert_eq!(*counting.counted(i64::MIN), actors(all));
    }

    let [mut a, mut b] = ["a", "b"].map(|name| Counting::new(actor(name), founders(all)).with_patience(5));
    talk(&mut a, &mut b, NOW);
    for second in 1..=5 {
        tick(&mut a, NOW + second);
        tick(&mut b, NOW + second);
    }
    talk(&mut a, &mut b, NOW + 6);
    assert_eq!((a.active_from(), b.active_from()), (Some(WindowFrom::Beginning), Some(WindowFrom::Beginning)));
}

/// Two founders that have met and are active from the beginning.
fn pair() -> (Counting, Counting) {
    let mut a = Counting::new(actor("a"), founders(["a", "b"]));
    let mut b = Counting::new(actor("b"), founders(["a", "b"]));
    talk(&mut a, &mut b, NOW);
    assert_eq!((a.active_from(), b.active_from()), (Some(WindowFrom::Beginning), Some(WindowFrom::Beginning)));
    (a, b)
}

fn statements(counting: &Counting) -> Vec<(WindowFrom, BTreeSet<Actor>)> {
    counting.public.statements.iter().map(|said| (said.from, said.counted.clone())).collect()
}

#[test]
fn alone_it_has_all_of_every_window() {
    let mut alone = Counting::new(actor("a"), Begin::Alone);
    tick(&mut alone, NOW);
    for start in [i64::MIN, NOW - 60, NOW, NOW + AHEAD] {
        assert_eq!(alone.share(&counter(start), 7), 7);
    }
    assert_eq!(alone.standing().waits_for, None);
}

#[test]
fn nothing_is_used_before_it_is_durable() {
    let mut alone = Counting::new(actor("a"), Begin::Alone);
    let actions = alone.tick(NOW);
    let counted = actors(["a"]);
    let first = Statement { from: WindowFrom::Beginning, counted };
    assert_eq!(actions.persist, [Record::Stated(first), Record::Active(WindowFrom::Beginning)]);
    assert_eq!(alone.share(&counter(NOW), 7), 0);
    assert_eq!(alone.standing().waits_for, Some(WaitsFor::Journal));
    assert_eq!(*alone.gossip().words[&actor("a")], Word::default());
    alone.persisted(1);
    assert_eq!(alone.share(&counter(NOW), 7), 0);
    alone.persisted(1);
    assert_eq!(alone.share(&counter(NOW), 7), 7);
    assert_eq!(alone.tick(NOW + 1), Actions::default());
}

#[test]
fn shares_are_given_out_only_shortly_before_their_window() {
    let (mut a, _) = pair();
    assert_eq!(a.share(&counter(NOW + AHEAD), 8), 4);
    assert_eq!(a.share(&counter(NOW + AHEAD + 1), 8), 0);
    assert_eq!(a.planned(&counter(NOW + AHEAD + 1), 8), 4);
    tick(&mut a, NOW + 1);
    assert_eq!(a.share(&counter(NOW + AHEAD + 1), 8), 4);
}

#[test]
fn less_than_a_majority_of_the_founders_waits() {
    let names = ["a", "b", "c", "d"];
    let (mut a, mut b) = (Counting::new(actor("a"), founders(names)), Counting::new(actor("b"), founders(names)));
    let mut newcomer = Counting::new(actor("x"), founders(names));
    talk(&mut a, &mut b, NOW);
    talk(&mut a, &mut newcomer, NOW);
    assert_eq!(a.standing().waits_for, Some(WaitsFor::Quorum { met: 2, needed: 3 }));
    assert_eq!(newcomer.standing().waits_for, Some(WaitsFor::Cluster));
    assert!(statements(&a).is_empty() && statements(&newcomer).is_empty());
}

#[test]
fn where_names_are_random_enough_must_have_met() {
    let mut nodes = ["a", "b", "c"].map(|name| Counting::new(actor(name), Begin::Expect(2)));
    tick(&mut nodes[0], NOW);
    assert_eq!(nodes[0].standing().waits_for, Some(WaitsFor::Quorum { met: 1, needed: 2 }));
    let [a, b, c] = &mut nodes;
    talk(a, b, NOW);
    assert_eq!(a.share(&counter(NOW), 6) + b.share(&counter(NOW), 6), 6);
    talk(b, c, NOW);
    assert_eq!(c.standing().waits_for, Some(WaitsFor::Words(actors(["a"]))));
}

/// Three founders, then a newcomer: who states what, and from when. The executable model, driven alike, says the same.
#[test]
fn a_newcomer_waits_for_every_word_and_for_the_latest_window() {
    let names = ["a", "b", "c"];
    let [mut a, mut b, mut c] = names.map(|name| Counting::new(actor(name), founders(names)));
    tell(&a, &mut b, NOW);
    assert_eq!(statements(&b), [(WindowFrom::Beginning, actors(["a", "b"]))]);
    tell(&b, &mut a, NOW);
    assert_eq!(a.active_from(), Some(WindowFrom::Beginning));
    tell(&b, &mut c, NOW);
    tell(&c, &mut a, NOW);
    let first_minute = minute_after(NOW + AHEAD);
    assert_eq!(
        statements(&a),
        [(WindowFrom::Beginning, actors(["a", "b"])), (WindowFrom::Second(first_minute), actors(names))]
    );
    tell(&c, &mut b, NOW);
    assert_eq!(statements(&b), [(WindowFrom::Beginning, actors(names))]);
    assert_eq!(b.active_from(), None, "c counts it, but a has not been heard to");
    tell(&a, &mut b, NOW);
    assert_eq!(b.active_from(), Some(WindowFrom::Beginning));
    tell(&b, &mut c, NOW);
    assert_eq!(c.active_from(), Some(WindowFrom::Second(first_minute)), "the latest word is a's");

    let mut x = Counting::new(actor("x"), founders(names));
    let later = NOW + 600;
    tell(&a, &mut x, later);
    assert_eq!(statements(&x), [(WindowFrom::Beginning, actors(["a", "b", "c", "x"]))]);
    for (counting, now) in [(&mut a, later), (&mut b, later + 60), (&mut c, later + 200)] {
        tell(&x, counting, now);
        tell(counting, &mut x, now);
    }
    let last_word = minute_after(later + 200 + AHEAD);
    assert_eq!(x.active_from(), Some(WindowFrom::Second(last_word)));
    assert_eq!(x.planned(&counter(last_word - 60), 100), 0);
    assert_eq!(x.planned(&counter(last_word), 100), 25);
    assert_eq!(x.planned(&counter(i64::MIN), 100), 0, "what began before it joined stays with those who were there");
    assert_eq!(b.planned(&counter(i64::MIN), 99), 33);
    assert_eq!(a.planned(&counter(last_word), 100), 25);
}

#[test]
fn joins_of_one_minute_share_a_statement() {
    let (mut a, _) = pair();
    for name in ["x", "y", "z"] {
        tell(&newcomer(name, &a), &mut a, NOW);
    }
    let future = WindowFrom::Second(minute_after(NOW + AHEAD));
    assert_eq!(statements(&a)[1..], [(future, actors(["a", "b", "x", "y", "z"]))]);
}

#[test]
fn a_leaver_is_dropped_where_it_says_and_only_there() {
    let (mut a, mut b) = pair();
    let actions = b.leave(NOW);
    assert_eq!(b.planned(&counter(NOW + 3600), 10), 0, "it has no share there, even before that is durable");
    tell(&b, &mut a, NOW);
    assert_eq!(a.planned(&counter(NOW + 3600), 10), 5, "nobody hears of it before it is durable");
    done(&mut b, actions);
    tell(&b, &mut a, NOW);
    let from = minute_after(NOW + AHEAD);
    assert_eq!((a.planned(&counter(from - 60), 10), a.planned(&counter(from), 10)), (5, 10));
    assert_eq!((b.planned(&counter(from - 60), 10), b.planned(&counter(from), 10)), (5, 0));
    assert_eq!(a.planned(&counter(i64::MIN), 10), 5);
    assert_eq!(b.leave(NOW + 900), Actions::default(), "it is said once");
    assert_eq!(b.standing().leaves_from, Some(from));
    tell(&newcomer("x", &b), &mut b, NOW);
    assert_eq!(statements(&b).len(), 1, "a leaver counts nobody more");
}

#[test]
fn a_dead_actor_holds_up_newcomers_and_its_part_until_it_is_forgotten() {
    let (mut a, b) = pair();
    let mut x = Counting::new(actor("x"), founders(["a", "b"]));
    talk(&mut a, &mut x, NOW);
    assert_eq!(x.standing().waits_for, Some(WaitsFor::Words(actors(["b"]))));
    assert_eq!(x.forget(&b.actor, NOW), Err(ForgetError::NotActive(actor("b"))));
    let next_day = counter(NOW + 86_400);
    let locked = a.shares(&next_day, 9);
    assert_eq!(locked.keys().cloned().collect::<BTreeSet<_>>(), actors(["a", "b"]), "x has no share yet");
    assert_eq!(locked.values().sum::<u64>(), 6);

    let actions = a.forget(&b.actor, NOW).unwrap();
    assert_eq!(a.planned(&next_day, 9), 3, "nothing changes before it is durable");
    done(&mut a, actions);
    let from = minute_after(NOW + AHEAD + FORGET_MARGIN);
    talk(&mut a, &mut x, NOW);
    assert_eq!(x.active_from(), Some(WindowFrom::Second(from)));
    assert_eq!(a.planned(&counter(from - 60), 9), 3, "it keeps its part of windows before");
    assert_eq!(a.planned(&next_day, 9) + x.planned(&next_day, 9), 9);
    assert_eq!(a.forget(&b.actor, NOW), Err(ForgetError::Gone { actor: actor("b"), from }));
    assert_eq!(a.forget(&actor("a"), NOW), Err(ForgetError::Itself));
    assert_eq!(a.forget(&actor("q"), NOW), Err(ForgetError::Unknown(actor("q"))));
}

/// The one step with a bound instead of a guarantee, and what ends it.
#[test]
fn an_actor_forgotten_alive_overspends_at_most_its_own_part_and_stops_when_it_hears() {
    let (mut a, mut b) = pair();
    let actions = a.forget(&b.actor, NOW).unwrap();
    done(&mut a, actions);
    let day = counter(NOW + 86_400);
    assert_eq!((a.planned(&day, 100), b.planned(&day, 100)), (100, 50));
    tell(&a, &mut b, NOW);
    assert_eq!((a.planned(&day, 100), b.planned(&day, 100)), (100, 0));
    let from = minute_after(NOW + AHEAD + FORGET_MARGIN);
    assert_eq!(b.standing().alarms, [Alarm::Forgotten(from)]);
    let again = Counting::restore(actor("b"), founders(["a", "b"]), b.records(), i64::MIN);
    assert_eq!(again.planned(&day, 100), 0, "also after a restart");
}

/// Two newcomers that only ever heard the one that left would each take the whole limit.
#[test]
fn nobody_takes_the_place_of_the_last_one_without_being_counted() {
    let mut a = Counting::new(actor("a"), founders(["a"]));
    tick(&mut a, NOW);
    let [mut x, mut y] = ["x", "y"].map(|name| newcomer(name, &a));
    let leaves = a.leave(NOW);
    done(&mut a, leaves);
    tell(&a, &mut x, NOW);
    tell(&a, &mut y, NOW);
    for counting in [&x, &y] {
        assert_eq!((counting.active_from(), counting.standing().waits_for), (None, Some(WaitsFor::Cluster)));
    }
    talk(&mut x, &mut y, NOW);
    assert_eq!((x.active_from(), y.active_from()), (None, None), "others may stand as they do");
    let mut again = Counting::new(Actor { incarnation: Incarnation(2), ..actor("a") }, founders(["a"]));
    for _ in 0..2 {
        talk(&mut again, &mut x, NOW);
        talk(&mut again, &mut y, NOW);
    }
    let next_day = counter(NOW + 86_400);
    let parts = [&again, &x, &y].map(|counting| counting.planned(&next_day, 90));
    assert_eq!(parts, [30, 30, 30], "founders begin anew");
}

/// Who drops a forgotten actor tells it on: those who said so first may be dead, and the actor may live.
#[test]
fn the_word_that_an_actor_is_forgotten_outlives_those_who_gave_it() {
    let (mut a, b) = pair();
    let mut x = newcomer("x", &a);
    let mut journal = x.records();
    let forgets = a.forget(&b.actor, NOW).unwrap();
    done(&mut a, forgets);
    let heard = x.receive(&a.gossip(), NOW).unwrap();
    journal.extend(heard.persist.iter().cloned());
    done(&mut x, heard);
    let day = counter(NOW + 86_400);
    for records in [journal, x.records()] {
        let again = Counting::restore(actor("x"), founders(["a", "b"]), records, i64::MIN);
        assert!(!again.counted(day.window_start).contains(&b.actor));
        assert_eq!(again.active_from(), None, "a has not said that it counts x");
        let mut lives = b.clone();
        assert_eq!(lives.planned(&day, 100), 50);
        tell(&again, &mut lives, NOW);
        assert_eq!(lives.planned(&day, 100), 0);
    }
}

/// With the word comes whom one must count, and the journal keeps the two in this order.
#[test]
fn nobody_leans_on_a_forgotten_actor_without_counting_those_who_forgot_it() {
    let (mut a, b) = pair();
    let forgets = a.forget(&b.actor, NOW).unwrap();
    done(&mut a, forgets);
    let mut x = Counting::new(actor("x"), founders(["a", "b"]));
    let heard = x.receive(&a.gossip(), NOW).unwrap().persist;
    for kept in 0..=heard.len() {
        let mut again = Counting::restore(actor("x"), founders(["a", "b"]), heard[..kept].to_vec(), i64::MIN);
        tick(&mut again, NOW);
        let drops = again.heard.values().any(|word| word.forgotten_from.is_some());
        assert!(!drops || again.known.contains(&a.actor), "{kept} of {heard:?}");
        assert_eq!(again.active_from(), None);
    }
    assert!(matches!(heard[..], [Record::Stated(_), Record::Forgotten(..)]), "{heard:?}");
}

#[test]
fn who_has_said_nothing_holds_up_nobody() {
    let names = ["a", "b", "c"];
    let [mut a, mut b] = ["a", "b"].map(|name| Counting::new(actor(name), founders(names)));
    for incarnation in 1..5 {
        let lost = |name: &str| Actor { incarnation: Incarnation(incarnation), ..actor(name) };
        for name in ["x", "b"] {
            let silent = Counting::new(lost(name), Begin::Founders([actor("q").node].into()));
            if silent.actor != b.actor {
                tell(&silent, &mut a, NOW);
            }
        }
    }
    assert_eq!(
        statements(&a)[0].1,
        BTreeSet::from([a.actor.clone(), Actor { incarnation: Incarnation(2), ..actor("b") }])
    );
    tell(&b, &mut a, NOW);
    b = Counting::new(Actor { incarnation: Incarnation(2), ..actor("b") }, founders(names));
    talk(&mut a, &mut b, NOW);
    assert_eq!(a.active_from(), Some(WindowFrom::Beginning));
    tell(&Counting::new(actor("x"), founders(names)), &mut a, NOW);
    assert_eq!(a.known.len(), 2, "also later");
}

#[test]
fn two_beginnings_are_noticed_when_they_meet_and_share_what_is_to_come() {
    let [mut a, mut b] = ["a", "b"].map(|name| Counting::new(actor(name), Begin::Alone));
    tick(&mut a, NOW);
    tick(&mut b, NOW);
    talk(&mut a, &mut b, NOW);
    assert_eq!(a.standing().alarms, [Alarm::TwoBeginnings(actor("b"))]);
    assert_eq!(b.standing().alarms, [Alarm::TwoBeginnings(actor("a"))]);
    let to_come = counter(minute_after(NOW + AHEAD));
    assert_eq!(a.planned(&to_come, 10) + b.planned(&to_come, 10), 10);
}

#[test]
fn a_new_statement_lies_after_all_that_was_used_also_when_the_clock_steps_back() {
    let (mut a, _) = pair();
    tick(&mut a, NOW + 7_200);
    tell(&newcomer("x", &a), &mut a, NOW);
    let from = minute_after(NOW + 7_200 + AHEAD);
    assert_eq!(statements(&a)[1].0, WindowFrom::Second(from));

    let (a, _) = pair();
    let used = NOW + 7_200;
    let mut again = Counting::restore(actor("a"), founders(["a", "b"]), a.records(), used);
    tell(&newcomer("x", &a), &mut again, NOW);
    assert_eq!(statements(&again)[1].0, WindowFrom::Second(minute_after(used + AHEAD)));
}

#[test]
fn a_restart_brings_back_what_was_durable_and_no_more() {
    let (mut a, b) = pair();
    tell(&newcomer("x", &a), &mut a, NOW);
    let actions = a.leave(NOW);
    let again = Counting::restore(actor("a"), founders(["a", "b"]), a.records(), NOW);
    assert_eq!(again.public, a.public);
    assert_eq!((again.own.leaves_from, again.records()), (None, a.records()));
    done(&mut a, actions);
    let again = Counting::restore(actor("a"), founders(["a", "b"]), a.records(), NOW);
    assert_eq!(again.public, a.public);
    assert_eq!(again.own.leaves_from, a.own.leaves_from);
    drop(b);
}

#[test]
fn an_old_copy_of_a_data_directory_is_noticed_and_spends_nothing() {
    let (mut a, mut b) = pair();
    let copy = a.records();
    tell(&newcomer("x", &a), &mut a, NOW);
    tell(&a, &mut b, NOW);
    let mut old = Counting::restore(actor("a"), founders(["a", "b"]), copy, NOW);
    assert_eq!(old.share(&counter(NOW), 10), 5);
    tell(&b, &mut old, NOW + 5);
    assert_eq!(old.share(&counter(NOW), 10), 0);
    assert_eq!(old.standing().alarms, [Alarm::RolledBack]);
    assert_eq!(old.tick(NOW + 6), Actions::default(), "it says nothing more under this name");
}

#[test]
fn impossible_news_are_refused_as_a_whole() {
    let (mut a, b) = pair();
    let before = a.clone();
    let said = |from, names: &[&str]| Statement { from, counted: names.iter().map(|name| actor(name)).collect() };
    let second = WindowFrom::Second;
    let shrinking = vec![said(WindowFrom::Beginning, &["y", "z"]), said(second(60), &["y"])];
    let backwards = vec![said(second(60), &["y"]), said(second(0), &["y", "z"])];
    let without_itself = vec![said(WindowFrom::Beginning, &["z"])];
    let words = [
        Word { statements: shrinking, ..Word::default() },
        Word { statements: backwards, ..Word::default() },
        Word { statements: without_itself, ..Word::default() },
        Word { active_from: Some(WindowFrom::Beginning), ..Word::default() },
    ];
    for word in words {
        let mut news = b.gossip();
        news.words.insert(actor("y"), Arc::new(word));
        assert!(matches!(a.receive(&news, NOW), Err(NewsError::Impossible { .. })), "{news:?}");
    }
    let mut news = b.gossip();
    let crowd: BTreeSet<Actor> = (0..MAX_ACTORS - 1).map(|number| actor(&format!("crowd-{number}"))).collect();
    let said = Statement { from: WindowFrom::Beginning, counted: &crowd | &actors(["y"]) };
    news.words.insert(actor("y"), Arc::new(Word { statements: vec![said], ..Word::default() }));
    assert!(matches!(a.receive(&news, NOW), Err(NewsError::TooMany { .. })), "with a and b they are too many");
    assert_eq!((a.known.len(), a.heard.len(), a.pending.len()), (before.known.len(), before.heard.len(), 0));
}

#[test]
fn with_a_silent_journal_it_counts_no_more_but_loses_nothing() {
    let (mut a, _) = pair();
    let mut asked = 0;
    for number in 0..MAX_PENDING + 50 {
        let x = newcomer(&format!("x-{number}"), &a);
        asked += a.receive(&x.gossip(), NOW).unwrap().persist.len();
    }
    assert_eq!((asked, a.standing().unconfirmed), (MAX_PENDING, MAX_PENDING));
    a.persisted(usize::MAX);
    tick(&mut a, NOW + 1);
    assert_eq!(a.public.size(), 2 + MAX_PENDING + 50);
}
