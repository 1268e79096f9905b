use std::{fmt, sync::Arc};

use super::InputFacts;
use crate::call::CallContext;

/// Which calls a layer is about that say nothing of it themselves.
#[derive(Clone, Default)]
pub(crate) enum CallRule {
    /// Those that may be expected to be answered the same.
    #[default]
    Repeatable,
    Never,
    Own(Arc<Rule>),
}

type Rule = dyn Fn(&CallContext, &InputFacts) -> bool + Send + Sync;

impl CallRule {
    pub(crate) fn own<F>(rule: F) -> Self
    where
        F: Fn(&CallContext, &InputFacts) -> bool + Send + Sync + 'static,
    {
        Self::Own(Arc::new(rule))
    }

    /// Whether the layer is about `call`. Its input is looked at only if it has to be.
    pub(crate) fn allows(&self, call: &CallContext, facts: impl FnOnce() -> InputFacts) -> bool {
        match self {
            Self::Repeatable => facts().is_repeatable(),
            Self::Never => false,
            Self::Own(rule) => rule(call, &facts()),
        }
    }
}

impl fmt::Debug for CallRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Repeatable => "Repeatable",
            Self::Never => "Never",
            Self::Own(_) => "Own",
        })
    }
}
