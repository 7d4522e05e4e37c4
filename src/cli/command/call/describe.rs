//! `--call=subrequests.describe`

use serde_json::{Value, json};

use super::Saying;
use super::table::table;

/// What can be asked: the name after `frontend.`, what it is, and in which formats it is answered.
const QUESTIONS: [(&str, &str); 4] = [
    ("lint", "What the build checks find in a Dockerfile"),
    ("outline", "What can be given to a build of the target"),
    ("targets", "The stages that can be the target"),
    ("subrequests.describe", "What can be asked"),
];

/// The version of all of them.
const VERSION: &str = "1.0.0";

/// Makes the answer.
pub(super) fn answer() -> Saying {
    let mut rows = vec![["NAME", "VERSION", "DESCRIPTION"]];
    rows.extend(QUESTIONS.iter().map(|(name, what)| [*name, VERSION, *what]));
    let list = QUESTIONS.iter().map(|(name, what)| {
        json!({
            "Name": format!("frontend.{name}"),
            "Version": VERSION,
            "Type": "rpc",
            "Description": what,
            "Opts": null,
            "Metadata": [{"Name": "result.json"}, {"Name": "result.txt"}],
        })
    });
    Saying::good(table(&rows), list.collect::<Value>())
}
