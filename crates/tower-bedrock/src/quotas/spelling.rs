//! Whether a name in Service Quotas and a model id mean the same model.

/// Words that names put before a model, and vendors before an id.
const VENDORS: &[&str] = &[
    "ai",
    "ai21",
    "amazon",
    "anthropic",
    "cohere",
    "deepseek",
    "google",
    "labs",
    "luma",
    "meta",
    "minimax",
    "mistral",
    "moonshot",
    "moonshotai",
    "nvidia",
    "openai",
    "qwen",
    "stability",
    "twelve",
    "twelvelabs",
    "writer",
    "xai",
    "z",
    "zai",
];

/// Models whose rows are named otherwise than their ids, as Service Quotas has them.
const NAMED_OTHERWISE: &[(&str, &str)] = &[
    ("amazon.rerank-v1:0", "Amazon Rerank 1.0"),
    (
        "amazon.titan-embed-g1-text-02",
        "Amazon Titan Text Embeddings",
    ),
    (
        "amazon.titan-embed-image-v1",
        "Amazon Titan Multimodal Embeddings G1",
    ),
    ("amazon.titan-embed-text-v1", "Amazon Titan Text Embeddings"),
    (
        "amazon.titan-embed-text-v2:0",
        "Amazon Titan Text Embeddings V2",
    ),
    ("cohere.embed-english-v3", "Cohere Embed English"),
    ("cohere.embed-multilingual-v3", "Cohere Embed Multilingual"),
    ("mistral.magistral-small-2509", "Magistral Small 1.2"),
    ("mistral.ministral-3-14b-instruct", "Ministral 14B 3.0"),
    ("mistral.ministral-3-3b-instruct", "Ministral 3B 3.0"),
    ("mistral.ministral-3-8b-instruct", "Ministral 8B 3.0"),
    ("mistral.mistral-large-2402-v1:0", "Mistral Large"),
    ("mistral.mistral-small-2402-v1:0", "Mistral Small"),
    ("mistral.voxtral-mini-3b-2507", "Voxtral Mini 1.0"),
    ("mistral.voxtral-small-24b-2507", "Voxtral Small 1.0"),
    ("nvidia.nemotron-nano-12b-v2", "Nemotron Nano 2 VL"),
    ("nvidia.nemotron-nano-9b-v2", "Nemotron Nano 2"),
    ("nvidia.nemotron-super-3-120b", "Nemotron 3 Super 120B A12B"),
    (
        "stability.sd3-5-large-v1:0",
        "Stability.ai Stable Diffusion 3.5 Large",
    ),
    ("twelvelabs.marengo-embed-2-7-v1:0", "Twelve Labs Marengo"),
    ("twelvelabs.pegasus-1-2-v1:0", "Twelve Labs Pegasus"),
];

/// A model as it is spelled: the words that tell it from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spelling {
    vendor: Option<String>,
    words: Vec<String>,
}

impl Spelling {
    /// Of a name such as `Anthropic Claude Sonnet 4.5 V1`.
    pub(super) fn of_name(name: &str) -> Self {
        Self::of_words(None, words(name), false)
    }

    /// Of a base model such as `anthropic.claude-sonnet-4-5-20250929-v1:0`.
    pub(super) fn of_base_model(id: &str) -> Self {
        if let Some((_, name)) = NAMED_OTHERWISE.iter().find(|(known, _)| *known == id) {
            return Self::of_name(name);
        }
        let (vendor, model) = id.split_once('.').unwrap_or(("", id));
        let vendor = (!vendor.is_empty()).then(|| vendor.to_ascii_lowercase());
        let (model, has_revision) = match model.split_once(':') {
            Some((model, _)) => (model, true),
            None => (model, false),
        };
        Self::of_words(vendor, words(model), has_revision)
    }

    fn of_words(vendor: Option<String>, mut words: Vec<String>, has_revision: bool) -> Self {
        // A model may be named after its vendor; one word at least is the model's own.
        let own = words
            .iter()
            .position(|word| !VENDORS.contains(&word.as_str()))
            .unwrap_or(words.len().saturating_sub(1));
        let named: Vec<_> = words.drain(..own).collect();
        let is_date = |word: &String| word.len() == 8 && word.bytes().all(|b| b.is_ascii_digit());
        words.retain(|word| !is_date(word));
        // The first version goes without saying; `gpt-oss-120b-1:0` leaves even the letter out.
        let is_first =
            |word: &String| matches!(word.as_str(), "v1" | "v0") || has_revision && word == "1";
        if words.len() > 1 && words.last().is_some_and(is_first) {
            words.pop();
        }
        for word in &mut words {
            if let Some(version) = word.strip_prefix('v')
                && !version.is_empty()
                && version.bytes().all(|b| b.is_ascii_digit())
            {
                *word = version.to_owned();
            }
        }
        Self {
            vendor: vendor.or_else(|| named.into_iter().next()),
            words,
        }
    }

    /// How well a name in Service Quotas fits this model: `None` if it means another.
    pub(super) fn fit(&self, name: &Self) -> Option<Fit> {
        if let (Some(own), Some(other)) = (&self.vendor, &name.vendor)
            && !own.starts_with(other.as_str())
            && !other.starts_with(own.as_str())
        {
            return None;
        }
        let wanted = name.words.concat();
        if wanted.is_empty() {
            return None;
        }
        let mut begun = String::new();
        for (index, word) in self.words.iter().enumerate() {
            begun.push_str(word);
            if begun == wanted {
                let rest = &self.words[index + 1..];
                return match rest {
                    [] => Some(Fit::Whole),
                    rest if rest.iter().all(|word| tells_nothing(word)) => Some(Fit::Beginning),
                    _ => None,
                };
            }
        }
        None
    }
}

/// How a name fits an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// Word for word.
    Whole,
    /// The id goes on with its size and kind, which the name leaves out.
    Beginning,
}

/// Sizes and kinds of a model: never what tells two generations apart.
fn tells_nothing(word: &str) -> bool {
    let size = word
        .strip_suffix('b')
        .map(|size| size.strip_prefix('a').unwrap_or(size));
    matches!(word, "instruct" | "it")
        || size.is_some_and(|size| !size.is_empty() && size.bytes().all(|b| b.is_ascii_digit()))
}

fn words(text: &str) -> Vec<String> {
    text.split(|char: char| !char.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect()
}
