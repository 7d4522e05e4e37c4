//! `LABEL key=value …`

use crate::ast::LabelInstruction;
use crate::lower::Lowered;
use crate::lower::stage_lowering::StageLowering;

pub(super) fn lower(stage: &mut StageLowering<'_>, label: &LabelInstruction) -> Lowered {
    let keys = stage.texts(label.pairs.iter().map(|pair| &pair.key))?;
    let values = stage.texts(label.pairs.iter().map(|pair| &pair.value))?;
    let mut shown = vec!["LABEL".to_owned()];
    for (key, value) in keys.into_iter().zip(values) {
        shown.push(format!("{key}={value}"));
        stage.config().labels.insert(key, value);
    }
    stage.state.record(shown.join(" "), true);
    Ok(())
}
