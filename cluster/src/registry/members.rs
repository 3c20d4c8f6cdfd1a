//! Observed-remove sets: who belongs to a team, which names are on a list.
//!
//! A set written as one value would lose one of two additions made at two nodes at once. So every addition is a record of
//! its own, tagged with its stamp, and a removal removes the additions that it knows of (the tagged OR-set of Shapiro et
//! al. 2011): of an addition and a removal at once, the addition stays. Everything else (spreading, disk, digests) is what
//! records have anyway.

use std::collections::BTreeSet;

use super::error::RegistryError;
use super::record::{Content, NotAnId, Record, RecordKey, RecordKind};
use super::state::{Change, Registry};

/// The longest id of a set and the longest name of a member.
pub const MAX_NAME: usize = 128;

/// All additions to a set begin with this. The lengths keep names with slashes in them apart.
fn of_set(set: &RecordKey) -> String {
    format!("{}/{}:{}/", set.kind, set.id.as_str().len(), set.id.as_str())
}

fn of_member(set: &RecordKey, member: &str) -> String {
    format!("{}{}:{member}/", of_set(set), member.len())
}

fn check(name: &str) -> Result<(), RegistryError> {
    let fits = (1..=MAX_NAME).contains(&name.len()) && !name.chars().any(char::is_control);
    if fits { Ok(()) } else { Err(NotAnId(name.to_owned()).into()) }
}

impl Registry {
    /// Adds a member to a set. It stays in when somebody who has not heard of this removes it at the same time.
    pub fn add_member(&mut self, wall_ms: u64, set: &RecordKey, member: &str) -> Result<Vec<Change>, RegistryError> {
        check(set.id.as_str())?;
        check(member)?;
        let prefix = of_member(set, member);
        let before = self.additions(&prefix);
        let stamp = self.tick(wall_ms)?;
        let key = RecordKey::new(RecordKind::MEMBER, &format!("{prefix}{stamp}"))?;
        let mut changes =
            vec![self.write_at(Record { key, stamp, content: Content::Value(member.as_bytes().into()) })?];
        // The new addition says all that the old ones said.
        changes.extend(self.remove_all(wall_ms, before)?);
        Ok(changes)
    }

    /// Removes a member from a set: every addition of it that is known here.
    pub fn remove_member(&mut self, wall_ms: u64, set: &RecordKey, member: &str) -> Result<Vec<Change>, RegistryError> {
        let known = self.additions(&of_member(set, member));
        self.remove_all(wall_ms, known)
    }

    /// Who is in a set.
    pub fn members(&self, set: &RecordKey) -> BTreeSet<&str> {
        self.live(&of_set(set)).filter_map(|(_, value)| std::str::from_utf8(value).ok()).collect()
    }

    fn live<'a>(&'a self, prefix: &str) -> impl Iterator<Item = (&'a RecordKey, &'a [u8])> {
        let start = RecordKey::new(RecordKind::MEMBER, prefix).ok();
        let prefix = prefix.to_owned();
        start
            .into_iter()
            .flat_map(|start| self.records.range(start..))
            .take_while(move |(key, _)| key.kind == RecordKind::MEMBER && key.id.as_str().starts_with(&prefix))
            .filter_map(|(key, held)| Some((key, held.register.val.value()?)))
    }

    fn additions(&self, prefix: &str) -> Vec<RecordKey> {
        self.live(prefix).map(|(key, _)| key.clone()).collect()
    }

    fn remove_all(&mut self, wall_ms: u64, keys: Vec<RecordKey>) -> Result<Vec<Change>, RegistryError> {
        let mut changes = Vec::new();
        for key in keys {
            changes.extend(self.remove(wall_ms, key)?);
        }
        Ok(changes)
    }
}
