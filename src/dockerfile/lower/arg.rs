//! `ARG name[=default] …`

use crate::ast::{ArgDeclaration, ArgInstruction};
use crate::lower::Lowered;
use crate::lower::stage_lowering::StageLowering;

/// Arguments that say something to the builder and nothing to commands.
const NOT_IN_ENVIRONMENT: [&str; 2] = ["BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"];

/// Tells whether an argument says something to the builder and nothing to commands.
pub(super) fn is_builders_own(name: &str) -> bool {
    NOT_IN_ENVIRONMENT.contains(&name)
}

pub(super) fn lower(stage: &mut StageLowering<'_>, arg: &ArgInstruction) -> Lowered {
    let mut shown = vec!["ARG".to_owned()];
    for declaration in &arg.declarations {
        let name = &declaration.name.value;
        let value = value(stage, declaration)?;
        shown.push(match &value {
            Some(value) => format!("{name}={value}"),
            None => name.clone(),
        });
        if let Some(value) = &value
            && !is_builders_own(name)
        {
            stage.state.variables.set(name, value);
        }
        stage.note_argument(declaration, value.as_deref());
        stage.state.arguments.push((name.clone(), value));
    }
    stage.state.record(shown.join(" "), true);
    Ok(())
}

/// Returns the value from outside, else the default, else that of the global argument of the name.
fn value(stage: &mut StageLowering<'_>, declaration: &ArgDeclaration) -> Lowered<Option<String>> {
    let name = &declaration.name.value;
    if let Some(given) = stage.plan.options.build_args.get(name) {
        return Ok(Some(given.clone()));
    }
    if let Some(default) = &declaration.default {
        return stage.text(default).map(Some);
    }
    let global = stage.platform.globals.get(name);
    Ok(global.map(str::to_owned))
}
