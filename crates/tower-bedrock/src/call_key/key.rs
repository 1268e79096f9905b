use std::{
    any::Any,
    fmt,
    hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState},
    ptr,
    sync::Arc,
};

use super::InputFacts;
use crate::{
    call::{BedrockRequest, FallbackOverride, Operation, Request},
    route::{Region, Route},
};

/// A request whose input can be compared with that of another.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be told apart from other calls by its input",
    note = "caches and coalescing work on `Request<Op>`, where `Op` is an input of the SDK or has `KeyedInput`",
    note = "what is installed inside of the SDK (`sdk::install`) sees written requests, not inputs: leave `.cache(…)` and `.coalesce(…)` out of its layers"
)]
pub trait KeyedRequest: BedrockRequest {
    /// The input.
    type Input: KeyedInput;

    /// The input, which the request shares with its clones.
    fn shared_input(&self) -> &Arc<Self::Input>;
}

/// An input of which two can be compared: they are the same call if they are equal.
///
/// Implemented for the SDK's own input types. Equality is theirs: all fields, whatever they mean to the
/// service.
///
/// # Example
///
/// ```
/// use std::hash::{Hash, Hasher};
/// use tower_bedrock::{InputFacts, KeyedInput};
///
/// #[derive(PartialEq)]
/// struct Question {
///     text: String,
///     temperature: f32,
/// }
///
/// impl KeyedInput for Question {
///     fn hash_content<H: Hasher>(&self, state: &mut H) {
///         self.text.hash(state);
///     }
///
///     fn facts(&self) -> InputFacts {
///         let mut facts = InputFacts::default();
///         facts.temperature = Some(self.temperature);
///         facts
///     }
/// }
/// ```
pub trait KeyedInput: PartialEq + Send + Sync + 'static {
    /// Feeds what tells one input from most others: its texts and bytes. What is not fed is compared,
    /// and what is fed counts as what the input weighs in memory.
    ///
    /// Inputs that feed differently are never the same, even if they are equal.
    fn hash_content<H: Hasher>(&self, state: &mut H);

    /// What the input tells of how it will be answered; by default nothing, so that no rule takes it
    /// for [repeatable](InputFacts::is_repeatable).
    fn facts(&self) -> InputFacts {
        InputFacts::default()
    }
}

impl<Op: KeyedInput> KeyedRequest for Request<Op> {
    type Input = Op;

    fn shared_input(&self) -> &Arc<Op> {
        self.shared()
    }
}

/// For services in the place of Bedrock: calls that say nothing say the same.
impl KeyedInput for () {
    fn hash_content<H: Hasher>(&self, _: &mut H) {}
}

/// A call, as far as its answer depends on it. Clones share the input.
///
/// A hash only says where to look: equality decides. `Debug` shows nothing of the input.
#[derive(Clone)]
pub(crate) struct CallKey {
    hash: u64,
    bytes: usize,
    operation: Operation,
    route: Route,
    max_output: Option<u32>,
    fallback: FallbackOverride,
    tenant: Option<Arc<str>>,
    input: Arc<dyn Input>,
}

/// An input without its type.
trait Input: Any + Send + Sync {
    fn equals(&self, other: &dyn Input) -> bool;
}

impl<T: KeyedInput> Input for T {
    fn equals(&self, other: &dyn Input) -> bool {
        let other: &dyn Any = other;
        other.downcast_ref::<T>() == Some(self)
    }
}

/// What makes keys, and what they have in common.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys {
    hasher: RandomState,
    pub(crate) home: Option<Region>,
    /// Whether calls of different tenants may be the same.
    pub(crate) across_tenants: bool,
}

impl Keys {
    /// The key of `request`. Reads its input once; does not allocate.
    pub(crate) fn of<R: KeyedRequest>(&self, request: &R) -> CallKey {
        let call = request.context();
        let input = request.shared_input();
        let mut route = call.route.clone();
        if route.region.is_none() {
            route.region.clone_from(&self.home);
        }
        let tenant = call.tenant.clone().filter(|_| !self.across_tenants);

        let mut state = Counted::new(self.hasher.build_hasher());
        input.hash_content(&mut state);
        let bytes = state.bytes();
        (call.operation, &route, &tenant, call.tokens.max_output).hash(&mut state);
        CallKey {
            hash: state.finish(),
            bytes,
            operation: call.operation,
            route,
            max_output: call.tokens.max_output,
            fallback: call.fallback,
            tenant,
            input: Arc::<R::Input>::clone(input),
        }
    }
}

impl CallKey {
    /// About how many bytes the input holds.
    #[cfg(feature = "cache")]
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Hash for CallKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// What differs by its hash differs: floats that are equal and are not written the same, as 0 and -0.
/// An input is the same as itself, even with a number in it that is equal to none.
impl PartialEq for CallKey {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
            && self.operation == other.operation
            && self.route == other.route
            && self.max_output == other.max_output
            && self.fallback == other.fallback
            && self.tenant == other.tenant
            && (ptr::addr_eq(Arc::as_ptr(&self.input), Arc::as_ptr(&other.input))
                || self.input.equals(&*other.input))
    }
}

impl Eq for CallKey {}

impl fmt::Debug for CallKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallKey")
            .field("operation", &self.operation)
            .field("route", &self.route)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

/// A hasher that knows how much it was fed.
struct Counted {
    hasher: DefaultHasher,
    bytes: usize,
}

impl Counted {
    const fn new(hasher: DefaultHasher) -> Self {
        Self { hasher, bytes: 0 }
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Hasher for Counted {
    fn write(&mut self, bytes: &[u8]) {
        self.bytes = self.bytes.saturating_add(bytes.len());
        self.hasher.write(bytes);
    }

    fn finish(&self) -> u64 {
        self.hasher.finish()
    }
}
