//! What a virtual key's requests are charged to: its own budgets and limits, its team's, its customer's, and those on
//! single providers.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use peerway_cluster::ledger::allowance::{Allowance, AllowanceId, Tier, Unit};
use peerway_cluster::ledger::hot::{Hold, Part, Slot};
use peerway_cluster::ledger::reservation::{Denial, MAX_CHARGES};

use super::Account;
use super::access::{Cap, VirtualKey};

/// Whose budgets and limits these are.
#[derive(Debug, Clone, Copy)]
pub struct Owner<'a> {
    pub tier: Tier,
    pub name: &'a str,
    pub caps: &'a [Cap],
}

impl Owner<'_> {
    pub fn allowances(&self) -> impl Iterator<Item = Allowance> + '_ {
        self.caps.iter().map(|cap| {
            let id = AllowanceId::of(self.tier, self.name, cap.unit, cap.window, 0);
            Allowance { id, unit: cap.unit, limit: cap.limit, window: cap.window }
        })
    }
}

impl Owner<'_> {
    /// Tells the ledger of them.
    pub(super) fn charges(&self, ledger: &dyn Reserve) -> Box<[Charge]> {
        let owner: Arc<str> = self.name.into();
        let charge = |allowance| Charge { slot: ledger.slot(allowance), tier: self.tier, owner: Arc::clone(&owner) };
        self.allowances().map(charge).collect()
    }
}

/// The name of one provider as one key may use it.
pub fn provider_config(key: &str, provider: &str) -> String {
    format!("{key}/{provider}")
}

pub type Granting<'a> = Pin<Box<dyn Future<Output = Result<Hold, Denial>> + Send + 'a>>;

/// The ledger, as far as requests need it.
pub trait Reserve: fmt::Debug + Send + Sync {
    /// The slot of an allowance: the same for the same id, with the limit that was named last.
    fn slot(&self, allowance: Allowance) -> Arc<Slot>;

    /// All parts or nothing. Takes a while only if something must be asked for.
    fn hold<'a>(&'a self, parts: &'a [Part<'a>]) -> Granting<'a>;

    /// Why nothing can be granted yet, if the ledger has not begun.
    fn not_ready(&self) -> Option<String>;
}

/// One allowance that a key's requests are charged to.
#[derive(Debug, Clone)]
pub struct Charge {
    pub slot: Arc<Slot>,
    pub tier: Tier,
    pub owner: Arc<str>,
}

impl Charge {
    pub fn unit(&self) -> Unit {
        self.slot.allowance().unit
    }
}

/// All that a key's requests are charged to.
#[derive(Debug, Default)]
pub struct Charges {
    /// By every request.
    always: Box<[Charge]>,
    /// By requests to one provider, by its name.
    at: Box<[AtProvider]>,
}

#[derive(Debug)]
struct AtProvider {
    provider: Arc<str>,
    charges: Box<[Charge]>,
}

impl Charges {
    /// From the widest tier to the narrowest.
    pub fn compile(key: &VirtualKey, ledger: &dyn Reserve) -> Self {
        let owners = [
            key.customer.as_ref().map(|it| Owner { tier: Tier::Customer, name: &it.id, caps: &it.caps }),
            key.team.as_ref().map(|it| Owner { tier: Tier::Team, name: &it.id, caps: &it.caps }),
            Some(Owner { tier: Tier::Key, name: &key.id, caps: &key.caps }),
        ];
        let at = key.providers.iter().map(|it| {
            let name = provider_config(&key.id, &it.provider);
            let owner = Owner { tier: Tier::ProviderConfig, name: &name, caps: &it.caps };
            AtProvider { provider: Arc::clone(&it.provider), charges: owner.charges(ledger) }
        });
        Self {
            always: owners.into_iter().flatten().flat_map(|owner| owner.charges(ledger)).collect(),
            at: at.filter(|at| !at.charges.is_empty()).collect(),
        }
    }

    /// Nothing limits the key.
    pub fn is_empty(&self) -> bool {
        self.always.is_empty() && self.at.is_empty()
    }

    pub fn always(&self) -> &[Charge] {
        &self.always
    }

    /// The key's own: not its team's or customer's.
    pub fn own(&self) -> impl Iterator<Item = &Charge> {
        let own = self.always.iter().filter(|charge| charge.tier == Tier::Key);
        own.chain(self.at.iter().flat_map(|at| at.charges.iter()))
    }

    /// What requests to this provider are charged to besides.
    pub fn at(&self, provider: &str) -> &[Charge] {
        self.at.iter().find(|at| *at.provider == *provider).map_or(&[], |at| &at.charges)
    }

    /// Whether money spent at this provider is counted.
    pub fn has_budget(&self, provider: &str) -> bool {
        self.always.iter().chain(self.at(provider)).any(|charge| charge.unit() == Unit::NanoUsd)
    }

    /// How many allowances a request to one provider takes from, at most; a reservation holds [`MAX_CHARGES`].
    pub fn most(&self) -> usize {
        self.always.len() + self.at.iter().map(|at| at.charges.len()).max().unwrap_or(0)
    }

    /// More than a reservation holds.
    pub fn is_too_many(&self) -> bool {
        self.most() > MAX_CHARGES
    }
}

/// So much of each unit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amounts {
    pub nano_usd: u64,
    pub tokens: u64,
    pub requests: u64,
}

impl Amounts {
    pub fn of(&self, unit: Unit) -> u64 {
        match unit {
            Unit::NanoUsd => self.nano_usd,
            Unit::Tokens => self.tokens,
            Unit::Requests => self.requests,
        }
    }

    /// What this account has come to: a request for each attempt, whatever became of it.
    pub fn spent(account: &Account) -> Self {
        let (prompt_tokens, completion_tokens) = account.tokens().unwrap_or_default();
        Self {
            nano_usd: account.known_cost().get(),
            tokens: prompt_tokens.saturating_add(completion_tokens),
            requests: account.sent().into(),
        }
    }

    /// What has come since then.
    pub fn since(&self, before: &Self) -> Self {
        Self {
            nano_usd: self.nano_usd.saturating_sub(before.nano_usd),
            tokens: self.tokens.saturating_sub(before.tokens),
            requests: self.requests.saturating_sub(before.requests),
        }
    }
}

/// What was taken for a request, in the order in which it settles.
#[derive(Debug)]
pub struct Reserved {
    hold: Hold,
    units: Box<[Unit]>,
}

impl Reserved {
    /// `hold` holds these charges, in this order.
    pub fn new(hold: Hold, charges: &[Charge]) -> Self {
        Self { hold, units: charges.iter().map(Charge::unit).collect() }
    }

    /// The request has come to its end, and cost this.
    pub fn settle(self, spent: &Amounts) {
        if spent.requests == 0 {
            // Nothing was sent.
            return self.hold.release();
        }
        // However often it was tried, it is one request.
        let spent = Amounts { requests: 1, ..*spent };
        let actual: Vec<u64> = self.units.iter().map(|unit| spent.of(*unit)).collect();
        self.hold.settle(&actual);
    }

    /// Whether it depends on what was used, and not only on how often.
    pub fn counts_usage(&self) -> bool {
        self.units.iter().any(|unit| *unit != Unit::Requests)
    }

    /// Nothing was sent.
    pub fn release(self) {
        self.hold.release();
    }
}
