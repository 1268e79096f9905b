//! Tower layers for Amazon Bedrock.
mod model_id;
pub use model_id::{InvalidModelId, ModelId, ModelIdKind, ProfilePrefix, QuotaPath, Residency};
