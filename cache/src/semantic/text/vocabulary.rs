//! Closed lists of English: what is filler, what carries logic, and units.

use std::sync::LazyLock;

use super::spelling::mistyped;
use crate::semantic::fixed::{FixedMap, Words, words};

/// What a word does in a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Articles, auxiliaries, courtesy, pronouns: their coming and going changes nothing.
    Filler,
    /// Verbs and nouns that nearly any prompt may have: give, want, way.
    Weak,
    Negation,
    Condition,
    /// all, only, first, last, any, except.
    Scope,
    /// more, fewer, above, below.
    Comparison,
    /// before, after, since, until, today, yesterday.
    Time,
    /// from, to, into.
    Direction,
    Content,
}

const FILLER: &str = " a an the this that these those i me my mine you your yours we us our ours he him his she her it its they them their is are was were be been being am do does did done doing has have had having can could would should shall will may might must of in on at for by as and or but so just also too really very quite please kindly thank thanks thankyou hi hello hey dear sir madam good morning afternoon evening day everyone team cheers much many lot what which who whom whose how when where why there here some such own than then though although because however whether with about around let's let ok okay well now already yet still even ever actually simply currently possible possibly able wanna gonna lol wtf nah dead pretty mate guys whats ive im advance million bit sorry bother trouble kind enough hope best regards later sincerely yo per degree degrees etc e.g i.e myself yourself ask asking mind grateful wondering appreciate disturb disturbing bothering friendly service moment wonderful love hopefully ";
const WEAK: &str = " give tell show name explain describe provide list state say suggest recommend need want like know help way thing something someone somebody anyone get got make made use using used take go put come let work look see find try question answer possible mean happen write compose draft create produce generate prepare advise please wonder wondering would approach method procedure process step manner means reason cause call called kind sort type example case time people person one ones place part point exactly roughly approximately about command purpose considered consider right nice good proper supposed problem issue calculate determine spend normally usually typically generally ";
const NEGATION: &str = " not no never none nothing nobody neither nor cannot without lack lacking lacks isn't hardly seldom rarely scarcely barely ";
const CONDITION: &str = " if unless provided otherwise assuming ";
const SCOPE: &str = " all every each any only except excluding including both either entire whole first last final latest newest oldest next previous another other others rest single always once ";
const COMPARISON: &str = " more less few fewer least most greater smaller larger above below over under exceed exceeding beneath minimum maximum min max up down higher lower better worse ";
const TIME: &str = " before after since until till during while today yesterday tomorrow tonight ago weekday weekend am pm monday tuesday wednesday thursday friday saturday sunday january february march april june july august september october november december inside outside within beyond ";
const DIRECTION: &str = " from to into onto toward towards ";

/// Each listed word's role; of a word in two lists, the first list's.
static ROLES: LazyLock<FixedMap<&str, Role>> = LazyLock::new(|| {
    let lists = [
        (NEGATION, Role::Negation),
        (CONDITION, Role::Condition),
        (SCOPE, Role::Scope),
        (COMPARISON, Role::Comparison),
        (TIME, Role::Time),
        (DIRECTION, Role::Direction),
        (FILLER, Role::Filler),
        (WEAK, Role::Weak),
    ];
    let mut roles = FixedMap::default();
    for (list, role) in lists {
        for word in list.split_ascii_whitespace() {
            roles.entry(word).or_insert(role);
        }
    }
    roles
});

pub(crate) fn role(word: &str) -> Role {
    ROLES.get(word).copied().unwrap_or(Role::Content)
}

/// Words of which others are slips, by their first letter.
static COMMON: LazyLock<FixedMap<char, Vec<&str>>> = LazyLock::new(|| {
    let mut common: FixedMap<char, Vec<&str>> = FixedMap::default();
    for list in [FILLER, WEAK, DIRECTION, TIME] {
        for word in list.split_ascii_whitespace().filter(|word| word.len() > 2) {
            if let Some(first) = word.chars().next() {
                common.entry(first).or_default().push(word);
            }
        }
    }
    common
});

/// The function word that an unknown word is a slip of.
pub(super) fn common(word: &str) -> Option<&'static str> {
    // A slip keeps the first letter.
    let known = COMMON.get(&word.chars().next()?)?;
    known.iter().copied().find(|known| mistyped(word, known, 2))
}

/// Units that are single letters: only after a number.
pub(super) fn unit(letter: &str) -> Option<&'static str> {
    Some(match letter {
        "m" => "meter",
        "g" => "gram",
        "h" => "hour",
        "l" => "liter",
        "s" => "second",
        "w" => "watt",
        "v" => "volt",
        "c" => "celsius",
        "f" => "fahrenheit",
        "k" => "thousand",
        "d" => "day",
        _ => return None,
    })
}

static UNITS: LazyLock<Words<'static>> = LazyLock::new(|| {
    words(
        " kilogram gram pound ounce stone ton tonne kilometer meter centimeter millimeter mile yard foot inch liter milliliter gallon pint cup tablespoon teaspoon celsius fahrenheit kelvin second minute hour day week month year millisecond microsecond nanosecond byte kilobyte megabyte gigabyte terabyte gibibyte mebibyte euro dollar pound yen franc rupee percent watt kilowatt volt ampere joule calorie kilocalorie decade century acre hectare knot bar pascal seconds minutes hours days weeks months years miles yards feet inches grams pounds ounces gallons cups tablespoons teaspoons euros dollars francs calories milliseconds microseconds kilograms kilometers meters ",
    )
});

/// Whether a word is a unit of measure.
pub(crate) fn is_unit(word: &str) -> bool {
    UNITS.contains(word)
}

/// Function words of other languages that English has not: German, French, Spanish, Portuguese, Italian, Dutch.
static FOREIGN: LazyLock<Words<'static>> = LazyLock::new(|| {
    words(
        " der das und ist nicht ich ein eine einen wie mit auf für von zu dem den im sind wird wir meine mein kann muss bei oder le les des est une je pour dans que qui sur avec mon ma sont ce comment quel quelle puis el los las del es una por para con mi que como qué cuál cómo está son o os uma um não com meu minha qual é ao dos da na no em il gli che di sono het een van ik voor niet met ",
    )
});

/// Whether a word is a function word of English (`Some(true)`) or of a language that is not (`Some(false)`).
pub(super) fn speaks_english(word: &str) -> Option<bool> {
    match role(word) {
        Role::Content | Role::Weak => FOREIGN.contains(word).then_some(false),
        _ => Some(true),
    }
}
