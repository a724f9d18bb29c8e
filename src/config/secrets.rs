//! What a client passes at `initialize`: values by the names of the variables that they stand for. In memory only.

use std::collections::BTreeMap;
use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// Values by name. Printed, it shows the names.
#[derive(Clone, Default)]
pub struct Secrets(BTreeMap<String, SecretString>);

impl Secrets {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What `name` stands for, without blanks around it; an empty value counts as none.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.expose_secret().trim()).filter(|value| !value.is_empty())
    }

    /// All values but those of these names, without blanks around them.
    pub(super) fn values<'a>(&'a self, but: &'a [&str]) -> impl Iterator<Item = SecretString> + 'a {
        let secret = self.0.keys().filter(|name| !but.contains(&name.as_str()));
        secret.filter_map(|name| self.get(name)).map(SecretString::from)
    }
}

impl FromIterator<(String, String)> for Secrets {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(all: T) -> Self {
        Self(all.into_iter().map(|(name, value)| (name, SecretString::from(value))).collect())
    }
}

impl PartialEq for Secrets {
    fn eq(&self, other: &Self) -> bool {
        let exposed = |all: &Self| -> Vec<(String, String)> {
            all.0.iter().map(|(name, value)| (name.clone(), value.expose_secret().to_owned())).collect()
        };
        exposed(self) == exposed(other)
    }
}

impl Eq for Secrets {}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
