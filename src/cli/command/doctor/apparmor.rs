//! The profile of AppArmor that lets this program make user namespaces where they are restricted to programs that have one.
//!
//! Since 23.10, Ubuntu takes every capability away in a user namespace that a program without a profile makes
//! (`kernel.apparmor_restrict_unprivileged_userns`). A profile that confines nothing and has the rule `userns` gives the
//! program what it had before, as the distribution's own do (apparmor.d(5), "Userns Rules"). It is installed by the
//! machine's owner alone.

use std::path::Path;

/// Returns the profile for the program at `path`; `None` where no profile can name it.
pub(super) fn profile(path: &Path) -> Option<String> {
    let path = attachment(path.to_str()?)?;
    Some(format!(
        "# Lets careen make user namespaces where kernel.apparmor_restrict_unprivileged_userns is 1.\n\
         # It confines nothing. Install it with:\n\
         #   careen doctor --apparmor-profile | sudo tee /etc/apparmor.d/careen >/dev/null\n\
         #   sudo apparmor_parser --replace /etc/apparmor.d/careen\n\
         abi <abi/4.0>,\n\
         include <tunables/global>\n\
         \n\
         profile careen \"{path}\" flags=(unconfined) {{\n  \
           userns,\n\
         \n  \
           include if exists <local/careen>\n\
         }}\n"
    ))
}

/// Writes a path so that nothing in it is a pattern (apparmor.d(5), "Globbing"); `None` for one that is no single line.
fn attachment(path: &str) -> Option<String> {
    let mut text = String::new();
    for character in path.chars() {
        if character.is_control() {
            return None;
        }
        if "\\\"?*[]{}^@,".contains(character) {
            text.push('\\');
        }
        text.push(character);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_names_the_program_and_allows_user_namespaces() {
        let text = profile(Path::new("/usr/local/bin/careen")).unwrap();
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let expected = [
            "abi <abi/4.0>,",
            "include <tunables/global>",
            "",
            "profile careen \"/usr/local/bin/careen\" flags=(unconfined) {",
            "  userns,",
            "",
            "  include if exists <local/careen>",
            "}",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_path_is_no_pattern() {
        let cases = [
            ("/opt/a b/careen", Some("/opt/a b/careen")),
            ("/opt/{a}*/careen", Some("/opt/\\{a\\}\\*/careen")),
            ("/opt/\"/careen", Some("/opt/\\\"/careen")),
            ("/opt/a\nb/careen", None),
        ];
        for (path, expected) in cases {
            assert_eq!(attachment(path).as_deref(), expected, "{path:?}");
        }
    }
}
