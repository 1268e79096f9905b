//! OpenTelemetry's names for what calls are about (BEDROCK.md §6.2).

use crate::call::Operation;

/// The operation as the conventions name it, or in snake case where they have no name for it.
pub(crate) const fn operation_name(operation: Operation) -> &'static str {
    match operation {
        Operation::Converse | Operation::ConverseStream => "chat",
        Operation::InvokeModel | Operation::InvokeModelWithResponseStream => "invoke_model",
        Operation::CountTokens => "count_tokens",
        Operation::ApplyGuardrail => "apply_guardrail",
        Operation::Other(name) => name,
    }
}
