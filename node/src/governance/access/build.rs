//! From the two layers to what the request path looks at.
//!
//! What did not change is taken over from before, so a changed key costs a walk over the names and not the making of all.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use peerway_cluster::registry::{Record, RecordKind, Snapshot};

use super::base::{Base, FileKey};
use super::cap::caps;
use super::overlay::{Layered, Source, layered};
use super::record::{Recorded, UnreadableRecord};
use super::virtual_key::{Customer, KeyProvider, Origin, Team, VirtualKey};
use super::{Access, Hidden, Unreadable};
use crate::config;
use crate::provider::Pattern;

pub(super) fn build(base: &Base, snapshot: &Snapshot, before: Option<&Access>) -> Access {
    let mut builder = Builder { snapshot, before, unreadable: Vec::new(), hidden: Vec::new() };
    let customers = builder.customers(base);
    let teams = builder.teams(base, &customers);
    let keys = builder.keys(base, &teams);
    let mut by_hash = HashMap::with_capacity(keys.len());
    for key in keys.values() {
        if let Some(hash) = key.hash {
            // Of two keys with one value, which are refused where they are made, the first name has it on all nodes.
            by_hash.entry(hash).or_insert_with(|| Arc::clone(key));
        }
    }
    let Builder { unreadable, hidden, .. } = builder;
    Access {
        by_hash,
        keys,
        teams,
        customers,
        unreadable,
        hidden,
        providers: Arc::clone(&base.providers),
        hasher: base.hasher,
        number: snapshot.number,
        charges: OnceLock::new(),
    }
}

struct Builder<'a> {
    snapshot: &'a Snapshot,
    before: Option<&'a Access>,
    unreadable: Vec<Unreadable>,
    hidden: Vec<Hidden>,
}

impl<'a> Builder<'a> {
    fn customers(&mut self, base: &'a Base) -> BTreeMap<Arc<str>, Arc<Customer>> {
        let mut made = Vec::new();
        for entry in layered(&base.customers, self.snapshot, RecordKind::CUSTOMER) {
            let Some(Part { id, source, origin }) = self.part(RecordKind::CUSTOMER, entry, |file| file) else {
                continue;
            };
            let before = self.before.and_then(|before| before.customers.get(&*id));
            if let Some(before) = before.filter(|it| it.source == source && origin.made(&it.origin)) {
                made.push((id, Arc::clone(before)));
                continue;
            }
            let Some(definition) = self.readable(RecordKind::CUSTOMER, &id, origin.definition(&id)) else { continue };
            let caps = caps(&definition.budgets, &definition.limits);
            let Some(caps) = self.readable(RecordKind::CUSTOMER, &id, caps) else { continue };
            let customer = Customer { id: Arc::clone(&id), caps, definition, source, origin: origin.owned() };
            made.push((id, Arc::new(customer)));
        }
        made.into_iter().collect()
    }

    fn teams(
        &mut self,
        base: &'a Base,
        customers: &BTreeMap<Arc<str>, Arc<Customer>>,
    ) -> BTreeMap<Arc<str>, Arc<Team>> {
        let mut made = Vec::new();
        for entry in layered(&base.teams, self.snapshot, RecordKind::TEAM) {
            let Some(Part { id, source, origin }) = self.part(RecordKind::TEAM, entry, |file| file) else {
                continue;
            };
            let before = self.before.and_then(|before| before.teams.get(&*id));
            if let Some(before) = before.filter(|it| {
                let name = it.definition.customer.as_deref();
                it.source == source
                    && origin.made(&it.origin)
                    && same(it.customer.as_ref(), name.and_then(|name| customers.get(name)))
            }) {
                made.push((id, Arc::clone(before)));
                continue;
            }
            let Some(definition) = self.readable(RecordKind::TEAM, &id, origin.definition(&id)) else { continue };
            let caps = caps(&definition.budgets, &definition.limits);
            let Some(caps) = self.readable(RecordKind::TEAM, &id, caps) else { continue };
            let customer = definition.customer.as_deref().and_then(|name| customers.get(name)).cloned();
            let orphan = definition.customer.is_some() && customer.is_none();
            let origin = origin.owned();
            made.push((Arc::clone(&id), Arc::new(Team { id, customer, caps, definition, source, orphan, origin })));
        }
        made.into_iter().collect()
    }

