//! The law: what changed, packed and unpacked again, makes of the tree before what it was afterwards.
//!
//! ```text
//!  a ──changes──► b            b is looked at
//!  │              └─► upper ──pack──► blob ──unpack──► layer
//!  ├──────────── overlay of layer and a ─────────────► is b
//!  ├──────────── layer laid onto a copy of a ────────► is b
//!  └──────────── a and layer merged into one ────────► is b
//! ```

use std::cell::Cell;
use std::collections::BTreeSet;
use std::error::Error;
use std::ffi::OsStr;
use std::fs;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use layer::{
    ApplyOptions, Baseline, ChangeKind, DecoderRoom, Limits, NodeKind, PackOptions, TarOptions,
    TimePrecision, Times, TreeForm, diff_upper, flatten, lay, pack, unpack,
};
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};
use rootfs::{IdStorage, OwnerTable, Owners, Root};
use runtime::userns::IdMap;
use runtime::{ExecutorMode, KernelFeatures, OverlayOptions, Upper, mount_overlay};

use crate::change::{Change, changes, make};
use crate::tree::{Names, facts};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How many trees are tried, where the environment says nothing.
const CASES: u32 = 64;

/// Where changes become an upper directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seam {
    /// They are made in an overlay: the kernel writes it.
    Overlay,
    /// They are made in place, in a copy of what was there: `Baseline` finds them.
    InPlace,
}

impl Seam {
    pub(crate) const ALL: [Self; 2] = [Self::Overlay, Self::InPlace];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Overlay => "overlay",
            Self::InPlace => "in-place",
        }
    }

    pub(crate) fn of_word(word: &OsStr) -> Option<Self> {
        Self::ALL.into_iter().find(|seam| seam.word() == word)
    }

    /// Returns the law as the name of a test.
    pub(crate) fn law(self) -> &'static str {
        match self {
            Self::Overlay => "changes_of_an_overlay_applied_again_make_the_same_tree",
            Self::InPlace => "changes_in_place_applied_again_make_the_same_tree",
        }
    }
}

/// Where trees are made, and what with.
pub(crate) struct Ground {
    directory: PathBuf,
    ids: IdStorage,
    features: KernelFeatures,
    seen: Seen,
}

/// How often the layers said each of the things that the law is about.
#[derive(Debug, Default)]
struct Seen {
    gone: Cell<u32>,
    opaque: Cell<u32>,
    links: Cell<u32>,
    attributes: Cell<u32>,
    holes: Cell<u32>,
    files: Cell<u32>,
}

impl Ground {
    pub(crate) fn new(directory: &Path, ids: IdMap, features: KernelFeatures) -> Self {
        let storage = match ids.mode() {
            ExecutorMode::UsernsMulti | ExecutorMode::Chroot => IdStorage::Shifted {
                by: ids.container_root().0,
                count: ids.count(),
            },
            ExecutorMode::UsernsSingle | ExecutorMode::Nothing => IdStorage::Recorded,
        };
        Self {
            directory: directory.to_owned(),
            ids: storage,
            features,
            seen: Seen::default(),
        }
    }

    /// Removes what a case left: files of ids that only the builder has.
    pub(crate) fn clear(&self) -> Result<()> {
        for entry in fs::read_dir(&self.directory)? {
            fs::remove_dir_all(entry?.path())?;
        }
        Ok(())
    }

    /// Makes an empty directory.
    fn place(&self, name: &str) -> Result<Arc<Root>> {
        let path = self.directory.join(name);
        fs::create_dir(&path)?;
        Ok(Arc::new(Root::open(&path)?))
    }

    fn owners(&self) -> Owners {
        Owners::new(self.ids, OwnerTable::default())
    }

