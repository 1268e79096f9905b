/// What an input tells of how its call will be answered, for the rules of a cache and of a
/// [`CoalesceLayer`](crate::CoalesceLayer).
///
/// # Example
///
/// ```
/// use tower_bedrock::InputFacts;
///
/// let mut facts = InputFacts::default();
/// assert!(!facts.is_repeatable());
/// facts.temperature = Some(0.0);
/// assert!(facts.is_repeatable());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct InputFacts {
    /// The temperature, if the input says one.
    pub temperature: Option<f32>,
    /// Whether the model is given tools.
    pub has_tools: bool,
    /// Whether the input points to something that may change behind it: an object in S3, a prompt of
    /// Prompt management, the draft of a guardrail.
    pub refers_elsewhere: bool,
}

impl InputFacts {
    /// Whether the same input may be expected to be answered the same: its temperature is said to be
    /// zero, it has no tools, and nothing that it says can change behind it. The default rule.
    #[must_use]
    pub fn is_repeatable(&self) -> bool {
        self.temperature == Some(0.0) && !self.has_tools && !self.refers_elsewhere
    }
}
