//! What this kernel can do, of what is used here: probed once, by trying it.
//!
//! | Feature | Since Linux | Without it |
//! | --- | --- | --- |
//! | `openat2`, `open_tree`, `fsopen`, `pidfd_open`, `close_range` | 5.9 | no sandbox |
//! | overlayfs in a user namespace with `userxattr` | 5.11 | copies of the files in place of overlays |
//! | `mount_setattr` | 5.12 | no sandbox |
//! | overlayfs with `lowerdir+` | 6.8 | all layers in one string, which limits their number |
//! | `open_tree` of a mount in no namespace | 6.15 | one namespace more for each part of one |
//! | Landlock's scopes of abstract sockets and signals | 6.12 | abstract sockets of the host can be reached |
//! | Landlock's right to truncate | 6.2 | no second wall around files |
//! | `binfmt_misc` in a user namespace | 6.7 | the host's handlers, if any |

use std::os::fd::AsFd as _;

use nix::errno::Errno;

use crate::landlock::{VERSION_WITH_SCOPES, VERSION_WITH_WRITING};
use crate::memory_directory;
use crate::sys::mount::{self, Depth, Setting};
use crate::sys::security;

/// What the kernel can do. Probed in the builder: some of it depends on the user namespace. By default nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KernelFeatures {
    /// overlayfs takes its layers one by one (`lowerdir+`).
    pub overlay_layer_by_layer: bool,
    /// Parts of a mount that is in no namespace can be mounts of their own.
    pub parts_of_detached_mounts: bool,
    /// Landlock can keep a sandbox from abstract sockets and processes outside of it.
    pub landlock_scopes: bool,
    /// Landlock can keep a sandbox from writing outside of its root.
    pub landlock_writing: bool,
}

impl KernelFeatures {
    /// Tries every feature.
    pub fn probe() -> Self {
        let landlock = security::landlock_version().unwrap_or(0);
        Self {
            overlay_layer_by_layer: has_layer_by_layer(),
            parts_of_detached_mounts: has_parts_of_detached_mounts(),
            landlock_scopes: landlock >= VERSION_WITH_SCOPES,
            landlock_writing: landlock >= VERSION_WITH_WRITING,
        }
    }
}

/// A kernel before 6.5 takes any parameter and complains in the end; 6.5 to 6.7 do not know this
/// one.
fn has_layer_by_layer() -> bool {
    let Ok(context) = mount::fsopen(c"overlay") else {
        return false;
    };
    let set = |setting| mount::fsconfig(context.as_fd(), setting).map_err(|error| error.errno());
    set(Setting::Flag(c"no-such-option")) == Err(Errno::EINVAL)
        && set(Setting::String(c"lowerdir+", c"/")).is_ok()
}

fn has_parts_of_detached_mounts() -> bool {
    memory_directory()
        .is_ok_and(|detached| mount::open_tree(detached.as_fd(), c"", Depth::Single).is_ok())
}