    /// Returns what an overlay of two directories is.
    fn shown(&self, above: &Root, below: &Root, owners: &Owners) -> Result<[Vec<String>; 2]> {
        let lowers = [above.as_fd(), below.as_fd()];
        let view = mount_overlay(&lowers, None, OverlayOptions::default(), &self.features)?;
        let view = Root::from_fd(view, "/");
        Ok([
            facts(&view, owners, Names::Told)?,
            facts(&view, owners, Names::Alike)?,
        ])
    }

    /// Makes the changes in an overlay over `a`, and returns what that is then.
    ///
    /// While it is there, two names of one file can have two numbers: that of the file below is kept for a name that it had
    /// (overlayfs.rst, "Inode properties"). So second names are told by looking once more.
    fn change_overlay(&self, a: &Root, upper: &Root, changes: &[Change]) -> Result<Vec<String>> {
        let work = self.place("work")?;
        let writable = Upper {
            upper: upper.as_fd(),
            work: work.as_fd(),
        };
        let options = OverlayOptions { volatile: true };
        let mount = mount_overlay(&[a.as_fd()], Some(writable), options, &self.features)?;
        let merged = Root::from_fd(mount, "/");
        make(&merged, changes, self.ids);
        let alike = facts(&merged, &self.owners(), Names::Alike)?;
        drop(merged);
        let [told, again] = self.shown(upper, a, &self.owners())?;
        same("as the kernel wrote it", &again, &alike)?;
        Ok(told)
    }

    /// Makes the changes in a copy of `a`, and returns what that is then.
    fn change_in_place(
        &self,
        a: &Arc<Root>,
        upper: &Root,
        changes: &[Change],
    ) -> Result<Vec<String>> {
        let (tree, clock) = (self.place("tree")?, self.place("clock")?);
        lay(a, &tree, TreeForm::Stored)?;
        let before = Baseline::record(&tree, &clock)?;
        make(&tree, changes, self.ids);
        let below = [Arc::clone(a)];
        let form = (tree.as_ref(), TreeForm::Stored);
        before.extract(form, &BTreeSet::new(), (&below, upper))?;
        facts(&tree, &self.owners(), Names::Told)
    }

    /// Packs an upper directory, exactly.
    fn packed(upper: &Arc<Root>, owners: Owners) -> Result<Vec<u8>> {
        let diff = diff_upper(Arc::clone(upper), owners)?;
        let options = PackOptions {
            tar: TarOptions {
                precision: TimePrecision::Nanoseconds,
                times: Times::Kept,
            },
            ..PackOptions::default()
        };
        let mut blob = Vec::new();
        pack(diff, &options, &mut blob)?;
        Ok(blob)
    }

    /// Unpacks a layer, and returns it with the owners that a directory cannot hold.
    fn unpacked(&self, blob: &[u8]) -> Result<(Arc<Root>, Owners)> {
        let place = self.place("layer")?;
        let options = ApplyOptions {
            ids: self.ids,
            limits: Limits::default(),
        };
        let (applied, _) = unpack(blob, &DecoderRoom::default(), &place, &options)?;
        if !applied.unsettled.is_empty() {
            return Err(format!("a layer of ours is not whole: {:?}", applied.unsettled).into());
        }
        Ok((place, Owners::new(self.ids, applied.owners)))
    }

