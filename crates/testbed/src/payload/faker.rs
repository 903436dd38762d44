//! The source of believable values.

use fastrand::Rng;

const SERVICES: [&str; 6] = [
    "checkout", "cart", "payment", "catalog", "search", "gateway",
];
const PATHS: [&str; 6] = [
    "/api/orders",
    "/api/cart/items",
    "/api/pay",
    "/api/products",
    "/api/search",
    "/healthz",
];
const METHODS: [&str; 4] = ["GET", "POST", "PUT", "DELETE"];
const LEVELS: [&str; 5] = ["info", "info", "info", "warn", "error"];
const WORDS: [&str; 10] = [
    "request",
    "served",
    "from",
    "cache",
    "after",
    "retry",
    "upstream",
    "answered",
    "session",
    "refreshed",
];

/// Draws believable values from a seed; its clock advances by a millisecond with each record.
#[derive(Debug, Clone)]
pub struct Faker {
    rng: Rng,
    clock_ns: u64,
}

impl Faker {
    /// `start_ns` is the time of the first record in nanoseconds since the Unix epoch.
    #[must_use]
    pub fn new(seed: u64, start_ns: u64) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            clock_ns: start_ns,
        }
    }

    /// The time of the next record in nanoseconds since the Unix epoch.
    pub(crate) const fn tick_ns(&mut self) -> u64 {
        self.clock_ns += 1_000_000;
        self.clock_ns
    }

    /// The time of the next record in milliseconds since the Unix epoch.
    pub(crate) const fn tick_ms(&mut self) -> i64 {
        (self.tick_ns() / 1_000_000) as i64
    }

    /// A number below `limit`, which must not be 0.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.rng.u64(0..limit.max(1))
    }

    /// A float in `0.0..limit` with three decimals.
    pub(crate) fn float(&mut self, limit: u32) -> f64 {
        self.below(u64::from(limit) * 1000) as f64 / 1000.0
    }

    /// True once in `n` draws.
    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        self.rng.choice(from).copied().unwrap_or_default()
    }

    /// A service name.
    pub fn service(&mut self) -> &'static str {
        self.pick(&SERVICES)
    }

    /// An HTTP path.
    pub fn path(&mut self) -> &'static str {
        self.pick(&PATHS)
    }

    /// An HTTP method.
    pub(crate) fn method(&mut self) -> &'static str {
        self.pick(&METHODS)
    }

    /// An HTTP status, mostly 200.
    pub fn status(&mut self) -> u16 {
        *self
            .rng
            .choice(&[200, 200, 200, 200, 201, 204, 404, 500])
            .unwrap_or(&200)
    }

    /// A log level, mostly info.
    pub fn level(&mut self) -> &'static str {
        self.pick(&LEVELS)
    }

    /// A private IPv4 address.
    pub(crate) fn ip(&mut self) -> String {
        format!(
            "10.{}.{}.{}",
            self.below(256),
            self.below(256),
            self.below(254) + 1
        )
    }

    /// A host name.
    pub(crate) fn host(&mut self) -> String {
        format!("node-{:02}", self.below(40))
    }

    /// A sentence of `words` words.
    pub(crate) fn sentence(&mut self, words: usize) -> String {
        let mut text = String::with_capacity(words * 8);
        for n in 0..words {
            if n > 0 {
                text.push(' ');
            }
            text.push_str(self.pick(&WORDS));
        }
        text
    }

    /// Random bytes, for ids; never all zero.
    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.rng.fill(&mut bytes);
        if let Some(first) = bytes.first_mut() {
            *first |= 1;
        }
        bytes
    }

    /// `2 * N` lower-case hex digits.
    pub(crate) fn hex<const N: usize>(&mut self) -> String {
        hex(&self.bytes::<N>())
    }
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
    }
    text
}
