//! A file system that is only looked at.

use std::sync::Arc;

use layer::{Attributes, DiffError};
use rootfs::{FsError, Metadata, Owners, ResolvedUser, Root, RootPath, UserError};

/// A stack as one file system that is only looked at.
pub(crate) struct View {
    root: Option<Arc<Root>>,
    owners: Owners,
}

impl View {
    /// Makes a view; without a root it is of the empty file system.
    pub(crate) fn new(root: Option<Arc<Root>>, owners: Owners) -> Self {
        Self { root, owners }
    }

    /// Makes a view of one directory of the store.
    pub(crate) fn of_directory(root: Arc<Root>, owners: Owners) -> Self {
        Self::new(Some(root), owners)
    }

    /// Returns the file system and how the ids of the image are held; none if it is empty.
    pub(crate) fn into_parts(self) -> Option<(Arc<Root>, Owners)> {
        self.root.map(|root| (root, self.owners))
    }

    /// Returns the file system; none if it is empty.
    pub(crate) fn root(&self) -> Option<&Arc<Root>> {
        self.root.as_ref()
    }

    /// Returns how the ids of the image are held.
    pub(crate) fn owners(&self) -> &Owners {
        &self.owners
    }

    /// Returns what is at a path; the last component is not followed.
    pub(crate) fn metadata(&self, path: &RootPath) -> Result<Option<Metadata>, FsError> {
        self.root
            .as_ref()
            .map_or(Ok(None), |root| root.metadata(path))
    }

    /// Follows the symbolic links of a path, as far as it exists.
    pub(crate) fn resolve(&self, path: &RootPath) -> Result<RootPath, FsError> {
        self.root
            .as_ref()
            .map_or_else(|| Ok(path.clone()), |root| root.resolve(path))
    }

    /// Returns the attributes of a directory; none if there is no directory at the path.
    pub(crate) fn directory(&self, path: &RootPath) -> Result<Option<Attributes>, DiffError> {
        let Some(root) = &self.root else {
            return Ok(None);
        };
        layer::directory_attributes(root, path, &self.owners)
    }

    /// Looks a user up in the image's own tables.
    pub(crate) fn resolve_user(&self, user: &str) -> Result<ResolvedUser, UserError> {
        match &self.root {
            Some(root) => rootfs::resolve_user(root, user),
            None => rootfs::resolve_user_without_tables(user),
        }
    }
}
