use graph::{DefinitionBuilder, ImageOrigin, ImageSource};
use oci::{DiffId, Digest, ImageConfig};

use super::*;
use crate::parse::parse;
use crate::source::SourceFile;

fn platforms(texts: &[&str]) -> Vec<Platform> {
    let host = Platform::new("linux", "amd64");
    texts
        .iter()
        .map(|text| Platform::parse(text, &host).unwrap())
        .collect()
}

fn plan(text: &str, targets: &[&str]) -> StagePlan {
    let parsed = parse(&SourceFile::new("Dockerfile", text));
    let options = PlanOptions::new(Platform::new("linux", "amd64"), platforms(targets));
    StagePlan::new(&parsed, options).unwrap()
}

fn base(request: &BaseRequest) -> ResolvedBase {
    let mut config = ImageConfig::new(&request.platform);
    config
        .rootfs
        .diff_ids
        .push(DiffId::new(Digest::of(request.name.as_bytes())));
    let source = ImageSource {
        name: request.name.clone(),
        manifest: Digest::of(request.platform.to_string().as_bytes()),
        platform: request.platform.clone(),
        origin: ImageOrigin::Store,
        pinned: None,
    };
    ResolvedBase { config, source }
}

fn asked(plan: &StagePlan) -> Vec<String> {
    let requests = plan.unresolved();
    requests
        .iter()
        .map(|request| format!("{} {}", request.name, request.platform))
        .collect()
}

#[test]
fn each_base_of_a_needed_stage_is_asked_for_once_and_in_the_order_of_the_file() {
    let text = "FROM z AS one\nFROM unused AS two\nFROM --platform=$BUILDPLATFORM b AS three\n\
                FROM z\nCOPY --from=three / /\nCOPY --from=image / /\nCOPY --from=one / /\n";
    let mut plan = plan(text, &["linux/amd64", "linux/arm64"]);
    assert_eq!(
        asked(&plan),
        [
            "z linux/amd64",
            "b linux/amd64",
            "image linux/amd64",
            "z linux/arm64",
            "image linux/arm64",
        ]
    );
    let first = plan.unresolved().remove(0);
    plan.resolve(&first, base(&first)).unwrap();
    assert_eq!(
        asked(&plan).first().map(String::as_str),
        Some("b linux/amd64")
    );
}

#[test]
fn an_image_named_in_an_unneeded_stage_is_never_asked_for() {
    let plan = plan(
        "FROM a AS one\nCOPY --from=b / /\nFROM scratch\n",
        &["linux/amd64"],
    );
    assert_eq!(asked(&plan), Vec::<String>::new());
}

#[test]
fn a_stage_on_the_build_platform_is_in_the_graph_once_for_all_targets() {
    let text = "FROM --platform=$BUILDPLATFORM tool AS build\nCOPY src /src\nRUN make\n\
                FROM scratch\nCOPY --from=build /out /\n";
    let targets = ["linux/amd64", "linux/arm64", "linux/riscv64"];
    let mut plan = plan(text, &targets);
    for request in plan.unresolved() {
        plan.resolve(&request, base(&request)).unwrap();
    }
    let mut graph = DefinitionBuilder::new();
    let targets = platforms(&targets);
    let lowered = targets.iter().map(|target| plan.lower(target, &mut graph));
    let roots: Vec<_> = lowered.map(|target| target.unwrap().root).collect();
    // The tool, the context, its copy, the command; and one copy for each target.
    assert_eq!(graph.finish().len(), 4 + targets.len());
    assert_eq!(roots.len(), targets.len());
}

#[test]
fn a_platform_that_was_not_planned_cannot_be_lowered() {
    let plan = plan("FROM scratch\n", &["linux/amd64"]);
    let other = Platform::new("linux", "arm64");
    let faults = plan
        .lower(&other, &mut DefinitionBuilder::new())
        .unwrap_err();
    let titles: Vec<&str> = faults.iter().map(|fault| fault.title.as_str()).collect();
    assert_eq!(
        titles,
        ["`linux/arm64` is not one of the platforms of this build"]
    );
}

#[test]
fn proxies_are_handed_over_apart_and_leave_no_trace() {
    let parsed = parse(&SourceFile::new(
        "Dockerfile",
        "FROM scratch\nRUN [\"/x\"]\n",
    ));
    let mut options =
        PlanOptions::new(Platform::new("linux", "amd64"), platforms(&["linux/amd64"]));
    options
        .build_args
        .insert("https_proxy".to_owned(), "http://secret@proxy".to_owned());
    let plan = StagePlan::new(&parsed, options).unwrap();
    assert_eq!(
        plan.untracked_env(),
        [
            "HTTPS_PROXY=http://secret@proxy",
            "https_proxy=http://secret@proxy"
        ]
    );
    let mut graph = DefinitionBuilder::new();
    let target = plan
        .lower(&Platform::new("linux", "amd64"), &mut graph)
        .unwrap();
    let shown = format!("{:?} {:?}", graph.finish(), target);
    assert!(!shown.contains("secret"), "{shown}");
}
