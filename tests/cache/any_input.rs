//! Inputs of any make: those that are sent the same share an answer, and no others.

use std::collections::HashMap;

use aws_sdk_bedrockruntime::{
    operation::converse::ConverseInput,
    primitives::Blob,
    types::{
        ContentBlock, DocumentFormat, ImageSource, InferenceConfiguration, Message,
        SystemContentBlock, Tool,
    },
};
use aws_smithy_types::{Document, Number};
use proptest::prelude::*;

use super::inputs::{attempts, document, image, said, tool_use, tools};

fn any_document() -> impl Strategy<Value = Document> {
    let leaf = prop_oneof![
        Just(Document::Null),
        any::<bool>().prop_map(Document::Bool),
        any::<u64>().prop_map(|number| Document::Number(Number::PosInt(number))),
        (i64::MIN..0).prop_map(|number| Document::Number(Number::NegInt(number))),
        // Numbers that are not equal to themselves are in no JSON.
        (-1e9..1e9).prop_map(|number| Document::Number(Number::Float(number))),
        Just(Document::Number(Number::Float(-0.0))),
        Just(Document::Number(Number::Float(0.0))),
        "[a-c]{0,3}".prop_map(Document::String),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Document::Array),
            prop::collection::hash_map("[a-c]{0,2}", inner, 0..4).prop_map(Document::Object),
        ]
    })
}

fn any_block() -> impl Strategy<Value = ContentBlock> {
    prop_oneof![
        "[a-c]{0,3}".prop_map(ContentBlock::Text),
        prop::collection::vec(any::<u8>(), 0..3)
            .prop_map(|bytes| image(ImageSource::Bytes(Blob::new(bytes)))),
        any_document().prop_map(tool_use),
        Just(document(DocumentFormat::Txt)),
    ]
}

prop_compose! {
    fn any_input()(
        blocks in prop::collection::vec(any_block(), 1..4),
        system in prop::option::of("[a-c]{0,2}"),
        temperature in prop::option::of(prop_oneof![Just(0.0_f32), Just(-0.0), Just(1.0)]),
        fields in prop::option::of(any_document()),
        metadata in prop::option::of(prop::collection::hash_map("[ab]", "[ab]", 0..3)),
        schema in prop::option::of(any_document()),
    ) -> ConverseInput {
        let mut input = ConverseInput::builder()
            .model_id("amazon.nova-lite-v1:0")
            .set_messages(Some(blocks.into_iter().flat_map(said).collect()))
            .inference_config(InferenceConfiguration::builder().set_temperature(temperature).build())
            .set_additional_model_request_fields(fields)
            .set_request_metadata(metadata)
            .set_tool_config(schema.map(tools))
            .build()
            .unwrap();
        input.system = system.map(|text| vec![SystemContentBlock::Text(text)]);
        input
    }
}

/// The same document, with its fields in another order.
fn built_anew(document: Document) -> Document {
    match document {
        Document::Object(fields) => {
            let fields = fields.into_iter();
            Document::Object(
                fields
                    .map(|(name, value)| (name, built_anew(value)))
                    .collect(),
            )
        }
        Document::Array(items) => Document::Array(items.into_iter().map(built_anew).collect()),
        other => other,
    }
}

/// What is sent of a document, with its fields in order.
fn written(document: &Document) -> String {
    match document {
        Document::Object(fields) => {
            let mut fields: Vec<_> = fields
                .iter()
                .map(|(name, value)| format!("{name:?}:{}", written(value)))
                .collect();
            fields.sort();
            format!("{{{}}}", fields.join(","))
        }
        Document::Array(items) => {
            let items: Vec<_> = items.iter().map(written).collect();
            format!("[{}]", items.join(","))
        }
        // As it is written tells the sign of zero, and the kind of number.
        other => format!("{other:?}"),
    }
}

/// What is sent of an input, in another way than by the equality that is put to the test.
fn sent(input: &ConverseInput) -> String {
    let blocks = input.messages().iter().flat_map(Message::content);
    let blocks: Vec<_> = blocks
        .map(|block| match block {
            ContentBlock::ToolUse(tool) => format!("tool {}", written(tool.input())),
            other => format!("{other:?}"),
        })
        .collect();
    let schema = input.tool_config().map(|tools| match tools.tools() {
        [Tool::ToolSpec(tool)] => written(tool.input_schema().unwrap().as_json().unwrap()),
        _ => unreachable!("each has one tool"),
    });
    let mut metadata: Vec<_> = input.request_metadata().into_iter().flatten().collect();
    metadata.sort();
    let fields = input.additional_model_request_fields().map(written);
    let temperature = input.inference_config().map(|config| config.temperature());
    let has_metadata = input.request_metadata().is_some();
    format!(
        "{blocks:?} {:?} {temperature:?} {fields:?} {has_metadata} {metadata:?} {schema:?}",
        input.system()
    )
}

proptest! {
    /// Of any two inputs, those that are sent the same share, and no others; built anew, an input is still
    /// the same, whatever order the fields of its objects come in.
    #[test]
    fn inputs_share_if_they_are_sent_the_same(one in any_input(), other in any_input()) {
        let again = |input: &ConverseInput| {
            let mut again = input.clone();
            // A map with another seed, and so another order.
            let anew = |fields: HashMap<String, String>| fields.into_iter().collect();
            again.request_metadata = again.request_metadata.map(anew);
            let fields = &mut again.additional_model_request_fields;
            *fields = fields.take().map(built_anew);
            again
        };
        let is_same = sent(&one) == sent(&other);
        let seen = attempts([one.clone(), again(&one), other.clone(), again(&other)]);
        let second = u32::from(!is_same);
        prop_assert_eq!(seen, vec![0, 0, second, second]);
    }
}
