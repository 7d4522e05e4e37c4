//! `LegacyKeyValueFormat`: `ENV name value`.

use crate::ast::{Instruction, Pair, PairForm};
use crate::check::{Rule, Site};

/// Finds pairs without `=`.
pub(crate) fn legacy_key_value(
    instruction: &Instruction,
    pairs: &[Pair],
    form: PairForm,
    at: &mut Site<'_>,
) {
    let (PairForm::Legacy, [pair, ..]) = (form, pairs) else {
        return;
    };
    let name = &instruction.keyword.value;
    let detail = format!(
        "\"{name} key=value\" should be used instead of legacy \"{name} key value\" format"
    );
    let span = pair.key.span.to(pair.value.span);
    at.find(Rule::LegacyKeyValueFormat, detail, span);
}