    /// Counts what a layer says.
    fn note(&self, upper: &Arc<Root>) -> Result<()> {
        let more = |count: &Cell<u32>, is_so: bool| count.set(count.get() + u32::from(is_so));
        for change in diff_upper(Arc::clone(upper), self.owners())? {
            let change = change?;
            let ChangeKind::Put(node) = &change.kind else {
                more(&self.seen.gone, true);
                continue;
            };
            more(&self.seen.attributes, !node.attributes.xattrs.is_empty());
            match &node.kind {
                NodeKind::Directory { opaque } => more(&self.seen.opaque, *opaque),
                NodeKind::HardLink { .. } => more(&self.seen.links, true),
                NodeKind::File { size, .. } => {
                    let found = upper.metadata(&change.path)?.ok_or("a file is gone")?;
                    more(&self.seen.holes, found.allocated_bytes < *size);
                    more(&self.seen.files, true);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Fails where trees that should have had everything lacked something: then the law was not tried.
    fn is_tried(&self, cases: u32) -> Result<()> {
        let seen = &self.seen;
        let counts = [
            &seen.gone,
            &seen.opaque,
            &seen.links,
            &seen.attributes,
            &seen.holes,
            &seen.files,
        ];
        let least = cases / 20;
        if counts.iter().any(|count| count.get() < least) {
            return Err(format!("{cases} cases had too little of something: {seen:?}").into());
        }
        Ok(())
    }
}

/// Looks whether the law holds, for as many cases as `PROPTEST_CASES` says.
#[expect(
    clippy::disallowed_methods,
    reason = "a test is told by its environment"
)]
pub(crate) fn holds(ground: &Ground, seam: Seam) -> Result<()> {
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    let usual = Config::default();
    let config = Config {
        cases: if asked { usual.cases } else { CASES },
        failure_persistence: None,
        ..usual
    };
    let cases = config.cases;
    let mut runner = TestRunner::new(config);
    let random = (changes(40), changes(40));
    let tried = runner.run(&random, |(before, after)| {
        let checked = check(ground, seam, &before, &after);
        let cleared = ground.clear();
        checked
            .and(cleared)
            .map_err(|error| TestCaseError::fail(crate::chain(error.as_ref())))
    });
    match tried {
        Ok(()) => ground.is_tried(cases),
        Err(TestError::Fail(reason, (before, after))) => {
            let lines = |changes: &[Change]| {
                let lines = changes
                    .iter()
                    .map(|(path, step)| format!("  {path} {step:?}"));
                lines.collect::<Vec<_>>().join("\n")
            };
            let (before, after) = (lines(&before), lines(&after));
            Err(format!("{reason}\nof\n{before}\nchanged by\n{after}").into())
        }
        Err(error) => Err(error.into()),
    }
}

fn check(ground: &Ground, seam: Seam, before: &[Change], after: &[Change]) -> Result<()> {
    let (a, upper) = (ground.place("a")?, ground.place("upper")?);
    make(&a, before, ground.ids);
    let b = match seam {
        Seam::Overlay => ground.change_overlay(&a, &upper, after)?,
        Seam::InPlace => ground.change_in_place(&a, &upper, after)?,
    };
    ground.note(&upper)?;
    let blob = Ground::packed(&upper, ground.owners())?;
    let (layer, owners) = ground.unpacked(&blob)?;

    let [shown, _] = ground.shown(&layer, &a, &owners)?;
    same("over a", &shown, &b)?;
    let laid = ground.place("laid")?;
    lay(&a, &laid, TreeForm::Stored)?;
    lay(&layer, &laid, TreeForm::Stored)?;
    same("laid onto a", &facts(&laid, &owners, Names::Told)?, &b)?;
    let merged = ground.place("merged")?;
    flatten(&[Arc::clone(&a), Arc::clone(&layer)], &merged)?;
    same("merged with a", &facts(&merged, &owners, Names::Told)?, &b)?;
    if Ground::packed(&layer, owners)? != blob {
        return Err("the layer packed again has other bytes".into());
    }
    Ok(())
}

fn same(what: &str, found: &[String], expected: &[String]) -> Result<()> {
    let (found, expected): (BTreeSet<_>, BTreeSet<_>) =
        (found.iter().collect(), expected.iter().collect());
    if found == expected {
        return Ok(());
    }
    let only = |ours: &BTreeSet<&String>, theirs| {
        let lines = ours.difference(theirs).map(|line| line.as_str());
        lines.collect::<Vec<_>>().join("\n  ")
    };
    Err(format!(
        "the layer {what} shows\n  {}\nand not\n  {}",
        only(&found, &expected),
        only(&expected, &found)
    )
    .into())
}
