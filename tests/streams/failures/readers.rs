//! Readers that leave.

use bedrock_sim::RecordingEnd;

use super::{BEGUN, CLAUDE_BEGUN, CLAUDE_HELLO};
use crate::{
    outcome::End::Left,
    recordings::{begun, claude_begun},
    row::{Charge::Estimated, Row},
};

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row::new(
            "a client that leaves half way, and a slot that never comes back",
            "BerriAI/litellm#27955",
            "everything that the call held is given back",
        )
        .plays(begun().end(RecordingEnd::Stall))
        .read_until("text:Hel")
        .gives(&BEGUN[..2], Left)
        .costs(&[Estimated { output: 1 }]),
        Row::new(
            "usage that is lost when the client leaves",
            "BerriAI/litellm#14457",
            "an estimate of what was generated until then",
        )
        .plays(begun().end(RecordingEnd::Stall))
        .read_until("text:lo")
        .gives(BEGUN, Left)
        .costs(&[Estimated { output: 2 }]),
        Row::new(
            "an interrupted answer of a model that tells its input at the start",
            "BerriAI/litellm PR#37734",
            "the input that the service told, and the output that came",
        )
        .of_claude()
        .plays(claude_begun().end(RecordingEnd::Stall))
        .read_until("content_block_delta:lo")
        .gives(CLAUDE_BEGUN, Left)
        .costs(&[CLAUDE_HELLO]),
    ]
}
