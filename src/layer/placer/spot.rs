//! Where an object is put: its directory is there then, made if nobody has said anything of it.

use std::sync::Arc;

use rootfs::{File, FileKind, FsError, IdStorage, Owners, Root, RootPath};

use super::Placer;
use crate::change::Attributes;
use crate::finish::finish_file;
use crate::indexer::unsaid;
use crate::xattr;

/// A directory that objects are put into.
#[derive(Debug)]
pub(crate) struct Parent {
    /// Its path without symlinks.
    pub(crate) real: RootPath,
    pub(super) dir: Root,
}

/// Where an object is put.
#[derive(Debug, Clone)]
pub(crate) struct Spot {
    pub(super) parent: Arc<Parent>,
    /// The last component alone.
    pub(super) name: RootPath,
    /// The path without symlinks.
    pub(super) real: RootPath,
}

impl Placer<'_> {
    pub(super) fn spot(&mut self, path: &RootPath) -> Result<Spot, FsError> {
        let parent = self.parent(&path.parent().unwrap_or_default())?;
        let name = RootPath::root().child(path.file_name().unwrap_or_default())?;
        let real = parent.real.join(&name)?;
        Ok(Spot { parent, name, real })
    }

    /// Returns a directory, making it and those above it where they are missing.
    pub(super) fn parent(&mut self, path: &RootPath) -> Result<Arc<Parent>, FsError> {
        if let Some((last, parent)) = &self.last
            && last == path
        {
            return Ok(Arc::clone(parent));
        }
        let parent = Arc::new(match self.target.open_dir_direct(path)? {
            Some(dir) => Parent {
                real: path.clone(),
                dir,
            },
            None => self.implied_parent(path)?,
        });
        self.last = Some((path.clone(), Arc::clone(&parent)));
        Ok(parent)
    }

    fn implied_parent(&mut self, path: &RootPath) -> Result<Parent, FsError> {
        let real = self.target.resolve(path)?;
        for directory in real.ancestors().chain([real.clone()]) {
            match self.target.metadata(&directory)? {
                Some(found) if found.kind == FileKind::Directory => {}
                Some(found) if found.is_whiteout() => {
                    self.target.remove_file(&directory)?;
                    self.imply(&directory)?;
                    let inode = self.target.inode(&directory)?;
                    xattr::mark_opaque(&inode)?;
                }
                // Where it is something else, making it says so.
                _ => {
                    self.imply(&directory)?;
                    self.set_implied(&directory, true);
                }
            }
        }
        let dir = self.target.open_dir(&real)?;
        Ok(Parent { real, dir })
    }

    /// Makes a directory that nobody says anything of.
    fn imply(&mut self, path: &RootPath) -> Result<(), FsError> {
        self.target.mkdir(path)?;
        let inode = self.target.inode(path)?;
        self.finish_object(&inode, path, FileKind::Directory.into(), &unsaid())
    }
}

/// Puts a regular file, whose bytes `fill` writes, where nothing is.
pub(crate) fn put_file<E: From<FsError>>(
    spot: &Spot,
    attributes: &Attributes,
    ids: IdStorage,
    fill: impl FnOnce(&File) -> Result<(), E>,
) -> Result<(), E> {
    let file = spot.parent.dir.create_file(&spot.name)?;
    fill(&file)?;
    let mut owners = Owners::new(ids, rootfs::OwnerTable::default());
    Ok(finish_file(&mut owners, file, &spot.real, attributes)?)
}
