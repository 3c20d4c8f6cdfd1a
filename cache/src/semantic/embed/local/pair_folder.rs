//! A folder with a BERT that classifies pairs of texts (`BertForSequenceClassification`): a sentence model's files, and
//! behind its layers a pooler and a classifier of one label or more.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::folder::{Folder, FolderError, Stored, WEIGHTS, content, header, is_float, json};

/// Names that models give to the label which says that two texts mean the same, in small letters.
const SAME: [&str; 7] = ["duplicate", "paraphrase", "entailment", "equivalent", "same", "is_duplicate", "yes"];
/// Models without names for their labels; of two, this is the one that says yes.
const UNNAMED_YES: &str = "label_1";
/// More labels than any classifier of pairs has.
const MOST_LABELS: usize = 64;

/// A folder whose files fit each other.
#[derive(Debug)]
#[cfg_attr(not(feature = "local-embedder"), allow(dead_code, reason = "what only a model that is run reads"))]
pub struct PairFolder {
    pub(super) folder: Folder,
    /// The label that says that both texts mean the same; none: there is one label, and it says so.
    pub(super) label: Option<usize>,
}

#[derive(Deserialize)]
struct Labels {
    #[serde(default)]
    id2label: BTreeMap<usize, String>,
}

impl PairFolder {
    /// Reads the folder; of the weights their names and shapes. `label` names the label that says that both texts mean the
    /// same, where its name does not tell.
    pub fn open(path: &Path, label: Option<&str>) -> Result<Self, FolderError> {
        let folder = Folder::bert(path)?;
        let hidden = folder.shape.hidden_size;
        if folder.shape.type_vocab_size < 2 {
            return Err(content(path, "config.json", "the model does not tell the texts of a pair apart"));
        }
        let stored = header(path)?;
        let shape = |name: &str| {
            let stored = stored.get(name).and_then(|value| Stored::deserialize(value).ok());
            let stored = stored.filter(|stored| is_float(&stored.dtype));
            let missing = || content(path, WEIGHTS, format!("has no tensor {name}: it is no classifier of pairs"));
            stored.map(|stored| stored.shape).ok_or_else(missing)
        };
        let wrong = |name: &str, shape: &[usize]| {
            Err(content(path, WEIGHTS, format!("{name} is {shape:?}, which does not fit hidden_size {hidden}")))
        };
        for (name, expected) in [("pooler.dense.weight", vec![hidden, hidden]), ("pooler.dense.bias", vec![hidden])] {
            let name = format!("{}{name}", folder.prefix);
            let found = shape(&name)?;
            if found != expected {
                return wrong(&name, &found);
            }
        }
        let (weight, bias) = (shape("classifier.weight")?, shape("classifier.bias")?);
        let count = match (weight.as_slice(), bias.as_slice()) {
            ([count @ 1..=MOST_LABELS, inner], [same]) if *inner == hidden && same == count => *count,
            _ => return wrong("classifier.weight", &weight),
        };
        let Labels { id2label } = json(path, "config.json")?;
        let label = chosen(&id2label, count, label).map_err(|reason| content(path, "config.json", reason))?;
        Ok(Self { folder, label })
    }

    /// The model's build, for who wants to know.
    #[must_use]
    pub fn layers(&self) -> usize {
        self.folder.shape.num_hidden_layers
    }
}

/// Which of so many labels says that both texts mean the same.
fn chosen(names: &BTreeMap<usize, String>, count: usize, wanted: Option<&str>) -> Result<Option<usize>, String> {
    if count == 1 {
        return Ok(None);
    }
    let names: BTreeMap<usize, String> = match names.len() {
        // Left out, they are numbered.
        0 => (0..count).map(|number| (number, format!("LABEL_{number}"))).collect(),
        _ => names.iter().map(|(number, name)| (*number, name.clone())).filter(|(number, _)| *number < count).collect(),
    };
    let is_chosen = |name: &str| match wanted {
        Some(wanted) => name.eq_ignore_ascii_case(wanted),
        None => {
            let name = name.to_ascii_lowercase();
            SAME.contains(&name.as_str()) || count == 2 && name == UNNAMED_YES
        }
    };
    let found: Vec<usize> = names.iter().filter(|(_, name)| is_chosen(name)).map(|(number, _)| *number).collect();
    match found.as_slice() {
        [only] => Ok(Some(*only)),
        _ => {
            let all = names.values().map(String::as_str).collect::<Vec<_>>().join(", ");
            Err(format!("which of its labels says that both texts mean the same? It has {all}; name it with `label`"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(names: &[&str], count: usize, wanted: Option<&str>) -> Result<Option<usize>, String> {
        chosen(&names.iter().map(|name| (*name).to_owned()).enumerate().collect(), count, wanted)
    }

    #[test]
    fn the_label_that_says_so_is_found_or_asked_for() {
        assert_eq!(choose(&[], 1, None), Ok(None));
        assert_eq!(choose(&["LABEL_0"], 1, None), Ok(None));
        assert_eq!(choose(&[], 2, None), Ok(Some(1)));
        assert_eq!(choose(&["duplicate", "not_duplicate"], 2, None), Ok(Some(0)));
        assert_eq!(choose(&["CONTRADICTION", "ENTAILMENT", "NEUTRAL"], 3, None), Ok(Some(1)));
        assert_eq!(choose(&["a", "b", "c"], 3, Some("B")), Ok(Some(1)));
        for (names, count, wanted) in [
            (vec!["a", "b"], 2, None),
            (vec![], 3, None),
            (vec!["not_entailment", "not_duplicate"], 2, None),
            (vec!["yes", "same"], 2, None),
            (vec!["a", "b"], 2, Some("c")),
            (vec!["a", "b", "duplicate"], 2, None),
        ] {
            let told = choose(&names, count, wanted).unwrap_err();
            assert!(told.contains("name it with `label`"), "{told}");
        }
    }
}
