//! Which entries a full store keeps: hit rates of this crate's store beside other ways, over traces that are the same at
//! each run. `cargo run --release -p peerway-cache --example admission`

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a tool")]
#![allow(clippy::cast_precision_loss, reason = "counts of some hundred thousand requests")]

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use moka::policy::EvictionPolicy;
use peerway_cache::store::Store;
use peerway_cache::{Clock, Content, Entry, EntryId, NamespaceId, Recorded, TenantScope};

/// Ids that are asked for again and again.
const IDS: u64 = 20_000;
const REQUESTS: usize = 200_000;
/// Not counted: the store fills.
const WARM_UP: usize = REQUESTS / 6;
const LARGEST: usize = 1024 * 1024;
static ZEROS: [u8; LARGEST] = [0; LARGEST];

const TRACES: [&str; 14] = [
    "zipf 0.7",
    "zipf 0.9",
    "zipf 1.1",
    "zipf 0.7, half once",
    "zipf 0.9, half once",
    "zipf 1.1, half once",
    "zipf 0.9, then scans",
    "bursts",
    "zipf 0.9, bursts",
    "zipf 0.9 that shifts",
    "zipf 0.9, 1/80",
    "zipf 0.9, half once, 1/80",
    "zipf 0.9, sizes",
    "zipf 0.9, half once, sizes",
];

trait Keeps {
    fn get(&self, id: u64) -> bool;
    fn put(&self, id: u64, size: usize);
}

fn main() {
    println!("| trace | LRU | TinyLFU | quick_cache | **store** |\n|---|---|---|---|---|");
    for name in TRACES {
        let trace = trace(name);
        let size = |id| if name.contains("sizes") { size_of(id) } else { 4096 };
        let all: usize = (0..IDS).map(|rank| size(scatter(rank))).sum();
        let capacity = all as u64 / if name.contains("1/80") { 80 } else { 10 };
        let ways: [Box<dyn Keeps>; 4] = [
            Box::new(Moka::new(capacity, EvictionPolicy::lru())),
            Box::new(Moka::new(capacity, EvictionPolicy::tiny_lfu())),
            Box::new(Quick::new(capacity)),
            Box::new(Own(Store::new(capacity, LARGEST, None, Clock::new(|| 0)))),
        ];
        let rates: Vec<String> = ways.iter().map(|way| play(&trace, &**way, size)).collect();
        println!("| {name} | {} |", rates.join(" | "));
    }
}

#[derive(Default)]
struct Hits {
    hits: u64,
    of: u64,
}

impl Hits {
    fn add(&mut self, hit: bool, weight: u64) {
        self.of += weight;
        self.hits += if hit { weight } else { 0 };
    }

    fn percent(&self) -> String {
        format!("{:.1}", 100.0 * self.hits as f64 / self.of as f64)
    }
}

/// The share of hits; of later requests of a burst where there are bursts, and of bytes where sizes differ.
fn play(trace: &[Request], way: &dyn Keeps, size: impl Fn(u64) -> usize) -> String {
    let [mut all, mut later, mut bytes] = <[Hits; 3]>::default();
    for (at, request) in trace.iter().enumerate() {
        let size = size(request.id);
        let hit = way.get(request.id);
        if !hit {
            way.put(request.id, size);
        }
        if at >= WARM_UP {
            all.add(hit, 1);
            later.add(hit, u64::from(request.is_later));
            bytes.add(hit, size as u64);
        }
    }
    let more = if later.of > 0 {
        format!(" ({} of the later ones)", later.percent())
    } else if size(1) == size(2) {
        String::new()
    } else {
        format!(" ({} of the bytes)", bytes.percent())
    };
    all.percent() + &more
}

// === the traces ===

#[derive(Clone, Copy)]
struct Request {
    id: u64,
    /// Of a burst, and not its first one.
    is_later: bool,
}

struct Random(u64);

impl Random {
    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn scatter(number: u64) -> u64 {
    Random(number).next()
}

/// Log-normal around 3 KB.
fn size_of(id: u64) -> usize {
    let mut random = Random(id ^ 77);
    let normal = (0..12).map(|_| random.unit()).sum::<f64>() - 6.0;
    ((8.0 + 1.5 * normal).exp() as usize).clamp(600, LARGEST)
}

struct Zipf(Vec<f64>);

impl Zipf {
    fn new(exponent: f64) -> Zipf {
        let mut sum = 0.0;
        let mut sums = Vec::new();
        for rank in 1..=IDS {
            sum += (rank as f64).powf(-exponent);
            sums.push(sum);
        }
        Zipf(sums.into_iter().map(|upto| upto / sum).collect())
    }

