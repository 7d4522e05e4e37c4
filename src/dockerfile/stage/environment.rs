//! Variables in the order in which they were first set.

/// An ordered list of variables; each name is there once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Environment {
    variables: Vec<(String, String)>,
}

impl Environment {
    /// Reads `NAME=value` entries, as an image's configuration has them. A later one of the same name
    /// counts.
    pub(crate) fn from_entries(entries: &[String]) -> Self {
        let mut environment = Self::default();
        for entry in entries {
            let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
            environment.set(name, value);
        }
        environment
    }

    /// Returns what a variable holds.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.variables
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// Sets a variable; one that is there keeps its place.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        match self.variables.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => value.clone_into(old),
            None => self.variables.push((name.to_owned(), value.to_owned())),
        }
    }

    /// Returns the variables without one of them.
    pub(crate) fn without(&self, name: &str) -> Self {
        let mut environment = self.clone();
        environment.variables.retain(|(known, _)| known != name);
        environment
    }

    /// Returns the names in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.variables.iter().map(|(name, _)| name.as_str())
    }

    /// Returns `NAME=value` entries in order.
    pub(crate) fn to_entries(&self) -> Vec<String> {
        self.variables
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_is_set_again_keeps_its_place() {
        let entries = ["A=1", "B=2=3", "C", "A=4"].map(str::to_owned);
        let mut environment = Environment::from_entries(&entries);
        environment.set("B", "5");
        environment.set("D", "");
        assert_eq!(environment.to_entries(), ["A=4", "B=5", "C=", "D="]);
        assert_eq!(environment.get("C"), Some(""));
        assert_eq!(environment.get("E"), None);
    }
}
