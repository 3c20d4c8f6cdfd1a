//! What may be used: so many units of something in every window of a kind.

use std::fmt;

use bincode::{Decode, Encode};

use super::window::WindowKind;

const ID_CONTEXT: &str = "peerway 2026-11-21 ledger allowance id v1";

/// What an allowance is counted in. Always whole numbers, so that shares and sums are exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit {
    /// Billionths of a US dollar.
    NanoUsd,
    /// Input and output tokens together.
    Tokens,
    /// Requests.
    Requests,
}

impl Unit {
    /// Its name in configuration, metrics and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Unit::NanoUsd => "nano_usd",
            Unit::Tokens => "tokens",
            Unit::Requests => "requests",
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// On whom an allowance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// A customer.
    Customer,
    /// A team.
    Team,
    /// A virtual key.
    Key,
    /// One provider as one virtual key may use it.
    ProviderConfig,
    /// What a provider grants us: its own quota.
    Upstream,
}

impl Tier {
    /// Its name in configuration, metrics and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Tier::Customer => "customer",
            Tier::Team => "team",
            Tier::Key => "key",
            Tier::ProviderConfig => "provider_config",
            Tier::Upstream => "upstream",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Names an allowance, alike on all nodes without a word between them.
///
/// The limit is no part of it: a changed limit is the same allowance, with what was spent of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct AllowanceId([u8; 16]);

impl AllowanceId {
    /// The id of the `ordinal`-th allowance with this unit and window that `owner` has in its tier.
    pub fn of(tier: Tier, owner: &str, unit: Unit, window: WindowKind, ordinal: u32) -> AllowanceId {
        let mut hasher = blake3::Hasher::new_derive_key(ID_CONTEXT);
        // The names of the enums hold no NUL and the owner comes last, so no two tuples give the same bytes.
        for part in [tier.as_str(), unit.as_str(), window.as_str()] {
            hasher.update(part.as_bytes());
            hasher.update(&[0]);
        }
        hasher.update(&ordinal.to_be_bytes());
        hasher.update(owner.as_bytes());
        let mut id = [0; 16];
        hasher.finalize_xof().fill(&mut id);
        AllowanceId(id)
    }

    /// An id that was sent or stored.
    pub const fn from_bytes(bytes: [u8; 16]) -> AllowanceId {
        AllowanceId(bytes)
    }

    /// Its bytes, to send or store.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for AllowanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for AllowanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AllowanceId({self})")
    }
}

/// So much of a unit in every window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Which one.
    pub id: AllowanceId,
    /// Counted in what.
    pub unit: Unit,
    /// How much of it in one window.
    pub limit: u64,
    /// In windows of this kind.
    pub window: WindowKind,
}

impl Allowance {
    /// The counter into which is settled what is reserved now. Nothing is ever reset: the next window is another counter.
    pub fn counter(&self, unix_seconds: i64) -> CounterId {
        CounterId { allowance: self.id, window_start: self.window.span(unix_seconds).start }
    }
}

/// One allowance in one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct CounterId {
    /// The allowance.
    pub allowance: AllowanceId,
    /// When the window begins, in unix seconds; `i64::MIN` for `forever`.
    pub window_start: i64,
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_part_of_the_name_makes_another_id() {
        let mut seen = HashSet::new();
        for tier in [Tier::Customer, Tier::Team, Tier::Key, Tier::ProviderConfig, Tier::Upstream] {
            for owner in ["", "a", "a\0", "b"] {
                for unit in [Unit::NanoUsd, Unit::Tokens, Unit::Requests] {
                    for &window in WindowKind::ALL {
                        for ordinal in [0, 1, 256] {
                            assert!(seen.insert(AllowanceId::of(tier, owner, unit, window, ordinal)));
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_counter_is_an_allowance_in_a_window() {
        let id = AllowanceId::from_bytes([7; 16]);
        let daily = Allowance { id, unit: Unit::NanoUsd, limit: 1, window: WindowKind::D1 };
        assert_eq!(daily.counter(86_400 * 3 + 5), CounterId { allowance: id, window_start: 86_400 * 3 });
        let forever = Allowance { window: WindowKind::Forever, ..daily };
        assert_eq!(forever.counter(5).window_start, i64::MIN);
    }
}
