//! `telexctl conversations`.

use super::list;
use crate::ctl::{
    Ctl, exit,
    failure::Failure,
    look::{self, Cell, Column, Look, elastic, numbers},
    values::{Dict, Fields as _},
};

const COLUMNS: &[Column] = &[
    numbers("ID"),
    elastic("NAME", 8),
    numbers("CHAT"),
    numbers("QUEUED"),
    elastic("RUN", 8),
    elastic("LAST USED", 9),
];

pub(super) async fn run(ctl: &mut Ctl<'_>) -> Result<u8, Failure> {
    let conversations = list(&ctl.bus().await?, "ListConversations").await?;
    let text = if ctl.look.json {
        ctl.look.as_json(&conversations)
    } else {
        table(&ctl.look, &conversations)
    };
    ctl.say(&text)?;
    Ok(exit::OK)
}

fn table(look: &Look, conversations: &[Dict]) -> String {
    let rows: Vec<Vec<Cell>> = conversations
        .iter()
        .map(|c| {
            let chat = match (c.number("chat"), c.number("thread")) {
                (Some(chat), Some(thread)) if thread != 0 => format!("{chat}/{thread}"),
                (Some(chat), _) => chat.to_string(),
                (None, _) => String::new(),
            };
            vec![
                Cell::number(c.number("id")),
                c.text("name").into(),
                chat.into(),
                Cell::number(c.number("queued")),
                c.text("run").into(),
                look.age(c.moment("last_used")).into(),
            ]
        })
        .collect();
    look::table(look, COLUMNS, &rows, "Nobody has written yet.")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_topic_is_told_with_its_chat() {
        let shown = |value: serde_json::Value| {
            table(&Look::default(), &[value.as_object().cloned().unwrap()])
        };
        assert!(shown(json!({"id": 1, "chat": -1005, "thread": 7})).contains(" -1005/7 "));
        assert!(
            shown(json!({"id": 1, "chat": 5, "thread": 0, "queued": 2}))
                .contains("     5       2  ")
        );
    }
}