    fn draw(&self, random: &mut Random) -> u64 {
        let at = random.unit();
        self.0.partition_point(|upto| *upto < at) as u64
    }
}

fn trace(name: &str) -> Vec<Request> {
    let mut random = Random(42);
    let zipf = Zipf::new(name.strip_prefix("zipf ").map_or(0.9, |rest| rest[..3].parse().unwrap()));
    let mut fresh = 1_000_000_000;
    // Later requests of bursts, by when they come.
    let mut due: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    let mut trace = Vec::with_capacity(REQUESTS);
    let mut now = 0;
    while trace.len() < REQUESTS {
        now += 1;
        let ask = |number: u64, is_later: bool| Request { id: scatter(number), is_later };
        trace.extend(due.remove(&now).into_iter().flatten().map(|number| ask(number, true)));
        let bursts = name == "bursts" || name.contains("bursts") && random.next().is_multiple_of(4);
        let once = name.contains("half once") && random.next().is_multiple_of(2)
            || name.contains("then scans") && now / 10_000 % 2 == 1;
        if bursts || once {
            fresh += 1;
            trace.push(ask(fresh, false));
        }
        if bursts {
            for _ in 0..3 {
                due.entry(now + 1 + random.next() % 600).or_default().push(fresh);
            }
        }
        if name != "bursts" && !once {
            let shift = if name.contains("shifts") { now / 40_000 * 5_000 } else { 0 };
            trace.push(ask(zipf.draw(&mut random) + shift, false));
        }
    }
    trace
}

// === the ways ===

struct Moka(moka::sync::Cache<u64, usize>);

impl Moka {
    fn new(capacity: u64, policy: EvictionPolicy) -> Moka {
        let table = moka::sync::Cache::builder().max_capacity(capacity).eviction_policy(policy);
        Moka(table.weigher(|_, size: &usize| u32::try_from(*size).unwrap()).build())
    }
}

impl Keeps for Moka {
    fn get(&self, id: u64) -> bool {
        self.0.get(&id).is_some()
    }

    fn put(&self, id: u64, size: usize) {
        self.0.insert(id, size);
        self.0.run_pending_tasks();
    }
}

#[derive(Clone)]
struct BySize;

impl quick_cache::Weighter<u64, usize> for BySize {
    fn weight(&self, _: &u64, size: &usize) -> u64 {
        *size as u64
    }
}

/// As it comes.
struct Quick(quick_cache::sync::Cache<u64, usize, BySize>);

impl Quick {
    fn new(capacity: u64) -> Quick {
        let options = quick_cache::OptionsBuilder::new()
            .shards(1)
            .weight_capacity(capacity)
            .estimated_items_capacity(capacity as usize / 4096)
            .build();
        Quick(quick_cache::sync::Cache::with_options(
            options.unwrap(),
            BySize,
            quick_cache::DefaultHashBuilder::default(),
            quick_cache::sync::DefaultLifecycle::default(),
        ))
    }
}

impl Keeps for Quick {
    fn get(&self, id: u64) -> bool {
        self.0.get(&id).is_some()
    }

    fn put(&self, id: u64, size: usize) {
        self.0.insert(id, size);
    }
}

struct Own(Store);

fn entry_id(id: u64) -> EntryId {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&id.to_le_bytes());
    bytes.into()
}

impl Keeps for Own {
    fn get(&self, id: u64) -> bool {
        self.0.get(&entry_id(id)).is_some()
    }

    fn put(&self, id: u64, size: usize) {
        let content = |body| Content {
            provider: String::new(),
            model: String::new(),
            usage: None,
            recorded: Recorded::Plain { body: Bytes::from_static(body) },
        };
        let mut entry = Entry {
            id: entry_id(id),
            namespace: NamespaceId::new(&[0; 32], &TenantScope::cluster(), ""),
            generation: 0,
            created_ms: 0,
            expires_ms: u64::MAX,
            content: content(&[]),
        };
        entry.content = content(&ZEROS[..size - entry.weight()]);
        self.0.put(Arc::new(entry));
    }
}
