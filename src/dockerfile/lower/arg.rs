//! `ARG name[=default] …`

use crate::ast::{ArgDeclaration, ArgInstruction};
use crate::lower::Lowered;
use crate::lower::stage_lowering::StageLowering;
use crate::stage::argument_value;

/// Arguments that say something to the builder and nothing to commands.
const NOT_IN_ENVIRONMENT: [&str; 2] = ["BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"];

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
            && !NOT_IN_ENVIRONMENT.contains(&name.as_str())
        {
            stage.state.variables.set(name, value);
        }
        stage.state.arguments.push((name.clone(), value));
    }
    stage.state.record(shown.join(" "), true);
    Ok(())
}

/// Returns the value from outside, else the default, else that of the global argument of the name.
fn value(stage: &StageLowering<'_>, declaration: &ArgDeclaration) -> Lowered<Option<String>> {
    let plan = stage.plan;
    let visible = &stage.state.variables;
    let own = argument_value(
        declaration,
        &plan.options.build_args,
        visible,
        plan.ast.escape,
    )?;
    let global = || {
        stage
            .platform
            .globals
            .get(&declaration.name.value)
            .map(str::to_owned)
    };
    Ok(own.or_else(global))
}