    fn keys(&mut self, base: &'a Base, teams: &BTreeMap<Arc<str>, Arc<Team>>) -> BTreeMap<Arc<str>, Arc<VirtualKey>> {
        let mut made = Vec::new();
        for entry in layered(&base.keys, self.snapshot, RecordKind::KEY) {
            let below = match &entry {
                Layered::File(_, file) | Layered::Record { file: Some(file), .. } => file.hash,
                _ => None,
            };
            let Some(Part { id, source, origin }) =
                self.part(RecordKind::KEY, entry, |file: &FileKey| &file.definition)
            else {
                continue;
            };
            let before = self.before.and_then(|before| before.keys.get(&*id));
            if let Some(before) = before.filter(|it| {
                let name = it.definition.team.as_deref();
                it.source == source
                    && origin.made(&it.origin)
                    && same(it.team.as_ref(), name.and_then(|name| teams.get(name)))
                    && (it.definition.hash.is_some() || it.hash == below)
            }) {
                made.push((id, Arc::clone(before)));
                continue;
            }
            let Some(definition) = self.readable(RecordKind::KEY, &id, origin.definition(&id)) else { continue };
            let hash = match definition.hash.as_deref().map(str::parse) {
                None => below,
                Some(Ok(hash)) => Some(hash),
                Some(Err(error)) => {
                    self.unreadable(RecordKind::KEY, &id, &error);
                    continue;
                }
            };
            let made_key = virtual_key(&id, definition, source, hash, teams, origin.owned());
            let Some(key) = self.readable(RecordKind::KEY, &id, made_key) else { continue };
            made.push((id, Arc::new(key)));
        }
        made.into_iter().collect()
    }

    /// What holds under a name; none when it was removed.
    fn part<F, T>(
        &mut self,
        kind: RecordKind,
        entry: Layered<'a, F>,
        definition_of: impl Fn(&'a F) -> &'a Arc<T>,
    ) -> Option<Part<'a, T>> {
        let (id, source, origin) = match entry {
            Layered::Hidden(id, _) => {
                self.hidden.push(Hidden { kind, id: Arc::clone(id) });
                return None;
            }
            Layered::File(id, file) => (Arc::clone(id), Source::File, OriginRef::File(definition_of(file))),
            Layered::Record { id, record, value, file } => {
                let source = if file.is_some() { Source::Both } else { Source::Registry };
                (Arc::from(id), source, OriginRef::Record(record, value))
            }
        };
        Some(Part { id, source, origin })
    }

    fn readable<T, E: std::fmt::Display>(&mut self, kind: RecordKind, id: &str, read: Result<T, E>) -> Option<T> {
        read.map_err(|error| self.unreadable(kind, id, &error)).ok()
    }

    fn unreadable(&mut self, kind: RecordKind, id: &str, reason: &dyn std::fmt::Display) {
        self.unreadable.push(Unreadable { kind, id: id.into(), reason: reason.to_string() });
    }
}

struct Part<'a, T> {
    id: Arc<str>,
    source: Source,
    origin: OriginRef<'a, T>,
}

enum OriginRef<'a, T> {
    File(&'a Arc<T>),
    Record(&'a Arc<Record>, &'a [u8]),
}

impl<T> Clone for OriginRef<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for OriginRef<'_, T> {}

impl<T: Recorded> OriginRef<'_, T> {
    fn definition(self, id: &str) -> Result<Arc<T>, UnreadableRecord> {
        match self {
            OriginRef::File(definition) => Ok(Arc::clone(definition)),
            OriginRef::Record(_, value) => T::read(id, value).map(Arc::new),
        }
    }

    fn made(self, origin: &Origin<T>) -> bool {
        match self {
            OriginRef::File(definition) => origin.is_file(definition),
            OriginRef::Record(record, _) => origin.is_record(record),
        }
    }

    fn owned(self) -> Origin<T> {
        match self {
            OriginRef::File(definition) => Origin::File(Arc::clone(definition)),
            OriginRef::Record(record, _) => Origin::Record(Arc::clone(record)),
        }
    }
}

fn same<T>(one: Option<&Arc<T>>, other: Option<&Arc<T>>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        _ => false,
    }
}

fn virtual_key(
    id: &Arc<str>,
    definition: Arc<config::VirtualKey>,
    source: Source,
    hash: Option<super::KeyHash>,
    teams: &BTreeMap<Arc<str>, Arc<Team>>,
    origin: Origin<config::VirtualKey>,
) -> Result<VirtualKey, super::cap::UnknownCap> {
    let team = definition.team.as_deref().and_then(|name| teams.get(name)).cloned();
    let orphan = match &team {
        Some(team) => team.orphan,
        None => definition.team.is_some(),
    };
    let providers = definition.providers.iter().map(|provider| {
        Ok(KeyProvider {
            provider: provider.provider.as_str().into(),
            weight: provider.weight,
            caps: caps(&provider.budgets, &provider.limits)?,
        })
    });
    Ok(VirtualKey {
        id: Arc::clone(id),
        customer: team.as_ref().and_then(|team| team.customer.clone()),
        team,
        models: definition.models.iter().map(Pattern::new).collect(),
        caps: caps(&definition.budgets, &definition.limits)?,
        providers: providers.collect::<Result<_, _>>()?,
        max_concurrent: definition.max_concurrent,
        enabled: definition.enabled,
        expires_at: definition.expires_at.map(config::Moment::unix),
        source,
        hash,
        orphan,
        origin,
        charges: OnceLock::new(),
        definition,
    })
}
