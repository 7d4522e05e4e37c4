//! `ENV key=value …`

use crate::ast::EnvInstruction;
use crate::lower::Lowered;
use crate::lower::stage_lowering::StageLowering;

pub(super) fn lower(stage: &mut StageLowering<'_>, env: &EnvInstruction) -> Lowered {
    let names = stage.texts(env.pairs.iter().map(|pair| &pair.key))?;
    let values = stage.texts(env.pairs.iter().map(|pair| &pair.value))?;
    let mut shown = vec!["ENV".to_owned()];
    for (name, value) in names.iter().zip(&values) {
        stage.state.variables.set(name, value);
        stage.config().env_set(name, value);
        shown.push(format!("{name}={value}"));
    }
    stage.state.record(shown.join(" "), true);
    Ok(())
}
