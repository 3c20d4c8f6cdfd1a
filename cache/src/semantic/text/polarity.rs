//! Which way a word points. Two prompts of the same matter, one with a word that points one way and the other with a word
//! that points the other way, ask for opposite things, even where no dictionary calls the two words opposites.

use std::sync::LazyLock;

use super::reading::Word;
use crate::semantic::fixed::FixedMap;

/// Words that point one way, and words that point the other.
const WAYS: &[(&str, &str)] = &[
    (
        "more big bigger large larger high higher great greater increase raise grow expand extend enlarge upgrade widen lengthen boost gain rise up tall expensive dear heavy wide loud exceed above many hyper",
        "less few fewer small smaller low lower decrease reduce shrink cut lessen narrow downgrade drop fall shorten down short cheap cheaper light quiet below tiny under little hypo",
    ),
    (
        "start begin launch open enable activate resume restart run boot turn_on switch_on",
        "stop halt end quit close disable deactivate kill terminate pause suspend cancel abort turn_off switch_off shut_down",
    ),
    (
        "add insert create install attach join put include append set_up build connect pair subscribe hire mount",
        "remove delete drop uninstall detach leave take_off take_away exclude erase disconnect unpair unsubscribe fire unmount destroy lift",
    ),
    (
        "accept approve agree allow permit grant unlock unblock enable support praise legal access",
        "reject refuse decline deny turn_down block forbid ban revoke withdraw prohibit prevent lock oppose criticize illegal infringe",
    ),
    (
        "buy purchase receive get import deposit borrow enter arrive sign_up log_in come_in check_in",
        "sell send export withdraw lend exit depart sign_out log_out go_out check_out",
    ),
    ("advantage benefit pro upside strength useful", "disadvantage drawback con downside weakness risk harm danger"),
    ("keep save store preserve maintain retain backup", "lose discard throw waste restore destroy"),
    ("hot warm heat boil melt thaw summer", "cold cool freeze chill winter"),
    ("win succeed pass work", "lose fail break"),
    ("good best right correct safe healthy", "bad worst wrong dangerous harmful toxic poisonous unhealthy"),
    ("first begin beginning old oldest early earliest next", "last end final latest newest late previous"),
    ("tighten fasten strengthen sharpen harden thicken hard", "loosen unfasten weaken dull soften thin soft"),
    ("before ahead", "after following"),
    ("full fill load pack", "empty unload unpack drain"),
    ("wet moist", "dry"),
    ("clean", "dirty"),
    ("crisp crispy", "soft soggy"),
    ("read", "write"),
    ("upload", "download"),
    ("male man father boy husband son groom", "female woman mother girl wife daughter bride"),
    ("equal same identical", "differ different unequal"),
    ("sunrise dawn morning day", "sunset dusk evening night"),
];

/// Beginnings that turn a word into its opposite, each with the beginning of that one.
const BEGINNINGS: &[(&str, &str)] = &[
    ("exo", "endo"),
    ("hyper", "hypo"),
    ("over", "under"),
    ("ex", "im"),
    ("ex", "in"),
    ("macro", "micro"),
    ("pre", "post"),
    ("intra", "inter"),
    ("up", "down"),
    ("in", "out"),
    ("un", ""),
    ("dis", ""),
    ("non", ""),
    ("mono", "poly"),
    ("maxi", "mini"),
];

static POINTS: LazyLock<FixedMap<String, Vec<(usize, bool)>>> = LazyLock::new(|| {
    let mut points: FixedMap<String, Vec<(usize, bool)>> = FixedMap::default();
    for (number, (one, other)) in WAYS.iter().enumerate() {
        for (list, way) in [(one, false), (other, true)] {
            for word in list.split(' ') {
                points.entry(word.replace('_', " ")).or_default().push((number, way));
            }
        }
    }
    points
});

/// The ways that a word points in the lists, in the form that it has in the text or else in its dictionary form.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ways(&'static [(usize, bool)]);

impl Ways {
    pub(super) fn of(text: &str, base: &str) -> Self {
        Self(POINTS.get(text).or_else(|| POINTS.get(base)).map_or(&[], Vec::as_slice))
    }

    fn opposed(self, other: Self) -> bool {
        self.0.iter().any(|(number, way)| other.0.contains(&(*number, !way)))
    }
}

/// Whether two words point opposite ways.
pub(crate) fn opposed(a: &Word, b: &Word) -> bool {
    a.ways.opposed(b.ways) || prefixed(&a.text, &b.text)
}

/// Whether only a beginning that turns it into its opposite parts two words.
pub(crate) fn prefixed(a: &str, b: &str) -> bool {
    // All that is left behind a beginning is the same.
    let ends_alike = a.as_bytes().last_chunk::<4>().is_some_and(|end| b.as_bytes().last_chunk() == Some(end));
    ends_alike
        && BEGINNINGS.iter().any(|(one, other)| {
            let parts = |x: &str, y: &str| {
                x.strip_prefix(one)
                    .zip(y.strip_prefix(other))
                    .is_some_and(|(rest, its)| rest == its && rest.len() > if other.is_empty() { 4 } else { 3 })
            };
            parts(a, b) || parts(b, a)
        })
}
