//! Paths of images for Windows, as `BuildKit` takes them: by their text alone, with `/` between their parts
//! until they are written into the configuration.
//!
//! | Written | Taken as |
//! | --- | --- |
//! | `C:\app\bin`, `c:/app/bin`, `\app\bin` | `/app/bin` |
//! | `C:bin`, `bin` | `bin`, below the working directory |
//! | `C:`, `D:\app`, `\\server\share` | refused |

/// The directory of a Windows layer that holds what a container sees as `C:\`.
pub(super) const FILES: &str = "/Files";

/// Why a path cannot be one of an image for Windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum WindowsPathError {
    /// A drive and nothing else.
    #[error("names a drive and no path")]
    DriveAlone,
    /// Another drive than `C:`.
    #[error("is not on the drive `C:`, the only one of an image")]
    OtherDrive,
    /// A path of the network, or of devices.
    #[error("is a UNC path, which no image has")]
    Unc,
}

/// Returns a path with `/` between its parts and without its drive; a relative one stays relative.
///
/// # Errors
///
/// Fails when it is not on the drive `C:`.
pub(super) fn without_drive(path: &str) -> Result<String, WindowsPathError> {
    let path = to_slashes(path);
    if path.starts_with("//") {
        return Err(WindowsPathError::Unc);
    }
    let Some((drive, rest)) = path.split_once(':') else {
        return Ok(path);
    };
    if rest.is_empty() && drive.len() == 1 {
        return Err(WindowsPathError::DriveAlone);
    }
    if !drive.eq_ignore_ascii_case("c") {
        return Err(WindowsPathError::OtherDrive);
    }
    Ok(rest.to_owned())
}

/// Returns the path with `/` between its parts.
pub(super) fn to_slashes(path: &str) -> String {
    path.replace('\\', "/")
}

/// Returns the path as Windows has it; containers refuse a working directory with slashes.
pub(super) fn to_backslashes(path: &str) -> String {
    path.replace('/', "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_loses_its_drive() {
        for (path, expected) in [
            (r"C:\app\bin", Ok("/app/bin")),
            ("c:/app/", Ok("/app/")),
            (r"\app\bin", Ok("/app/bin")),
            (r"C:bin\x", Ok("bin/x")),
            (r"bin\x", Ok("bin/x")),
            ("/app", Ok("/app")),
            ("", Ok("")),
            ("C:", Err(WindowsPathError::DriveAlone)),
            (r"D:\app", Err(WindowsPathError::OtherDrive)),
            (r"\\server\share", Err(WindowsPathError::Unc)),
            (r"\\.\C:\x", Err(WindowsPathError::Unc)),
        ] {
            let found = without_drive(path);
            assert_eq!(found, expected.map(str::to_owned), "{path}");
        }
    }
}
