//! Lines of the CLI's stream-json protocol, as measured on version 2.1.330. One JSON object per line, both ways.

mod decode;
mod encode;
mod json;
#[cfg(test)]
mod tests;

pub(super) use decode::decode;
pub(super) use encode::{answer, end, hello, interrupt, is_prompt, mode, prompt};
