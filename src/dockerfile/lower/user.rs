//! `USER user[:group]`

use crate::ast::Word;
use crate::lower::Lowered;
use crate::lower::stage_lowering::StageLowering;

/// Keeps the text as it is: names are looked up in the image where they are used.
pub(super) fn lower(stage: &mut StageLowering<'_>, user: &Word) -> Lowered {
    let user = stage.text(user)?;
    stage.state.record(format!("USER {user}"), true);
    stage.config().user = Some(user).filter(|user| !user.is_empty());
    Ok(())
}
