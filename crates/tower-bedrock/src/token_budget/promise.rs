//! How much of its line a tenant is promised.

/// A share of all.
const WHOLE: u64 = 1 << 32;

/// The tokens in a tenant's line that were promised to go with what goes, as of its last joiner.
///
/// A promise is kept by whatever goes, whoever it is for: what others take of the tenant's part, since
/// they came after its calls and go before them, is as good as gone for those who join.
#[derive(Debug, Default)]
pub(super) struct Promise {
    tokens: u64,
    /// What had gone before, of all together.
    since: u64,
    /// How much of what goes is the tenant's own if nobody else comes, of [`WHOLE`].
    share: u64,
}

impl Promise {
    /// When so much has `gone`, `own` tokens are promised to go with the next `all`.
    pub(super) fn new(own: u64, all: u64, gone: u64) -> Self {
        Self {
            tokens: own,
            since: gone,
            share: part(WHOLE, own, all),
        }
    }

    /// What is still to be kept of it when so much has `gone`.
    pub(super) fn left(&self, gone: u64) -> u64 {
        let gone = gone.saturating_sub(self.since);
        self.tokens.saturating_sub(part(gone, self.share, WHOLE))
    }
}

/// As much of `whole` as `some` is of `all`; all of it where there is none.
pub(super) fn part(whole: u64, some: u64, all: u64) -> u64 {
    if all == 0 {
        return whole;
    }
    let part = u128::from(whole) * u128::from(some) / u128::from(all);
    u64::try_from(part).unwrap_or(whole)
}
